// How every call answers: one table of codes, each defined by what the caller does next.
//
// A Status is 16 bytes, allocates nothing and is copied freely; text is made at the edge by to_string().
// Calls that name paths, options or log ranges (open, create, verify, DDL) answer with a Failure, which carries text.
// Of all codes only `outcome_unknown` leaves open whether the call was applied: every other error means "not applied".
#pragma once

#include <cstdint>
#include <cstdlib>
#include <expected>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

/// What the caller does next. Never stored on disk.
enum class Code : std::uint8_t {
  kOk = 0,
  kNotFound,         ///< The key, family or database is not there. Not applied.
  kInvalidArgument,  ///< A limit or rule of the API was broken: fix the call. Not applied.
  kTooLarge,         ///< A batch, key or value is over its limit: make it smaller. Not applied.
  kBusy,             ///< Back-pressure (with no_wait), or another process has the database: retry later. Not applied.
  kWouldBlock,       ///< A blocking call on a reactor thread, or no credit for try_submit. Not applied.
  kNoSpace,          ///< The disk is full: free space; deletes and reads still work. Not applied.
  kAlreadyExists,    ///< A family or database of that name, or the key, exists. Not applied.
  kDropped,          ///< The family behind this handle was dropped. Not applied.
  kClosed,           ///< The database is closing or closed. Not applied.
  kCancelled,        ///< Cancelled on request. Not applied.
  kPoisoned,         ///< An earlier log write or sync failed: reads go on; close and reopen. Not applied.
  kOutcomeUnknown,   ///< The log failed under this commit: after reopening it is there whole or not at all.
  kIoError,          ///< The system refused an operation; `error_number()` says why. Not applied.
  kCorruption,       ///< Stored bytes are wrong: restore or repair; `where()` names the place. Not applied.
  kNotSupported,     ///< A newer format, an unknown feature or one that is not built yet. Not applied.
  kPermission,       ///< The system denies access to a file or folder. Not applied.
  kConflict,         ///< What was expected is not so any more: read and decide again. Not applied.
  kForked,           ///< Called in a child after fork: the database belongs to the parent. Not applied.
};
inline constexpr std::uint8_t kCodeCount = 19;

/// The kind of file a status speaks of; it gives `where()` its unit.
enum class FileKind : std::uint8_t {
  kNone = 0,   ///< where = a commit's sequence, or nothing.
  kLog,        ///< where = position in the log.
  kPages,      ///< where = block number (4 KiB) in page file `file()`.
  kSuper,      ///< where = byte offset in shard-<s>/super.
  kEpoch,      ///< where = byte offset in EPOCH.
  kIdentity,   ///< where = byte offset in IDENTITY.
  kLock,       ///< where = process id of the holder, 0 if unknown.
  kDirectory,  ///< where = 0.
  kCatalog,    ///< where = family id.
};

class [[nodiscard]] Status {
 public:
  constexpr Status() noexcept = default;
  constexpr explicit Status(Code code) noexcept : code_(code) {}
  constexpr Status(Code code, FileKind kind, std::uint64_t where) noexcept : code_(code), kind_(kind), where_(where) {}

  static constexpr Status ok() noexcept { return {}; }
  /// The status that a failed system call means; `error_number` is positive (ENOSPC, EACCES, ...).
  static Status from_errno(int error_number) noexcept;

  constexpr Code code() const noexcept { return code_; }
  constexpr bool is_ok() const noexcept { return code_ == Code::kOk; }
  constexpr bool is(Code code) const noexcept { return code_ == code; }
  constexpr FileKind file_kind() const noexcept { return kind_; }
  constexpr int error_number() const noexcept { return errno_; }
  constexpr std::uint16_t shard() const noexcept { return shard_; }
  constexpr std::uint16_t file() const noexcept { return file_; }
  constexpr std::uint64_t where() const noexcept { return where_; }

  constexpr Status with_place(FileKind kind, std::uint64_t where) const noexcept {
    Status copy = *this;
    copy.kind_ = kind;
    copy.where_ = where;
    return copy;
  }
  /// The same cause under another code: what it means to this caller.
  constexpr Status with_code(Code code) const noexcept {
    Status copy = *this;
    copy.code_ = code;
    return copy;
  }
  constexpr Status with_shard(std::uint16_t shard) const noexcept {
    Status copy = *this;
    copy.shard_ = shard;
    return copy;
  }
  constexpr Status with_file(std::uint16_t file) const noexcept {
    Status copy = *this;
    copy.file_ = file;
    return copy;
  }

  /// One line for people: code, what to do next, and the place. Allocates.
  std::string to_string() const;

  /// Drops an error on purpose; the reason is for the reader of the code.
  constexpr void ignore([[maybe_unused]] const char* reason) const noexcept {}

  friend constexpr bool operator==(const Status&, const Status&) = default;

 private:
  Code code_ = Code::kOk;
  FileKind kind_ = FileKind::kNone;
  std::uint16_t errno_ = 0;
  std::uint16_t shard_ = 0;
  std::uint16_t file_ = 0;
  std::uint64_t where_ = 0;
};
static_assert(sizeof(Status) == 16);
static_assert(std::is_trivially_copyable_v<Status>);

std::string_view code_name(Code code) noexcept;

/// A value or why there is none.
template <typename T>
using Result = std::expected<T, Status>;

/// An inclusive-exclusive range of log positions that a Failure speaks of.
struct LogRange {
  std::uint32_t epoch = 0;
  std::uint16_t reactor = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// The answer of calls that name paths and options: a status, a sentence for people, and the damaged log ranges if any.
struct [[nodiscard]] Failure {
  Status status;
  std::string text;
  std::vector<LogRange> ranges;

  Failure() = default;
  Failure(Status failed, std::string message) : status(failed), text(std::move(message)) {}
};

/// A value or a Failure (open, create, DDL).
template <typename T>
using Outcome = std::expected<T, Failure>;

namespace detail {

/// The answer of a call that was refused, as its T can say it; a T that cannot ends the process.
template <typename T>
T refusal(Status status, const char* text) {
  if constexpr (std::is_constructible_v<T, Status>) {
    return T(status);
  } else if constexpr (std::is_constructible_v<T, std::unexpected<Status>>) {
    return T(std::unexpected(status));
  } else if constexpr (std::is_constructible_v<T, std::unexpected<Failure>>) {
    return T(std::unexpected(Failure(status, text)));
  } else {
    std::abort();
  }
}

}  // namespace detail
}  // namespace penstock

/// Leaves the function with the status when it is an error. Plain statements: no co_await inside a GNU expression.
#define PENSTOCK_TRY(expression)                                                              \
  do {                                                                                        \
    if (::penstock::Status try_status = (expression); !try_status.is_ok()) return try_status; \
  } while (false)
#define PENSTOCK_CO_TRY(expression)                                                              \
  do {                                                                                           \
    if (::penstock::Status try_status = (expression); !try_status.is_ok()) co_return try_status; \
  } while (false)
/// The same in a function that returns a Result.
#define PENSTOCK_TRY_RESULT(expression)                                                                        \
  do {                                                                                                         \
    if (::penstock::Status try_status = (expression); !try_status.is_ok()) return std::unexpected(try_status); \
  } while (false)
#define PENSTOCK_CO_TRY_RESULT(expression)                                                                        \
  do {                                                                                                            \
    if (::penstock::Status try_status = (expression); !try_status.is_ok()) co_return std::unexpected(try_status); \
  } while (false)
