// Shard: the engine as code on a shard's own reactor sees it. Coroutines only; nothing here may be called from another thread.
//
// Get there with Database::run_on. A read that finds everything in memory does not leave the core; a commit awaits its group.
// Every key must belong to this shard (`invalid_argument`).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "penstock/atomic.h"
#include "penstock/batch.h"
#include "penstock/family.h"
#include "penstock/options.h"
#include "penstock/status.h"
#include "penstock/task.h"

namespace penstock {

namespace detail {
class RowWalk;
class ShardEngine;

/// The row that a walk stands at.
struct RowView {
  bool is_valid = false;
  Bytes key;
  Bytes value;
};
}  // namespace detail

struct Row {
  std::string key;
  std::string value;
};

/// A half-open range of keys in order, and how much of it to bring.
struct ScanOptions {
  std::string from;               ///< First key wanted.
  std::optional<std::string> to;  ///< First key no longer wanted; none: to the family's end.
  std::uint32_t rows_max = 1000;
  std::uint64_t bytes_max = 4_MiB;  ///< Of keys and values; at least one row is returned.
};

struct ScanResult {
  std::vector<Row> rows;
  /// If the range goes on: the key to continue `from`.
  std::optional<std::string> next;
};

/// A value where it lies, in a memtable or in a cached page, which stays there while this lives. Belongs to the shard's
/// reactor: it is made, used and destroyed there. Hold it for a step or two: what is pinned cannot make room for other pages.
class PinnedValue {
 public:
  PinnedValue() noexcept = default;
  PinnedValue(PinnedValue&& other) noexcept
      : value_(std::exchange(other.value_, {})),
        memory_(std::move(other.memory_)),
        page_(std::exchange(other.page_, nullptr)) {}
  PinnedValue& operator=(PinnedValue&& other) noexcept {
    std::swap(value_, other.value_);
    std::swap(memory_, other.memory_);
    std::swap(page_, other.page_);
    return *this;
  }
  ~PinnedValue();

  Bytes value() const noexcept { return value_; }

 private:
  friend class detail::ShardEngine;
  Bytes value_;
  std::shared_ptr<const void> memory_;  ///< A memtable's generation, or a copy of our own.
  void* page_ = nullptr;                ///< A pinned cache frame.
};

/// A walk over a family's rows on this shard in key order, which are looked at where they lie. All are as of the position that
/// was published when the cursor was made: commits and flushes go on meanwhile. Belongs to the shard's reactor: it is made,
/// used and destroyed there, by one task. Keep it for that task: it holds memtables and pages that are older than those of
/// today.
class RowCursor {
 public:
  RowCursor(RowCursor&&) noexcept;
  RowCursor& operator=(RowCursor&&) noexcept;
  ~RowCursor();

  /// To the first row with a key at or after `key`. Errors: corruption, io_error; the cursor is good for nothing but another
  /// seek() then.
  Task<Status> seek(Bytes key);
  /// On to the next row. valid() beforehand.
  Task<Status> next();
  /// The same at once if all that is needed is in memory: suspends nothing, makes no system call. False: something has to be
  /// read, and seek() of the same key, or next(), does that; until then there is no row.
  bool try_seek(Bytes key);
  bool try_next();

  /// False: before the first seek, and past the last row.
  bool valid() const noexcept { return row_->is_valid; }
  Bytes key() const noexcept { return row_->key; }      ///< Good until the cursor moves; so is
  Bytes value() const noexcept { return row_->value; }  ///< this.

 private:
  friend class Shard;
  explicit RowCursor(std::unique_ptr<detail::RowWalk> walk) noexcept;
  std::unique_ptr<detail::RowWalk> walk_;
  const detail::RowView* row_;  // The walk's.
};

class Shard {
 public:
  explicit Shard(detail::ShardEngine& engine) noexcept : engine_(&engine) {}

  ShardId id() const noexcept;

  /// The value as of the shard's published position: durable as its writer asked. Errors: not_found, dropped, corruption,
  /// io_error, closed.
  Task<Result<std::string>> get(const Family& family, Bytes key);
  /// The same without a copy.
  Task<Result<PinnedValue>> get_pinned(const Family& family, Bytes key);
  /// The same at once if everything that is needed is in memory: suspends nothing, allocates nothing, makes no system call.
  /// Empty: a page has to be read first, and get_pinned() does that.
  std::optional<Result<PinnedValue>> get_cached(const Family& family, Bytes key);
  Task<Result<bool>> contains(const Family& family, Bytes key);
  /// Many look-ups as one: an answer for each key, in their order, all as of one published position. What is not in memory is
  /// read side by side. Errors of an answer as get()'s; of the whole: invalid_argument (a key of another shard).
  Task<Result<std::vector<Result<std::string>>>> multi_get(const Family& family, std::span<const Bytes> keys);
  /// Errors: invalid_argument (a family pinned elsewhere), dropped.
  Result<RowCursor> rows(const Family& family);
  /// Rows of this shard in key order, consistent as of one published position.
  Task<Result<ScanResult>> scan(const Family& family, const ScanOptions& options);

  /// Applies the batch atomically; resolves when published, that is when it and every earlier commit of the shard have their
  /// durability. Errors: invalid_argument (an operation of another shard, an empty batch), too_large, busy, no_space, dropped,
  /// poisoned, outcome_unknown, closed.
  Task<Status> commit(Batch& batch, const CommitOptions& options = {});
  Task<Status> put(const Family& family, Bytes key, Bytes value, const CommitOptions& options = {});
  Task<Status> remove(const Family& family, Bytes key, const CommitOptions& options = {});

  /// Atomic work (atomic.h), in the order of commits. Errors: those of commit() and get().
  /// Gives the key the value that `function` makes of its present one. Returns the value that it has then.
  Task<Result<std::optional<std::string>>> update(const Family& family, Bytes key, const UpdateFunction& function,
                                                  const CommitOptions& options = {});
  /// Gives the key `desired` (none: removes it) if it has `expected` (none: is not there). Else: conflict.
  Task<Status> compare_and_set(const Family& family, Bytes key, std::optional<Bytes> expected, std::optional<Bytes> desired,
                               const CommitOptions& options = {});
  /// Else: already_exists.
  Task<Status> put_if_absent(const Family& family, Bytes key, Bytes value, const CommitOptions& options = {});
  /// Runs `function` on the shard's state and applies what it changed. Errors also: what it returns.
  Task<Status> atomically(const AtomicFunction& function, const CommitOptions& options = {});

  /// Lets others on the core run.
  Task<> yield();

 private:
  bool is_mine(const Family& family, Bytes key) const noexcept;
  bool may_walk(const Family& family) const noexcept;

  detail::ShardEngine* engine_;
};

}  // namespace penstock
