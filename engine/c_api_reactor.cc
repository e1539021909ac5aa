// The C API: reactors on threads of the program.
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "engine/c_api.h"

using penstock::Outcome;
using penstock::Promise;
using penstock::Result;
using penstock::Status;
namespace capi = penstock::capi;

penstock_code penstock_runtime_attach(penstock_runtime* runtime, penstock_reactor** reactor, penstock_failure** failure) {
  if (!capi::prepare(reactor)) {
    return capi::report_no_place(failure);
  }
  if (runtime == nullptr) {
    return capi::report_misuse("the runtime is NULL", failure);
  }
  return capi::deliver(runtime->runtime.attach(), failure,
                       [&](penstock::AttachedReactor attached) { *reactor = new penstock_reactor{std::move(attached)}; });
}

uint32_t penstock_reactor_index(const penstock_reactor* reactor) { return reactor == nullptr ? 0 : reactor->reactor.index(); }
int penstock_reactor_fd(const penstock_reactor* reactor) { return reactor == nullptr ? -1 : reactor->reactor.fd(); }

penstock_code penstock_reactor_poll(penstock_reactor* reactor, int64_t wait_ns, bool* more) {
  if (reactor == nullptr) {
    return PENSTOCK_INVALID_ARGUMENT;
  }
  const Result<bool> polled = reactor->reactor.poll(std::chrono::nanoseconds(wait_ns));
  if (!polled.has_value()) {
    return static_cast<penstock_code>(polled.error().code());
  }
  if (more != nullptr) {
    *more = *polled;
  }
  return PENSTOCK_OK;
}

penstock_code penstock_reactor_wait(penstock_reactor* reactor, penstock_future* future) {
  if (future == nullptr) {
    return PENSTOCK_INVALID_ARGUMENT;
  }
  // Whether this thread may poll at all: once the future is given away, only polling brings it back.
  const penstock_code checked = penstock_reactor_poll(reactor, 0, nullptr);
  if (checked != PENSTOCK_OK || future->is_ready()) {
    return checked;
  }
  auto promise = std::make_unique<Promise<Status>>();
  penstock::Future<Status> ready = promise->future();
  const auto tell = [](void* context, penstock_future* /*ready*/) {
    const std::unique_ptr<Promise<Status>> owned(static_cast<Promise<Status>*>(context));
    owned->fulfill(Status::ok());
  };
  future->on_ready(tell, promise.release());
  return static_cast<penstock_code>(reactor->reactor.wait(std::move(ready)).code());
}

penstock_code penstock_reactor_detach(penstock_reactor* reactor) {
  if (reactor == nullptr) {
    return PENSTOCK_OK;
  }
  const Status status = reactor->reactor.detach();
  if (status.is_ok() || status.is(penstock::Code::kForked)) {
    delete reactor;
  }
  return static_cast<penstock_code>(status.code());
}
