// `penstock-bench report RESULT.json... -o report.html`: makes the page of pictures (report_page.h).
#pragma once

#include <string>
#include <vector>

namespace penstock::bench {

/// `arguments`: those behind "report". Returns the exit code: 0, 1 if a file cannot be read or written, 2 usage.
int run_report_command(const std::vector<std::string>& arguments);

}  // namespace penstock::bench
