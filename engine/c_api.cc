// The C API: versions, codes, failures, runtimes, databases and their reports.
#include "engine/c_api.h"

#include <cstdint>
#include <string_view>
#include <utility>

#include "engine/database_core.h"
#include "engine/runtime_core.h"

using penstock::Code;
using penstock::Failure;
using penstock::FileKind;
using penstock::Outcome;
using penstock::Status;

namespace capi = penstock::capi;

// --- The numbers of the header are those of the engine ---

#define PENSTOCK_SAME(c_name, name) static_assert((c_name) == static_cast<std::int32_t>(name))

PENSTOCK_SAME(PENSTOCK_OK, Code::kOk);
PENSTOCK_SAME(PENSTOCK_NOT_FOUND, Code::kNotFound);
PENSTOCK_SAME(PENSTOCK_INVALID_ARGUMENT, Code::kInvalidArgument);
PENSTOCK_SAME(PENSTOCK_TOO_LARGE, Code::kTooLarge);
PENSTOCK_SAME(PENSTOCK_BUSY, Code::kBusy);
PENSTOCK_SAME(PENSTOCK_WOULD_BLOCK, Code::kWouldBlock);
PENSTOCK_SAME(PENSTOCK_NO_SPACE, Code::kNoSpace);
PENSTOCK_SAME(PENSTOCK_ALREADY_EXISTS, Code::kAlreadyExists);
PENSTOCK_SAME(PENSTOCK_DROPPED, Code::kDropped);
PENSTOCK_SAME(PENSTOCK_CLOSED, Code::kClosed);
PENSTOCK_SAME(PENSTOCK_CANCELLED, Code::kCancelled);
PENSTOCK_SAME(PENSTOCK_POISONED, Code::kPoisoned);
PENSTOCK_SAME(PENSTOCK_OUTCOME_UNKNOWN, Code::kOutcomeUnknown);
PENSTOCK_SAME(PENSTOCK_IO_ERROR, Code::kIoError);
PENSTOCK_SAME(PENSTOCK_CORRUPTION, Code::kCorruption);
PENSTOCK_SAME(PENSTOCK_NOT_SUPPORTED, Code::kNotSupported);
PENSTOCK_SAME(PENSTOCK_PERMISSION, Code::kPermission);
PENSTOCK_SAME(PENSTOCK_CONFLICT, Code::kConflict);
PENSTOCK_SAME(PENSTOCK_FORKED, Code::kForked);
static_assert(penstock::kCodeCount == PENSTOCK_FORKED + 1, "a new code goes into penstock/penstock.h too");

PENSTOCK_SAME(PENSTOCK_FILE_NONE, FileKind::kNone);
PENSTOCK_SAME(PENSTOCK_FILE_LOG, FileKind::kLog);
PENSTOCK_SAME(PENSTOCK_FILE_PAGES, FileKind::kPages);
PENSTOCK_SAME(PENSTOCK_FILE_SUPER, FileKind::kSuper);
PENSTOCK_SAME(PENSTOCK_FILE_EPOCH, FileKind::kEpoch);
PENSTOCK_SAME(PENSTOCK_FILE_IDENTITY, FileKind::kIdentity);
PENSTOCK_SAME(PENSTOCK_FILE_LOCK, FileKind::kLock);
PENSTOCK_SAME(PENSTOCK_FILE_DIRECTORY, FileKind::kDirectory);
PENSTOCK_SAME(PENSTOCK_FILE_CATALOG, FileKind::kCatalog);

static_assert(PENSTOCK_KEY_BYTES_MAX == penstock::kKeyBytesMax);
static_assert(PENSTOCK_VALUE_BYTES_MAX == penstock::kValueBytesMax);
static_assert(PENSTOCK_BATCH_BYTES_MAX == penstock::kBatchBytesMax);
static_assert(PENSTOCK_FAMILY_NAME_BYTES_MAX == penstock::kFamilyNameBytesMax);

#define PENSTOCK_TEXT_OF(number) #number
#define PENSTOCK_DOTTED(major, minor, patch) PENSTOCK_TEXT_OF(major) "." PENSTOCK_TEXT_OF(minor) "." PENSTOCK_TEXT_OF(patch)
static_assert(std::string_view(PENSTOCK_PROJECT_VERSION) ==
                  PENSTOCK_DOTTED(PENSTOCK_VERSION_MAJOR, PENSTOCK_VERSION_MINOR, PENSTOCK_VERSION_PATCH),
              "penstock/penstock.h and CMakeLists.txt name different versions");

const char* penstock_version(void) { return PENSTOCK_PROJECT_VERSION; }

const char* penstock_code_name(penstock_code code) {
  const bool is_code = code >= 0 && code < penstock::kCodeCount;
  return penstock::code_name(is_code ? static_cast<Code>(code) : Code{0xff}).data();  // All names are literals.
}

penstock_bytes penstock_text(const char* text) { return {text, text == nullptr ? 0 : std::strlen(text)}; }

// --- Failures ---

namespace penstock::capi {

penstock_code report(const Status& status, penstock_failure** failure) {
  if (failure != nullptr) {
    *failure = status.is_ok() ? nullptr : new penstock_failure{Failure(status, status.to_string())};
  }
  return static_cast<penstock_code>(status.code());
}

penstock_code report(Failure problem, penstock_failure** failure) {
  PENSTOCK_ASSERT(!problem.status.is_ok());
  const auto code = static_cast<penstock_code>(problem.status.code());
  if (failure != nullptr) {
    *failure = new penstock_failure{std::move(problem)};
  }
  return code;
}

penstock_code report_would_block(penstock_failure** failure) {
  return report(
      Failure(Status(Code::kWouldBlock), "this call waits, and it was made on a reactor's thread: use its _async form"),
      failure);
}

penstock_code report_misuse(const char* text, penstock_failure** failure) {
  return report(Failure(Status(Code::kInvalidArgument), text), failure);
}

penstock_code report_no_place(penstock_failure** failure) {
  return report_misuse("the place for the result is NULL, or its struct_bytes is too small", failure);
}

Outcome<Database*> check(penstock_database* database, std::initializer_list<penstock_bytes> arguments) {
  if (database == nullptr) {
    return refuse("the database is NULL");
  }
  for (const penstock_bytes& each : arguments) {
    if (each.data == nullptr && each.size != 0) {
      return refuse("bytes at NULL with a size that is not 0");
    }
  }
  return &database->database;
}

Outcome<Database*> check(penstock_database* database, const penstock_family* family,
                         std::initializer_list<penstock_bytes> arguments) {
  if (family == nullptr) {
    return refuse("the family is NULL");
  }
  if (database != nullptr && family->database_id != database->id) {
    return refuse("the family belongs to another database, or to an earlier opening of this one");
  }
  return check(database, arguments);
}

}  // namespace penstock::capi

penstock_code penstock_failure_code(const penstock_failure* failure) {
  return failure == nullptr ? PENSTOCK_OK : static_cast<penstock_code>(failure->failure.status.code());
}

const char* penstock_failure_text(const penstock_failure* failure) {
  return failure == nullptr ? "ok" : failure->failure.text.c_str();
}

int32_t penstock_failure_error_number(const penstock_failure* failure) {
  return failure == nullptr ? 0 : failure->failure.status.error_number();
}

penstock_file_kind penstock_failure_file_kind(const penstock_failure* failure) {
  return failure == nullptr ? PENSTOCK_FILE_NONE : static_cast<penstock_file_kind>(failure->failure.status.file_kind());
}

uint32_t penstock_failure_shard(const penstock_failure* failure) {
  return failure == nullptr ? 0 : failure->failure.status.shard();
}

uint32_t penstock_failure_file(const penstock_failure* failure) {
  return failure == nullptr ? 0 : failure->failure.status.file();
}

uint64_t penstock_failure_where(const penstock_failure* failure) {
  return failure == nullptr ? 0 : failure->failure.status.where();
}

size_t penstock_failure_range_count(const penstock_failure* failure) {
  return failure == nullptr ? 0 : failure->failure.ranges.size();
}

penstock_log_range penstock_failure_range(const penstock_failure* failure, size_t index) {
  if (index >= penstock_failure_range_count(failure)) {
    return {};
  }
  const penstock::LogRange& range = failure->failure.ranges[index];
  return {.epoch = range.epoch, .reactor = range.reactor, .begin = range.begin, .end = range.end};
}

void penstock_failure_free(penstock_failure* failure) { delete failure; }

// --- Runtime ---

penstock_code penstock_runtime_start(const penstock_runtime_options* options, penstock_runtime** runtime,
                                     penstock_failure** failure) {
  if (!capi::prepare(runtime)) {
    return capi::report_no_place(failure);
  }
  if (capi::is_on_reactor()) {
    return capi::report_would_block(failure);
  }
  const Outcome<penstock::RuntimeOptions> wanted = capi::read_options(options);
  if (!wanted.has_value()) {
    return capi::report(wanted.error(), failure);
  }
  return capi::deliver(penstock::Runtime::start(*wanted), failure,
                       [&](penstock::Runtime started) { *runtime = new penstock_runtime(std::move(started)); });
}

penstock_code penstock_runtime_stop(penstock_runtime* runtime, penstock_failure** failure) {
  const bool is_forked = runtime != nullptr && runtime->runtime.core()->is_forked();
  if (capi::is_on_reactor() && !is_forked) {
    return capi::report_would_block(failure);
  }
  const std::uint32_t databases = runtime == nullptr ? 0 : runtime->databases.load(std::memory_order_acquire);
  if (databases != 0) {
    return capi::report(capi::refuse(std::to_string(databases) + " databases are not freed yet").error(), failure);
  }
  delete runtime;
  return capi::report(Status::ok(), failure);
}

uint32_t penstock_runtime_reactors(const penstock_runtime* runtime) {
  return runtime == nullptr ? 0 : runtime->runtime.reactors();
}

const char* penstock_runtime_io_backend(const penstock_runtime* runtime) {
  return runtime == nullptr ? "" : runtime->runtime.core()->io_backend().c_str();
}

// --- Database ---

namespace {

/// A number for each opening: an address could come back while a family of a freed database is still around.
std::uint64_t next_database_id() {
  static constinit std::atomic<std::uint64_t> opened{0};
  return opened.fetch_add(1, std::memory_order_relaxed) + 1;
}

/// A database on its way. Until its answer is taken the runtime counts it, so that it is not stopped under it.
class OpenFuture final : public capi::TypedFuture<Outcome<penstock::Database>> {
 public:
  OpenFuture(penstock_runtime* runtime, Outcome<penstock::Future<Outcome<penstock::Database>>> begun)
      : TypedFuture(std::move(begun)), runtime_(runtime) {
    if (runtime_ != nullptr) {
      runtime_->databases.fetch_add(1, std::memory_order_relaxed);
    }
  }
  OpenFuture(const OpenFuture&) = delete;
  OpenFuture& operator=(const OpenFuture&) = delete;
  ~OpenFuture() override {
    drop_answer();
    if (runtime_ != nullptr) {
      runtime_->databases.fetch_sub(1, std::memory_order_release);
    }
  }
  /// The database has it from now on.
  penstock_runtime* take_runtime() { return std::exchange(runtime_, nullptr); }

 private:
  penstock_runtime* runtime_;
};

Outcome<penstock::Future<Outcome<penstock::Database>>> begin_open(penstock_runtime* runtime, const char* directory,
                                                                  const penstock_database_options* options) {
  if (runtime == nullptr || directory == nullptr) {
    return capi::refuse("the runtime or the directory is NULL");
  }
  const Outcome<penstock::DatabaseOptions> wanted = capi::read_options(options);
  if (!wanted.has_value()) {
    return std::unexpected(wanted.error());
  }
  return penstock::Database::open_async(runtime->runtime, directory, *wanted);
}

penstock_code take_database(OpenFuture& future, penstock_database** database, penstock_failure** failure) {
  return future.take(failure, [&](penstock::Database opened) {
    *database = new penstock_database(future.take_runtime(), next_database_id(), std::move(opened));
  });
}

}  // namespace

penstock_future* penstock_database_open_async(penstock_runtime* runtime, const char* directory,
                                              const penstock_database_options* options) {
  return new OpenFuture(runtime, begin_open(runtime, directory, options));
}

penstock_code penstock_future_take_database(penstock_future* future, penstock_database** database, penstock_failure** failure) {
  if (!capi::prepare(database)) {
    return capi::report_no_place(failure);
  }
  auto* typed = dynamic_cast<OpenFuture*>(future);
  return typed == nullptr ? capi::report_misuse("the future is NULL, or not of a call that opens a database", failure)
                          : take_database(*typed, database, failure);
}

penstock_code penstock_database_open(penstock_runtime* runtime, const char* directory, const penstock_database_options* options,
                                     penstock_database** database, penstock_failure** failure) {
  if (!capi::prepare(database)) {
    return capi::report_no_place(failure);
  }
  if (capi::is_on_reactor()) {
    return capi::report_would_block(failure);  // Capi-I2.
  }
  OpenFuture future(runtime, begin_open(runtime, directory, options));
  return take_database(future, database, failure);
}

penstock_future* penstock_database_close_async(penstock_database* database) {
  return capi::wrap<Status>(
      capi::when_checked([](penstock::Database* target) { return target->close_async(); }, capi::check(database, {})));
}

penstock_code penstock_database_close(penstock_database* database, penstock_failure** failure) {
  if (database == nullptr) {
    return capi::report_misuse("the database is NULL", failure);
  }
  if (capi::is_on_reactor()) {
    return capi::report_would_block(failure);
  }
  return capi::report(database->database.close(), failure);
}

penstock_code penstock_database_free(penstock_database* database, penstock_failure** failure) {
  if (database == nullptr) {
    return capi::report(Status::ok(), failure);
  }
  const bool must_wait = !database->database.core()->runtime().is_forked() && !database->database.core()->is_closed();
  if (capi::is_on_reactor() && must_wait) {
    return capi::report_would_block(failure);
  }
  const std::uint32_t sessions = database->sessions.load(std::memory_order_acquire);
  if (sessions != 0) {
    return capi::report(capi::refuse(std::to_string(sessions) + " sessions are not freed yet").error(), failure);
  }
  const Status closed = database->database.close_async().get();  // Ready where nobody may wait.
  penstock_runtime* const runtime = database->runtime;
  delete database;
  runtime->databases.fetch_sub(1, std::memory_order_release);
  return capi::report(closed, failure);
}

uint32_t penstock_database_shard_count(const penstock_database* database) {
  return database == nullptr ? 0 : database->database.shard_count();
}

const char* penstock_database_directory(const penstock_database* database) {
  return database == nullptr ? "" : database->database.directory().c_str();
}
