// The C API: flushing, and the numbers of a database.
#include <cstdint>

#include "engine/c_api.h"

using penstock::Database;
using penstock::Future;
using penstock::Metrics;
using penstock::OptionChanges;
using penstock::Outcome;
using penstock::RecoveryReport;
using penstock::Result;
using penstock::Status;
namespace capi = penstock::capi;

namespace {

static_assert(sizeof(penstock_recovery_report) == 56);
static_assert(sizeof(penstock_metrics) == 432);
// The engine's lacks struct_bytes, in whose place it has padding; the one of C lacks the name of the backend.
static_assert(sizeof(Metrics) - sizeof(std::string) == sizeof(penstock_metrics),
              "a new metric goes into penstock/penstock.h and to_c too");

Outcome<Future<Status>> begin_flush(penstock_database* database) {
  return capi::when_checked([](Database* target) { return target->flush(); }, capi::check(database, {}));
}

Outcome<Future<Outcome<bool>>> begin_change_options(penstock_database* database, const char* text) {
  if (text == nullptr) {
    return capi::refuse("the text of the options is NULL");
  }
  return capi::when_checked([](Database* target, const OptionChanges& changes) { return target->change_options(changes); },
                            capi::check(database, {}), penstock::parse_option_changes(text));
}

Outcome<Future<Result<Metrics>>> begin_metrics(penstock_database* database) {
  return capi::when_checked([](Database* target) { return target->metrics(); }, capi::check(database, {}));
}

penstock_recovery_report to_c(const RecoveryReport& report) {
  return {.struct_bytes = 0,
          .created = report.created ? 1U : 0U,
          .clean = report.clean ? 1U : 0U,
          .epoch = report.epoch,
          .logs = report.logs,
          .torn_tails = report.torn_tails,
          .log_bytes = report.log_bytes,
          .records = report.records,
          .operations = report.operations,
          .duration_ns = report.duration_ns};
}

penstock_metrics to_c(const Metrics& metrics) {
  return {.struct_bytes = 0,
          .reactors = metrics.reactors,
          .poisoned_logs = metrics.poisoned_logs,
          .damaged_families = metrics.damaged_families,
          .commits = metrics.commits,
          .operations = metrics.operations,
          .gets = metrics.gets,
          .gets_borrowed = metrics.gets_borrowed,
          .gets_from_disk = metrics.gets_from_disk,
          .scans = metrics.scans,
          .large_values = metrics.large_values,
          .log_groups = metrics.log_groups,
          .log_appended_bytes = metrics.log_appended_bytes,
          .log_written_bytes = metrics.log_written_bytes,
          .log_syncs = metrics.log_syncs,
          .log_bytes_in_use = metrics.log_bytes_in_use,
          .log_segments_late = metrics.log_segments_late,
          .log_resumed_writes = metrics.log_resumed_writes,
          .flushes = metrics.flushes,
          .flush_ns = metrics.flush_ns,
          .flush_write_bytes = metrics.flush_write_bytes,
          .flush_write_cuts = metrics.flush_write_cuts,
          .flush_percent = metrics.flush_percent,
          .page_bytes_written = metrics.page_bytes_written,
          .pages_written = metrics.pages_written,
          .pages_read = metrics.pages_read,
          .cache_hits = metrics.cache_hits,
          .cache_misses = metrics.cache_misses,
          .zones_cleaned = metrics.zones_cleaned,
          .runs_made = metrics.runs_made,
          .runs_joined = metrics.runs_joined,
          .run_entries = metrics.run_entries,
          .run_slices = metrics.run_slices,
          .space_file_bytes = metrics.space_file_bytes,
          .space_live_bytes = metrics.space_live_bytes,
          .space_free_bytes = metrics.space_free_bytes,
          .space_pinned_bytes = metrics.space_pinned_bytes,
          .space_garbage_bytes = metrics.space_garbage_bytes,
          .memory_share_bytes = metrics.memory_share_bytes,
          .memtable_bytes = metrics.memtable_bytes,
          .memtable_ready_bytes = metrics.memtable_ready_bytes,
          .cache_bytes = metrics.cache_bytes,
          .run_filter_bytes = metrics.run_filter_bytes,
          .log_buffer_bytes = metrics.log_buffer_bytes,
          .delayed_commits = metrics.delayed_commits,
          .delayed_ns = metrics.delayed_ns,
          .delayed_ns_max = metrics.delayed_ns_max,
          .syncs = metrics.syncs,
          .enters = metrics.enters,
          .entries = metrics.entries,
          .write_bytes = metrics.write_bytes,
          .read_bytes = metrics.read_bytes,
          .wakes_sent = metrics.wakes_sent,
          .wakes_elided = metrics.wakes_elided,
          .stalls = metrics.stalls,
          .multi_gets = metrics.multi_gets};
}

auto store_metrics(penstock_metrics* place) {
  return [place](const Metrics& metrics) { capi::write_report(to_c(metrics), place); };
}

}  // namespace

penstock_code penstock_flush(penstock_database* database, penstock_failure** failure) {
  return capi::call([&] { return begin_flush(database); }, failure, capi::kStoreNothing);
}
penstock_future* penstock_flush_async(penstock_database* database) { return capi::wrap(begin_flush(database)); }

penstock_code penstock_change_options(penstock_database* database, const char* text, penstock_failure** failure) {
  return capi::call([&] { return begin_change_options(database, text); }, failure, capi::kStoreNothing);
}
penstock_future* penstock_change_options_async(penstock_database* database, const char* text) {
  return capi::wrap(begin_change_options(database, text));
}

penstock_code penstock_recovery(const penstock_database* database, penstock_recovery_report* report,
                                penstock_failure** failure) {
  if (!capi::has_room(report)) {
    return capi::report_no_place(failure);
  }
  if (database == nullptr) {
    return capi::report_misuse("the database is NULL", failure);
  }
  capi::write_report(to_c(database->database.recovery()), report);
  return capi::report(Status::ok(), failure);
}

penstock_code penstock_metrics_read(penstock_database* database, penstock_metrics* metrics, penstock_failure** failure) {
  if (!capi::has_room(metrics)) {
    return capi::report_no_place(failure);
  }
  return capi::call([&] { return begin_metrics(database); }, failure, store_metrics(metrics));
}
penstock_future* penstock_metrics_read_async(penstock_database* database) { return capi::wrap(begin_metrics(database)); }
penstock_code penstock_future_take_metrics(penstock_future* future, penstock_metrics* metrics, penstock_failure** failure) {
  if (!capi::has_room(metrics)) {
    return capi::report_no_place(failure);
  }
  return capi::take<Result<Metrics>>(future, failure, store_metrics(metrics));
}
