#include "tools/penstock-bench/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "reactor/reactor.h"
#include "tools/penstock-bench/job_error.h"
#include "tools/penstock-bench/ledger.h"

namespace penstock::bench {

void StartLine::SetTimes::operator()() const noexcept {
  const std::uint64_t now = now_ns();
  for (Run* run : *runs) {
    run->set_times(now);
  }
}

void Run::set_times(std::uint64_t now) noexcept {
  const Job& job = load.job;
  start_ns = now + job.startdelay_ns;
  measure_ns = start_ns + job.ramp_ns;
  deadline_ns = job.runtime_ns == 0 ? kUnlimited : measure_ns + job.runtime_ns;
}

void Run::start(StartLine& line) {
  line.arrive_and_wait();
  for (std::uint64_t at_ns = now_ns(); at_ns < start_ns && !should_stop(at_ns); at_ns = now_ns()) {
    sleep_ns(nap_ns(start_ns, at_ns));
  }
}

std::uint64_t Run::nap_ns(std::uint64_t wake_ns, std::uint64_t at_ns) const noexcept {
  constexpr std::uint64_t kNapNsMax = 50'000'000;
  const std::uint64_t until_ns = std::min({wake_ns, deadline_ns.load(std::memory_order_relaxed), at_ns + kNapNsMax});
  return until_ns > at_ns ? until_ns - at_ns : 0;
}

const std::vector<std::uint32_t>& Run::numbers_of(std::uint32_t family, ShardId shard) {
  const std::lock_guard lock(numbers_mutex_);
  const auto found = numbers_.find({family, shard});
  if (found != numbers_.end()) {
    return found->second;
  }
  for (std::uint32_t each = 0; each < load.database->shard_count(); ++each) {
    numbers_[{family, static_cast<ShardId>(each)}];
  }
  std::string key(load.job.key_size, '\0');
  for (std::uint32_t number = 0; number < load.job.keys; ++number) {
    load.dataset.fill_key(number, key.data());
    numbers_[{family, load.families[family].shard_of(key)}].push_back(number);
  }
  return numbers_[{family, shard}];
}

ShardId shard_of_client(const Run& run, std::uint32_t client) {
  const Job& job = run.load.job;
  if (job.cf_placement == Placement::kPinned) {
    return run.load.families[client % job.cfs].shard_of(std::string(job.key_size, '\0'));  // The same for every key.
  }
  return static_cast<ShardId>(client / job.cfs % run.load.database->shard_count());
}

// On a shard a client has the shard's keys of its family, and shares them with the other clients there.
KeySet ClientCore::key_set(Run& run, std::uint32_t client) {
  const Job& job = run.load.job;
  if (!job.on_shard() || job.cf_placement == Placement::kPinned) {
    return key_set_of(job, client);
  }
  const std::uint32_t shards = run.load.database->shard_count();
  const std::uint32_t of_family = client / job.cfs;
  const std::uint32_t shard = of_family % shards;
  const std::vector<std::uint32_t>& numbers = run.numbers_of(client % job.cfs, static_cast<ShardId>(shard));
  const std::uint32_t sharers = (sharers_of(job, client) - shard + shards - 1) / shards;
  if (numbers.size() < sharers) {
    throw JobError(fmt::format("shard {} has {} of the keys, too few for its {} clients", shard, numbers.size(), sharers));
  }
  return {.numbers = &numbers, .count = numbers.size(), .rank = of_family / shards, .sharers = sharers};
}

namespace {

std::uint32_t calls_batch(const Job& job) {
  return job.mix.size() == 1 || job.op == Op::kBatch
             ? job.ops_per_call(job.op == Op::kBatch ? OpKind::kBatch : job.mix.front().kind)
             : 1;
}

}  // namespace

ClientCore::ClientCore(Run& run, std::uint32_t client, ClientResult& result, const KeySet& set)
    : run_(run),
      job_(run.load.job),
      client_(client),
      counters_(run.load.counters[client]),
      result_(result),
      plan_(job_, client, set),
      pacer_(job_.rate, {.client = client, .clients = job_.clients, .batch = calls_batch(job_), .seed = job_.seed}),
      left_(plan_.step_count()),
      follows_newest_(job_.key_dist.is_latest && job_.has_kind(OpKind::kInsert)),
      key_(job_.key_size, '\0'),
      value_(job_.value_size.max(), '\0') {
  if (job_.logs.wants_calls()) {
    result_.log = std::make_unique<CallLog>(job_.logs);
  }
  if (job_.op == Op::kBatch) {
    result_.stats[static_cast<std::size_t>(OpKind::kBatch)] = std::make_unique<OpStats>(OpStats{.kind = OpKind::kBatch});
    return;
  }
  for (const OpShare& share : job_.mix) {
    result_.stats[static_cast<std::size_t>(share.kind)] = std::make_unique<OpStats>(OpStats{.kind = share.kind});
  }
}

Call ClientCore::next_call() {
  if (follows_newest_) {
    look_for_newest();
  }
  const Call call = plan_.next_call(left_);
  left_ -= left_ == kUnlimited ? 0 : call.operations;
  result_.issued += call.operations;
  counters_.issued.store(result_.issued, std::memory_order_relaxed);
  if (result_.issued > counters_.reserved.load(std::memory_order_relaxed)) {
    run_.load.ledger->reserve(client_, result_.issued);
  }
  return call;
}

void ClientCore::take_back(const Call& call) noexcept {
  left_ += left_ == kUnlimited ? 0 : call.operations;
  result_.issued -= call.operations;
  counters_.issued.store(result_.issued, std::memory_order_relaxed);
}

// All keys below it are there: each client of the family has inserted at least so many.
void ClientCore::look_for_newest() {
  std::uint64_t least = kUnlimited;
  for (std::uint32_t other = client_ % job_.cfs; other < job_.clients; other += job_.cfs) {
    least = std::min(least, run_.load.counters[other].inserted.load(std::memory_order_acquire));
  }
  plan_.set_newest(static_cast<std::uint32_t>(job_.keys + least * sharers_of(job_, client_) - 1));
}

Bytes ClientCore::key_of(std::uint32_t number) {
  run_.load.dataset.fill_key(number, key_.data());
  return key_;
}

Bytes ClientCore::value_of(const Step& step) {
  return Bytes(value_).substr(0, run_.load.dataset.fill_value(step.family, step.number, step.version, value_.data()));
}

Status ClientCore::add_to(Batch& batch, const Step& step, Tally& tally) {
  const Bytes key = key_of(step.number);
  ++tally.operations;
  tally.bytes += key.size();
  if (step.kind == OpKind::kDelete) {
    return batch.remove(family(step), key);
  }
  const Bytes value = value_of(step);
  tally.bytes += value.size();
  return batch.put(family(step), key, value);
}

bool ClientCore::accepts(const Step& step, std::optional<Bytes> value, Tally& tally) {
  if (!value.has_value()) {
    if (!run_.load.may_miss && step.number < job_.keys) {
      fail(fmt::format("{} of key {} of family {}: it is not there", kind_name(step.kind), step.number, step.family));
      return false;
    }
    ++tally.misses;
    return true;
  }
  if (!run_.load.dataset.value_version(step.family, step.number, *value).has_value()) {
    fail(fmt::format("{} of key {} of family {}: the value is not one that was written", kind_name(step.kind), step.number,
                     step.family));
    return false;
  }
  tally.bytes += job_.key_size + value->size();
  return true;
}

bool ClientCore::accepts_row(std::uint32_t family, Bytes key, Bytes value, Tally& tally) {
  const Dataset& dataset = run_.load.dataset;
  const bool is_ours =
      key.size() == dataset.key_size() && dataset.value_version(family, dataset.number_of(key), value).has_value();
  if (!is_ours) {
    fail("scan: a row is not one that was written");
    return false;
  }
  ++tally.rows;
  tally.bytes += key.size() + value.size();
  return true;
}

void ClientCore::note(OpKind kind, std::uint64_t start_ns, std::uint64_t end_ns, const Tally& tally) {
  const auto index = static_cast<std::size_t>(kind);
  add(counters_.operations[index], tally.operations);
  add(counters_.bytes, tally.bytes);
  if (kind_writes(kind)) {
    add(counters_.commits, 1);
    if (result_.error.empty()) {  // Workload-I1: nothing after a failed commit counts.
      add(counters_.acknowledged, tally.operations);
    }
  }
  if (kind == OpKind::kInsert) {
    counters_.inserted.store(counters_.inserted.load(std::memory_order_relaxed) + tally.operations, std::memory_order_release);
  }
  if (end_ns < run_.measure_ns.load(std::memory_order_relaxed)) {
    return;
  }
  OpStats& stats = *result_.stats[index];
  stats.operations += tally.operations;
  ++stats.calls;
  stats.bytes += tally.bytes;
  stats.rows += tally.rows;
  stats.misses += tally.misses;
  stats.latency.record_many(end_ns - start_ns, kind == OpKind::kMultiget ? tally.operations : 1);
  if (result_.log != nullptr) {
    result_.log->note(kind, end_ns - run_.measure_ns.load(std::memory_order_relaxed), end_ns - start_ns, tally.bytes);
  }
  if (run_.status_ns > 0 && end_ns >= next_publish_ns_) {
    publish(end_ns);
  }
}

void ClientCore::publish(std::uint64_t at_ns) {
  next_publish_ns_ = at_ns + run_.status_ns;
  const std::lock_guard lock(result_.published.mutex);
  for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
    if (result_.stats[kind] != nullptr) {
      result_.published.stats[kind] = std::make_unique<OpStats>(*result_.stats[kind]);
    }
  }
}

void ClientCore::note_parts(OpKind kind, std::uint64_t begun_ns, std::uint64_t sent_ns, std::uint64_t end_ns) {
  if (end_ns < run_.measure_ns.load(std::memory_order_relaxed)) {
    return;
  }
  OpStats& stats = *result_.stats[static_cast<std::size_t>(kind)];
  stats.submission.record(sent_ns - begun_ns);
  stats.completion.record(end_ns - sent_ns);
}

void ClientCore::note_depth(std::size_t depth) noexcept {
  const auto level = static_cast<std::size_t>(std::bit_width(depth)) - 1;
  ++result_.depths[std::min(level, kDepthLevels - 1)];
}

bool ClientCore::accepts_back(const Step& step, std::optional<Bytes> value) {
  if (step.kind == OpKind::kDelete || job_.deletes()) {
    return true;  // What is gone, or may be by another call in flight, says nothing.
  }
  const auto version =
      value.has_value() ? run_.load.dataset.value_version(step.family, step.number, *value) : std::optional<std::uint32_t>();
  if (!version.has_value() || *version < step.version) {
    fail(fmt::format("verify: family {} key {}: version {} was acknowledged, and a get {}", step.family, step.number,
                     step.version, version.has_value() ? fmt::format("finds version {}", *version) : "does not find it"));
    return false;
  }
  return true;
}

void ClientCore::fail(std::string error) {
  if (result_.error.empty()) {
    result_.error = std::move(error);
  }
  run_.failed.store(true, std::memory_order_relaxed);
}

Task<bool> sleep_until_due(const Run& run, const Pacer& pacer) {
  sleep_precisely();
  for (std::uint64_t at_ns = now_ns(); !pacer.is_due(at_ns); at_ns = now_ns()) {
    if (run.should_stop(at_ns)) {
      co_return false;
    }
    co_await reactor::Reactor::current()->sleep(run.nap_ns(pacer.wake_ns(), at_ns));
  }
  co_return true;
}

}  // namespace penstock::bench
