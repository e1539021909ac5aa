// The C API: what every future can do.
#include <cstdint>

#include "engine/c_api.h"

namespace capi = penstock::capi;

bool penstock_future_is_ready(const penstock_future* future) { return future != nullptr && future->is_ready(); }

bool penstock_future_wait(penstock_future* future, int64_t timeout_ns) { return future != nullptr && future->wait(timeout_ns); }

penstock_code penstock_future_on_ready(penstock_future* future, penstock_callback callback, void* context) {
  if (future == nullptr || callback == nullptr) {
    return PENSTOCK_INVALID_ARGUMENT;
  }
  future->on_ready(callback, context);
  return PENSTOCK_OK;
}

void penstock_future_free(penstock_future* future) { delete future; }

penstock_code penstock_future_take_done(penstock_future* future, penstock_failure** failure) {
  // A write says how it went by a Status, a change of the catalog by one with a text.
  using Change = penstock::Outcome<bool>;
  if (dynamic_cast<capi::TypedFuture<Change>*>(future) != nullptr) {
    return capi::take<Change>(future, failure, capi::kStoreNothing);
  }
  return capi::take<penstock::Status>(future, failure, capi::kStoreNothing);
}
