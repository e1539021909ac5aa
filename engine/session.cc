// Session: gets that travel in batches. A batch goes to one reactor as one message and comes back whole.
#include "penstock/session.h"

#include <algorithm>
#include <atomic>
#include <span>
#include <string>
#include <vector>

#include "base/assert.h"
#include "engine/database_core.h"
#include "engine/family_state.h"
#include "reactor/hosted_loop.h"

namespace penstock {

namespace {

/// Of a shard's inbox, for a get beside its key.
constexpr std::int64_t kGetCredit = 256;
/// Gets of a message whose pages are on their way together (a turn): few enough to stay in the first cache.
constexpr std::size_t kGetsFetchedAhead = 8;

Result<Bytes> value_in(const Result<PinnedValue>& found) {
  return found.has_value() ? Result<Bytes>(found->value()) : std::unexpected(found.error());
}

}  // namespace

class Session::Impl {
 public:
  Impl(std::shared_ptr<detail::DatabaseCore> core, std::uint32_t gets_per_message)
      : core_(std::move(core)), gets_per_message_(std::clamp(gets_per_message, 1U, 4096U)) {
    gathering_.resize(core_->settings().reactor_count);
  }
  ~Impl();
  /// Instead of destruction, where nobody may wait: the last batch to end destroys this.
  void orphan();
  bool is_forked() const noexcept { return core_->runtime().is_forked(); }

  void get(const Family& family, Bytes key, std::uint64_t token);
  void submit();
  std::uint64_t pending() const noexcept { return pending_; }
  std::uint64_t deliver(std::int64_t timeout_ns, Deliver function, void* handler);

 private:
  struct Request {
    const detail::FamilyState* family = nullptr;  ///< Kept by the batch.
    std::uint64_t token = 0;
    ShardId shard = 0;
    std::uint16_t key_bytes = 0;
    std::uint32_t key_offset = 0;
    std::uint64_t value_offset = 0;
    std::uint64_t value_bytes = 0;
    Status status;
    bool is_answered = false;
  };
  /// What the gets of one shard in a batch take of its inbox.
  struct Share {
    ShardId shard = 0;
    std::int64_t credit = 0;
    bool is_accepted = false;
  };

  /// Requests and their answers. Session-I1: owned by the session's thread, or by a reactor between post and completion.
  class GetBatch final : public reactor::Message {
   public:
    explicit GetBatch(Impl& session) noexcept : session_(session) {}
    void run() override;

    void add(const Family& family, Bytes key, ShardId shard, std::uint64_t token);
    /// False: every get of it is answered by a refusal.
    bool accept();
    /// Answers what is in memory if the reactor sleeps, on this thread. True: that was all.
    bool answer_borrowed();
    void release();
    void clear() noexcept;

    std::vector<Request> requests;
    std::vector<Share> shares;
    std::vector<Family> families;
    std::string keys;
    std::string values;
    GetBatch* next = nullptr;

   private:
    static Task<> read(GetBatch* self, std::uint32_t index);
    std::span<Request> turn_at(std::size_t begin);
    void fetch_ahead(std::size_t begin);
    void answer(Request& request, const Result<Bytes>& value);
    void end_one();
    static constexpr bool is_open(const Request& request) noexcept { return !request.is_answered && request.status.is_ok(); }
    Bytes key_of(const Request& request) const noexcept { return Bytes(keys).substr(request.key_offset, request.key_bytes); }

    Impl& session_;
    std::size_t unanswered_ = 0;
  };

  std::unique_ptr<GetBatch> take_batch();
  void send(std::unique_ptr<GetBatch>& batch);
  void complete(GetBatch& batch);
  /// Waits at most `timeout_ns` for them; negative: until there are some.
  GetBatch* take_completed(std::int64_t timeout_ns) noexcept;

  const std::shared_ptr<detail::DatabaseCore> core_;
  const std::uint32_t gets_per_message_;
  std::vector<std::unique_ptr<GetBatch>> gathering_;  // By reactor; null: nothing.
  std::vector<std::unique_ptr<GetBatch>> spare_;
  std::uint64_t pending_ = 0;
  std::uint64_t sent_batches_ = 0;  // On their way.

  // Written by reactors.
  alignas(64) std::atomic<GetBatch*> completed_{nullptr};
  std::atomic<std::uint32_t> is_asleep_{0};  // The session's thread, on this word.
  std::atomic<std::uint32_t> holders_{1};    // The session, and batches until the end of complete().
};

// --- On the session's thread ---

Session::Impl::~Impl() {
  for (std::unique_ptr<GetBatch>& batch : gathering_) {
    batch.reset();
  }
  while (sent_batches_ > 0) {
    for (GetBatch* batch = take_completed(-1); batch != nullptr;) {
      const std::unique_ptr<GetBatch> owned(batch);
      batch = batch->next;
      --sent_batches_;
    }
  }
  // The last reactor may still be on its way out of complete().
  while (holders_.load(std::memory_order_acquire) > 1) {
  }
  while (const std::unique_ptr<GetBatch> unseen{completed_.load(std::memory_order_relaxed)}) {  // Of an orphan.
    completed_.store(unseen->next, std::memory_order_relaxed);
  }
}

void Session::Impl::orphan() {
  for (std::unique_ptr<GetBatch>& batch : gathering_) {
    batch.reset();
  }
  sent_batches_ = 0;  // Nobody takes them any more.
  // For the runtime this is as a database that closes in the background: it stays until the last batch has ended.
  detail::RuntimeCore& runtime = core_->runtime();
  const bool has_begun = runtime.begin_call();
  PENSTOCK_ASSERT(has_begun || holders_.load() == 1);
  if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    delete this;
    if (has_begun) {
      runtime.end_call();
    }
  }
}

std::unique_ptr<Session::Impl::GetBatch> Session::Impl::take_batch() {
  if (spare_.empty()) {
    return std::make_unique<GetBatch>(*this);
  }
  std::unique_ptr<GetBatch> batch = std::move(spare_.back());
  spare_.pop_back();
  return batch;
}

void Session::Impl::get(const Family& family, Bytes key, std::uint64_t token) {
  const bool is_valid = family.valid() && key.size() <= kKeyBytesMax;
  const ShardId shard = is_valid ? family.shard_of(key) : ShardId{0};
  std::unique_ptr<GetBatch>& batch = gathering_[shard % gathering_.size()];
  if (batch == nullptr) {
    batch = take_batch();
  }
  if (is_valid) {
    batch->add(family, key, shard, token);
  } else {
    batch->requests.push_back({.token = token, .status = Status(Code::kInvalidArgument)});
  }
  ++pending_;
  if (batch->requests.size() >= gets_per_message_) {
    send(batch);
  }
}

void Session::Impl::submit() {
  for (std::unique_ptr<GetBatch>& batch : gathering_) {
    if (batch != nullptr) {
      send(batch);
    }
  }
}

void Session::Impl::send(std::unique_ptr<GetBatch>& batch) {
  ++sent_batches_;
  holders_.fetch_add(1, std::memory_order_relaxed);
  if (!batch->accept()) {  // Closed, or a child of the process that it is open in: there may be no reactor.
    complete(*batch.release());
    return;
  }
  if (core_->settings().options.borrowed_reads && batch->answer_borrowed()) {
    complete(*batch.release());
    return;
  }
  reactor::Reactor& reactor = core_->part_of(batch->requests.front().shard).reactor();
  reactor.post(*batch.release());
}

std::uint64_t Session::Impl::deliver(std::int64_t timeout_ns, Deliver function, void* handler) {
  if (timeout_ns != 0) {
    submit();
  }
  std::uint64_t count = 0;
  const bool may_wait = !reactor::HostedLoop::has_reactor() && !is_forked();
  for (GetBatch* batch = take_completed(may_wait && sent_batches_ > 0 ? timeout_ns : 0); batch != nullptr;) {
    std::unique_ptr<GetBatch> owned(batch);
    batch = batch->next;
    --sent_batches_;
    for (const Request& request : owned->requests) {
      --pending_;
      ++count;
      if (request.status.is_ok()) {
        function(handler, request.token, Bytes(owned->values).substr(request.value_offset, request.value_bytes));
      } else {
        function(handler, request.token, std::unexpected(request.status));
      }
    }
    owned->clear();
    spare_.push_back(std::move(owned));
  }
  return count;
}

Session::Impl::GetBatch* Session::Impl::take_completed(std::int64_t timeout_ns) noexcept {
  while (true) {
    GetBatch* const batch = completed_.exchange(nullptr, std::memory_order_acquire);
    if (batch != nullptr || timeout_ns == 0) {
      return batch;
    }
    // Pairs with complete(): each side writes its word and then reads the other's, so that one of them sees the other.
    is_asleep_.store(1, std::memory_order_seq_cst);
    if (completed_.load(std::memory_order_seq_cst) == nullptr) {
      detail::park(is_asleep_, 1, timeout_ns);
    }
    is_asleep_.store(0, std::memory_order_relaxed);
    timeout_ns = std::min<std::int64_t>(timeout_ns, 0);  // There is one wait with an end.
  }
}

void Session::Impl::GetBatch::add(const Family& family, Bytes key, ShardId shard, std::uint64_t token) {
  if (families.empty() || &families.back().state() != &family.state()) {
    families.push_back(family);
  }
  auto share = std::ranges::find(shares, shard, &Share::shard);
  if (share == shares.end()) {
    share = shares.insert(share, {.shard = shard});
  }
  share->credit += kGetCredit + static_cast<std::int64_t>(key.size());
  requests.push_back({.family = &family.state(),
                      .token = token,
                      .shard = shard,
                      .key_bytes = static_cast<std::uint16_t>(key.size()),
                      .key_offset = static_cast<std::uint32_t>(keys.size()),
                      .status = {}});
  keys.append(key);
}

/// Core-I2: what is accepted finds its shard alive.
bool Session::Impl::GetBatch::accept() {
  bool is_any_accepted = false;
  for (Share& share : shares) {
    Status refused;
    share.is_accepted = session_.core_->accept(share.shard, share.credit, true, refused);
    if (share.is_accepted) {
      is_any_accepted = true;
      continue;
    }
    for (Request& request : requests) {
      if (request.shard == share.shard && request.status.is_ok()) {
        request.status = refused;
      }
    }
  }
  return is_any_accepted;
}

/// In short turns: a reactor that wakes waits for the borrowers.
bool Session::Impl::GetBatch::answer_borrowed() {
  reactor::BorrowGate& gate = session_.core_->part_of(requests.front().shard).reactor().gate();
  bool is_all_answered = true;
  for (std::size_t begin = 0; begin < requests.size(); begin += kGetsFetchedAhead) {
    if (reactor::Reactor::current() != nullptr || !gate.try_borrow()) {
      return false;
    }
    fetch_ahead(begin);
    for (Request& request : turn_at(begin)) {
      if (!is_open(request)) {
        continue;
      }
      const detail::ShardEngine& shard = session_.core_->shard(request.shard);
      if (const std::optional<Result<Bytes>> found = shard.get_borrowed(*request.family, key_of(request))) {
        answer(request, *found);
      } else {
        is_all_answered = false;
      }
    }
    gate.give_back();
  }
  return is_all_answered;
}

void Session::Impl::GetBatch::release() {
  for (const Share& share : shares) {
    if (share.is_accepted) {
      session_.core_->release(share.shard, share.credit);
    }
  }
}

void Session::Impl::GetBatch::clear() noexcept {
  requests.clear();
  shares.clear();
  families.clear();
  keys.clear();
  values.clear();
}

// --- On a reactor ---

void Session::Impl::GetBatch::run() {
  unanswered_ = 1;  // For this loop.
  for (std::size_t begin = 0; begin < requests.size(); begin += kGetsFetchedAhead) {
    fetch_ahead(begin);
    for (Request& request : turn_at(begin)) {
      if (!is_open(request)) {
        continue;
      }
      detail::ShardEngine& shard = session_.core_->shard(request.shard);
      if (const auto found = shard.get_cached(*request.family, key_of(request))) {
        answer(request, value_in(*found));
      } else {
        ++unanswered_;
        shard.part().tasks().spawn(&GetBatch::read, this, static_cast<std::uint32_t>(&request - requests.data()));
      }
    }
  }
  end_one();
}

Task<> Session::Impl::GetBatch::read(GetBatch* self, std::uint32_t index) {
  Request& request = self->requests[index];
  detail::ShardEngine& shard = self->session_.core_->shard(request.shard);
  const Result<PinnedValue> found = co_await shard.get_pinned(*request.family, self->key_of(request));
  self->answer(request, value_in(found));
  self->end_one();
}

// --- On either ---

std::span<Session::Impl::Request> Session::Impl::GetBatch::turn_at(std::size_t begin) {
  return std::span(requests).subspan(begin, std::min(kGetsFetchedAhead, requests.size() - begin));
}

/// The pages of a turn's gets come side by side from memory, not one after the other.
void Session::Impl::GetBatch::fetch_ahead(std::size_t begin) {
  for (const Request& request : turn_at(begin)) {
    if (is_open(request)) {
      session_.core_->shard(request.shard).fetch_ahead(*request.family, key_of(request));
    }
  }
}

void Session::Impl::GetBatch::answer(Request& request, const Result<Bytes>& value) {
  request.is_answered = true;
  if (!value.has_value()) {
    request.status = value.error();
    return;
  }
  request.value_offset = values.size();
  request.value_bytes = value->size();
  values.append(*value);
}

void Session::Impl::GetBatch::end_one() {
  PENSTOCK_ASSERT_GT(unanswered_, 0U);
  if (--unanswered_ == 0) {
    session_.complete(*this);
  }
}

void Session::Impl::complete(GetBatch& batch) {
  batch.release();
  GetBatch* newest = completed_.load(std::memory_order_relaxed);
  do {
    batch.next = newest;
  } while (!completed_.compare_exchange_weak(newest, &batch, std::memory_order_seq_cst, std::memory_order_relaxed));
  if (is_asleep_.load(std::memory_order_seq_cst) != 0 && is_asleep_.exchange(0, std::memory_order_seq_cst) != 0) {
    detail::unpark(is_asleep_);
  }
  detail::RuntimeCore& runtime = core_->runtime();
  if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) {  // An orphan's last.
    delete this;
    runtime.end_call();
  }
}

// --- The front ---

Session::Session(Database& database, std::uint32_t gets_per_message)
    : impl_(std::make_unique<Impl>(database.core(), gets_per_message)) {}
Session::Session(Session&&) noexcept = default;

Session& Session::operator=(Session&& other) noexcept {
  if (this != &other) {
    let_go();
    impl_ = std::move(other.impl_);
  }
  return *this;
}

Session::~Session() { let_go(); }

void Session::let_go() noexcept {
  if (impl_ != nullptr && impl_->is_forked()) {
    detail::RuntimeCore::abandon(std::shared_ptr<Impl>(std::move(impl_)));
  } else if (impl_ != nullptr && reactor::HostedLoop::has_reactor()) {
    impl_.release()->orphan();
  }
  impl_.reset();
}

void Session::get(const Family& family, Bytes key, std::uint64_t token) { impl_->get(family, key, token); }
void Session::submit() { impl_->submit(); }
std::uint64_t Session::pending() const noexcept { return impl_->pending(); }
std::uint64_t Session::deliver(std::int64_t timeout_ns, Deliver function, void* handler) {
  return impl_->deliver(timeout_ns, function, handler);
}

}  // namespace penstock
