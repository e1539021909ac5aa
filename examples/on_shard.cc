// Code that runs where the data is: a coroutine on the shard's own reactor reads, decides and commits without a hop between
// cores.
//
//   on_shard [directory]
#include <penstock/db.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string>

namespace {

// Adds to a counter. Coroutines of one shard take turns at every co_await: two calls on the same key may both read before
// either commits.
penstock::Task<penstock::Result<std::uint64_t>> add(penstock::Shard& shard, penstock::Family family, std::string key,
                                                    std::uint64_t amount) {
  const penstock::Result<std::string> stored = co_await shard.get(family, key);
  std::uint64_t count = 0;
  if (stored.has_value()) {
    std::from_chars(stored->data(), stored->data() + stored->size(), count);
  } else if (!stored.error().is(penstock::Code::kNotFound)) {
    co_return std::unexpected(stored.error());
  }
  count += amount;
  penstock::Batch batch;
  const std::string text = std::to_string(count);
  penstock::Status status = batch.put(family, key, text);
  if (status.is_ok()) {
    status = co_await shard.commit(batch);
  }
  if (!status.is_ok()) {
    co_return std::unexpected(status);
  }
  co_return count;
}

}  // namespace

int main(int argument_count, char** arguments) {
  auto runtime = penstock::Runtime::start();
  if (!runtime) return std::fprintf(stderr, "%s\n", runtime.error().text.c_str()), 1;
  auto db = penstock::Database::open(*runtime, argument_count > 1 ? arguments[1] : "on_shard.db");
  if (!db) return std::fprintf(stderr, "%s\n", db.error().text.c_str()), 1;
  auto counters = db->open_or_create_family("counters").get();
  if (!counters) return std::fprintf(stderr, "%s\n", counters.error().text.c_str()), 1;

  const std::string key = "visits";
  auto count = db->run_on(counters->shard_of(key), &add, *counters, key, std::uint64_t{1}).get();
  if (!count) return std::fprintf(stderr, "%s\n", count.error().to_string().c_str()), 1;
  std::printf("%s: %llu\n", key.c_str(), static_cast<unsigned long long>(*count));
  return db->close().is_ok() ? 0 : 1;
}
