// The C API: sessions.
#include <cstdint>

#include "engine/c_api.h"
#include "penstock/session.h"
#include "reactor/reactor.h"

using penstock::Bytes;
using penstock::Outcome;
using penstock::Result;
using penstock::Session;
namespace capi = penstock::capi;

struct penstock_session {
  penstock_database* database;
  Session session;
};

namespace {

constexpr std::uint32_t kGetsPerMessageMax = 4096;

/// A donated thread between two polls may ask: it hears of the answers by polling.
bool is_inside_reactor() { return penstock::reactor::Reactor::current() != nullptr; }

/// Why a call with a session cannot be made, or PENSTOCK_OK.
penstock_code check(const penstock_session* session) {
  if (session == nullptr) {
    return PENSTOCK_INVALID_ARGUMENT;
  }
  return is_inside_reactor() ? PENSTOCK_WOULD_BLOCK : PENSTOCK_OK;
}

using Deliver = std::uint64_t (*)(Session& session, penstock_session_handler handler, void* context);

penstock_code hand_out(penstock_session* session, penstock_session_handler handler, void* context, uint64_t* count,
                       Deliver deliver) {
  const penstock_code checked = handler == nullptr ? PENSTOCK_INVALID_ARGUMENT : check(session);
  if (checked != PENSTOCK_OK) {
    return checked;
  }
  const std::uint64_t answers = deliver(session->session, handler, context);
  if (count != nullptr) {
    *count = answers;
  }
  return PENSTOCK_OK;
}

auto to_handler(penstock_session_handler handler, void* context) {
  return [handler, context](std::uint64_t token, const Result<Bytes>& value) {
    if (value.has_value()) {
      handler(context, token, PENSTOCK_OK, capi::view(*value));
    } else {
      handler(context, token, static_cast<penstock_code>(value.error().code()), penstock_bytes{});
    }
  };
}

}  // namespace

penstock_code penstock_session_create(penstock_database* database, uint32_t gets_per_message, penstock_session** session,
                                      penstock_failure** failure) {
  if (!capi::prepare(session)) {
    return capi::report_no_place(failure);
  }
  if (is_inside_reactor()) {
    return capi::report_would_block(failure);
  }
  if (database == nullptr || gets_per_message == 0 || gets_per_message > kGetsPerMessageMax) {
    return capi::report_misuse("the database is NULL, or gets_per_message is not between 1 and 4096", failure);
  }
  database->sessions.fetch_add(1, std::memory_order_relaxed);
  *session = new penstock_session{database, Session(database->database, gets_per_message)};
  return capi::report(penstock::Status::ok(), failure);
}

penstock_code penstock_session_get(penstock_session* session, const penstock_family* family, penstock_bytes key,
                                   uint64_t token) {
  const penstock_code checked = check(session);
  if (checked != PENSTOCK_OK) {
    return checked;
  }
  if (!capi::check(session->database, family, {key}).has_value()) {
    return PENSTOCK_INVALID_ARGUMENT;
  }
  session->session.get(family->family, capi::view(key), token);
  return PENSTOCK_OK;
}

penstock_code penstock_session_submit(penstock_session* session) {
  const penstock_code checked = check(session);
  if (checked == PENSTOCK_OK) {
    session->session.submit();
  }
  return checked;
}

uint64_t penstock_session_pending(const penstock_session* session) {
  return session == nullptr ? 0 : session->session.pending();
}

penstock_code penstock_session_poll(penstock_session* session, penstock_session_handler handler, void* context,
                                    uint64_t* count) {
  return hand_out(session, handler, context, count,
                  [](Session& from, penstock_session_handler to, void* with) { return from.poll(to_handler(to, with)); });
}

penstock_code penstock_session_wait(penstock_session* session, penstock_session_handler handler, void* context,
                                    uint64_t* count) {
  return hand_out(session, handler, context, count,
                  [](Session& from, penstock_session_handler to, void* with) { return from.wait(to_handler(to, with)); });
}

penstock_code penstock_session_free(penstock_session* session) {
  if (session == nullptr) {
    return PENSTOCK_OK;
  }
  const penstock_code checked = check(session);
  if (checked == PENSTOCK_OK) {
    penstock_database* const database = session->database;
    delete session;
    database->sessions.fetch_sub(1, std::memory_order_release);
  }
  return checked;
}
