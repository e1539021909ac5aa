// --help and the manual page, made from the tables of options and keys, so that neither can fall behind them.
#pragma once

#include <string>

namespace penstock::bench {

std::string help_text();

/// In troff's man macros. docs/penstock-bench.1 is this; a test compares them.
std::string manual_page();

}  // namespace penstock::bench
