// Goal: what a program in C writes, reads and asks for by synchronous calls.
#include "tests/api/c_api_test.h"

static void version_and_codes_have_names(const char* root) {
  char wanted[40];
  int32_t code;
  (void)root;
  snprintf(wanted, sizeof wanted, "%d.%d.%d", PENSTOCK_VERSION_MAJOR, PENSTOCK_VERSION_MINOR, PENSTOCK_VERSION_PATCH);
  PENSTOCK_CHECK(strcmp(penstock_version(), wanted) == 0);
  PENSTOCK_CHECK(strcmp(penstock_code_name(PENSTOCK_OK), "ok") == 0);
  PENSTOCK_CHECK(strcmp(penstock_code_name(PENSTOCK_FORKED), "forked") == 0);
  for (code = PENSTOCK_OK; code <= PENSTOCK_FORKED; ++code) {
    PENSTOCK_CHECK(strcmp(penstock_code_name(code), "unnamed_code") != 0);
  }
  PENSTOCK_CHECK(strcmp(penstock_code_name(PENSTOCK_FORKED + 1), "unnamed_code") == 0);
  PENSTOCK_CHECK(strcmp(penstock_code_name(-1), "unnamed_code") == 0);
  PENSTOCK_CHECK(strcmp(penstock_code_name(256), "unnamed_code") == 0);
}

static void check_orders(penstock_database* database, const penstock_family* orders) {
  bool found = false;
  penstock_value* value;
  PENSTOCK_CHECK_VALUE(database, orders, "one", "1");
  PENSTOCK_CHECK_VALUE(database, orders, "", "empty key");
  PENSTOCK_CHECK_CODE(PENSTOCK_NOT_FOUND, penstock_get(database, orders, penstock_text("gone"), &value, NULL));
  PENSTOCK_CHECK(value == NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_contains(database, orders, penstock_text("one"), &found, NULL));
  PENSTOCK_CHECK(found);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_contains(database, orders, penstock_text("gone"), &found, NULL));
  PENSTOCK_CHECK(!found);
}

static void what_was_put_is_read_and_survives_reopening(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* orders = family_of(store.database, "orders", NULL);
  penstock_failure* failure;
  PENSTOCK_CHECK(strcmp(penstock_database_directory(store.database), store.directory) == 0);
  PENSTOCK_CHECK(penstock_database_shard_count(store.database) == 4);
  PENSTOCK_CHECK(penstock_runtime_reactors(store.runtime) == 2);
  PENSTOCK_CHECK(strlen(penstock_runtime_io_backend(store.runtime)) > 0);
  put_text(store.database, orders, "one", "1");
  put_text(store.database, orders, "", "empty key");
  put_text(store.database, orders, "gone", "soon");
  PENSTOCK_CHECK_OK(penstock_remove(store.database, orders, penstock_text("gone"), NULL, &failure), &failure);
  check_orders(store.database, orders);  // From memory.
  PENSTOCK_CHECK_OK(penstock_flush(store.database, &failure), &failure);
  check_orders(store.database, orders);  // From the tree.
  penstock_family_free(orders);
  open_again(&store);
  PENSTOCK_CHECK_OK(penstock_family_open(store.database, penstock_text("orders"), &orders, &failure), &failure);
  check_orders(store.database, orders);
  penstock_family_free(orders);
  close_store(&store);
}

static void a_value_is_set_only_where_the_expected_one_is(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "data", NULL);
  const penstock_bytes key = penstock_text("k");
  const penstock_bytes one = penstock_text("1");
  const penstock_bytes two = penstock_text("2");
  penstock_future* future;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_put_if_absent(store.database, data, key, one, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_ALREADY_EXISTS, penstock_put_if_absent(store.database, data, key, two, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_CONFLICT, penstock_compare_and_set(store.database, data, key, NULL, &two, NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_CONFLICT, penstock_compare_and_set(store.database, data, key, &two, &one, NULL, NULL));
  PENSTOCK_CHECK_VALUE(store.database, data, "k", "1");
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_compare_and_set(store.database, data, key, &one, &two, NULL, NULL));
  PENSTOCK_CHECK_VALUE(store.database, data, "k", "2");
  future = penstock_compare_and_set_async(store.database, data, key, &two, NULL, NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_done(future, NULL));
  penstock_future_free(future);
  future = penstock_put_if_absent_async(store.database, data, key, one, NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_done(future, NULL));
  penstock_future_free(future);
  PENSTOCK_CHECK_VALUE(store.database, data, "k", "1");
  penstock_family_free(data);
  close_store(&store);
}

static void many_keys_are_read_in_one_call(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_bytes keys[3];
  penstock_values* values;
  penstock_bytes value;
  penstock_future* future;
  keys[0] = penstock_text("b");
  keys[1] = penstock_text("absent");
  keys[2] = penstock_text("");
  put_text(store.database, data, "b", "2");
  put_text(store.database, data, "", "empty key");
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_multi_get(store.database, data, keys, 3, &values, NULL));
  PENSTOCK_CHECK(penstock_values_count(values) == 3);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_values_at(values, 0, &value));
  PENSTOCK_CHECK(value.size == 1 && memcmp(value.data, "2", 1) == 0);
  PENSTOCK_CHECK_CODE(PENSTOCK_NOT_FOUND, penstock_values_at(values, 1, &value));
  PENSTOCK_CHECK(value.size == 0);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_values_at(values, 2, &value));
  PENSTOCK_CHECK(value.size == strlen("empty key"));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_values_at(values, 3, &value));
  penstock_values_free(values);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_multi_get(store.database, data, NULL, 1, &values, NULL));
  PENSTOCK_CHECK(values == NULL);
  future = penstock_multi_get_async(store.database, data, keys, 1);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_values(future, &values, NULL));
  PENSTOCK_CHECK(penstock_values_count(values) == 1);
  penstock_values_free(values);
  penstock_future_free(future);
  penstock_family_free(data);
  close_store(&store);
}

static void bytes_of_any_kind_are_keys_and_values(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "any", NULL);
  const char key[] = {'\0', '\xff', '\0'};
  const size_t value_bytes = 100000;
  char* value = calloc(value_bytes, 1);
  penstock_value* found;
  penstock_bytes given;
  value[value_bytes - 1] = 'z';
  PENSTOCK_CHECK_CODE(PENSTOCK_OK,
                      penstock_put(store.database, data, bytes_of(key, sizeof key), bytes_of(value, value_bytes), NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_get(store.database, data, bytes_of(key, sizeof key), &found, NULL));
  given = penstock_value_bytes(found);
  PENSTOCK_CHECK(given.size == value_bytes && memcmp(given.data, value, value_bytes) == 0);
  penstock_value_free(found);
  free(value);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_put(store.database, data, bytes_of(NULL, 0), bytes_of(NULL, 0), NULL, NULL));
  PENSTOCK_CHECK_VALUE(store.database, data, "", "");
  penstock_family_free(data);
  close_store(&store);
}

static void a_batch_of_one_shard_is_applied_in_order(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* left = pinned_family(store.database, "left", 2);
  penstock_family* right = pinned_family(store.database, "right", 2);
  penstock_batch* batch = penstock_batch_create();
  penstock_failure* failure;
  uint64_t last_sequence = 0;
  uint64_t later_sequence = 0;
  PENSTOCK_CHECK_OK(penstock_batch_put(batch, left, penstock_text("a"), penstock_text("1"), &failure), &failure);
  PENSTOCK_CHECK_OK(penstock_batch_put(batch, right, penstock_text("b"), penstock_text("2"), &failure), &failure);
  PENSTOCK_CHECK_OK(penstock_batch_put(batch, left, penstock_text("a"), penstock_text("3"), &failure), &failure);
  PENSTOCK_CHECK_OK(penstock_batch_remove(batch, right, penstock_text("never there"), &failure), &failure);
  PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 4);
  PENSTOCK_CHECK(penstock_batch_shard_count(batch) == 1);
  PENSTOCK_CHECK(penstock_batch_encoded_bytes(batch) > 4);
  PENSTOCK_CHECK_OK(penstock_commit(store.database, batch, NULL, &last_sequence, &failure), &failure);
  PENSTOCK_CHECK(last_sequence >= 4);
  PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 0);
  PENSTOCK_CHECK_VALUE(store.database, left, "a", "3");
  PENSTOCK_CHECK_VALUE(store.database, right, "b", "2");
  PENSTOCK_CHECK_OK(penstock_batch_put(batch, left, penstock_text("a"), penstock_text("4"), &failure), &failure);
  PENSTOCK_CHECK_OK(penstock_try_commit(store.database, batch, NULL, &later_sequence, &failure), &failure);
  PENSTOCK_CHECK(later_sequence == last_sequence + 1);
  PENSTOCK_CHECK_VALUE(store.database, left, "a", "4");
  PENSTOCK_CHECK_OK(penstock_batch_put(batch, left, penstock_text("a"), penstock_text("forgotten"), &failure), &failure);
  penstock_batch_clear(batch);
  PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 0);
  penstock_batch_free(batch);
  penstock_family_free(left);
  penstock_family_free(right);
  close_store(&store);
}

static void a_batch_over_shards_stays_for_write_each(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* spread = hashed_family(store.database, "spread");
  penstock_batch* batch = penstock_batch_create();
  penstock_failure* failure;
  char key[20];
  int index;
  for (index = 0; index < 100; ++index) {
    snprintf(key, sizeof key, "key%d", index);
    PENSTOCK_CHECK_OK(penstock_batch_put(batch, spread, penstock_text(key), penstock_text(key), &failure), &failure);
  }
  PENSTOCK_CHECK(penstock_batch_shard_count(batch) > 1);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_commit(store.database, batch, NULL, NULL, &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "penstock_write_each") != NULL);
  penstock_failure_free(failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_try_commit(store.database, batch, NULL, NULL, NULL));
  PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 100);
  PENSTOCK_CHECK_OK(penstock_write_each(store.database, batch, NULL, &failure), &failure);
  PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 0);
  PENSTOCK_CHECK_VALUE(store.database, spread, "key0", "key0");
  PENSTOCK_CHECK_VALUE(store.database, spread, "key99", "key99");
  penstock_batch_free(batch);
  penstock_family_free(spread);
  close_store(&store);
}

/// Reads keys [from, to) in steps of so many rows; returns how many there were, all in order.
static int count_rows(penstock_database* database, const penstock_family* family, const penstock_scan_options* first) {
  penstock_scan_options options = *first;
  penstock_rows* rows = NULL;
  penstock_rows* before;
  penstock_bytes last = bytes_of(NULL, 0);
  int total = 0;
  do {
    size_t index;
    before = rows;  // `from` and `last` are views into it.
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_scan(database, family, &options, &rows, NULL));
    PENSTOCK_CHECK(penstock_rows_count(rows) <= options.rows_max);
    for (index = 0; index < penstock_rows_count(rows); ++index) {
      const penstock_bytes key = penstock_rows_key(rows, index);
      const penstock_bytes value = penstock_rows_value(rows, index);
      PENSTOCK_CHECK(key.size == 7 && value.size == 7 && memcmp(key.data, value.data, key.size) == 0);
      PENSTOCK_CHECK(last.data == NULL || memcmp(last.data, key.data, 7) < 0);
      last = key;
      ++total;
    }
    penstock_rows_free(before);
  } while (penstock_rows_next(rows, &options.from));
  PENSTOCK_CHECK(penstock_rows_key(rows, penstock_rows_count(rows)).data == NULL);
  PENSTOCK_CHECK(penstock_rows_value(rows, penstock_rows_count(rows)).data == NULL);
  penstock_rows_free(rows);
  return total;
}

static void a_scan_goes_on_where_it_ended(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* spread = hashed_family(store.database, "spread");
  penstock_batch* batch = penstock_batch_create();
  penstock_scan_options options;
  char key[20];
  int index;
  for (index = 0; index < 300; ++index) {
    snprintf(key, sizeof key, "key%04d", index);
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_batch_put(batch, spread, penstock_text(key), penstock_text(key), NULL));
  }
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_write_each(store.database, batch, NULL, NULL));
  penstock_batch_free(batch);
  penstock_scan_options_init(&options, sizeof options);
  PENSTOCK_CHECK(count_rows(store.database, spread, &options) == 300);
  options.rows_max = 17;
  PENSTOCK_CHECK(count_rows(store.database, spread, &options) == 300);
  options.from = penstock_text("key0100");
  options.to = penstock_text("key0200");
  PENSTOCK_CHECK(count_rows(store.database, spread, &options) == 100);
  options.bytes_max = 1;  // One row at a time.
  PENSTOCK_CHECK(count_rows(store.database, spread, &options) == 100);
  options.to = penstock_text("");  // A bound, unlike NULL: nothing is below it.
  PENSTOCK_CHECK(count_rows(store.database, spread, &options) == 0);
  penstock_family_free(spread);
  close_store(&store);
}

static void families_are_made_listed_renamed_and_dropped(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* kept;
  penstock_family* dropped;
  penstock_family* other;
  penstock_family_list* list;
  penstock_family_options options;
  penstock_value* value;
  penstock_failure* failure;
  penstock_family_options_init(&options, sizeof options);
  options.placement = PENSTOCK_PLACEMENT_HASHED;
  options.partition = PENSTOCK_PARTITION_DELIMITER;
  options.delimiter = ':';
  PENSTOCK_CHECK_OK(penstock_family_create(store.database, penstock_text("kept"), &options, &kept, &failure), &failure);
  PENSTOCK_CHECK_OK(penstock_family_create(store.database, penstock_text("dropped"), NULL, &dropped, &failure), &failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_ALREADY_EXISTS,
                      penstock_family_create(store.database, penstock_text("kept"), NULL, &other, NULL));
  PENSTOCK_CHECK(other == NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_NOT_FOUND, penstock_family_open(store.database, penstock_text("absent"), &other, NULL));
  PENSTOCK_CHECK(bytes_are(penstock_family_name(kept), "kept"));
  PENSTOCK_CHECK(penstock_family_placement(kept) == PENSTOCK_PLACEMENT_HASHED);
  PENSTOCK_CHECK(penstock_family_shard_of(kept, penstock_text("a:1")) == penstock_family_shard_of(kept, penstock_text("a:2")));
  PENSTOCK_CHECK_OK(penstock_family_drop(store.database, penstock_text("dropped"), &failure), &failure);
  PENSTOCK_CHECK(penstock_family_is_dropped(dropped) && !penstock_family_is_dropped(kept));
  PENSTOCK_CHECK_CODE(PENSTOCK_DROPPED, penstock_get(store.database, dropped, penstock_text("k"), &value, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_DROPPED,
                      penstock_put(store.database, dropped, penstock_text("k"), penstock_text("v"), NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_NOT_FOUND, penstock_family_drop(store.database, penstock_text("dropped"), NULL));
  PENSTOCK_CHECK_OK(penstock_family_rename(store.database, penstock_text("kept"), penstock_text("renamed"), &failure),
                    &failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_NOT_FOUND,
                      penstock_family_rename(store.database, penstock_text("kept"), penstock_text("x"), NULL));
  PENSTOCK_CHECK_OK(penstock_family_list_read(store.database, &list, &failure), &failure);
  PENSTOCK_CHECK(penstock_family_list_count(list) == 1);
  PENSTOCK_CHECK(bytes_are(penstock_family_list_name(list, 0), "renamed"));
  PENSTOCK_CHECK(penstock_family_list_id(list, 0) == penstock_family_id_of(kept));
  penstock_family_options_init(&options, sizeof options);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_family_list_options(list, 0, &options));
  PENSTOCK_CHECK(options.partition == PENSTOCK_PARTITION_DELIMITER && options.delimiter == ':' &&
                 options.struct_bytes == sizeof options);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_family_list_options(list, 1, &options));
  PENSTOCK_CHECK(penstock_family_list_name(list, 1).size == 0 && penstock_family_list_id(list, 1) == 0);
  penstock_family_list_free(list);
  penstock_family_free(kept);
  penstock_family_free(dropped);
  close_store(&store);
}

static void options_change_while_it_is_open(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_failure* failure = NULL;
  PENSTOCK_CHECK_OK(penstock_change_options(store.database, "cache_percent = 10\nflush_write_bytes = 1m", &failure), &failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_change_options(store.database, "cache_percent = 99", NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_change_options(store.database, "shards = 9", NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_change_options(store.database, NULL, NULL));
  close_store(&store);
}

static void each_durability_is_read_back(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_batch* batch = penstock_batch_create();
  penstock_commit_options options;
  char key[20];
  penstock_commit_options_init(&options, sizeof options);
  PENSTOCK_CHECK(options.durability == PENSTOCK_DURABILITY_SYNC && options.no_wait == 0);
  for (; options.durability <= PENSTOCK_DURABILITY_UNLOGGED; ++options.durability) {
    snprintf(key, sizeof key, "key%d", options.durability);
    PENSTOCK_CHECK_CODE(PENSTOCK_OK,
                        penstock_put(store.database, data, penstock_text(key), penstock_text("v"), &options, NULL));
    PENSTOCK_CHECK_VALUE(store.database, data, key, "v");
  }
  options.durability = PENSTOCK_DURABILITY_UNLOGGED;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_batch_put(batch, data, penstock_text("key"), penstock_text("v"), NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_commit(store.database, batch, &options, NULL, NULL));
  PENSTOCK_CHECK_VALUE(store.database, data, "key", "v");
  penstock_batch_free(batch);
  penstock_family_free(data);
  close_store(&store);
}

static void reports_tell_what_was_done(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_recovery_report recovery = {sizeof recovery, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  penstock_verify_report verified = {.struct_bytes = sizeof verified};
  penstock_metrics metrics;
  penstock_failure* failure;
  PENSTOCK_CHECK_OK(penstock_recovery(store.database, &recovery, &failure), &failure);
  PENSTOCK_CHECK(recovery.created == 1 && recovery.epoch == 1 && recovery.struct_bytes == sizeof recovery);
  put_text(store.database, data, "key", "value");
  PENSTOCK_CHECK_VALUE(store.database, data, "key", "value");
  PENSTOCK_CHECK_OK(penstock_flush(store.database, &failure), &failure);
  PENSTOCK_CHECK_OK(penstock_verify(store.database, &verified, &failure), &failure);
  PENSTOCK_CHECK(verified.families >= 1 && verified.entries >= 1 && verified.pages >= 1 && verified.live_bytes >= 4096);
  PENSTOCK_CHECK_OK(penstock_verify(store.database, NULL, &failure), &failure);
  memset(&metrics, 0xff, sizeof metrics);
  metrics.struct_bytes = sizeof metrics;
  PENSTOCK_CHECK_OK(penstock_metrics_read(store.database, &metrics, &failure), &failure);
  PENSTOCK_CHECK(metrics.struct_bytes == sizeof metrics && metrics.reactors == 2 && metrics.poisoned_logs == 0);
  PENSTOCK_CHECK(metrics.commits >= 1 && metrics.operations >= metrics.commits && metrics.gets == 1 && metrics.scans == 0);
  PENSTOCK_CHECK(metrics.log_groups >= 1 && metrics.flushes >= 1 && metrics.syncs >= 1 && metrics.stalls < 1000);
  penstock_family_free(data);
  open_again(&store);
  PENSTOCK_CHECK_OK(penstock_recovery(store.database, &recovery, &failure), &failure);
  PENSTOCK_CHECK(recovery.created == 0 && recovery.clean == 1 && recovery.epoch == 2 && recovery.logs >= 1);
  close_store(&store);
}

static bool stop_at_once(void* context, uint64_t bytes_done, uint64_t bytes_total, uint64_t damages) {
  uint64_t* calls = (uint64_t*)context;
  ++*calls;
  PENSTOCK_CHECK(bytes_done <= bytes_total && damages == 0);
  return false;
}

static void scrub_reports_damage_by_file_and_place_and_can_be_stopped(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_scrub_options options;
  penstock_scrub_report* report = NULL;
  penstock_verify_report totals = {.struct_bytes = sizeof totals};
  penstock_damage damage;
  penstock_failure* failure;
  penstock_future* future;
  uint64_t calls = 0;
  char path[600];
  FILE* file;
  char* large = (char*)calloc(4 << 20, 1);
  penstock_bytes value = {large, 4 << 20};
  PENSTOCK_CHECK_OK(penstock_put(store.database, data, penstock_text("large"), value, NULL, &failure), &failure);
  free(large);
  PENSTOCK_CHECK_OK(penstock_flush(store.database, &failure), &failure);
  PENSTOCK_CHECK_OK(penstock_scrub(store.database, NULL, &report, &failure), &failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_scrub_report_totals(report, &totals));
  PENSTOCK_CHECK(totals.is_complete == 1 && totals.damages == 0 && totals.read_bytes > (4u << 20) && totals.log_groups >= 1);
  PENSTOCK_CHECK(penstock_scrub_report_damage_count(report) == 0);
  PENSTOCK_CHECK(penstock_scrub_report_damage(report, 0).file == NULL);
  penstock_scrub_report_free(report);

  penstock_scrub_options_init(&options, sizeof options);
  options.on_progress = stop_at_once;
  options.context = &calls;
  PENSTOCK_CHECK_OK(penstock_scrub(store.database, &options, &report, &failure), &failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_scrub_report_totals(report, &totals));
  PENSTOCK_CHECK(totals.is_complete == 0 && calls == 1);
  penstock_scrub_report_free(report);

  snprintf(path, sizeof path, "%s/db/IDENTITY", root);
  file = fopen(path, "r+b");
  PENSTOCK_CHECK(file != NULL && fseek(file, 100, SEEK_SET) == 0 && fputc('x', file) == 'x' && fclose(file) == 0);
  future = penstock_scrub_async(store.database, NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_verify(future, &totals, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_scrub(future, &report, NULL));
  penstock_future_free(future);
  PENSTOCK_CHECK(penstock_scrub_report_damage_count(report) == 1);
  damage = penstock_scrub_report_damage(report, 0);
  PENSTOCK_CHECK(damage.kind == PENSTOCK_DAMAGE_CHECKSUM && damage.code == PENSTOCK_CORRUPTION);
  PENSTOCK_CHECK(strcmp(damage.file, "IDENTITY") == 0 && damage.offset == 0 && damage.bytes == 4096);
  PENSTOCK_CHECK(strstr(damage.text, "IDENTITY, offset 0") != NULL);
  penstock_scrub_report_free(report);
  PENSTOCK_CHECK_CODE(PENSTOCK_CORRUPTION, penstock_verify(store.database, NULL, NULL));
  penstock_family_free(data);
  close_store(&store);
}

static void count_progress(void* context, penstock_open_stage stage, uint64_t bytes_done, uint64_t bytes_total) {
  PENSTOCK_CHECK(bytes_done <= bytes_total);
  if (stage == PENSTOCK_OPEN_DONE) ++*(int*)context;
}

static void the_progress_of_opening_is_told(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_database_options options;
  penstock_failure* failure;
  int done = 0;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_database_free(store.database, NULL));
  small_options(&options);
  options.on_progress = &count_progress;
  options.progress_context = &done;
  PENSTOCK_CHECK_OK(penstock_database_open(store.runtime, store.directory, &options, &store.database, &failure), &failure);
  PENSTOCK_CHECK(done == 1);
  close_store(&store);
}

static void a_failure_names_its_place(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_runtime* second = start_runtime(1);
  penstock_database* again;
  penstock_failure* failure;
  PENSTOCK_CHECK_CODE(PENSTOCK_BUSY, penstock_database_open(second, store.directory, NULL, &again, &failure));
  PENSTOCK_CHECK(again == NULL);
  PENSTOCK_CHECK(penstock_failure_code(failure) == PENSTOCK_BUSY);
  PENSTOCK_CHECK(penstock_failure_file_kind(failure) == PENSTOCK_FILE_LOCK);
  PENSTOCK_CHECK(penstock_failure_where(failure) != 0);  // This process.
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), store.directory) != NULL);
  PENSTOCK_CHECK(penstock_failure_shard(failure) == 0 && penstock_failure_file(failure) == 0);
  PENSTOCK_CHECK(penstock_failure_range_count(failure) == 0 && penstock_failure_range(failure, 0).end == 0);
  penstock_failure_free(failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_database_open(second, "", NULL, &again, &failure));
  penstock_failure_free(failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_runtime_stop(second, NULL));
  close_store(&store);
}

static void after_close_calls_answer_closed(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_family* late;
  penstock_value* value;
  penstock_metrics metrics;
  penstock_failure* failure;
  metrics.struct_bytes = sizeof metrics;
  PENSTOCK_CHECK_OK(penstock_database_close(store.database, &failure), &failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_CLOSED, penstock_put(store.database, data, penstock_text("k"), penstock_text("v"), NULL, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_CLOSED, penstock_get(store.database, data, penstock_text("k"), &value, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_CLOSED, penstock_family_open(store.database, penstock_text("data"), &late, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_CLOSED, penstock_flush(store.database, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_CLOSED, penstock_change_options(store.database, "cache_percent = 20", NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_CLOSED, penstock_metrics_read(store.database, &metrics, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_CLOSED, penstock_verify(store.database, NULL, NULL));
  PENSTOCK_CHECK_OK(penstock_database_close(store.database, &failure), &failure);
  close_store(&store);
  PENSTOCK_CHECK(bytes_are(penstock_family_name(data), "data"));  // A family outlives its database.
  penstock_family_free(data);
}

const struct PenstockCase kPenstockDataCases[] = {
    {"AValueIsSetOnlyWhereTheExpectedOneIs", &a_value_is_set_only_where_the_expected_one_is},
    {"ManyKeysAreReadInOneCall", &many_keys_are_read_in_one_call},
    {"VersionAndCodesHaveNames", &version_and_codes_have_names},
    {"WhatWasPutIsReadAndSurvivesReopening", &what_was_put_is_read_and_survives_reopening},
    {"BytesOfAnyKindAreKeysAndValues", &bytes_of_any_kind_are_keys_and_values},
    {"ABatchOfOneShardIsAppliedInOrder", &a_batch_of_one_shard_is_applied_in_order},
    {"ABatchOverShardsStaysForWriteEach", &a_batch_over_shards_stays_for_write_each},
    {"AScanGoesOnWhereItEnded", &a_scan_goes_on_where_it_ended},
    {"FamiliesAreMadeListedRenamedAndDropped", &families_are_made_listed_renamed_and_dropped},
    {"EachDurabilityIsReadBack", &each_durability_is_read_back},
    {"OptionsChangeWhileItIsOpen", &options_change_while_it_is_open},
    {"ReportsTellWhatWasDone", &reports_tell_what_was_done},
    {"ScrubReportsDamageByFileAndPlaceAndCanBeStopped", &scrub_reports_damage_by_file_and_place_and_can_be_stopped},
    {"TheProgressOfOpeningIsTold", &the_progress_of_opening_is_told},
    {"AFailureNamesItsPlace", &a_failure_names_its_place},
    {"AfterCloseCallsAnswerClosed", &after_close_calls_answer_closed},
    {NULL, NULL},
};
