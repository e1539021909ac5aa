// Reads of a shard: look-ups and scans over memtables and tree at the published position.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "engine/reactor_part.h"
#include "engine/row_walk.h"
#include "engine/shard_engine.h"

namespace penstock::detail {

std::optional<ShardEngine::Located> ShardEngine::locate_in_memtables(const FamilyState& family, Bytes key) const noexcept {
  using Answer = Located::Answer;
  if (family.dropped.load(std::memory_order_relaxed)) {
    return Located{.answer = Answer::kDropped, .value = {}, .page = {}};
  }
  const auto look_in = [&](const std::shared_ptr<Generation>& generation) -> std::optional<Located> {
    const auto version = generation->memtable.find(family.id, key, published_);
    if (!version.has_value()) {
      return std::nullopt;
    }
    const Answer there = version->is_reference ? Answer::kReference : Answer::kInMemtable;
    return Located{
        .answer = version->is_delete ? Answer::kAbsent : there, .value = version->value, .generation = &generation, .page = {}};
  };
  std::optional<Located> found = look_in(active_);
  for (auto generation = frozen_.rbegin(); generation != frozen_.rend() && !found.has_value(); ++generation) {
    found = look_in(*generation);
  }
  return found;
}

ShardEngine::Located ShardEngine::locate(const FamilyState& family, Bytes key) const noexcept {
  using Answer = Located::Answer;
  if (std::optional<Located> found = locate_in_memtables(family, key)) {
    return std::move(*found);
  }
  btree::CachedFind cached = btree::find_cached(*store_, flusher_->trees_of(family.id), key);
  if (!cached.complete || (cached.found.has_value() && cached.found->extent.has_value())) {
    return {.answer = Answer::kUnknown, .value = {}, .page = {}};
  }
  if (!cached.found.has_value()) {
    return {.answer = Answer::kAbsent, .value = {}, .page = {}};
  }
  return {.answer = Answer::kInPage, .value = cached.found->value, .page = std::move(cached.found->page)};
}

Status ShardEngine::absence(const FamilyState& family, Located::Answer answer) const noexcept {
  const bool is_dropped = answer == Located::Answer::kDropped;
  return is_dropped ? Status(Code::kDropped).with_place(FileKind::kCatalog, family.id) : Status(Code::kNotFound);
}

std::optional<Result<std::string>> ShardEngine::try_get(const FamilyState& family, Bytes key) {
  ++gets_;
  const Located located = locate(family, key);
  switch (located.answer) {
    case Located::Answer::kUnknown:
    case Located::Answer::kReference:
      return std::nullopt;
    case Located::Answer::kAbsent:
    case Located::Answer::kDropped:
      return std::unexpected(absence(family, located.answer));
    case Located::Answer::kInMemtable:
    case Located::Answer::kInPage:
      break;
  }
  return std::string(located.value);
}

std::optional<Result<Bytes>> ShardEngine::get_borrowed(const FamilyState& family, Bytes key) const {
  gets_borrowed_.fetch_add(1, std::memory_order_relaxed);
  if (const std::optional<Located> located = locate_in_memtables(family, key)) {
    if (located->answer == Located::Answer::kReference) {
      return std::nullopt;
    }
    if (located->answer != Located::Answer::kInMemtable) {
      return std::unexpected(absence(family, located->answer));
    }
    return located->value;
  }
  const btree::BorrowedFind found = btree::find_borrowed(*store_, flusher_->trees_of(family.id), key);
  if (!found.complete) {
    return std::nullopt;
  }
  if (!found.value.has_value()) {
    return std::unexpected(Status(Code::kNotFound));
  }
  return *found.value;
}

std::optional<Result<PinnedValue>> ShardEngine::get_cached(const FamilyState& family, Bytes key) {
  ++gets_;
  Located located = locate(family, key);
  PinnedValue pinned;
  switch (located.answer) {
    case Located::Answer::kUnknown:
    case Located::Answer::kReference:
      return std::nullopt;
    case Located::Answer::kAbsent:
    case Located::Answer::kDropped:
      return std::unexpected(absence(family, located.answer));
    case Located::Answer::kInMemtable:
      pinned.memory_ = *located.generation;
      break;
    case Located::Answer::kInPage:
      pinned.page_ = located.page.release();
      break;
  }
  pinned.value_ = located.value;
  return pinned;
}

void ShardEngine::fetch_ahead(const FamilyState& family, Bytes key) const noexcept {
  store_->fetch_leaf(flusher_->trees_of(family.id).base, key);
}

Task<Result<std::string>> ShardEngine::get(const FamilyState& family, Bytes key) {
  if (std::optional<Result<std::string>> answer = try_get(family, key)) {
    co_return std::move(*answer);
  }
  // What the memtables lacked just now, the tree of just now decides: commits that come meanwhile are later than this read.
  ++gets_from_disk_;
  const Result<PinnedValue> found = co_await get_from_disk(family, key);
  if (!found.has_value()) {
    co_return std::unexpected(found.error());
  }
  co_return std::string(found->value());
}

Task<Result<PinnedValue>> ShardEngine::get_pinned(const FamilyState& family, Bytes key) {
  if (std::optional<Result<PinnedValue>> answer = get_cached(family, key)) {
    co_return std::move(*answer);
  }
  ++gets_from_disk_;
  co_return co_await get_from_disk(family, key);
}

Task<Result<PinnedValue>> ShardEngine::get_from_disk(const FamilyState& family, Bytes key) {
  const std::optional<Located> located = locate_in_memtables(family, key);
  if (located.has_value() && located->answer == Located::Answer::kReference) {
    const std::shared_ptr<Generation> generation = *located->generation;  // Holds the extent.
    co_return co_await read_value(family.id, *btree::extent_from_bytes(located->value));
  }
  const FamilyId id = family.id;
  const btree::PageStore::ReadPin pin = store_->pin_current();
  Result<std::optional<btree::Found>> found = co_await btree::find(*store_, flusher_->trees_of(id), id, key);
  if (!found.has_value()) {
    co_return std::unexpected(found.error().with_shard(id_));
  }
  if (!found->has_value()) {
    co_return std::unexpected(Status(Code::kNotFound));
  }
  if ((*found)->extent.has_value()) {
    co_return co_await read_value(id, *(*found)->extent);
  }
  PinnedValue pinned;
  pinned.value_ = (*found)->value;
  pinned.page_ = (*found)->page.release();
  co_return pinned;
}

/// Somebody keeps the extent meanwhile.
Task<Result<PinnedValue>> ShardEngine::read_value(FamilyId family, btree::ExtentPointer extent) {
  Result<std::string> value = co_await store_->read_extent(extent, family);
  if (!value.has_value()) {
    co_return std::unexpected(value.error());
  }
  const auto copy = std::make_shared<const std::string>(std::move(*value));
  PinnedValue pinned;
  pinned.value_ = *copy;
  pinned.memory_ = copy;
  co_return pinned;
}

Task<Result<bool>> ShardEngine::contains(const FamilyState& family, Bytes key) {
  ++gets_;
  if (family.dropped.load(std::memory_order_relaxed)) {
    co_return std::unexpected(Status(Code::kDropped).with_place(FileKind::kCatalog, family.id));
  }
  using Answer = Located::Answer;
  if (const Answer answer = locate(family, key).answer; answer != Answer::kUnknown) {
    co_return answer != Answer::kAbsent&& answer != Answer::kDropped;
  }
  const btree::PageStore::ReadPin pin = store_->pin_current();
  const Result<std::optional<btree::Found>> found =
      co_await btree::find(*store_, flusher_->trees_of(family.id), family.id, key);
  if (!found.has_value()) {
    co_return std::unexpected(found.error().with_shard(id_));
  }
  co_return found->has_value();
}

ShardEngine::GenerationList ShardEngine::generations_with(FamilyId family) const {
  GenerationList list;
  if (active_->memtable.family_entry_count(family) > 0) {
    list.push_back(active_);
  }
  for (auto generation = frozen_.rbegin(); generation != frozen_.rend(); ++generation) {
    if ((*generation)->memtable.family_entry_count(family) > 0) {
      list.push_back(*generation);
    }
  }
  return list;
}

Result<std::unique_ptr<RowWalk>> ShardEngine::walk(const FamilyState& family) {
  ++scans_;
  if (family.dropped.load(std::memory_order_relaxed)) {
    return std::unexpected(Status(Code::kDropped).with_place(FileKind::kCatalog, family.id));
  }
  return std::make_unique<RowWalk>(*this, family.id);
}

Task<Result<engine::FlatRows>> ShardEngine::scan(const FamilyState& family, const ScanOptions& options) {
  Result<std::unique_ptr<RowWalk>> begun = walk(family);
  if (!begun.has_value()) {
    co_return std::unexpected(begun.error());
  }
  RowWalk& rows = **begun;
  engine::FlatRows result;
  Status status = co_await rows.seek(options.from);
  while (status.is_ok() && rows.valid() && (!options.to.has_value() || rows.key() < Bytes(*options.to))) {
    if (result.size() >= options.rows_max || result.bytes() >= options.bytes_max) {
      result.next = std::string(rows.key());
      break;
    }
    result.push_back(rows.key(), rows.value());
    if (!rows.try_next()) {
      status = co_await rows.next();
    }
  }
  if (!status.is_ok()) {
    co_return std::unexpected(status);
  }
  co_return result;
}

}  // namespace penstock::detail
