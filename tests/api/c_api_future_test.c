// Goal: answers that come later, to a thread that waits and to a callback; and what is refused on a reactor.
//
// Method: a reactor is held by the callback of a second database's opening, which runs on it. So what waits for the reactor is
// known to wait, without a clock.
#include <pthread.h>
#include <semaphore.h>

#include "tests/api/c_api_test.h"

// --- Each call has a future ---

/// The answer of a call without a result; frees the future.
static penstock_code done(penstock_future* future) {
  const penstock_code code = penstock_future_take_done(future, NULL);
  penstock_future_free(future);
  return code;
}

static penstock_code committed(penstock_future* future, uint64_t* last_sequence) {
  const penstock_code code = penstock_future_take_commit(future, last_sequence, NULL);
  penstock_future_free(future);
  return code;
}

static void data_is_written_and_read_by_futures(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = pinned_family(store.database, "data", 1);
  penstock_value* value = NULL;
  penstock_rows* rows = NULL;
  penstock_future* future;
  bool found = false;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK,
                      done(penstock_put_async(store.database, data, penstock_text("a"), penstock_text("1"), NULL)));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK,
                      done(penstock_put_async(store.database, data, penstock_text("b"), penstock_text("2"), NULL)));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, done(penstock_remove_async(store.database, data, penstock_text("a"), NULL)));
  future = penstock_get_async(store.database, data, penstock_text("b"));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_value(future, &value, NULL));
  PENSTOCK_CHECK(bytes_are(penstock_value_bytes(value), "2"));
  penstock_future_free(future);
  penstock_value_free(value);
  future = penstock_get_async(store.database, data, penstock_text("a"));
  PENSTOCK_CHECK_CODE(PENSTOCK_NOT_FOUND, penstock_future_take_value(future, &value, NULL));
  PENSTOCK_CHECK(value == NULL);
  penstock_future_free(future);
  future = penstock_contains_async(store.database, data, penstock_text("b"));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_flag(future, &found, NULL));
  PENSTOCK_CHECK(found);
  penstock_future_free(future);
  future = penstock_scan_async(store.database, data, NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_rows(future, &rows, NULL));
  PENSTOCK_CHECK(penstock_rows_count(rows) == 1 && bytes_are(penstock_rows_key(rows, 0), "b"));
  PENSTOCK_CHECK(!penstock_rows_next(rows, NULL));
  penstock_future_free(future);
  penstock_rows_free(rows);
  penstock_family_free(data);
  close_store(&store);
}

static void families_and_reports_come_by_futures(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_future* futures[3];
  penstock_future* future;
  penstock_family* family = NULL;
  penstock_family_list* list = NULL;
  penstock_verify_report verified = {.struct_bytes = sizeof verified};
  penstock_metrics metrics;
  int index;
  metrics.struct_bytes = sizeof metrics;
  futures[0] = penstock_family_create_async(store.database, penstock_text("one"), NULL);
  futures[1] = penstock_family_open_or_create_async(store.database, penstock_text("one"), NULL);
  futures[2] = penstock_family_open_async(store.database, penstock_text("one"));
  for (index = 0; index < 3; ++index) {
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_family(futures[index], &family, NULL));
    put_text(store.database, family, "k", "v");
    penstock_future_free(futures[index]);
    penstock_family_free(family);
  }
  PENSTOCK_CHECK_CODE(PENSTOCK_OK,
                      done(penstock_family_rename_async(store.database, penstock_text("one"), penstock_text("two"))));
  PENSTOCK_CHECK_CODE(PENSTOCK_NOT_FOUND, done(penstock_family_drop_async(store.database, penstock_text("one"))));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, done(penstock_flush_async(store.database)));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, done(penstock_change_options_async(store.database, "cache_percent = 20")));
  future = penstock_family_list_read_async(store.database);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_family_list(future, &list, NULL));
  PENSTOCK_CHECK(penstock_family_list_count(list) == 1);
  penstock_future_free(future);
  penstock_family_list_free(list);
  future = penstock_verify_async(store.database);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_verify(future, &verified, NULL));
  PENSTOCK_CHECK(verified.entries >= 1);
  penstock_future_free(future);
  future = penstock_metrics_read_async(store.database);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_metrics(future, &metrics, NULL));
  PENSTOCK_CHECK(metrics.commits >= 3);
  penstock_future_free(future);
  close_store(&store);
}

static void a_batch_is_filled_again_while_its_operations_are_on_their_way(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = pinned_family(store.database, "data", 3);
  penstock_batch* batch = penstock_batch_create();
  penstock_future* futures[20];
  uint64_t sequences[20];
  char key[20];
  int index;
  for (index = 0; index < 20; ++index) {
    snprintf(key, sizeof key, "key%d", index);
    PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 0);
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_batch_put(batch, data, penstock_text(key), penstock_text("v"), NULL));
    futures[index] = index % 2 == 0 ? penstock_commit_async(store.database, batch, NULL)
                                    : penstock_try_commit_async(store.database, batch, NULL);
  }
  for (index = 0; index < 20; ++index) {
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, committed(futures[index], &sequences[index]));
    PENSTOCK_CHECK(index == 0 || sequences[index] == sequences[index - 1] + 1);
  }
  PENSTOCK_CHECK_VALUE(store.database, data, "key19", "v");
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_batch_put(batch, data, penstock_text("each"), penstock_text("v"), NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, committed(penstock_write_each_async(store.database, batch, NULL), NULL));
  PENSTOCK_CHECK_VALUE(store.database, data, "each", "v");
  penstock_batch_free(batch);
  penstock_family_free(data);
  close_store(&store);
}

// --- Taking ---

static void an_answer_is_taken_once_and_as_what_it_is(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_future* future;
  penstock_value* value;
  penstock_failure* failure;
  put_text(store.database, data, "key", "value");
  future = penstock_get_async(store.database, data, penstock_text("key"));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_done(future, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_commit(future, NULL, NULL));
  PENSTOCK_CHECK_OK(penstock_future_take_value(future, &value, &failure), &failure);
  PENSTOCK_CHECK(bytes_are(penstock_value_bytes(value), "value"));
  penstock_value_free(value);
  PENSTOCK_CHECK(penstock_future_is_ready(future) && penstock_future_wait(future, -1));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_value(future, &value, &failure));
  PENSTOCK_CHECK(value == NULL && strstr(penstock_failure_text(failure), "taken already") != NULL);
  penstock_failure_free(failure);
  penstock_future_free(future);
  penstock_family_free(data);
  close_store(&store);
}

static void a_future_that_is_freed_early_lets_its_call_go_on(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_future_free(penstock_put_async(store.database, data, penstock_text("unheard"), penstock_text("v"), NULL));
  put_text(store.database, data, "later", "v");  // On the same shard: published after it.
  PENSTOCK_CHECK_VALUE(store.database, data, "unheard", "v");
  penstock_family_free(data);
  close_store(&store);
}

static void an_answer_outlives_its_database(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_future* future = penstock_put_async(store.database, data, penstock_text("k"), penstock_text("v"), NULL);
  close_store(&store);
  PENSTOCK_CHECK(penstock_future_is_ready(future));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, done(future));
  penstock_family_free(data);
}

// --- Callbacks ---

struct Counting {
  sem_t called;
  penstock_future* kept;
};

static void count_done(void* context, penstock_future* future) {
  struct Counting* counting = context;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_done(future, NULL));
  penstock_future_free(future);
  sem_post(&counting->called);
}

static void keep_future(void* context, penstock_future* future) {
  struct Counting* counting = context;
  counting->kept = future;
  sem_post(&counting->called);
}

static void each_of_many_callbacks_is_called_once(const char* root) {
  enum { kCalls = 1000 };
  struct TestStore store = open_store(root, 2);
  penstock_family* spread = hashed_family(store.database, "spread");
  struct Counting counting;
  char key[20];
  int index;
  sem_init(&counting.called, 0, 0);
  for (index = 0; index < kCalls; ++index) {
    penstock_future* future;
    snprintf(key, sizeof key, "key%d", index);
    future = penstock_put_async(store.database, spread, penstock_text(key), penstock_text(key), NULL);
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_on_ready(future, &count_done, &counting));
  }
  for (index = 0; index < kCalls; ++index) {
    sem_wait(&counting.called);
  }
  PENSTOCK_CHECK_VALUE(store.database, spread, "key999", "key999");
  penstock_family_free(spread);
  close_store(&store);
  PENSTOCK_CHECK(sem_trywait(&counting.called) != 0);
  sem_destroy(&counting.called);
}

static void a_callback_may_leave_the_answer_to_another_thread(const char* root) {
  struct TestStore store = open_store(root, 2);
  penstock_family* data = family_of(store.database, "data", NULL);
  struct Counting counting;
  penstock_value* value = NULL;
  sem_init(&counting.called, 0, 0);
  put_text(store.database, data, "key", "value");
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_on_ready(penstock_get_async(store.database, data, penstock_text("key")),
                                                            &keep_future, &counting));
  sem_wait(&counting.called);
  PENSTOCK_CHECK(penstock_future_is_ready(counting.kept));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_take_value(counting.kept, &value, NULL));
  PENSTOCK_CHECK(bytes_are(penstock_value_bytes(value), "value"));
  penstock_future_free(counting.kept);
  penstock_value_free(value);
  penstock_family_free(data);
  close_store(&store);
  sem_destroy(&counting.called);
}

static void a_ready_future_calls_back_at_once(const char* root) {
  struct Counting counting;
  (void)root;
  sem_init(&counting.called, 0, 0);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_future_on_ready(penstock_flush_async(NULL), &keep_future, &counting));
  PENSTOCK_CHECK(sem_trywait(&counting.called) == 0);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, done(counting.kept));
  sem_destroy(&counting.called);
}

// --- A reactor that is held ---

struct Holder {
  struct TestStore store;
  penstock_family* data;
  sem_t is_held;
  sem_t may_go;
  pthread_t thread;
};

static sem_t stall_was_told;  // on_stall has no context.

static void tell_stall(uint32_t reactor, uint64_t duration_ns) {
  PENSTOCK_CHECK(reactor == 0 && duration_ns >= 2000000);
  sem_post(&stall_was_told);
}

static void hold_reactor(void* context, penstock_open_stage stage, uint64_t bytes_done, uint64_t bytes_total) {
  struct Holder* holder = context;
  (void)bytes_done;
  (void)bytes_total;
  if (stage == PENSTOCK_OPEN_DONE) {
    sem_post(&holder->is_held);
    sem_wait(&holder->may_go);
  }
}

static void* open_second_database(void* context) {
  struct Holder* holder = context;
  penstock_database_options options;
  penstock_database* second;
  char directory[310];
  snprintf(directory, sizeof directory, "%s2", holder->store.directory);
  small_options(&options);
  options.on_progress = &hold_reactor;
  options.progress_context = holder;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_database_open(holder->store.runtime, directory, &options, &second, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_database_free(second, NULL));
  return NULL;
}

/// Returns when the only reactor is held.
static void begin_holding(struct Holder* holder, const char* root) {
  holder->store = open_store(root, 1);
  holder->data = pinned_family(holder->store.database, "data", 0);
  sem_init(&holder->is_held, 0, 0);
  sem_init(&holder->may_go, 0, 0);
  pthread_create(&holder->thread, NULL, &open_second_database, holder);
  sem_wait(&holder->is_held);
}

static void end_holding(struct Holder* holder) {
  sem_post(&holder->may_go);
  pthread_join(holder->thread, NULL);
}

static void close_holder(struct Holder* holder) {
  penstock_family_free(holder->data);
  close_store(&holder->store);
  sem_destroy(&holder->is_held);
  sem_destroy(&holder->may_go);
}

static void waiting_ends_after_its_time(const char* root) {
  struct Holder holder;
  penstock_future* future;
  begin_holding(&holder, root);
  future = penstock_put_async(holder.store.database, holder.data, penstock_text("k"), penstock_text("v"), NULL);
  PENSTOCK_CHECK(!penstock_future_is_ready(future));
  PENSTOCK_CHECK(!penstock_future_wait(future, 0));
  PENSTOCK_CHECK(!penstock_future_wait(future, 1000000));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_future_take_flag(future, NULL, NULL));
  end_holding(&holder);
  PENSTOCK_CHECK(penstock_future_wait(future, -1));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, done(future));
  close_holder(&holder);
}

static void try_commit_gives_the_batch_back_when_the_inbox_is_full(const char* root) {
  enum { kValueBytes = 500000, kCommitsMax = 1000 };
  struct Holder holder;
  penstock_future* futures[kCommitsMax];
  penstock_batch* batch = penstock_batch_create();
  char* value = calloc(kValueBytes, 1);
  penstock_code code = PENSTOCK_OK;
  int count = 0;
  int index;
  begin_holding(&holder, root);
  while (code == PENSTOCK_OK && count < kCommitsMax) {
    penstock_future* future;
    PENSTOCK_CHECK_CODE(PENSTOCK_OK,
                        penstock_batch_put(batch, holder.data, penstock_text("k"), bytes_of(value, kValueBytes), NULL));
    future = penstock_try_commit_async(holder.store.database, batch, NULL);
    if (penstock_future_is_ready(future)) {
      code = committed(future, NULL);
    } else {
      PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 0);
      futures[count++] = future;
    }
  }
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, code);
  PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 1);
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_try_commit(holder.store.database, batch, NULL, NULL, NULL));
  PENSTOCK_CHECK(penstock_batch_operation_count(batch) == 1);
  end_holding(&holder);
  for (index = 0; index < count; ++index) {
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, committed(futures[index], NULL));
  }
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_commit(holder.store.database, batch, NULL, NULL, NULL));
  penstock_batch_free(batch);
  free(value);
  close_holder(&holder);
}

static void a_task_that_holds_its_reactor_is_told(const char* root) {
  struct TestStore store;
  struct Holder holder;
  penstock_runtime_options options;
  sem_init(&stall_was_told, 0, 0);
  penstock_runtime_options_init(&options, sizeof options);
  options.reactors = 1;
  options.memory_limit = 64u << 20;
  options.on_stall = &tell_stall;
  snprintf(store.directory, sizeof store.directory, "%s/db", root);
  store.database = NULL;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_runtime_start(&options, &store.runtime, NULL));
  open_again(&store);
  holder.store = store;
  sem_init(&holder.is_held, 0, 0);
  sem_init(&holder.may_go, 0, 0);
  pthread_create(&holder.thread, NULL, &open_second_database, &holder);
  sem_wait(&holder.is_held);
  {
    penstock_future* future = penstock_flush_async(store.database);
    PENSTOCK_CHECK(!penstock_future_wait(future, 4000000));
    end_holding(&holder);
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, done(future));
  }
  sem_wait(&stall_was_told);
  close_store(&store);
  sem_destroy(&holder.is_held);
  sem_destroy(&holder.may_go);
}

// --- Calls on a reactor ---

struct OnReactor {
  struct TestStore store;
  penstock_family* data;
  penstock_batch* batch;
  penstock_future* later;
  bool was_called;
};

static void call_on_reactor(void* context, penstock_open_stage stage, uint64_t bytes_done, uint64_t bytes_total) {
  struct OnReactor* on = context;
  penstock_database* const database = on->store.database;
  penstock_value* value;
  penstock_family* family;
  penstock_failure* failure;
  (void)bytes_done;
  (void)bytes_total;
  if (stage != PENSTOCK_OPEN_DONE) return;
  on->was_called = true;
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK,
                      penstock_put(database, on->data, penstock_text("k"), penstock_text("no"), NULL, &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "_async") != NULL);
  penstock_failure_free(failure);
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_get(database, on->data, penstock_text("k"), &value, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_family_create(database, penstock_text("no"), NULL, &family, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_commit(database, on->batch, NULL, NULL, NULL));
  PENSTOCK_CHECK(penstock_batch_operation_count(on->batch) == 1);
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_database_close(database, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_database_free(database, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_runtime_stop(on->store.runtime, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_runtime_start(NULL, &on->store.runtime, NULL));
  on->later = penstock_commit_async(database, on->batch, NULL);
  PENSTOCK_CHECK(!penstock_future_wait(on->later, -1));  // Does not wait here.
  PENSTOCK_CHECK_CODE(PENSTOCK_WOULD_BLOCK, penstock_future_take_commit(on->later, NULL, NULL));
}

static void on_a_reactor_nothing_waits_and_nothing_is_done(const char* root) {
  struct OnReactor on;
  penstock_runtime* runtime;
  penstock_database* second;
  penstock_database_options options;
  penstock_family* family;
  char directory[310];
  on.was_called = false;
  on.store = open_store(root, 1);
  runtime = on.store.runtime;
  on.data = pinned_family(on.store.database, "data", 0);
  on.batch = penstock_batch_create();
  put_text(on.store.database, on.data, "k", "before");
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_batch_put(on.batch, on.data, penstock_text("later"), penstock_text("yes"), NULL));
  small_options(&options);
  options.on_progress = &call_on_reactor;
  options.progress_context = &on;
  snprintf(directory, sizeof directory, "%s2", on.store.directory);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_database_open(runtime, directory, &options, &second, NULL));
  PENSTOCK_CHECK(on.was_called);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, committed(on.later, NULL));
  PENSTOCK_CHECK_VALUE(on.store.database, on.data, "later", "yes");
  PENSTOCK_CHECK_VALUE(on.store.database, on.data, "k", "before");
  PENSTOCK_CHECK_CODE(PENSTOCK_NOT_FOUND, penstock_family_open(on.store.database, penstock_text("no"), &family, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_database_free(second, NULL));
  penstock_batch_free(on.batch);
  penstock_family_free(on.data);
  on.store.runtime = runtime;
  close_store(&on.store);
}

const struct PenstockCase kPenstockFutureCases[] = {
    {"DataIsWrittenAndReadByFutures", &data_is_written_and_read_by_futures},
    {"FamiliesAndReportsComeByFutures", &families_and_reports_come_by_futures},
    {"ABatchIsFilledAgainWhileItsOperationsAreOnTheirWay", &a_batch_is_filled_again_while_its_operations_are_on_their_way},
    {"AnAnswerIsTakenOnceAndAsWhatItIs", &an_answer_is_taken_once_and_as_what_it_is},
    {"AFutureThatIsFreedEarlyLetsItsCallGoOn", &a_future_that_is_freed_early_lets_its_call_go_on},
    {"AnAnswerOutlivesItsDatabase", &an_answer_outlives_its_database},
    {"EachOfManyCallbacksIsCalledOnce", &each_of_many_callbacks_is_called_once},
    {"ACallbackMayLeaveTheAnswerToAnotherThread", &a_callback_may_leave_the_answer_to_another_thread},
    {"AReadyFutureCallsBackAtOnce", &a_ready_future_calls_back_at_once},
    {"WaitingEndsAfterItsTime", &waiting_ends_after_its_time},
    {"TryCommitGivesTheBatchBackWhenTheInboxIsFull", &try_commit_gives_the_batch_back_when_the_inbox_is_full},
    {"ATaskThatHoldsItsReactorIsTold", &a_task_that_holds_its_reactor_is_told},
    {"OnAReactorNothingWaitsAndNothingIsDone", &on_a_reactor_nothing_waits_and_nothing_is_done},
    {NULL, NULL},
};
