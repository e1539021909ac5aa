// Behind penstock/penstock.h: what its handles hold, and how each function checks its arguments, begins, waits and answers.
//
// Every call exists as one begin_x() that checks its arguments and gives a Future; the synchronous function waits for it, the
// _async one wraps it in a handle.
// Invariants:
//   Capi-I1 What begin_x() refuses was never sent to a shard.
//   Capi-I2 On a reactor a call that would wait is refused before it begins: Future::get() would say would_block of a call
//           that goes on.
//   Capi-I3 `failure` is set on every path: NULL with ok, else a failure with the code that is returned.
// Threads: as penstock/penstock.h says.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "penstock/db.h"
#include "penstock/penstock.h"

// The handles: complete types for what C knows by name only.
struct penstock_failure {
  penstock::Failure failure;
};

struct penstock_runtime {
  penstock::Runtime runtime;
  std::atomic<std::uint32_t> databases{0};  // Handles that are not freed yet, and those on their way.

  explicit penstock_runtime(penstock::Runtime started) : runtime(std::move(started)) {}
};

struct penstock_reactor {
  penstock::AttachedReactor reactor;
};

struct penstock_database {
  penstock_runtime* runtime;
  std::uint64_t id;  // Of this opening, in this process: families and batches remember it.
  penstock::Database database;
  std::atomic<std::uint32_t> sessions{0};  // Handles that are not freed yet.

  penstock_database(penstock_runtime* on, std::uint64_t number, penstock::Database opened)
      : runtime(on), id(number), database(std::move(opened)) {}
};

struct penstock_family {
  std::uint64_t database_id;
  penstock::Family family;
};

struct penstock_batch {
  std::uint64_t database_id = 0;  // Of its first operation.
  penstock::Batch batch;
};

struct penstock_value {
  std::string bytes;
};

struct penstock_rows {
  penstock::ScanResult result;
};

struct penstock_family_list {
  std::vector<penstock::FamilyInfo> families;
};

/// What a future can do whatever its answer is.
struct penstock_future {
  std::uint64_t database_id = 0;  // Of the database that was called, if the answer is a family.

  virtual ~penstock_future() = default;
  virtual bool is_ready() const noexcept = 0;
  virtual bool wait(std::int64_t timeout_ns) = 0;
  virtual void on_ready(penstock_callback callback, void* context) = 0;
};

namespace penstock::capi {

// --- Answers ---

penstock_code report(const Status& status, penstock_failure** failure);
penstock_code report(Failure problem, penstock_failure** failure);

inline std::unexpected<Failure> refuse(std::string text) {
  return std::unexpected(Failure(Status(Code::kInvalidArgument), std::move(text)));
}

penstock_code report_misuse(const char* text, penstock_failure** failure);

inline bool is_on_reactor() noexcept { return detail::current_executor != nullptr; }
penstock_code report_would_block(penstock_failure** failure);

/// The code of an answer of any kind; its failure is reported.
template <typename T>
penstock_code report_answer(T& answer, penstock_failure** failure) {
  if constexpr (std::is_same_v<T, Status>) {
    return report(answer, failure);
  } else if constexpr (std::is_same_v<T, CommitResult>) {
    return report(answer.status, failure);
  } else {
    return answer.has_value() ? report(Status::ok(), failure) : report(std::move(answer.error()), failure);
  }
}

/// Hands a good answer to `store`, a bad one to `failure`.
template <typename T, typename Store>
penstock_code deliver(T answer, penstock_failure** failure, Store store) {
  const penstock_code code = report_answer(answer, failure);
  if (code == PENSTOCK_OK) {
    if constexpr (std::is_same_v<T, Status> || std::is_same_v<T, CommitResult>) {
      store(std::move(answer));
    } else {
      store(std::move(*answer));
    }
  }
  return code;
}

inline constexpr auto kStoreNothing = [](const auto&) {};
inline auto store_sequence(std::uint64_t* place) {
  return [place](const CommitResult& result) {
    if (place != nullptr) {
      *place = result.last_sequence;
    }
  };
}

/// A synchronous call: `begin` gives an Outcome<Future<T>>.
template <typename Begin, typename Store>
penstock_code call(Begin begin, penstock_failure** failure, Store store) {
  if (is_on_reactor()) {
    return report_would_block(failure);  // Capi-I2.
  }
  auto begun = begin();
  if (!begun.has_value()) {
    return report(std::move(begun.error()), failure);
  }
  return deliver(begun->get(), failure, std::move(store));
}

// --- Futures ---

/// A future of C: a call that was refused, one on its way, or its answer.
template <typename T>
class TypedFuture : public penstock_future {
 public:
  explicit TypedFuture(Outcome<Future<T>> begun) {
    if (begun.has_value()) {
      future_ = std::move(*begun);
    } else {
      refusal_ = std::move(begun.error());
    }
  }

  bool is_ready() const noexcept override { return !future_.valid() || future_.is_ready(); }
  bool wait(std::int64_t timeout_ns) override {
    return !future_.valid() || future_.wait_for(std::chrono::nanoseconds(timeout_ns));
  }
  void on_ready(penstock_callback callback, void* context) override {
    if (!future_.valid()) {
      callback(context, this);
      return;
    }
    std::move(future_).on_ready([this, callback, context](T answer) {
      answer_ = std::move(answer);
      callback(context, this);
    });
  }

  template <typename Store>
  penstock_code take(penstock_failure** failure, Store store) {
    if (!is_ready() && is_on_reactor()) {
      return report_would_block(failure);
    }
    if (future_.valid()) {
      answer_ = future_.get();
    }
    if (refusal_.has_value()) {
      return report(std::move(*std::exchange(refusal_, std::nullopt)), failure);
    }
    if (!answer_.has_value()) {
      return report_misuse("the answer of this future was taken already", failure);
    }
    return deliver(std::move(*std::exchange(answer_, std::nullopt)), failure, std::move(store));
  }

  /// As if nobody had ever asked.
  void drop_answer() {
    future_ = Future<T>();
    answer_.reset();
  }

 private:
  Future<T> future_;                ///< Valid while the answer is still in it.
  std::optional<Failure> refusal_;  ///< Not taken yet.
  std::optional<T> answer_;         ///< Not taken yet.
};

template <typename T>
penstock_future* wrap(Outcome<Future<T>> begun) {
  return new TypedFuture<T>(std::move(begun));
}

/// A future's answer if it is of this kind.
template <typename T, typename Store>
penstock_code take(penstock_future* future, penstock_failure** failure, Store store) {
  if (future == nullptr) {
    return report_misuse("the future is NULL", failure);
  }
  auto* typed = dynamic_cast<TypedFuture<T>*>(future);
  if (typed == nullptr) {
    return report_misuse("the future belongs to a call with another kind of answer", failure);
  }
  return typed->take(failure, std::move(store));
}

/// Whether `place` is there for a result; a handle there becomes NULL.
template <typename T>
bool prepare(T** place) noexcept {
  if (place != nullptr) {
    *place = nullptr;
  }
  return place != nullptr;
}
penstock_code report_no_place(penstock_failure** failure);

// --- Arguments ---

inline Bytes view(penstock_bytes bytes) noexcept { return {static_cast<const char*>(bytes.data), bytes.size}; }
inline penstock_bytes view(Bytes bytes) noexcept { return {bytes.data(), bytes.size()}; }

/// The first thing wrong with a call's handles and bytes, if any. `family` is not looked at if the call has none.
Outcome<Database*> check(penstock_database* database, std::initializer_list<penstock_bytes> arguments);
Outcome<Database*> check(penstock_database* database, const penstock_family* family,
                         std::initializer_list<penstock_bytes> arguments);

Outcome<RuntimeOptions> read_options(const penstock_runtime_options* options);
Outcome<DatabaseOptions> read_options(const penstock_database_options* options);
Outcome<FamilyOptions> read_options(const penstock_family_options* options);
Outcome<CommitOptions> read_options(const penstock_commit_options* options);
Outcome<ScanOptions> read_options(const penstock_scan_options* options);
Outcome<ScrubOptions> read_options(const penstock_scrub_options* options);
/// With struct_bytes 0.
penstock_family_options describe(const FamilyOptions& options);

/// Begins a call with arguments that were checked, or gives the first failure among them.
template <typename Begin, typename... Arguments>
Outcome<std::invoke_result_t<Begin, Arguments&...>> when_checked(Begin begin, Outcome<Arguments>... arguments) {
  const Failure* wrong = nullptr;
  ((wrong = wrong == nullptr && !arguments.has_value() ? &arguments.error() : wrong), ...);
  if (wrong != nullptr) {
    return std::unexpected(*wrong);
  }
  return begin(*arguments...);
}

/// Bytes of each struct in the first version of the API that had it: a program may know that much or more.
template <typename Struct>
inline constexpr std::uint32_t kStructBytesMin = 0;
template <>
inline constexpr std::uint32_t kStructBytesMin<penstock_runtime_options> = 40;
template <>
inline constexpr std::uint32_t kStructBytesMin<penstock_database_options> = 80;
template <>
inline constexpr std::uint32_t kStructBytesMin<penstock_family_options> = 24;
template <>
inline constexpr std::uint32_t kStructBytesMin<penstock_commit_options> = 12;
template <>
inline constexpr std::uint32_t kStructBytesMin<penstock_scan_options> = 48;
template <>
inline constexpr std::uint32_t kStructBytesMin<penstock_scrub_options> = 32;
template <>
inline constexpr std::uint32_t kStructBytesMin<penstock_recovery_report> = 56;
template <>
inline constexpr std::uint32_t kStructBytesMin<penstock_verify_report> = 40;
template <>
inline constexpr std::uint32_t kStructBytesMin<penstock_metrics> = 328;

/// Whether `place` can take a Struct: it is there and says a size.
template <typename Struct>
bool has_room(const Struct* place) noexcept {
  return place != nullptr && place->struct_bytes >= kStructBytesMin<Struct>;
}

/// Copies as much of `filled` as the program's struct has room for; zeros behind, if it knows more.
template <typename Struct>
void write_struct(const Struct& filled, Struct* place, std::uint32_t place_bytes) noexcept {
  static_assert(offsetof(Struct, struct_bytes) == 0 && kStructBytesMin<Struct> != 0);
  static_assert(std::has_unique_object_representations_v<Struct>, "padding would become part of the ABI: name it reserved");
  std::memset(static_cast<void*>(place), 0, place_bytes);
  std::memcpy(static_cast<void*>(place), &filled, std::min<std::size_t>(place_bytes, sizeof(Struct)));
}

/// The same for a report, whose struct_bytes then says how much of it was filled in.
template <typename Struct>
void write_report(Struct filled, Struct* place) noexcept {
  PENSTOCK_ASSERT(has_room(place));
  const std::uint32_t place_bytes = place->struct_bytes;
  filled.struct_bytes = std::min(place_bytes, std::uint32_t{sizeof(Struct)});
  write_struct(filled, place, place_bytes);
}

}  // namespace penstock::capi
