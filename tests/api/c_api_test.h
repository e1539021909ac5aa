// What the tests of the C API share: cases in C that GoogleTest runs (tests/api/c_cases_test.cc), checks, and a small database.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "penstock/penstock.h"

#ifdef __cplusplus
extern "C" {
#endif

/// One case; `root` is an empty folder of its own.
struct PenstockCase {
  const char* name;
  void (*run)(const char* root);
};

/// Tables that end with a NULL name.
extern const struct PenstockCase kPenstockDataCases[];
extern const struct PenstockCase kPenstockDonatedCases[];
extern const struct PenstockCase kPenstockFutureCases[];
extern const struct PenstockCase kPenstockMisuseCases[];
extern const struct PenstockCase kPenstockSessionCases[];

/// Counts a failed check of the case that runs; any thread.
void penstock_check_failed(const char* file, int line, const char* text);

#ifdef __cplusplus
}  // extern "C"
#endif

#define PENSTOCK_CHECK(condition)                                                       \
  do {                                                                                  \
    if (!(condition)) penstock_check_failed(__FILE__, __LINE__, "not so: " #condition); \
  } while (0)

/// `call` gives this code; what it gave instead is told.
#define PENSTOCK_CHECK_CODE(wanted, call) check_code(__FILE__, __LINE__, wanted, call, #call)

static inline void check_code(const char* file, int line, penstock_code wanted, penstock_code given, const char* call) {
  if (wanted != given) {
    char text[400];
    snprintf(text, sizeof text, "%s instead of %s: %s", penstock_code_name(given), penstock_code_name(wanted), call);
    penstock_check_failed(file, line, text);
  }
}

/// Succeeds; otherwise the failure's text is told. Frees it.
static inline void check_ok(const char* file, int line, penstock_code given, penstock_failure** failure) {
  if (given != PENSTOCK_OK || *failure != NULL) {
    penstock_check_failed(file, line, penstock_failure_text(*failure));
  }
  penstock_failure_free(*failure);
  *failure = NULL;
}
#define PENSTOCK_CHECK_OK(call, failure) check_ok(__FILE__, __LINE__, call, failure)

static inline bool bytes_are(penstock_bytes given, const char* wanted) {
  return given.size == strlen(wanted) && (given.size == 0 || memcmp(given.data, wanted, given.size) == 0);
}

static inline penstock_bytes bytes_of(const void* data, size_t size) {
  penstock_bytes bytes;
  bytes.data = data;
  bytes.size = size;
  return bytes;
}

/// A runtime and a database of four shards in `root`.
struct TestStore {
  char directory[300];
  penstock_runtime* runtime;
  penstock_database* database;
};

static inline penstock_runtime* start_runtime(uint32_t reactors) {
  penstock_runtime_options options;
  penstock_runtime* runtime;
  penstock_failure* failure;
  penstock_runtime_options_init(&options, sizeof options);
  options.reactors = reactors;
  options.memory_limit = 64u << 20;
  PENSTOCK_CHECK_OK(penstock_runtime_start(&options, &runtime, &failure), &failure);
  return runtime;
}

static inline void small_options(penstock_database_options* options) {
  penstock_database_options_init(options, sizeof *options);
  options->shards = 4;
  options->log_segment_bytes = 1u << 20;
  options->log_budget_bytes = 8u << 20;
}

static inline void open_again(struct TestStore* store) {
  penstock_database_options options;
  penstock_failure* failure;
  small_options(&options);
  PENSTOCK_CHECK_OK(penstock_database_free(store->database, &failure), &failure);
  PENSTOCK_CHECK_OK(penstock_database_open(store->runtime, store->directory, &options, &store->database, &failure), &failure);
}

static inline struct TestStore open_store(const char* root, uint32_t reactors) {
  struct TestStore store;
  snprintf(store.directory, sizeof store.directory, "%s/db", root);
  store.runtime = start_runtime(reactors);
  store.database = NULL;
  open_again(&store);
  return store;
}

static inline void close_store(struct TestStore* store) {
  penstock_failure* failure;
  PENSTOCK_CHECK_OK(penstock_database_free(store->database, &failure), &failure);
  PENSTOCK_CHECK_OK(penstock_runtime_stop(store->runtime, &failure), &failure);
}

/// A family, made with `options` if it is not there.
static inline penstock_family* family_of(penstock_database* database, const char* name,
                                         const penstock_family_options* options) {
  penstock_family* family;
  penstock_failure* failure;
  PENSTOCK_CHECK_OK(penstock_family_open_or_create(database, penstock_text(name), options, &family, &failure), &failure);
  return family;
}

static inline penstock_family* pinned_family(penstock_database* database, const char* name, int32_t shard) {
  penstock_family_options options;
  penstock_family_options_init(&options, sizeof options);
  options.shard = shard;
  return family_of(database, name, &options);
}

static inline penstock_family* hashed_family(penstock_database* database, const char* name) {
  penstock_family_options options;
  penstock_family_options_init(&options, sizeof options);
  options.placement = PENSTOCK_PLACEMENT_HASHED;
  return family_of(database, name, &options);
}

/// The key has this value.
static inline void check_value(const char* file, int line, penstock_database* database, const penstock_family* family,
                               const char* key, const char* wanted) {
  penstock_value* value;
  const penstock_code code = penstock_get(database, family, penstock_text(key), &value, NULL);
  if (code != PENSTOCK_OK || !bytes_are(penstock_value_bytes(value), wanted)) {
    penstock_check_failed(file, line, key);
  }
  penstock_value_free(value);
}
#define PENSTOCK_CHECK_VALUE(database, family, key, wanted) check_value(__FILE__, __LINE__, database, family, key, wanted)

static inline void put_text(penstock_database* database, const penstock_family* family, const char* key, const char* value) {
  penstock_failure* failure;
  PENSTOCK_CHECK_OK(penstock_put(database, family, penstock_text(key), penstock_text(value), NULL, &failure), &failure);
}
