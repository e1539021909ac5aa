// One piece of code for each feature that docs/api.md explains; what stands there between the marks stands here.
//
//   tour [directory]
#include <penstock/db.h>
#include <penstock/typed_family.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

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

// [update]
// Counts a visit, whoever else counts at the same time. The function runs where the data is; it may run again.
Status update(Database& db, const Family& family) {
  auto visits = db.update(family, "visits", [](std::optional<penstock::Bytes> before) {
                    return std::to_string((before ? std::stoull(std::string(*before)) : 0) + 1);
                  }).get();
  if (!visits) return visits.error();
  std::printf("visit %s\n", (*visits)->c_str());
  return Status::ok();
}
// [end]

// [compare and set]
// Takes over a lock if nobody has it, and gives it back if it is ours.
Status compare_and_set(Database& db, const Family& family) {
  const Status taken = db.put_if_absent(family, "lock", "me").get();
  if (taken.is(penstock::Code::kAlreadyExists)) return Status::ok();  // Somebody else's.
  PENSTOCK_TRY(taken);
  return db.compare_and_set(family, "lock", "me", std::nullopt).get();  // conflict: it is no longer "me".
}
// [end]

// [atomically]
// Moves a piece from one stock to another. Both keys are on one shard.
Status atomically(Database& db, const Family& family) {
  PENSTOCK_TRY(db.put(family, "stock a", "xxx").get());
  return db
      .atomically(family.shard_of("stock a"),
                  [&family](penstock::AtomicView& view) {
                    const auto from = view.get(family, "stock a");
                    if (!from) return from.error();  // Also when it has to be read first: then this runs again.
                    if (from->empty()) return Status(penstock::Code::kConflict);
                    const std::string rest(from->substr(1));
                    const auto to = view.get(family, "stock b");
                    if (!to && !to.error().is(penstock::Code::kNotFound)) return to.error();
                    const std::string more = std::string(to ? *to : "") + "x";
                    PENSTOCK_TRY(view.put(family, "stock a", rest));
                    return view.put(family, "stock b", more);
                  })
      .get();
}
// [end]

// [multi get]
// An answer for each key, in their order.
Status multi_get(Database& db, const Family& family) {
  const std::vector<penstock::Bytes> keys = {"stock a", "stock b", "stock c"};
  auto stocks = db.multi_get(family, keys).get();
  if (!stocks) return stocks.error();
  for (std::size_t at = 0; at < keys.size(); ++at) {
    const auto& stock = (*stocks)[at];
    std::printf("%s: %s\n", keys[at].data(), stock ? stock->c_str() : "none");
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
      {"typed keys", &typed_keys}, {"update", &update},       {"compare and set", &compare_and_set},
      {"atomically", &atomically}, {"multi get", &multi_get},
  };
  for (const auto& [name, stop] : kStops) {
    if (const Status status = stop(*db, *family); !status.is_ok()) return fail(name, status.to_string());
  }
  return db->close().is_ok() ? 0 : 1;
}
