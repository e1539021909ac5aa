// Options from text, on hostile text: options or a sentence that says what is wrong.
#include <cstdint>

#include "base/assert.h"
#include "penstock/options.h"
#include "tests/fuzz/fuzz_target.h"

namespace penstock {

void fuzz_options(fuzz::Input input) {
  const Bytes text = input.take_text(input.rest().size());
  const auto check = [](const auto& parsed) {
    if (parsed.has_value()) return;
    PENSTOCK_ASSERT(parsed.error().status.is(Code::kInvalidArgument));
    PENSTOCK_ASSERT(!parsed.error().text.empty());
  };
  check(parse_database_options(text, {}));
  check(parse_runtime_options(text, {}));
  check(parse_option_changes(text));
}

}  // namespace penstock

PENSTOCK_FUZZ_TARGET(penstock::fuzz_options)
