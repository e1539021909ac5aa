// Goal: a program in C runs a reactor in its own event loop, opens and closes without blocking, and is told what it may not do
// there, or in a forked child.
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/api/c_api_test.h"

enum { kLongMs = 60000 };

/// A runtime whose only reactor is this thread's.
struct Host {
  penstock_runtime* runtime;
  penstock_reactor* reactor;
};

static struct Host start_host(void) {
  struct Host host;
  penstock_runtime_options options;
  penstock_failure* failure;
  penstock_runtime_options_init(&options, sizeof options);
  options.reactors = 1;
  options.memory_limit = 64u << 20;
  options.threads = PENSTOCK_THREADS_DONATED;
  PENSTOCK_CHECK_OK(penstock_runtime_start(&options, &host.runtime, &failure), &failure);
  PENSTOCK_CHECK(strcmp(penstock_runtime_io_backend(host.runtime), "") == 0);
  PENSTOCK_CHECK_OK(penstock_runtime_attach(host.runtime, &host.reactor, &failure), &failure);
  PENSTOCK_CHECK(strlen(penstock_runtime_io_backend(host.runtime)) > 0);
  return host;
}

static penstock_future* begin_open(const struct Host* host, const char* root) {
  char directory[300];
  penstock_database_options options;
  snprintf(directory, sizeof directory, "%s/db", root);
  small_options(&options);
  return penstock_database_open_async(host->runtime, directory, &options);
}

static penstock_database* open_here(const struct Host* host, const char* root) {
  penstock_database* database;
  penstock_failure* failure;
  penstock_future* future = begin_open(host, root);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_reactor_wait(host->reactor, future));
  PENSTOCK_CHECK_OK(penstock_future_take_database(future, &database, &failure), &failure);
  penstock_future_free(future);
  return database;
}

static void close_here(const struct Host* host, penstock_database* database) {
  penstock_failure* failure;
  penstock_future* future = penstock_database_close_async(database);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_reactor_wait(host->reactor, future));
  PENSTOCK_CHECK_OK(penstock_future_take_done(future, &failure), &failure);
  penstock_future_free(future);
  PENSTOCK_CHECK_OK(penstock_database_free(database, &failure), &failure);
}

static void stop_host(const struct Host* host) {
  penstock_failure* failure;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_reactor_detach(host->reactor));
  PENSTOCK_CHECK_OK(penstock_runtime_stop(host->runtime, &failure), &failure);
}

static penstock_family* family_here(const struct Host* host, penstock_database* database) {
  penstock_family* family;
  penstock_failure* failure;
  penstock_future* future = penstock_family_open_or_create_async(database, penstock_text("things"), NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_reactor_wait(host->reactor, future));
  PENSTOCK_CHECK_OK(penstock_future_take_family(future, &family, &failure), &failure);
  penstock_future_free(future);
  return family;
}

static void count_success(void* context, penstock_future* future) {
  int* written = context;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_done(future, NULL));
  penstock_future_free(future);
  ++*written;
}

static void an_event_loop_waits_for_the_descriptor(const char* root) {
  enum { kWrites = 100 };
  const struct Host host = start_host();
  penstock_database* database = open_here(&host, root);
  penstock_family* family = family_here(&host, database);
  struct pollfd waited;
  int written = 0;
  int index;
  waited.fd = penstock_reactor_fd(host.reactor);
  waited.events = POLLIN;
  PENSTOCK_CHECK(waited.fd >= 0 && penstock_reactor_index(host.reactor) == 0);
  for (index = 0; index < kWrites; ++index) {
    char key[20];
    snprintf(key, sizeof key, "key%d", index);
    penstock_future* put = penstock_put_async(database, family, penstock_text(key), penstock_text("value"), NULL);
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_on_ready(put, &count_success, &written));
  }
  while (written < kWrites && poll(&waited, 1, kLongMs) == 1) {
    bool more;
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_reactor_poll(host.reactor, 0, &more));
  }
  PENSTOCK_CHECK(written == kWrites);
  penstock_family_free(family);
  close_here(&host, database);
  stop_host(&host);
}

static void note_answer(void* context, uint64_t token, penstock_code code, penstock_bytes value) {
  uint64_t* answered = context;
  PENSTOCK_CHECK(code == PENSTOCK_OK && bytes_are(value, "value"));
  *answered += token;
}

static void reads_wait_for_nothing_on_a_donated_thread(const char* root) {
  const struct Host host = start_host();
  penstock_database* database = open_here(&host, root);
  penstock_family* family = family_here(&host, database);
  penstock_future* future = penstock_put_async(database, family, penstock_text("key"), penstock_text("value"), NULL);
  penstock_value* value;
  penstock_session* session;
  uint64_t answered = 0;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_reactor_wait(host.reactor, future));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_done(future, NULL));
  penstock_future_free(future);
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_get(database, family, penstock_text("key"), &value, NULL));
  future = penstock_get_async(database, family, penstock_text("key"));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_reactor_wait(host.reactor, future));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_value(future, &value, NULL));
  PENSTOCK_CHECK(bytes_are(penstock_value_bytes(value), "value"));
  penstock_value_free(value);
  penstock_future_free(future);

  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_create(database, 64, &session, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_get(session, family, penstock_text("key"), 7));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_submit(session));
  while (penstock_session_pending(session) > 0) {
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_reactor_poll(host.reactor, 0, NULL));
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_poll(session, &note_answer, &answered, NULL));
  }
  PENSTOCK_CHECK(answered == 7);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_free(session));
  penstock_family_free(family);
  close_here(&host, database);
  stop_host(&host);
}

static void what_would_block_or_pull_the_ground_away_is_refused(const char* root) {
  const struct Host host = start_host();
  penstock_database* database = open_here(&host, root);
  penstock_reactor* second;
  penstock_database* other;
  penstock_future* future;
  penstock_failure* failure;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_runtime_attach(host.runtime, &second, NULL));
  PENSTOCK_CHECK(second == NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_database_open(host.runtime, root, NULL, &other, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_database_close(database, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_database_free(database, &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "_async") != NULL);
  penstock_failure_free(failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_BUSY, penstock_reactor_detach(host.reactor));
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_runtime_stop(host.runtime, NULL));

  future = penstock_database_close_async(NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_done(future, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_database(future, &other, NULL));
  penstock_future_free(future);
  future = penstock_database_open_async(NULL, root, NULL);
  PENSTOCK_CHECK(penstock_future_is_ready(future));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_database(future, &other, NULL));
  penstock_future_free(future);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_database(NULL, &other, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_reactor_poll(NULL, 0, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_reactor_wait(host.reactor, NULL));
  PENSTOCK_CHECK(penstock_reactor_fd(NULL) == -1 && penstock_reactor_index(NULL) == 0);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_reactor_detach(NULL));
  close_here(&host, database);
  stop_host(&host);
}

static void a_database_that_nobody_takes_is_closed(const char* root) {
  const struct Host host = start_host();
  penstock_future* future = begin_open(&host, root);
  int turns;
  penstock_code detached = PENSTOCK_BUSY;
  penstock_failure* failure;
  penstock_future_free(future);
  for (turns = 0; turns < 10000 && detached == PENSTOCK_BUSY; ++turns) {
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_reactor_poll(host.reactor, 1000000, NULL));
    detached = penstock_reactor_detach(host.reactor);
  }
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, detached);
  PENSTOCK_CHECK_OK(penstock_runtime_stop(host.runtime, &failure), &failure);
}

static void opening_and_closing_need_not_block_elsewhere_either(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_failure* failure;
  penstock_future* future = penstock_database_close_async(store.database);
  penstock_database_options options;
  penstock_database* again;
  PENSTOCK_CHECK(penstock_future_wait(future, -1));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_done(future, NULL));
  penstock_future_free(future);
  PENSTOCK_CHECK_OK(penstock_database_free(store.database, &failure), &failure);
  small_options(&options);
  future = penstock_database_open_async(store.runtime, store.directory, &options);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_runtime_stop(store.runtime, NULL));
  PENSTOCK_CHECK_OK(penstock_future_take_database(future, &store.database, &failure), &failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_database(future, &again, NULL));
  penstock_future_free(future);
  close_store(&store);
}

/// What a child may and may not do; its exit status counts what went wrong.
static int child(const struct TestStore* store, const penstock_family* family) {
  int wrong = 0;
  penstock_value* value;
  wrong += penstock_put(store->database, family, penstock_text("key"), penstock_text("child"), NULL, NULL) != PENSTOCK_FORKED;
  wrong += penstock_get(store->database, family, penstock_text("key"), &value, NULL) != PENSTOCK_FORKED;
  wrong += penstock_database_close(store->database, NULL) != PENSTOCK_FORKED;
  wrong += penstock_database_free(store->database, NULL) != PENSTOCK_FORKED;
  wrong += penstock_runtime_stop(store->runtime, NULL) != PENSTOCK_OK;
  return wrong;
}

static void a_forked_child_is_told_so(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* family = pinned_family(store.database, "things", 0);
  int status = -1;
  put_text(store.database, family, "key", "parent");
  const pid_t process = fork();
  if (process == 0) {
    _exit(child(&store, family));
  }
  PENSTOCK_CHECK(process > 0 && waitpid(process, &status, 0) == process);
  PENSTOCK_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  PENSTOCK_CHECK_VALUE(store.database, family, "key", "parent");
  penstock_family_free(family);
  close_store(&store);
}

const struct PenstockCase kPenstockDonatedCases[] = {
    {"AnEventLoopWaitsForTheDescriptor", &an_event_loop_waits_for_the_descriptor},
    {"ReadsWaitForNothingOnADonatedThread", &reads_wait_for_nothing_on_a_donated_thread},
    {"WhatWouldBlockOrPullTheGroundAwayIsRefused", &what_would_block_or_pull_the_ground_away_is_refused},
    {"ADatabaseThatNobodyTakesIsClosed", &a_database_that_nobody_takes_is_closed},
    {"OpeningAndClosingNeedNotBlockElsewhereEither", &opening_and_closing_need_not_block_elsewhere_either},
    {"AForkedChildIsToldSo", &a_forked_child_is_told_so},
    {NULL, NULL},
};
