// Goal: a program in C asks many gets together and hears of each once; a database with a session stays.
#include "tests/api/c_api_test.h"

enum { kKeys = 2000 };

struct Answers {
  int counts[kKeys];
  penstock_code codes[kKeys];
};

static void note(void* context, uint64_t token, penstock_code code, penstock_bytes value) {
  struct Answers* answers = context;
  char wanted[20];
  snprintf(wanted, sizeof wanted, "value%d", (int)token);
  ++answers->counts[token];
  answers->codes[token] = code;
  PENSTOCK_CHECK(bytes_are(value, code == PENSTOCK_OK ? wanted : ""));
}

static void fill(penstock_database* database, const penstock_family* family) {
  penstock_batch* batch = penstock_batch_create();
  char key[20];
  char value[20];
  int index;
  for (index = 0; index < kKeys; ++index) {
    snprintf(key, sizeof key, "key%d", index);
    snprintf(value, sizeof value, "value%d", index);
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_batch_put(batch, family, penstock_text(key), penstock_text(value), NULL));
  }
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_write_each(database, batch, NULL, NULL));
  penstock_batch_free(batch);
}

static void each_get_of_a_session_is_answered_once(const char* root) {
  static struct Answers answers;
  struct TestStore store = open_store(root, 2);
  penstock_family* spread = hashed_family(store.database, "spread");
  penstock_session* session;
  char key[20];
  uint64_t total = 0;
  uint64_t count = 0;
  int index;
  memset(&answers, 0, sizeof answers);
  fill(store.database, spread);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_create(store.database, 64, &session, NULL));
  for (index = 0; index < kKeys; ++index) {
    snprintf(key, sizeof key, index % 7 == 0 ? "absent%d" : "key%d", index);
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_get(session, spread, penstock_text(key), (uint64_t)index));
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_poll(session, &note, &answers, &count));
    total += count;
  }
  PENSTOCK_CHECK(penstock_session_pending(session) == kKeys - total);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_submit(session));
  while (penstock_session_pending(session) > 0) {
    PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_wait(session, &note, &answers, NULL));
  }
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_wait(session, &note, &answers, &count));
  PENSTOCK_CHECK(count == 0);
  for (index = 0; index < kKeys; ++index) {
    PENSTOCK_CHECK(answers.counts[index] == 1);
    PENSTOCK_CHECK(answers.codes[index] == (index % 7 == 0 ? PENSTOCK_NOT_FOUND : PENSTOCK_OK));
  }
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_free(session));
  penstock_family_free(spread);
  close_store(&store);
}

static void a_database_with_a_session_stays(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_session* session;
  penstock_failure* failure;
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_create(store.database, 1, &session, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_get(session, data, penstock_text("unheard"), 1));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_database_free(store.database, &failure));
  PENSTOCK_CHECK(strstr(penstock_failure_text(failure), "1 session") != NULL);
  penstock_failure_free(failure);
  put_text(store.database, data, "k", "v");
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_free(session));
  penstock_family_free(data);
  close_store(&store);
}

static void misuse_of_a_session_is_refused(const char* root) {
  struct TestStore store = open_store(root, 1);
  penstock_family* data = family_of(store.database, "data", NULL);
  penstock_session* session;
  static struct Answers answers;
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_session_create(NULL, 64, &session, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_session_create(store.database, 0, &session, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_session_create(store.database, 4097, &session, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_session_create(store.database, 64, NULL, NULL));
  PENSTOCK_CHECK(session == NULL);
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_session_get(NULL, data, penstock_text("k"), 1));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_session_submit(NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_session_poll(NULL, &note, &answers, NULL));
  PENSTOCK_CHECK(penstock_session_pending(NULL) == 0);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_free(NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_create(store.database, 64, &session, NULL));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_session_get(session, NULL, penstock_text("k"), 1));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_session_get(session, data, bytes_of(NULL, 1), 1));
  PENSTOCK_CHECK_CODE(PENSTOCK_INVALID_ARGUMENT, penstock_session_wait(session, NULL, NULL, NULL));
  PENSTOCK_CHECK(penstock_session_pending(session) == 0);
  PENSTOCK_CHECK_CODE(PENSTOCK_OK, penstock_session_free(session));
  penstock_family_free(data);
  close_store(&store);
}

const struct PenstockCase kPenstockSessionCases[] = {
    {"EachGetOfASessionIsAnsweredOnce", &each_get_of_a_session_is_answered_once},
    {"ADatabaseWithASessionStays", &a_database_with_a_session_stays},
    {"MisuseOfASessionIsRefused", &misuse_of_a_session_is_refused},
    {NULL, NULL},
};
