// What an AttachedReactor holds: its runtime and the loop that its thread runs.
//
// Thread: the one that attached.
#pragma once

#include <memory>
#include <utility>

#include "engine/runtime_core.h"

namespace penstock::detail {

struct Attachment {
  std::shared_ptr<RuntimeCore> runtime;
  RuntimeCore::Attached attached;

  Attachment(std::shared_ptr<RuntimeCore> core, RuntimeCore::Attached made)
      : runtime(std::move(core)), attached(std::move(made)) {}
};

}  // namespace penstock::detail
