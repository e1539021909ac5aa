// Many look-ups as one call: what is in memory is answered at once, what is not is read side by side.
#include <algorithm>
#include <atomic>
#include <numeric>
#include <utility>

#include "base/assert.h"
#include "engine/database_core.h"
#include "engine/reactor_part.h"
#include "engine/shard_engine.h"
#include "penstock/db.h"

namespace penstock {

namespace {

/// Look-ups of one call that read at the same time. Each descends by itself: the reads of a level go out together.
constexpr std::size_t kReadersMax = 256;
/// Keys whose pages are asked for from memory together.
constexpr std::size_t kFetchedAhead = 8;
/// Of a shard's inbox, for a call and for each of its keys.
constexpr std::int64_t kCallCredit = 512;
constexpr std::int64_t kKeyCredit = 64;

using Answers = std::vector<Result<std::string>>;

}  // namespace

namespace detail {

/// What the readers of one call share.
struct ShardEngine::ColdReads {
  struct Read {
    std::uint32_t index = 0;
    std::optional<btree::ExtentPointer> extent;  // That a memtable names, or
    std::shared_ptr<const void> holder;          // what keeps it.
  };
  FamilyId family = 0;
  btree::FamilyTrees trees;
  std::span<const Bytes> keys;
  std::vector<Read> reads;
  std::size_t next = 0;
  Answers* answers = nullptr;
};

Task<Answers> ShardEngine::multi_get(const FamilyState& family, std::span<const Bytes> keys) {
  ++multi_gets_;
  Answers answers(keys.size(), std::unexpected(Status(Code::kNotFound)));
  std::vector<std::uint32_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [keys](std::uint32_t index) { return keys[index]; });
  ColdReads cold{.family = family.id, .trees = {}, .keys = keys, .reads = {}, .next = 0, .answers = &answers};
  for (std::size_t at = 0; at < order.size(); ++at) {
    if (at % kFetchedAhead == 0) {
      for (std::size_t ahead = at; ahead < std::min(at + kFetchedAhead, order.size()); ++ahead) {
        fetch_ahead(family, keys[order[ahead]]);
      }
    }
    const std::uint32_t index = order[at];
    if (std::optional<Result<std::string>> answer = try_get(family, keys[index])) {
      answers[index] = std::move(*answer);
      continue;
    }
    ColdReads::Read read{.index = index, .extent = std::nullopt, .holder = nullptr};
    if (const std::optional<Located> located = locate_in_memtables(family, keys[index])) {
      PENSTOCK_ASSERT(located->answer == Located::Answer::kReference);
      read.extent = *btree::extent_from_bytes(located->value);
      read.holder = *located->generation;
    }
    cold.reads.push_back(std::move(read));
  }
  if (!cold.reads.empty()) {
    gets_from_disk_ += cold.reads.size();
    cold.trees = flusher_->trees_of(family.id);  // Of the same moment as what memory answered.
    const btree::PageStore::ReadPin pin = store_->pin_current();
    reactor::TaskGroup readers(reactor_);
    for (std::size_t reader = 0; reader < std::min(kReadersMax, cold.reads.size()); ++reader) {
      readers.spawn(&ShardEngine::read_cold, this, &cold);
    }
    co_await readers.join();
  }
  co_return answers;
}

Task<> ShardEngine::read_cold(ColdReads* cold) {
  while (cold->next < cold->reads.size()) {
    const ColdReads::Read& read = cold->reads[cold->next++];
    Result<std::string>& answer = (*cold->answers)[read.index];
    std::optional<btree::ExtentPointer> extent = read.extent;
    if (!extent.has_value()) {
      Result<std::optional<btree::Found>> found =
          co_await btree::find(*store_, cold->trees, cold->family, cold->keys[read.index]);
      if (!found.has_value()) {
        answer = std::unexpected(found.error().with_shard(id_));
        continue;
      }
      if (!found->has_value()) {
        continue;
      }
      extent = (*found)->extent;
      if (!extent.has_value()) {
        answer = std::string((*found)->value);
        continue;
      }
    }
    answer = co_await store_->read_extent(*extent, cold->family);
  }
}

}  // namespace detail

namespace {

/// A call from an ordinary thread over all its shards: the last part to end answers. Deletes itself.
class MultiGetFromThread {
 public:
  MultiGetFromThread(detail::DatabaseCore& core, const Family& family, std::span<const Bytes> keys)
      : core_(core), family_(family), answers_(keys.size(), std::unexpected(Status(Code::kNotFound))) {
    for (const Bytes key : keys) {
      bytes_.append(key);
    }
    std::size_t offset = 0;
    for (std::uint32_t index = 0; index < keys.size(); ++index) {
      const Bytes key = Bytes(bytes_).substr(offset, keys[index].size());
      offset += key.size();
      part_of(family.shard_of(key)).add(index, key);
    }
  }

  Future<Result<Answers>> start() {
    Future<Result<Answers>> future = promise_.future();
    remaining_.store(parts_.size() + 1, std::memory_order_relaxed);  // One for this function.
    for (const std::unique_ptr<Part>& part : parts_) {
      part->post();
    }
    part_ended(Status::ok());
    return future;
  }

 private:
  class Part final : public reactor::Message {
   public:
    Part(MultiGetFromThread& call, ShardId shard) : call_(call), shard_(shard) {}
    ShardId shard() const noexcept { return shard_; }
    void add(std::uint32_t index, Bytes key) {
      indices_.push_back(index);
      keys_.push_back(key);
      credit_ += kKeyCredit + static_cast<std::int64_t>(key.size());
    }
    void post() {
      Status refused;
      if (call_.core_.accept(shard_, credit_, true, refused)) {
        call_.core_.part_of(shard_).reactor().post(*this);
      } else {
        call_.part_ended(refused);
      }
    }
    void run() override { call_.core_.part_of(shard_).tasks().spawn(&Part::read, this); }

   private:
    static Task<> read(Part* self) {
      MultiGetFromThread& call = self->call_;
      Answers answers = co_await call.core_.shard(self->shard_).multi_get(call.family_.state(), self->keys_);
      for (std::size_t at = 0; at < answers.size(); ++at) {
        call.answers_[self->indices_[at]] = std::move(answers[at]);
      }
      call.core_.release(self->shard_, self->credit_);
      call.part_ended(Status::ok());
    }
    MultiGetFromThread& call_;
    const ShardId shard_;
    std::vector<std::uint32_t> indices_;
    std::vector<Bytes> keys_;
    std::int64_t credit_ = kCallCredit;
  };

  Part& part_of(ShardId shard) {
    auto part = std::ranges::find(parts_, shard, [](const std::unique_ptr<Part>& each) { return each->shard(); });
    if (part == parts_.end()) {
      part = parts_.insert(part, std::make_unique<Part>(*this, shard));
    }
    return **part;
  }
  void part_ended(Status status) {
    if (!status.is_ok()) {
      failure_ = status;  // By the calling thread alone.
    }
    if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      Result<Answers> result = failure_.is_ok() ? Result<Answers>(std::move(answers_)) : std::unexpected(failure_);
      Promise<Result<Answers>> promise = std::move(promise_);
      delete this;
      promise.fulfill(std::move(result));
    }
  }

  detail::DatabaseCore& core_;
  const Family family_;
  std::string bytes_;
  std::vector<std::unique_ptr<Part>> parts_;
  Answers answers_;
  Status failure_;
  std::atomic<std::size_t> remaining_{0};
  Promise<Result<Answers>> promise_;
};

}  // namespace

Future<Result<Answers>> Database::multi_get(const Family& family, std::span<const Bytes> keys) {
  if (!family.valid() || std::ranges::any_of(keys, [](Bytes key) { return key.size() > kKeyBytesMax; })) {
    return ready_future(Result<Answers>(std::unexpected(Status(Code::kInvalidArgument))));
  }
  auto* call = new MultiGetFromThread(*core_, family, keys);
  return call->start();
}

Task<Result<Answers>> Shard::multi_get(const Family& family, std::span<const Bytes> keys) {
  for (const Bytes key : keys) {
    if (!is_mine(family, key)) {
      co_return std::unexpected(Status(Code::kInvalidArgument).with_shard(id()));
    }
  }
  if (keys.empty()) {
    co_return Answers();
  }
  co_return co_await engine_->multi_get(family.state(), keys);
}

}  // namespace penstock
