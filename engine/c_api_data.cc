// The C API: reads, writes and batches.
#include <cstdint>
#include <optional>

#include "engine/c_api.h"

using penstock::Bytes;
using penstock::CommitOptions;
using penstock::Database;
using penstock::Future;
using penstock::Outcome;
using penstock::Result;
using penstock::ScanOptions;
using penstock::ScanResult;
using penstock::Status;
namespace capi = penstock::capi;

namespace {

using ValueAnswer = Result<std::string>;
using FlagAnswer = Result<bool>;
using RowsAnswer = Result<ScanResult>;

// --- Beginning a call of one key or range ---

Outcome<Future<Status>> begin_put(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                  penstock_bytes value, const penstock_commit_options* options) {
  return capi::when_checked(
      [&](Database* target, const CommitOptions& wanted) {
        return target->put(family->family, capi::view(key), capi::view(value), wanted);
      },
      capi::check(database, family, {key, value}), capi::read_options(options));
}

Outcome<Future<Status>> begin_remove(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                     const penstock_commit_options* options) {
  return capi::when_checked(
      [&](Database* target, const CommitOptions& wanted) { return target->remove(family->family, capi::view(key), wanted); },
      capi::check(database, family, {key}), capi::read_options(options));
}

/// NULL says that there is no value: for the check an empty one does as well.
penstock_bytes bytes_or_empty(const penstock_bytes* bytes) { return bytes != nullptr ? *bytes : penstock_bytes{}; }
std::optional<Bytes> view_or_none(const penstock_bytes* bytes) {
  return bytes != nullptr ? std::optional<Bytes>(capi::view(*bytes)) : std::nullopt;
}

Outcome<Future<Status>> begin_compare_and_set(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                              const penstock_bytes* expected, const penstock_bytes* desired,
                                              const penstock_commit_options* options) {
  return capi::when_checked(
      [&](Database* target, const CommitOptions& wanted) {
        return target->compare_and_set(family->family, capi::view(key), view_or_none(expected), view_or_none(desired), wanted);
      },
      capi::check(database, family, {key, bytes_or_empty(expected), bytes_or_empty(desired)}), capi::read_options(options));
}

Outcome<Future<Status>> begin_put_if_absent(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                            penstock_bytes value, const penstock_commit_options* options) {
  return capi::when_checked(
      [&](Database* target, const CommitOptions& wanted) {
        return target->put_if_absent(family->family, capi::view(key), capi::view(value), wanted);
      },
      capi::check(database, family, {key, value}), capi::read_options(options));
}

Outcome<Future<ValueAnswer>> begin_get(penstock_database* database, const penstock_family* family, penstock_bytes key) {
  return capi::when_checked([&](Database* target) { return target->get(family->family, capi::view(key)); },
                            capi::check(database, family, {key}));
}

Outcome<Future<FlagAnswer>> begin_contains(penstock_database* database, const penstock_family* family, penstock_bytes key) {
  return capi::when_checked([&](Database* target) { return target->contains(family->family, capi::view(key)); },
                            capi::check(database, family, {key}));
}

Outcome<Future<RowsAnswer>> begin_scan(penstock_database* database, const penstock_family* family,
                                       const penstock_scan_options* options) {
  return capi::when_checked(
      [&](Database* target, ScanOptions& wanted) { return target->scan(family->family, std::move(wanted)); },
      capi::check(database, family, {}), capi::read_options(options));
}

// --- Answers ---

auto store_value(penstock_value** place) {
  return [place](std::string bytes) { *place = new penstock_value{std::move(bytes)}; };
}

auto store_flag(bool* place) {
  return [place](bool is_there) { *place = is_there; };
}

auto store_rows(penstock_rows** place) {
  return [place](ScanResult result) { *place = new penstock_rows{std::move(result)}; };
}

const penstock::Row* find(const penstock_rows* rows, size_t index) {
  return rows != nullptr && index < rows->result.rows.size() ? &rows->result.rows[index] : nullptr;
}

}  // namespace

// --- One key ---

penstock_code penstock_put(penstock_database* database, const penstock_family* family, penstock_bytes key, penstock_bytes value,
                           const penstock_commit_options* options, penstock_failure** failure) {
  return capi::call([&] { return begin_put(database, family, key, value, options); }, failure, capi::kStoreNothing);
}
penstock_future* penstock_put_async(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                    penstock_bytes value, const penstock_commit_options* options) {
  return capi::wrap(begin_put(database, family, key, value, options));
}

penstock_code penstock_remove(penstock_database* database, const penstock_family* family, penstock_bytes key,
                              const penstock_commit_options* options, penstock_failure** failure) {
  return capi::call([&] { return begin_remove(database, family, key, options); }, failure, capi::kStoreNothing);
}
penstock_future* penstock_remove_async(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                       const penstock_commit_options* options) {
  return capi::wrap(begin_remove(database, family, key, options));
}

penstock_code penstock_compare_and_set(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                       const penstock_bytes* expected, const penstock_bytes* desired,
                                       const penstock_commit_options* options, penstock_failure** failure) {
  return capi::call([&] { return begin_compare_and_set(database, family, key, expected, desired, options); }, failure,
                    capi::kStoreNothing);
}
penstock_future* penstock_compare_and_set_async(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                                const penstock_bytes* expected, const penstock_bytes* desired,
                                                const penstock_commit_options* options) {
  return capi::wrap(begin_compare_and_set(database, family, key, expected, desired, options));
}

penstock_code penstock_put_if_absent(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                     penstock_bytes value, const penstock_commit_options* options, penstock_failure** failure) {
  return capi::call([&] { return begin_put_if_absent(database, family, key, value, options); }, failure, capi::kStoreNothing);
}
penstock_future* penstock_put_if_absent_async(penstock_database* database, const penstock_family* family, penstock_bytes key,
                                              penstock_bytes value, const penstock_commit_options* options) {
  return capi::wrap(begin_put_if_absent(database, family, key, value, options));
}

penstock_code penstock_get(penstock_database* database, const penstock_family* family, penstock_bytes key,
                           penstock_value** value, penstock_failure** failure) {
  if (!capi::prepare(value)) {
    return capi::report_no_place(failure);
  }
  return capi::call([&] { return begin_get(database, family, key); }, failure, store_value(value));
}
penstock_future* penstock_get_async(penstock_database* database, const penstock_family* family, penstock_bytes key) {
  return capi::wrap(begin_get(database, family, key));
}
penstock_code penstock_future_take_value(penstock_future* future, penstock_value** value, penstock_failure** failure) {
  if (!capi::prepare(value)) {
    return capi::report_no_place(failure);
  }
  return capi::take<ValueAnswer>(future, failure, store_value(value));
}

penstock_code penstock_contains(penstock_database* database, const penstock_family* family, penstock_bytes key, bool* found,
                                penstock_failure** failure) {
  if (found == nullptr) {
    return capi::report_no_place(failure);
  }
  return capi::call([&] { return begin_contains(database, family, key); }, failure, store_flag(found));
}
penstock_future* penstock_contains_async(penstock_database* database, const penstock_family* family, penstock_bytes key) {
  return capi::wrap(begin_contains(database, family, key));
}
penstock_code penstock_future_take_flag(penstock_future* future, bool* found, penstock_failure** failure) {
  if (found == nullptr) {
    return capi::report_no_place(failure);
  }
  return capi::take<FlagAnswer>(future, failure, store_flag(found));
}

penstock_bytes penstock_value_bytes(const penstock_value* value) {
  return value == nullptr ? penstock_bytes{} : capi::view(Bytes(value->bytes));
}
void penstock_value_free(penstock_value* value) { delete value; }

// --- Scans ---

penstock_code penstock_scan(penstock_database* database, const penstock_family* family, const penstock_scan_options* options,
                            penstock_rows** rows, penstock_failure** failure) {
  if (!capi::prepare(rows)) {
    return capi::report_no_place(failure);
  }
  return capi::call([&] { return begin_scan(database, family, options); }, failure, store_rows(rows));
}
penstock_future* penstock_scan_async(penstock_database* database, const penstock_family* family,
                                     const penstock_scan_options* options) {
  return capi::wrap(begin_scan(database, family, options));
}
penstock_code penstock_future_take_rows(penstock_future* future, penstock_rows** rows, penstock_failure** failure) {
  if (!capi::prepare(rows)) {
    return capi::report_no_place(failure);
  }
  return capi::take<RowsAnswer>(future, failure, store_rows(rows));
}

size_t penstock_rows_count(const penstock_rows* rows) { return rows == nullptr ? 0 : rows->result.rows.size(); }

penstock_bytes penstock_rows_key(const penstock_rows* rows, size_t index) {
  const penstock::Row* row = find(rows, index);
  return row == nullptr ? penstock_bytes{} : capi::view(Bytes(row->key));
}

penstock_bytes penstock_rows_value(const penstock_rows* rows, size_t index) {
  const penstock::Row* row = find(rows, index);
  return row == nullptr ? penstock_bytes{} : capi::view(Bytes(row->value));
}

bool penstock_rows_next(const penstock_rows* rows, penstock_bytes* from) {
  const bool goes_on = rows != nullptr && rows->result.next.has_value();
  if (goes_on && from != nullptr) {
    *from = capi::view(Bytes(*rows->result.next));
  }
  return goes_on;
}

void penstock_rows_free(penstock_rows* rows) { delete rows; }
