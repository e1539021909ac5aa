// One piece of code for each feature that docs/api.md explains; what stands there between the marks stands here.
//
//   tour [directory]
#include <penstock/db.h>
#include <penstock/typed_family.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <tuple>

namespace {

using penstock::Database;
using penstock::Family;
using penstock::Status;

// [typed keys]
// Country, then the newest order first, then its number.
using OrderKey = std::tuple<std::string, penstock::Descending<std::int64_t>, std::uint32_t>;
using Orders = penstock::TypedFamily<OrderKey>;

Status typed_keys(Database& db, const Family& family) {
  const Orders orders(family);
  PENSTOCK_TRY(orders.put(db, {"NO", {20'260'104}, 7}, "12 bolts").get());
  PENSTOCK_TRY(orders.put(db, {"NO", {20'260'311}, 9}, "1 anvil").get());

  auto norwegian = orders.scan(db, Orders::with_prefix(std::string("NO"))).get();
  if (!norwegian) return norwegian.error();
  for (const Orders::TypedRow& row : norwegian->rows) {
    const auto& [country, day, number] = row.key;  // 20260311 comes first.
    std::printf("%lld: order %u, %s\n", static_cast<long long>(day.value), number, row.value.c_str());
  }
  return Status::ok();
}
// [end]

int fail(const char* what, const std::string& why) { return std::fprintf(stderr, "%s: %s\n", what, why.c_str()), 1; }

}  // namespace

int main(int argument_count, char** arguments) {
  auto runtime = penstock::Runtime::start({.reactors = 2, .memory_limit = penstock::operator""_MiB(64)});
  if (!runtime) return fail("start", runtime.error().text);
  auto db = Database::open(*runtime, argument_count > 1 ? arguments[1] : "tour.db");
  if (!db) return fail("open", db.error().text);
  auto family = db->open_or_create_family("tour").get();
  if (!family) return fail("family", family.error().text);

  using Stop = Status (*)(Database&, const Family&);
  constexpr std::tuple<const char*, Stop> kStops[] = {
      {"typed keys", &typed_keys},
  };
  for (const auto& [name, stop] : kStops) {
    if (const Status status = stop(*db, *family); !status.is_ok()) return fail(name, status.to_string());
  }
  return db->close().is_ok() ? 0 : 1;
}
