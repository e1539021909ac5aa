// Clients of a peer: threads that make one call after another. Every value that is read is checked.
#include <memory>
#include <string>
#include <vector>

#include "tools/penstock-bench/client.h"
#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {

namespace {

class PeerCaller {
 public:
  PeerCaller(Run& run, std::uint32_t client, ClientResult& result)
      : core_(run, client, result), peer_(run.load.peer->client()) {}

  void run() {
    core_.pacer().begin(core_.run().start_ns);
    std::uint64_t at_ns = now_ns();
    while (core_.goes_on(at_ns)) {
      const Call call = core_.next_call();
      tally_ = {.operations = call.operations};
      prepare(call);
      if (!wait_until_due(core_.run(), core_.pacer(), sleep_ns)) {
        core_.take_back(call);
        break;
      }
      at_ns = now_ns();
      const std::uint64_t start_ns = core_.pacer().take(at_ns, call.operations);
      make(call);
      at_ns = now_ns();
      core_.note(call.kind, start_ns, at_ns, tally_);
      if (kind_writes(call.kind) && core_.reads_back()) {
        core_.accepts_back(steps_.back(), peer_->get(steps_.back().family, core_.key_of(steps_.back().number)));
      }
    }
    core_.note_end(at_ns);
  }

 private:
  // What is not the engine's work, before the clock runs.
  void prepare(const Call& call) {
    steps_.resize(call.operations);
    for (Step& step : steps_) {
      step = core_.next(call.kind);
      if (kind_writes(call.kind) && call.kind != OpKind::kRmw) {
        add(step);
      }
    }
    if (call.kind == OpKind::kMultiget) {
      keys_.resize(call.operations);
      for (std::uint32_t at = 0; at < call.operations; ++at) {
        keys_[at] = core_.key_of(steps_[at].number);
      }
    }
  }

  void add(const Step& step) {
    const Bytes key = core_.key_of(step.number);
    tally_.bytes += key.size();
    if (step.kind == OpKind::kDelete) {
      peer_->remove(step.family, key);
      return;
    }
    const Bytes value = core_.value_of(step);
    tally_.bytes += value.size();
    peer_->put(step.family, key, value);
  }

  void make(const Call& call) {
    const Step& first = steps_.front();
    switch (call.kind) {
      case OpKind::kGet:
        check(first, peer_->get(first.family, core_.key_of(first.number)));
        return;
      case OpKind::kMultiget:
        peer_->multi_get(first.family, keys_,
                         [this](std::size_t at, std::optional<std::string_view> value) { check(steps_[at], value); });
        return;
      case OpKind::kScan:
        scan(first);
        return;
      case OpKind::kRmw:
        check(first, peer_->get(first.family, core_.key_of(first.number)));
        add(first);
        peer_->commit();
        return;
      default:
        peer_->commit();
    }
  }

  void scan(const Step& step) {
    const PeerScan scan{
        .family = step.family, .from = core_.key_of(step.number), .rows = step.rows, .is_reverse = core_.job().scan_reverse};
    peer_->scan(
        scan, [&](std::string_view key, std::string_view value) { return core_.accepts_row(step.family, key, value, tally_); });
  }

  void check(const Step& step, std::optional<std::string_view> value) { core_.accepts(step, value, tally_); }

  ClientCore core_;
  std::unique_ptr<PeerClient> peer_;
  std::vector<Step> steps_;
  std::vector<std::string> keys_;
  Tally tally_;
};

}  // namespace

void call_peer(Run& run, StartLine& line, std::uint32_t client, ClientResult& result) {
  run_client_as<PeerCaller>(run, line, client, result);
}

}  // namespace penstock::bench
