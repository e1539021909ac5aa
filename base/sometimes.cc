#include "base/sometimes.h"

namespace penstock::base {

namespace {

constinit const SometimesMark* g_first = nullptr;

}  // namespace

SometimesMark::SometimesMark(const char* name) noexcept : name_(name), next_(g_first) { g_first = this; }

const SometimesMark* SometimesMark::first() noexcept { return g_first; }

}  // namespace penstock::base
