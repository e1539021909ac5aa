// Goal: whatever a program in C does wrong that can be seen is refused and does nothing; structs of other versions are read.
#include "tests/api/c_api_test.h"

/// The answer of an _async call that was refused.
static penstock_code refused(penstock_future* future) {
  const penstock_code code = penstock_future_take_done(future, NULL);
  penstock_future_free(future);
  return code;
}

static void null_handles_are_refused(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_database* const database = store.database;
  penstock_family* data = family_of(database, "data", NULL);
  penstock_batch* batch = penstock_batch_create();
  const penstock_bytes text = penstock_text("k");
  penstock_database* opened;
  penstock_family* family;
  penstock_value* value;
  penstock_rows* rows;
  penstock_family_list* list;
  penstock_failure* failure;
  bool found;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_database_open(NULL, "x", NULL, &opened, &failure));
  PENSTOCK_CHECK(penstock_failure_code(failure) == PENSTOCK_INVALID_ARGUMENT && strlen(penstock_failure_text(failure)) > 0);
  penstock_failure_free(failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_database_open(store.runtime, NULL, NULL, &opened, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_database_close(NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_create(NULL, text, NULL, &family, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_open(NULL, text, &family, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_open_or_create(NULL, text, NULL, &family, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_drop(NULL, text, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_rename(NULL, text, text, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_list_read(NULL, &list, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_put(NULL, data, text, text, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_put(database, NULL, text, text, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_remove(database, NULL, text, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_get(database, NULL, text, &value, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_contains(NULL, data, text, &found, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_scan(NULL, data, NULL, &rows, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_batch_put(NULL, data, text, text, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_batch_put(batch, NULL, text, text, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_batch_remove(batch, NULL, text, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_commit(database, NULL, NULL, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_commit(database, batch, NULL, NULL, NULL));  // Empty.
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_batch_put(batch, data, text, text, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_commit(NULL, batch, NULL, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_write_each(NULL, batch, NULL, NULL));
  PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 1);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_flush(NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_change_options(NULL, "", NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_verify(NULL, NULL, NULL));
  penstock_batch_free(batch);
  penstock_family_free(data);
  close_store(&store);
}

static void futures_of_null_handles_are_ready_with_a_refusal(const char* root) {
  const penstock_bytes text = penstock_text("k");
  penstock_future* future = penstock_get_async(NULL, NULL, text);
  penstock_value* value;
  penstock_failure* failure;
  (void)root;
  PENSTOCK_CHECK(penstock_future_is_ready(future));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_value(future, &value, &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "family is NULL") != NULL);
  penstock_failure_free(failure);
  penstock_future_free(future);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, refused(penstock_put_async(NULL, NULL, text, text, NULL)));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, refused(penstock_remove_async(NULL, NULL, text, NULL)));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, refused(penstock_family_drop_async(NULL, text)));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, refused(penstock_family_rename_async(NULL, text, text)));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, refused(penstock_commit_async(NULL, NULL, NULL)));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, refused(penstock_write_each_async(NULL, NULL, NULL)));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, refused(penstock_metrics_read_async(NULL)));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_done(NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_on_ready(NULL, NULL, NULL));
  PENSTOCK_CHECK(!penstock_future_is_ready(NULL) && !penstock_future_wait(NULL, -1));
}

static void null_places_for_results_are_refused(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_database* const database = store.database;
  penstock_family* data = family_of(database, "data", NULL);
  const penstock_bytes text = penstock_text("k");
  penstock_metrics metrics;
  penstock_future* future;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_runtime_start(NULL, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_database_open(store.runtime, "x", NULL, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_open(database, text, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_list_read(database, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_get(database, data, text, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_contains(database, data, text, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_scan(database, data, NULL, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_recovery(database, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_metrics_read(database, NULL, NULL));
  metrics.struct_bytes = 4;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_metrics_read(database, &metrics, NULL));
  future = penstock_get_async(database, data, text);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_value(future, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_flag(future, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_rows(future, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_family(future, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_family_list(future, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_metrics(future, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_verify(future, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_on_ready(future, NULL, NULL));
  penstock_future_free(future);
  penstock_family_free(data);
  close_store(&store);
}

static void questions_to_null_have_empty_answers(const char* root) {
  (void)root;
  PENSTOCK_CHECK(penstock_text(NULL).size == 0);
  PENSTOCK_CHECK(penstock_failure_code(NULL) == PENSTOCK_OK && strcmp(penstock_failure_text(NULL), "ok") == 0);
  PENSTOCK_CHECK(penstock_failure_error_number(NULL) == 0 && penstock_failure_file_kind(NULL) == PENSTOCK_FILE_NONE);
  PENSTOCK_CHECK(penstock_failure_shard(NULL) + penstock_failure_file(NULL) + penstock_failure_where(NULL) == 0);
  PENSTOCK_CHECK(penstock_failure_range_count(NULL) == 0);
  PENSTOCK_CHECK(penstock_runtime_reactors(NULL) == 0 && strcmp(penstock_runtime_io_backend(NULL), "") == 0);
  PENSTOCK_CHECK(penstock_database_shard_count(NULL) == 0 && strcmp(penstock_database_directory(NULL), "") == 0);
  PENSTOCK_CHECK(penstock_family_id_of(NULL) == 0 && penstock_family_name(NULL).size == 0);
  PENSTOCK_CHECK(penstock_family_placement(NULL) == 0 && penstock_family_shard_of(NULL, penstock_text("k")) == 0);
  PENSTOCK_CHECK(!penstock_family_is_dropped(NULL) && penstock_family_list_count(NULL) == 0);
  PENSTOCK_CHECK(penstock_value_bytes(NULL).size == 0 && penstock_rows_count(NULL) == 0 && !penstock_rows_next(NULL, NULL));
  PENSTOCK_CHECK(penstock_batch_operation_count(NULL) + penstock_batch_encoded_bytes(NULL) + penstock_batch_shard_count(NULL) ==
                 0);
  penstock_batch_clear(NULL);
  penstock_batch_free(NULL);
  penstock_failure_free(NULL);
  penstock_family_free(NULL);
  penstock_family_list_free(NULL);
  penstock_value_free(NULL);
  penstock_rows_free(NULL);
  penstock_future_free(NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_database_free(NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_runtime_stop(NULL, NULL));
}

static void bytes_at_null_and_bytes_over_a_limit_are_refused(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_batch* batch = penstock_batch_create();
  const penstock_bytes nowhere = bytes_of(NULL, 1);
  const penstock_bytes text = penstock_text("k");
  char* large = calloc(600000, 1);
  penstock_value* value;
  penstock_rows* rows;
  penstock_family* family;
  penstock_scan_options options;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_put(store.database, data, nowhere, text, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_put(store.database, data, text, nowhere, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_get(store.database, data, nowhere, &value, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_batch_put(batch, data, text, nowhere, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_drop(store.database, nowhere, NULL));
  PENSTOCK_CHECK(penstock_family_shard_of(data, nowhere) == 0);
  penstock_scan_options_init(&options, sizeof options);
  options.to = nowhere;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_scan(store.database, data, &options, &rows, NULL));
  options.to = bytes_of(NULL, 0);
  options.rows_max = 0;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_scan(store.database, data, &options, &rows, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT,
                      penstock_put(store.database, data, bytes_of(large, PENSTOCK_KEY_BYTES_MAX + 1), text, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_TOO_LARGE,
                      penstock_put(store.database, data, text, bytes_of(large, PENSTOCK_BATCH_BYTES_MAX), NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_batch_put(batch, data, bytes_of(large, 1025), text, NULL));
  PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 0);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT,
                      penstock_family_create(store.database, penstock_text(""), NULL, &family, NULL));
  free(large);
  penstock_batch_free(batch);
  penstock_family_free(data);
  close_store(&store);
}

static void families_and_batches_of_another_database_are_refused(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_family* before = family_of(store.database, "data", NULL);
  penstock_batch* batch = penstock_batch_create();
  penstock_family* now;
  penstock_value* value;
  penstock_failure* failure;
  const penstock_bytes text = penstock_text("k");
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_batch_put(batch, before, text, text, NULL));
  open_again(&store);
  now = family_of(store.database, "data", NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_get(store.database, before, text, &value, &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "another database") != NULL);
  penstock_failure_free(failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_put(store.database, before, text, text, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_commit(store.database, batch, NULL, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_write_each(store.database, batch, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_batch_remove(batch, now, text, NULL));
  PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 1);
  penstock_batch_clear(batch);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_batch_remove(batch, now, text, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_commit(store.database, batch, NULL, NULL, NULL));
  penstock_batch_free(batch);
  penstock_family_free(before);
  penstock_family_free(now);
  close_store(&store);
}

static void a_runtime_with_a_database_does_not_stop(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_failure* failure;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_runtime_stop(store.runtime, &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "1 database") != NULL);
  penstock_failure_free(failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_database_close(store.database, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_runtime_stop(store.runtime, NULL));  // Closed, not freed.
  close_store(&store);
}

// --- Options ---

static void options_are_checked_by_name(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_runtime_options runtime;
  penstock_database_options database;
  penstock_runtime* started;
  penstock_database* opened;
  penstock_failure* failure;
  penstock_runtime_options_init(&runtime, sizeof runtime);
  runtime.memory_limit = 1;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_runtime_start(&runtime, &started, &failure));
  PENSTOCK_CHECK(started == NULL && strstr(penstock_failure_text(failure), "memory_limit") != NULL);
  penstock_failure_free(failure);
  runtime.memory_limit = 0;
  runtime.io_backend = PENSTOCK_IO_SYSCALL + 1;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_runtime_start(&runtime, &started, &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "io_backend") != NULL);
  penstock_failure_free(failure);
  small_options(&database);
  database.wal_sync = -1;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_database_open(store.runtime, "x", &database, &opened, NULL));
  small_options(&database);
  database.error_if_exists = 2;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_database_open(store.runtime, "x", &database, &opened, NULL));
  small_options(&database);
  database.cache_percent = 1;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_database_open(store.runtime, "x", &database, &opened, NULL));
  PENSTOCK_CHECK(opened == NULL);
  close_store(&store);
}

static void values_that_no_enumeration_has_are_refused(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_family_options family;
  penstock_commit_options commit;
  penstock_family* made;
  const penstock_bytes text = penstock_text("k");
  penstock_family_options_init(&family, sizeof family);
  family.placement = 2;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_create(store.database, text, &family, &made, NULL));
  family.placement = PENSTOCK_PLACEMENT_HASHED;
  family.partition = 3;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_create(store.database, text, &family, &made, NULL));
  family.partition = PENSTOCK_PARTITION_PREFIX;
  family.prefix_bytes = 65536;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_create(store.database, text, &family, &made, NULL));
  family.prefix_bytes = 4;
  family.delimiter = 256;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_create(store.database, text, &family, &made, NULL));
  penstock_commit_options_init(&commit, sizeof commit);
  commit.durability = 4;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_put(store.database, data, text, text, &commit, NULL));
  commit.durability = -1;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_remove(store.database, data, text, &commit, NULL));
  penstock_family_free(data);
  close_store(&store);
}

static void options_come_from_text_over_what_is_set(const char* root) {
  penstock_runtime_options runtime;
  penstock_database_options database;
  penstock_failure* failure;
  int context = 0;
  (void)root;
  penstock_runtime_options_init(&runtime, sizeof runtime);
  runtime.reactors = 3;
  PENSTOCK_CHECK_OK(penstock_runtime_options_parse(&runtime, "memory_limit = 1g\nio_backend = syscall # no ring\n", &failure),
                    &failure);
  PENSTOCK_CHECK(runtime.reactors == 3 && runtime.memory_limit == 1u << 30 && runtime.io_backend == PENSTOCK_IO_SYSCALL);
  PENSTOCK_CHECK(runtime.struct_bytes == sizeof runtime);
  penstock_database_options_init(&database, sizeof database);
  database.progress_context = &context;
  PENSTOCK_CHECK_OK(penstock_database_options_parse(&database, "shards = 7\nwal_sync = dsync\n", &failure), &failure);
  PENSTOCK_CHECK(database.shards == 7 && database.wal_sync == PENSTOCK_WAL_SYNC_DSYNC && database.create_if_missing == 1);
  PENSTOCK_CHECK(database.progress_context == &context);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT,
                      penstock_database_options_parse(&database, "shards = 8\nshard_count = 9\n", &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "line 2") != NULL && database.shards == 7);
  penstock_failure_free(failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_database_options_parse(&database, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_runtime_options_parse(NULL, "", NULL));
  runtime.struct_bytes = 3;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_runtime_options_parse(&runtime, "", NULL));
}

// --- Structs of other versions ---

/// A struct of options as a later version might have it.
struct LaterCommitOptions {
  penstock_commit_options known;
  uint32_t unknown;
};

static void options_of_a_later_version_count_if_what_is_new_is_zero(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_family* data = family_of(store.database, "data", NULL);
  struct LaterCommitOptions later;
  const penstock_bytes text = penstock_text("k");
  penstock_failure* failure;
  later.unknown = 7;
  penstock_commit_options_init(&later.known, sizeof later);
  PENSTOCK_CHECK(later.known.struct_bytes == sizeof later && later.unknown == 0);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_put(store.database, data, text, text, &later.known, NULL));
  later.unknown = 1;
  PENSTOCK_CHECK_CODE(PENSTOCK_NOT_SUPPORTED, penstock_put(store.database, data, text, text, &later.known, &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "does not know") != NULL);
  penstock_failure_free(failure);
  penstock_family_free(data);
  close_store(&store);
}

static void a_struct_without_its_size_is_refused(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_commit_options options = {0, 0, 0};
  const penstock_bytes text = penstock_text("k");
  penstock_failure* failure;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_put(store.database, data, text, text, &options, &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "struct_bytes") != NULL);
  penstock_failure_free(failure);
  penstock_commit_options_init(NULL, sizeof options);
  penstock_commit_options_init(&options, 8);  // Writes no more than it was told.
  PENSTOCK_CHECK(options.struct_bytes == 8);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_put(store.database, data, text, text, &options, NULL));
  penstock_family_free(data);
  close_store(&store);
}

struct LaterReport {
  penstock_recovery_report known;
  uint64_t unknown;
};

static void a_report_for_a_later_version_says_how_much_is_filled_in(const char* root) {
  struct TestStore store = open_store(root, 1);
  struct LaterReport report;
  report.known.struct_bytes = sizeof report;
  report.unknown = 7;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_recovery(store.database, &report.known, NULL));
  PENSTOCK_CHECK(report.known.struct_bytes == sizeof report.known && report.known.epoch == 1 && report.unknown == 0);
  close_store(&store);
}

const struct PenstockCase kPenstockMisuseCases[] = {
    {"NullHandlesAreRefused", &null_handles_are_refused},
    {"FuturesOfNullHandlesAreReadyWithARefusal", &futures_of_null_handles_are_ready_with_a_refusal},
    {"NullPlacesForResultsAreRefused", &null_places_for_results_are_refused},
    {"QuestionsToNullHaveEmptyAnswers", &questions_to_null_have_empty_answers},
    {"BytesAtNullAndBytesOverALimitAreRefused", &bytes_at_null_and_bytes_over_a_limit_are_refused},
    {"FamiliesAndBatchesOfAnotherDatabaseAreRefused", &families_and_batches_of_another_database_are_refused},
    {"ARuntimeWithADatabaseDoesNotStop", &a_runtime_with_a_database_does_not_stop},
    {"OptionsAreCheckedByName", &options_are_checked_by_name},
    {"ValuesThatNoEnumerationHasAreRefused", &values_that_no_enumeration_has_are_refused},
    {"OptionsComeFromTextOverWhatIsSet", &options_come_from_text_over_what_is_set},
    {"OptionsOfALaterVersionCountIfWhatIsNewIsZero", &options_of_a_later_version_count_if_what_is_new_is_zero},
    {"AStructWithoutItsSizeIsRefused", &a_struct_without_its_size_is_refused},
    {"AReportForALaterVersionSaysHowMuchIsFilledIn", &a_report_for_a_later_version_says_how_much_is_filled_in},
    {NULL, NULL},
};
