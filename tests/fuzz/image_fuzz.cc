// A whole database on hostile files: opening, verifying, reading, writing, flushing and closing end, in little memory, with an
// answer or an error. Method: the input changes bytes of a small database's files (kept in memory; one was closed, one killed
// with much of its data in the log alone); with `repair` every checksum is made right again afterwards.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/random.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/image_repair.h"
#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

using reactor::SimDisk;

constexpr std::uint32_t kSectorBytes = 64;
constexpr int kMutationsMax = 12;

std::string noise(std::uint64_t bytes, std::uint64_t seed) {
  base::Random random(seed);
  std::string text(bytes, '\0');
  for (char& each : text) each = static_cast<char>(random.below(256));
  return text;
}

/// A database, and where its files are not zero.
struct Image {
  std::unique_ptr<SimDisk> disk;
  std::vector<std::string> paths;
  std::vector<std::vector<std::uint64_t>> sectors;  // By path.
};

void fill(SimDatabase& db) {
  const Outcome<Family> spread = db.family("spread", {.placement = Placement::kHashed});
  const Outcome<Family> pinned = db.family("pinned", {.shard = 0});
  const Outcome<Family> gone = db.family("gone", {.shard = 1});
  PENSTOCK_ASSERT(spread.has_value() && pinned.has_value() && gone.has_value());
  const auto put = [&db](const Family& family, const std::string& key, const std::string& value) {
    const Status status = db.put(family, key, value);
    PENSTOCK_ASSERT(status.is_ok());
  };
  const auto flush = [&db] {
    for (ShardId shard = 0; shard < db.shard_count(); ++shard) PENSTOCK_ASSERT(db.flush(shard).is_ok());
  };
  for (int index = 0; index < 300; ++index) {
    put(*spread, "key" + std::to_string(index * 7 % 300), noise(40, static_cast<std::uint64_t>(index)));
  }
  put(*pinned, "extent", noise(20'000, 5));
  put(*pinned, "large", noise(70'000, 6));
  put(*gone, "a", "b");
  flush();
  PENSTOCK_ASSERT(db.drop_family("gone").has_value());
  for (int index = 0; index < 300; index += 5) put(*spread, "key" + std::to_string(index), "again");
  flush();
  for (int index = 0; index < 20; ++index) put(*pinned, "late" + std::to_string(index), noise(300, 7));
  put(*pinned, "large late", noise(70'000, 8));
  PENSTOCK_ASSERT(db.remove(*spread, "key3").is_ok());
  PENSTOCK_ASSERT(db.family("late family").has_value());
}

Image build(bool is_killed) {
  Image image;
  image.disk = std::make_unique<SimDisk>(3);
  {
    // Everything is gathered in runs, so that there are some.
    SimDatabase db(*image.disk, {.gather_from_bytes = is_killed ? std::uint64_t{1} : 4_MiB});
    PENSTOCK_ASSERT(db.open().has_value());
    fill(db);
    db.run_for_ms(100);
    if (is_killed) {
      db.kill(1);
    } else {
      PENSTOCK_ASSERT(db.close().is_ok());
    }
  }
  image.paths = image.disk->list_files();
  for (const std::string& path : image.paths) {
    const std::vector<std::byte> bytes = *image.disk->read_all(path);
    std::vector<std::uint64_t>& sectors = image.sectors.emplace_back();
    for (std::uint64_t offset = 0; offset < bytes.size(); offset += kSectorBytes) {
      const auto sector = std::span(bytes).subspan(offset, std::min<std::size_t>(kSectorBytes, bytes.size() - offset));
      if (!std::ranges::all_of(sector, [](std::byte byte) { return byte == std::byte{0}; })) sectors.push_back(offset);
    }
  }
  return image;
}

/// One change of one file's bytes.
void mutate(SimDisk& disk, const Image& image, fuzz::Input& input) {
  const std::size_t index = input.take<std::uint8_t>() % image.paths.size();
  const std::string& path = image.paths[index];
  const std::vector<std::uint64_t>& sectors = image.sectors[index];
  const auto choice = input.take<std::uint16_t>();
  const auto kind = input.take<std::uint8_t>();
  const auto value = input.take<std::uint64_t>();
  Result<std::vector<std::byte>> bytes = disk.read_all(path);
  if (!bytes.has_value() || sectors.empty()) return;
  const std::uint64_t offset = sectors[choice % sectors.size()] + (kind % kSectorBytes);
  if (offset + sizeof(value) > bytes->size()) return;
  const std::size_t width = std::array<std::size_t, 4>{1, 2, 4, 8}[kind >> 6U];
  std::span<std::byte> place = std::span(*bytes).subspan(offset, width);
  std::memcpy(place.data(), &value, width);
  PENSTOCK_ASSERT(disk.write_all(path, *bytes).is_ok());
}

void cut_or_remove(SimDisk& disk, const Image& image, fuzz::Input& input) {
  const std::string& path = image.paths[input.take<std::uint8_t>() % image.paths.size()];
  const auto blocks = input.take<std::uint8_t>();
  Result<std::vector<std::byte>> bytes = disk.read_all(path);
  if (!bytes.has_value()) return;
  if (blocks == 0) {
    PENSTOCK_ASSERT(disk.remove(path).is_ok());
    return;
  }
  bytes->resize(std::min<std::size_t>(bytes->size(), std::size_t{blocks} * 4096));
  PENSTOCK_ASSERT(disk.write_all(path, *bytes).is_ok());
}

/// Everything is asked; any answer will do.
void use(SimDatabase& db) {
  (void)db.verify();
  for (const std::string& name : db.family_names()) {
    const Outcome<Family> family = db.open_family(name);
    if (!family.has_value()) continue;
    for (ShardId shard = 0; shard < db.shard_count(); ++shard) (void)db.scan(*family, shard);
    (void)db.get(*family, "key15");
    (void)db.get(*family, "large");
    (void)db.put(*family, "key15", "new");
    (void)db.remove(*family, "key0");
  }
  (void)db.family("another");
  for (ShardId shard = 0; shard < db.shard_count(); ++shard) (void)db.flush(shard);
  (void)db.verify();
}

}  // namespace

void fuzz_image(fuzz::Input input) {
  static const std::array<Image, 2> images = {build(false), build(true)};
  const auto mode = input.take<std::uint8_t>();
  const Image& image = images[mode & 1U];
  const std::unique_ptr<SimDisk> disk = image.disk->clone();
  for (int count = 0; count < kMutationsMax && !input.is_empty(); ++count) mutate(*disk, image, input);
  if ((mode & 2U) != 0) fuzz::repair_image(*disk, SimDatabase::kDirectory);
  if ((mode & 12U) == 12U) cut_or_remove(*disk, image, input);
  const SimDatabaseOptions options{.seed = 11, .reactors = 1U + ((mode >> 4U) & 1U)};
  for (int boot = 0; boot < 2; ++boot) {
    SimDatabase db(*disk, options);
    const Outcome<bool> opened = db.open();
    if (!opened.has_value()) {
      PENSTOCK_ASSERT(!opened.error().text.empty());
      continue;
    }
    use(db);
    (void)db.close();
  }
}

}  // namespace penstock::simtest

PENSTOCK_FUZZ_TARGET(penstock::simtest::fuzz_image)
