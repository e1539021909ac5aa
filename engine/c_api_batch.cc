// The C API: batches, and the commits that take their operations.
#include <cstdint>

#include "engine/c_api.h"

using penstock::Batch;
using penstock::CommitOptions;
using penstock::CommitResult;
using penstock::Database;
using penstock::Family;
using penstock::Future;
using penstock::Outcome;
namespace capi = penstock::capi;

namespace {

// --- Filling ---

/// The family of an operation if it can be added to `batch`.
Outcome<const Family*> check_operation(const penstock_batch* batch, const penstock_family* family,
                                       std::initializer_list<penstock_bytes> arguments) {
  if (batch == nullptr || family == nullptr) {
    return capi::refuse("the batch or the family is NULL");
  }
  if (!batch->batch.empty() && batch->database_id != family->database_id) {
    return capi::refuse("the family belongs to another database than the batch's operations");
  }
  for (const penstock_bytes& each : arguments) {
    if (each.data == nullptr && each.size != 0) {
      return capi::refuse("bytes at NULL with a size that is not 0");
    }
  }
  return &family->family;
}

// --- Committing ---

using Submit = Future<CommitResult> (Database::*)(Batch, const CommitOptions&);

Outcome<Database*> check_commit(penstock_database* database, const penstock_batch* batch) {
  if (batch == nullptr) {
    return capi::refuse("the batch is NULL");
  }
  if (batch->batch.empty()) {
    return capi::refuse("the batch is empty");
  }
  if (database != nullptr && batch->database_id != database->id) {
    return capi::refuse("the batch was filled for another database, or for an earlier opening of this one");
  }
  return capi::check(database, {});
}

/// The same for a batch that is to be atomic. Refused here so that the batch stays, and can be written part by part.
Outcome<Database*> check_atomic(penstock_database* database, const penstock_batch* batch) {
  Outcome<Database*> checked = check_commit(database, batch);
  if (checked.has_value() && batch->batch.shard_count() > 1) {
    return capi::refuse("the batch spreads over " + std::to_string(batch->batch.shard_count()) +
                        " shards: choose keys of one partition, or penstock_write_each");
  }
  return checked;
}

Outcome<Future<CommitResult>> begin(Outcome<Database*> checked, penstock_batch* batch, const penstock_commit_options* options,
                                    Submit submit) {
  return capi::when_checked(
      [&](Database* target, const CommitOptions& wanted) {
        return (target->*submit)(std::exchange(batch->batch, Batch()), wanted);
      },
      std::move(checked), capi::read_options(options));
}

/// The operations if they were not sent, else the memory they were in.
void take_back(penstock_batch& batch, CommitResult& result) { batch.batch = std::exchange(result.batch, Batch()); }

template <typename Check>
penstock_code commit(penstock_database* database, penstock_batch* batch, const penstock_commit_options* options, Check check,
                     Submit submit, uint64_t* last_sequence, penstock_failure** failure) {
  if (capi::is_on_reactor()) {
    return capi::report_would_block(failure);
  }
  Outcome<Future<CommitResult>> begun = begin(check(database, batch), batch, options, submit);
  if (!begun.has_value()) {
    return capi::report(std::move(begun.error()), failure);
  }
  CommitResult result = begun->get();
  take_back(*batch, result);
  return capi::deliver(std::move(result), failure, capi::store_sequence(last_sequence));
}

penstock_future* wrap(penstock_batch* batch, Outcome<Future<CommitResult>> begun) {
  if (begun.has_value() && begun->is_ready()) {
    CommitResult result = begun->get();
    take_back(*batch, result);
    begun = penstock::ready_future(std::move(result));
  }
  return capi::wrap(std::move(begun));
}

}  // namespace

penstock_batch* penstock_batch_create(void) { return new penstock_batch; }
void penstock_batch_free(penstock_batch* batch) { delete batch; }

penstock_code penstock_batch_put(penstock_batch* batch, const penstock_family* family, penstock_bytes key, penstock_bytes value,
                                 penstock_failure** failure) {
  const Outcome<const Family*> checked = check_operation(batch, family, {key, value});
  if (!checked.has_value()) {
    return capi::report(checked.error(), failure);
  }
  batch->database_id = family->database_id;
  return capi::report(batch->batch.put(**checked, capi::view(key), capi::view(value)), failure);
}

penstock_code penstock_batch_remove(penstock_batch* batch, const penstock_family* family, penstock_bytes key,
                                    penstock_failure** failure) {
  const Outcome<const Family*> checked = check_operation(batch, family, {key});
  if (!checked.has_value()) {
    return capi::report(checked.error(), failure);
  }
  batch->database_id = family->database_id;
  return capi::report(batch->batch.remove(**checked, capi::view(key)), failure);
}

void penstock_batch_clear(penstock_batch* batch) {
  if (batch != nullptr) {
    batch->batch.clear();
  }
}

uint32_t penstock_batch_operation_count(const penstock_batch* batch) {
  return batch == nullptr ? 0 : batch->batch.operation_count();
}
uint64_t penstock_batch_encoded_bytes(const penstock_batch* batch) { return batch == nullptr ? 0 : batch->batch.bytes(); }
uint32_t penstock_batch_shard_count(const penstock_batch* batch) { return batch == nullptr ? 0 : batch->batch.shard_count(); }

penstock_code penstock_commit(penstock_database* database, penstock_batch* batch, const penstock_commit_options* options,
                              uint64_t* last_sequence, penstock_failure** failure) {
  return commit(database, batch, options, &check_atomic, &Database::commit, last_sequence, failure);
}
penstock_future* penstock_commit_async(penstock_database* database, penstock_batch* batch,
                                       const penstock_commit_options* options) {
  return wrap(batch, begin(check_atomic(database, batch), batch, options, &Database::commit));
}

penstock_code penstock_try_commit(penstock_database* database, penstock_batch* batch, const penstock_commit_options* options,
                                  uint64_t* last_sequence, penstock_failure** failure) {
  return commit(database, batch, options, &check_atomic, &Database::try_commit, last_sequence, failure);
}
penstock_future* penstock_try_commit_async(penstock_database* database, penstock_batch* batch,
                                           const penstock_commit_options* options) {
  return wrap(batch, begin(check_atomic(database, batch), batch, options, &Database::try_commit));
}

penstock_code penstock_write_each(penstock_database* database, penstock_batch* batch, const penstock_commit_options* options,
                                  penstock_failure** failure) {
  return commit(database, batch, options, &check_commit, &Database::write_each, nullptr, failure);
}
penstock_future* penstock_write_each_async(penstock_database* database, penstock_batch* batch,
                                           const penstock_commit_options* options) {
  return wrap(batch, begin(check_commit(database, batch), batch, options, &Database::write_each));
}

penstock_code penstock_future_take_commit(penstock_future* future, uint64_t* last_sequence, penstock_failure** failure) {
  return capi::take<CommitResult>(future, failure, capi::store_sequence(last_sequence));
}
