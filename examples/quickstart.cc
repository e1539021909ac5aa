// The API in twenty lines: a runtime, a database, a family; put, a batch, get, scan, close.
//
//   quickstart [directory]
#include <penstock/db.h>

#include <cstdio>

int main(int argument_count, char** arguments) {
  auto runtime = penstock::Runtime::start({.reactors = 2});
  if (!runtime) return std::fprintf(stderr, "%s\n", runtime.error().text.c_str()), 1;
  auto db = penstock::Database::open(*runtime, argument_count > 1 ? arguments[1] : "quickstart.db");
  if (!db) return std::fprintf(stderr, "%s\n", db.error().text.c_str()), 1;
  auto orders = db->open_or_create_family("orders").get();
  if (!orders) return std::fprintf(stderr, "%s\n", orders.error().text.c_str()), 1;

  penstock::Status status = db->put(*orders, "order-1", "12 bolts").get();  // Durable: on stable storage.

  penstock::Batch batch;  // All of it or nothing.
  for (auto [key, value] : {std::pair("order-2", "1 anvil"), std::pair("order-3", "3 springs")}) {
    if (status.is_ok()) status = batch.put(*orders, key, value);
  }
  if (status.is_ok()) status = db->commit(std::move(batch)).get().status;
  if (!status.is_ok()) return std::fprintf(stderr, "%s\n", status.to_string().c_str()), 1;

  if (auto value = db->get(*orders, "order-2").get()) std::printf("order-2 is %s\n", value->c_str());
  if (auto range = db->scan(*orders, {.from = "order-1", .to = "order-3"}).get()) {
    for (const penstock::Row& row : range->rows) std::printf("%s: %s\n", row.key.c_str(), row.value.c_str());
  }
  return db->close().is_ok() ? 0 : 1;
}
