// Clients on threads of their own: every kind of call, as futures, `iodepth` of them in flight. Answers of gets, of scans and
// of commits are taken in their order, each for themselves: a get does not wait behind a commit.
#include <chrono>
#include <deque>
#include <memory>
#include <utility>
#include <variant>

#include "penstock/session.h"
#include "tools/penstock-bench/client.h"
#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {

namespace {

class ThreadClient {
 public:
  ThreadClient(Run& run, std::uint32_t client, ClientResult& result)
      : core_(run, client, result),
        database_(*run.load.database),
        job_(run.load.job),
        has_several_kinds_(job_.mix.size() > 1 || job_.has_kind(OpKind::kRmw)) {
    if (job_.has_kind(OpKind::kMultiget)) {
      session_ = std::make_unique<Session>(database_, job_.batch);
    }
  }

  void run() {
    core_.pacer().begin(core_.run().start_ns);
    std::uint64_t at_ns = now_ns();
    while (core_.goes_on(at_ns)) {
      const Call call = core_.next_call();
      prepare(call);
      if (!wait_until_due(core_.run(), core_.pacer(), [this](std::uint64_t duration_ns) { wait(duration_ns); })) {
        core_.take_back(call);
        break;
      }
      at_ns = now_ns();
      Queue* const queue = issue(call, core_.pacer().take(at_ns, call.operations));
      if (job_.iodepth > 1 && queue != nullptr) {
        core_.note_depth(in_flight());
        if (++calls_ % kTimedOneIn == 0) {
          queue->back().begun_ns = at_ns;
          queue->back().sent_ns = now_ns();
        }
      }
      while (has_several_kinds_ && finish_ready()) {
      }
      if (in_flight() >= job_.iodepth) {
        finish_one();
      }
    }
    core_.note_end(now_ns());
    while (in_flight() > 0) {
      finish_one();
    }
  }

 private:
  using Answer = std::variant<Future<CommitResult>, Future<Result<std::string>>, Future<Result<ScanResult>>>;
  struct InFlight {
    OpKind kind;
    std::uint64_t start_ns;
    Step step;  // Of one operation.
    Tally tally;
    Answer answer;
    std::uint64_t begun_ns = 0;  // With several in flight, of one call in kTimedOneIn: when it was begun, and handed over.
    std::uint64_t sent_ns = 0;
  };

  using Queue = std::deque<InFlight>;

  std::size_t in_flight() const noexcept { return gets_.size() + scans_.size() + commits_.size(); }

  // What is not the engine's work, before the clock runs.
  void prepare(const Call& call) {
    tally_ = {};
    if (!kind_writes(call.kind) || call.kind == OpKind::kRmw) {
      step_ = call.kind == OpKind::kMultiget ? Step() : core_.next(call.kind);
      return;
    }
    batch_ = spare_batch();
    for (std::uint32_t at = 0; at < call.operations; ++at) {
      step_ = core_.next(call.kind);
      require(core_.add_to(batch_, step_, tally_), "batch");
    }
  }

  Batch spare_batch() {
    Batch batch;
    if (!spare_.empty()) {
      batch = std::move(spare_.back());
      spare_.pop_back();
    }
    return batch;
  }

  // Where it waits for its answer; nullptr: it has been answered.
  Queue* issue(const Call& call, std::uint64_t start_ns) {
    switch (call.kind) {
      case OpKind::kMultiget:
        ask_many(call, start_ns);
        return nullptr;
      case OpKind::kGet:
      case OpKind::kRmw:
        gets_.push_back(
            {call.kind, start_ns, step_, {.operations = 1}, database_.get(core_.family(step_), core_.key_of(step_.number))});
        return &gets_;
      case OpKind::kScan:
        scans_.push_back({call.kind,
                          start_ns,
                          step_,
                          {.operations = 1},
                          database_.scan(core_.family(step_),
                                         {.from = std::string(core_.key_of(step_.number)), .to = {}, .rows_max = step_.rows})});
        return &scans_;
      default:
        commits_.push_back({call.kind, start_ns, step_, tally_, send(std::move(batch_))});  // The last one of the batch.
        return &commits_;
    }
  }

  // A family that is hashed spreads a batch over shards, where each part is atomic by itself.
  Future<CommitResult> send(Batch batch) {
    const CommitOptions options{.durability = job_.durability};
    const bool is_one_shard = batch.shard_count() <= 1;
    return is_one_shard ? database_.commit(std::move(batch), options) : database_.write_each(std::move(batch), options);
  }

  void ask_many(const Call& call, std::uint64_t start_ns) {
    asked_.clear();
    Tally tally{.operations = call.operations};
    for (std::uint32_t at = 0; at < call.operations; ++at) {
      asked_.push_back(core_.next(call.kind));
      session_->get(core_.family(asked_[at]), core_.key_of(asked_[at].number), at);
    }
    while (session_->pending() > 0) {
      session_->wait([&](std::uint64_t at, const Result<Bytes>& value) { check(asked_[at], value, tally); });
    }
    core_.note(call.kind, start_ns, now_ns(), tally);
  }

  void wait(std::uint64_t duration_ns) {
    Queue* queue = first_queue();
    if (queue == nullptr) {
      sleep_ns(duration_ns);
    } else if (std::visit([&](auto& answer) { return answer.wait_for(std::chrono::nanoseconds(duration_ns)); },
                          queue->front().answer)) {
      finish_oldest(*queue);
    }
    while (has_several_kinds_ && finish_ready()) {
    }
  }

  // The one whose answers come soonest.
  Queue* first_queue() noexcept {
    for (Queue* queue : {&gets_, &scans_, &commits_}) {
      if (!queue->empty()) {
        return queue;
      }
    }
    return nullptr;
  }

  bool finish_ready() {
    for (Queue* queue : {&gets_, &scans_, &commits_}) {
      if (!queue->empty() && std::visit([](const auto& answer) { return answer.is_ready(); }, queue->front().answer)) {
        finish_oldest(*queue);
        return true;
      }
    }
    return false;
  }

  void finish_one() {
    if (!has_several_kinds_ || !finish_ready()) {
      finish_oldest(*first_queue());
    }
  }

  void finish_oldest(Queue& queue) {
    InFlight call = std::move(queue.front());
    queue.pop_front();
    if (auto* const commit = std::get_if<Future<CommitResult>>(&call.answer)) {
      finish_commit(call, commit->get());
    } else if (auto* const get = std::get_if<Future<Result<std::string>>>(&call.answer)) {
      finish_get(call, get->get());
    } else {
      finish_scan(call, std::get<Future<Result<ScanResult>>>(call.answer).get());
    }
  }

  void finish_commit(const InFlight& call, CommitResult answer) {
    if (!answer.status.is_ok()) {
      core_.fail("commit: " + answer.status.to_string());
      return;
    }
    note(call);
    spare_.push_back(std::move(answer.batch));
    if (core_.reads_back()) {
      const Result<std::string> value = database_.get(core_.family(call.step), core_.key_of(call.step.number)).get();
      core_.accepts_back(call.step, value.has_value() ? std::optional<Bytes>(*value) : std::nullopt);
    }
  }

  void note(const InFlight& call) {
    const std::uint64_t end_ns = now_ns();
    core_.note(call.kind, call.start_ns, end_ns, call.tally);
    if (call.sent_ns > 0) {
      core_.note_parts(call.kind, call.begun_ns, call.sent_ns, end_ns);
    }
  }

  void finish_get(InFlight& call, const Result<std::string>& value) {
    if (!check(call.step, value, call.tally)) {
      return;
    }
    if (call.kind == OpKind::kGet) {
      note(call);
      return;
    }
    Batch batch = spare_batch();
    Tally written;
    require(core_.add_to(batch, call.step, written), "batch");
    call.tally.bytes += written.bytes;
    commits_.push_back({call.kind, call.start_ns, call.step, call.tally, send(std::move(batch))});
  }

  void finish_scan(InFlight& call, const Result<ScanResult>& found) {
    if (!found.has_value()) {
      core_.fail("scan: " + found.error().to_string());
      return;
    }
    for (const Row& row : found->rows) {
      if (!core_.accepts_row(call.step.family, row.key, row.value, call.tally)) {
        return;
      }
    }
    note(call);
  }

  template <typename Value>
  bool check(const Step& step, const Result<Value>& value, Tally& tally) {
    if (!value.has_value() && !value.error().is(Code::kNotFound)) {
      core_.fail("get: " + value.error().to_string());
      return false;
    }
    return core_.accepts(step, value.has_value() ? std::optional<Bytes>(*value) : std::nullopt, tally);
  }

  // At a million calls a second the clocks and histograms for the parts of each would be seen in the rate.
  static constexpr std::uint64_t kTimedOneIn = 8;

  ClientCore core_;
  Database& database_;
  const Job& job_;
  std::uint64_t calls_ = 0;
  const bool has_several_kinds_;
  std::unique_ptr<Session> session_;
  Queue gets_;  // Of rmw, too.
  Queue scans_;
  Queue commits_;
  std::vector<Batch> spare_;
  std::vector<Step> asked_;
  Batch batch_;  // Of the call that is prepared; so are
  Step step_;
  Tally tally_;
};

// A client whose gets travel together.
class SessionClient {
 public:
  SessionClient(Run& run, std::uint32_t client, ClientResult& result)
      : core_(run, client, result),
        session_(*run.load.database, std::clamp(run.load.job.iodepth / 2, 1U, 64U)),
        asked_(run.load.job.iodepth) {
    for (std::uint32_t slot = 0; slot < run.load.job.iodepth; ++slot) {
      free_.push_back(slot);
    }
  }

  void run() {
    const auto check = [this](std::uint64_t slot, const Result<Bytes>& value) { finish(slot, value); };
    Pacer& pacer = core_.pacer();
    pacer.begin(core_.run().start_ns);
    now_ns_ = now_ns();
    while (core_.goes_on(now_ns_)) {
      while (!free_.empty() && core_.goes_on(now_ns_) && pacer.is_due(now_ns_)) {
        ask();
      }
      const std::uint64_t nap_ns = core_.run().nap_ns(pacer.wake_ns(), now_ns_);
      if (free_.empty() || !pacer.is_paced()) {
        session_.wait(check);
      } else if (session_.pending() == 0) {
        sleep_ns(nap_ns);
      } else {
        session_.wait_for(std::chrono::nanoseconds(nap_ns), check);
      }
      now_ns_ = now_ns();
    }
    core_.note_end(now_ns_);
    while (session_.pending() > 0) {
      session_.wait(check);
    }
  }

 private:
  struct Asked {
    std::uint64_t start_ns = 0;
    Step step;
  };

  void ask() {
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    const Call call = core_.next_call();
    const Step step = core_.next(call.kind);
    asked_[slot] = {.start_ns = core_.pacer().take(now_ns_, call.operations), .step = step};
    session_.get(core_.family(step), core_.key_of(step.number), slot);
    core_.note_depth(asked_.size() - free_.size());
  }

  void finish(std::uint64_t slot, const Result<Bytes>& value) {
    const Asked& asked = asked_[slot];
    free_.push_back(static_cast<std::uint32_t>(slot));
    Tally tally{.operations = 1};
    if (!value.has_value() && !value.error().is(Code::kNotFound)) {
      core_.fail("get: " + value.error().to_string());
    } else if (core_.accepts(asked.step, value.has_value() ? std::optional<Bytes>(*value) : std::nullopt, tally)) {
      core_.note(OpKind::kGet, asked.start_ns, now_ns(), tally);
    }
  }

  ClientCore core_;
  Session session_;
  std::vector<Asked> asked_;
  std::vector<std::uint32_t> free_;
  std::uint64_t now_ns_ = 0;
};

}  // namespace

void call_from_thread(Run& run, StartLine& line, std::uint32_t client, ClientResult& result) {
  run_client_as<ThreadClient>(run, line, client, result);
}

void get_through_session(Run& run, StartLine& line, std::uint32_t client, ClientResult& result) {
  run_client_as<SessionClient>(run, line, client, result);
}

}  // namespace penstock::bench
