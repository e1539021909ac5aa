// Goal: a database whose files have one byte changed, are cut short or are gone either opens with the right data or says
// `corruption`, at opening or at the read that meets the damage. Wrong data, missing data, a crash or a hang are never the
// answer. Method: a small database on the simulated disk, with data in trees, in an extent and in the log alone; closed in one
// image, killed in the other (after the pause in which the log's marker proves the last commit). A copy of the image per
// position: damage, boot, read all families by scan and by get, write, close; now and then boot once more.
// PENSTOCK_FLIP_STRIDE: every so many bytes of what is not zero (default 43; 1 = all). Areas of zeros are sampled.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "base/random.h"
#include "tests/sim/sim_database.h"

namespace penstock::simtest {
namespace {

using reactor::SimDisk;

constexpr std::string_view kLastValue = "the last value that was acknowledged, and nothing came after it";

std::uint64_t environment_number(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

/// Where the test is, for the report of a crash.
char g_place[256] = "";

extern "C" void print_place(int) {
  [[maybe_unused]] const auto written =
      ::write(2, static_cast<const char*>(g_place), std::strlen(static_cast<const char*>(g_place)));
}

struct Image {
  std::unique_ptr<SimDisk> disk;
  std::map<std::string, Rows> families;
};

std::string noise(std::size_t bytes, std::uint64_t seed) {
  base::Random random(seed);
  std::string text(bytes, '\0');
  for (char& each : text) {
    each = static_cast<char>(random.below(256));
  }
  return text;
}

/// Keeps the model in step with the database.
class Writer {
 public:
  Writer(SimDatabase& db, Image& image) : db_(db), image_(image) {}

  void put(const std::string& family, const std::string& key, const std::string& value) {
    ASSERT_TRUE(db_.put(handles_.at(family), key, value).is_ok());
    image_.families[family][key] = value;
  }
  void remove(const std::string& family, const std::string& key) {
    ASSERT_TRUE(db_.remove(handles_.at(family), key).is_ok());
    image_.families[family].erase(key);
  }
  void make(const std::string& family, const FamilyOptions& options) {
    const Outcome<Family> made = db_.family(family, options);
    ASSERT_TRUE(made.has_value()) << made.error().text;
    handles_[family] = *made;
    image_.families[family];
  }
  void flush() {
    for (ShardId shard = 0; shard < db_.shard_count(); ++shard) {
      ASSERT_TRUE(db_.flush(shard).is_ok());
    }
  }

 private:
  SimDatabase& db_;
  Image& image_;
  std::map<std::string, Family> handles_;
};

enum class End : std::uint8_t { kClosed, kKilled };

Image build(End end) {
  Image image{.disk = std::make_unique<SimDisk>(3), .families = {}};
  SimDatabase db(*image.disk);
  const Outcome<bool> opened = db.open();
  EXPECT_TRUE(opened.has_value()) << opened.error().text;
  Writer writer(db, image);
  writer.make("pinned", {.shard = 0});
  writer.make("spread", {.placement = Placement::kHashed});
  writer.make("late", {.shard = 1});
  for (int index = 0; index < 24; ++index) {
    writer.put("spread", "key" + std::to_string(index), "first value " + std::to_string(index));
  }
  writer.put("pinned", "extent", noise(20'000, 5));
  writer.put("pinned", "inline", noise(3'000, 6));
  writer.flush();
  for (int index = 0; index < 24; index += 3) {
    writer.put("spread", "key" + std::to_string(index), "second value " + std::to_string(index));
  }
  writer.flush();  // Twice: the superblock slots differ.
  for (int index = 0; index < 24; index += 4) {
    writer.remove("spread", "key" + std::to_string(index));
  }
  for (int index = 0; index < 6; ++index) {
    writer.put("late", "key" + std::to_string(index), "only in the log " + std::to_string(index));
  }
  writer.put("pinned", "last", std::string(kLastValue));
  writer.put("late", "last", std::string(kLastValue));
  db.run_for_ms(200);  // The logs' markers come after 50 ms.
  if (end == End::kClosed) {
    EXPECT_TRUE(db.close().is_ok());
  } else {
    db.kill(1);
  }
  return image;
}

enum class Answer : std::uint8_t { kRight, kCorruptionAtOpen, kCorruptionAtRead, kWrong };

struct Verdict {
  Answer answer = Answer::kRight;
  std::string text;
};

Verdict wrong(std::string text) { return {Answer::kWrong, std::move(text)}; }

/// Rows found must be all rows wanted, or those up to where corruption ended the scan.
std::string compare(const ShardRows& found, const Rows& wanted) {
  const std::string& last = found.rows.empty() ? std::string() : found.rows.rbegin()->first;
  for (const auto& [key, value] : found.rows) {
    const auto place = wanted.find(key);
    if (place == wanted.end()) {
      return key + " should not be there";
    }
    if (place->second != value) {
      return key + " has another value";
    }
  }
  for (const auto& [key, value] : wanted) {
    const bool is_due = found.status.is_ok() || (!found.rows.empty() && key <= last);
    if (is_due && !found.rows.contains(key)) {
      return key + " is missing";
    }
  }
  return {};
}

class Examination {
 public:
  explicit Examination(const Image& image) : image_(image) {}

  /// Boots `disk` with the damage in `path`, reads everything, writes, closes.
  Verdict boot(SimDisk& disk, const std::string& path) {
    SimDatabase db(disk, {.seed = 11});
    const Outcome<bool> opened = db.open();
    if (!opened.has_value()) {
      return judge_failure(opened.error(), path);
    }
    Verdict verdict = read(db, path);
    if (verdict.answer == Answer::kWrong) {
      return verdict;
    }
    if (const Status closed = db.close(); !closed.is_ok()) {
      return wrong("close: " + closed.to_string());
    }
    return verdict;
  }

 private:
  /// Whether `text` leads to the file: by its path, by folder and name, or by the numbers that its name is made of.
  static bool names_file(const std::string& text, const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = path.substr(0, slash);
    const std::string name = path.substr(slash + 1);
    const auto has = [&text](const std::string& part) { return text.find(part) != std::string::npos; };
    if (name.starts_with("pages-")) {
      const std::string shard = folder.substr(folder.rfind('-') + 1);
      return has("page file " + name.substr(name.rfind('-') + 1) + " ") && has("shard " + shard);
    }
    return has(path) || (!folder.ends_with("/log") && has(folder) && has(name));
  }

  static Verdict judge_failure(const Failure& failure, const std::string& path) {
    if (!failure.status.is(Code::kCorruption)) {
      return wrong("it opens neither nor with corruption: " + failure.text);
    }
    if (!names_file(failure.text, path)) {
      return wrong("the text does not name " + path + ": " + failure.text);
    }
    return {Answer::kCorruptionAtOpen, failure.text};
  }

  static Verdict judge_read(Status status, const std::string& path) {
    if (!status.is(Code::kCorruption)) {
      return wrong("a read says neither the truth nor corruption: " + status.to_string());
    }
    const std::string named = std::string(SimDatabase::kDirectory) + "/shard-" + std::to_string(status.shard()) + "/pages-" +
                              std::to_string(status.file());
    if (status.file_kind() != FileKind::kPages || named != path) {
      return wrong("a read's status does not name " + path + ": " + status.to_string());
    }
    return {Answer::kCorruptionAtRead, status.to_string()};
  }

  Verdict read(SimDatabase& db, const std::string& path) {
    Verdict verdict;
    std::vector<std::string> names = db.family_names();
    std::ranges::sort(names);
    std::vector<std::string> wanted_names;
    for (const auto& [name, rows] : image_.families) {
      wanted_names.push_back(name);
    }
    if (names != wanted_names) {
      return wrong("the families are others");
    }
    for (const auto& [name, rows] : image_.families) {
      const Outcome<Family> family = db.open_family(name);
      if (!family.has_value()) {
        return wrong(family.error().text);
      }
      for (ShardId shard = 0; shard < db.shard_count(); ++shard) {
        if (Verdict part = read_shard(db, *family, shard, rows, path); part.answer != Answer::kRight) {
          if (part.answer == Answer::kWrong) {
            part.text = name + ": " + part.text;
            return part;
          }
          verdict = part;
        }
      }
      // New commits go on, whatever page is damaged. The value is the old one: a second boot wants the same.
      for (const auto& [key, value] : rows) {
        if (key == "last") {
          if (const Status status = db.put(*family, key, value); !status.is_ok()) {
            return wrong("no new commit: " + status.to_string());
          }
        }
      }
    }
    return verdict;
  }

  static Verdict read_shard(SimDatabase& db, const Family& family, ShardId shard, const Rows& rows, const std::string& path) {
    if (family.placement() == Placement::kPinned && family.shard_of({}) != shard) {
      return {};
    }
    Verdict verdict;
    Rows wanted;
    for (const auto& [key, value] : rows) {
      if (family.shard_of(key) == shard) {
        wanted.emplace(key, value);
      }
    }
    const ShardRows found = db.scan(family, shard);
    if (!found.status.is_ok()) {
      verdict = judge_read(found.status, path);
    }
    if (const std::string difference = compare(found, wanted); !difference.empty()) {
      return wrong(difference);
    }
    for (int index = 0; index < 24 && verdict.answer != Answer::kWrong; ++index) {
      const std::string key = "key" + std::to_string(index);
      if (family.shard_of(key) != shard || wanted.contains(key)) {
        continue;
      }
      const Result<std::string> value = db.get(family, key);  // Removed, or never there.
      if (value.has_value()) {
        return wrong("get brings " + key);
      }
      if (!value.error().is(Code::kNotFound)) {
        verdict = judge_read(value.error(), path);
      }
    }
    for (const auto& [key, value] : wanted) {
      const Result<std::string> got = db.get(family, key);
      if (got.has_value() ? *got != value : got.error().is(Code::kNotFound)) {
        return wrong("get does not bring " + key);
      }
      if (!got.has_value() && verdict.answer != Answer::kWrong) {
        verdict = judge_read(got.error(), path);
      }
    }
    return verdict;
  }

  const Image& image_;
};

struct Counts {
  std::uint64_t tried = 0;
  std::uint64_t right = 0;
  std::uint64_t at_open = 0;
  std::uint64_t at_read = 0;
  std::uint64_t second_boots = 0;
};

constexpr std::uint64_t kFailuresMax = 12;

class Flip : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ::signal(SIGABRT, &print_place); }
  static void TearDownTestSuite() { ::signal(SIGABRT, SIG_DFL); }

  /// Tries a damaged copy. False: enough failures were reported.
  bool examine(const Image& image, SimDisk& damaged, const std::string& path, const std::string& damage) {
    std::snprintf(static_cast<char*>(g_place), sizeof(g_place), "flip_test: %s: %s\n", path.c_str(), damage.c_str());
    Examination examination(image);
    Verdict verdict = examination.boot(damaged, path);
    ++counts.tried;
    if (verdict.answer == Answer::kRight || verdict.answer == Answer::kCorruptionAtRead) {
      // What an opening and a closing made of the damage must be as honest.
      if (counts.tried % 8 == 0) {
        ++counts.second_boots;
        Verdict second = examination.boot(damaged, path);
        if (second.answer == Answer::kWrong) {
          verdict = second;
          verdict.text = "second boot: " + verdict.text;
        }
      }
    }
    counts.right += verdict.answer == Answer::kRight ? 1U : 0U;
    counts.at_open += verdict.answer == Answer::kCorruptionAtOpen ? 1U : 0U;
    counts.at_read += verdict.answer == Answer::kCorruptionAtRead ? 1U : 0U;
    last_ = verdict;
    if (verdict.answer == Answer::kWrong) {
      ADD_FAILURE() << path << ": " << damage << ": " << verdict.text;
      ++failures_;
    }
    return failures_ < kFailuresMax;
  }

  static Counts counts;
  Verdict last_;
  std::uint64_t failures_ = 0;
};

Counts Flip::counts;

class FlipOfImages : public Flip, public ::testing::WithParamInterface<End> {};

/// Positions worth changing: all `stride`-th bytes near something, a few of the rest.
std::vector<std::uint64_t> positions_of(std::span<const std::byte> content, std::uint64_t stride) {
  constexpr std::uint64_t kNearBytes = 64;
  constexpr std::uint64_t kZeroStride = 61'441;  // Not a multiple of any block.
  std::vector<std::uint64_t> positions;
  std::uint64_t next_near = 0;
  std::uint64_t next_far = kZeroStride / 2;
  for (std::uint64_t begin = 0; begin < content.size(); begin += kNearBytes) {
    const auto part = content.subspan(begin, std::min<std::uint64_t>(kNearBytes, content.size() - begin));
    const bool is_near = std::ranges::any_of(part, [](std::byte each) { return each != std::byte{0}; });
    for (std::uint64_t offset = begin; offset < begin + part.size(); ++offset) {
      if (is_near && offset >= next_near) {
        next_near = offset + stride;
        positions.push_back(offset);
      } else if (!is_near && offset >= next_far) {
        next_far = offset + kZeroStride;
        positions.push_back(offset);
      }
    }
  }
  return positions;
}

TEST_P(FlipOfImages, AByteChangedAnywhereIsHarmlessOrCorruption) {
  const Image image = build(GetParam());
  const std::uint64_t stride = environment_number("PENSTOCK_FLIP_STRIDE", 43);
  base::Random random(17);
  counts = {};
  for (const std::string& path : image.disk->list_files()) {
    const std::vector<std::byte> content = *image.disk->read_all(path);
    const std::uint64_t before = counts.tried;
    for (const std::uint64_t position : positions_of(content, stride)) {
      const auto mask = static_cast<std::uint8_t>(random.one_in(2) ? 1U << random.below(8) : 1 + random.below(255));
      const std::unique_ptr<SimDisk> copy = image.disk->clone();
      ASSERT_TRUE(copy->flip_byte(path, position, mask).is_ok());
      if (!examine(image, *copy, path, "byte " + std::to_string(position) + " xor " + std::to_string(mask))) {
        return;
      }
    }
    std::printf("%s: %llu positions\n", path.c_str(), static_cast<unsigned long long>(counts.tried - before));
  }
  std::printf("changed %llu: right %llu, corruption when opened %llu, when read %llu; booted twice %llu\n",
              static_cast<unsigned long long>(counts.tried), static_cast<unsigned long long>(counts.right),
              static_cast<unsigned long long>(counts.at_open), static_cast<unsigned long long>(counts.at_read),
              static_cast<unsigned long long>(counts.second_boots));
  EXPECT_GT(counts.right, 0U);
  EXPECT_GT(counts.at_open, 0U);
  EXPECT_GT(counts.at_read, 0U);
}

TEST_P(FlipOfImages, EachByteOfTheLastAcknowledgedGroupIsProven) {
  const Image image = build(GetParam());
  std::uint32_t found = 0;
  for (const std::string& path : image.disk->list_files()) {
    const std::vector<std::byte> content = *image.disk->read_all(path);
    const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
    for (std::size_t place = text.find(kLastValue); place != std::string_view::npos; place = text.find(kLastValue, place + 1)) {
      ++found;
      for (std::size_t offset = place; offset < place + kLastValue.size(); offset += 7) {
        const std::unique_ptr<SimDisk> copy = image.disk->clone();
        ASSERT_TRUE(copy->flip_byte(path, offset, 0x20).is_ok());
        if (!examine(image, *copy, path, "byte " + std::to_string(offset) + " of the last group")) {
          return;
        }
        EXPECT_EQ(last_.answer, Answer::kCorruptionAtOpen) << path << " byte " << offset;
      }
    }
  }
  EXPECT_EQ(found, 2U);  // One in each log.
}

/// A log whose last segment has none ready behind it: nothing but that segment itself tells of its groups.
TEST_F(Flip, TheHeaderOfTheLastSegmentIsNotTakenForAFreeOne) {
  Image image{.disk = std::make_unique<SimDisk>(4), .families = {}};
  {
    SimDatabase db(*image.disk, {.memory_limit = 64_MiB});
    ASSERT_TRUE(db.open().has_value());
    Writer writer(db, image);
    writer.make("pinned", {.shard = 0});
    // No segment to come, and no page file: so nothing is flushed, and no segment becomes free.
    image.disk->faults().fail_from(reactor::SimEvent::kCreate, 1, {.result = -ENOSPC});
    for (int index = 0; index < 30; ++index) {
      writer.put("pinned", "key" + std::to_string(index), noise(50'000, static_cast<std::uint64_t>(index)));
    }
    db.run_for_ms(200);
    db.kill(2);
  }
  image.disk->faults().clear();
  const std::string path = "/db/log/1-0-1";
  ASSERT_TRUE(image.disk->exists(path));
  ASSERT_FALSE(image.disk->exists("/db/log/1-0-2"));
  for (std::uint64_t position = 0; position < 128; position += 3) {
    const std::unique_ptr<SimDisk> copy = image.disk->clone();
    ASSERT_TRUE(copy->flip_byte(path, position, 0x10).is_ok());
    if (!examine(image, *copy, path, "byte " + std::to_string(position) + " of the last segment's header")) {
      return;
    }
    EXPECT_EQ(last_.answer, Answer::kCorruptionAtOpen) << position;
  }
}

TEST_P(FlipOfImages, AFileCutShortIsHarmlessOrCorruption) {
  const Image image = build(GetParam());
  counts = {};
  for (const std::string& path : image.disk->list_files()) {
    const std::vector<std::byte> content = *image.disk->read_all(path);
    std::vector<std::uint64_t> lengths{0, 1, 511, 4096, 4097, content.size() / 2, content.size() - 4096, content.size() - 1};
    for (std::uint64_t length = 8192; length < std::min<std::uint64_t>(content.size(), 200'000); length += 12'288) {
      lengths.push_back(length);
    }
    for (const std::uint64_t length : lengths) {
      if (length >= content.size()) {
        continue;
      }
      const std::unique_ptr<SimDisk> copy = image.disk->clone();
      ASSERT_TRUE(copy->write_all(path, std::span(content).first(length)).is_ok());
      if (!examine(image, *copy, path, "cut to " + std::to_string(length) + " of " + std::to_string(content.size()))) {
        return;
      }
    }
  }
  EXPECT_GT(counts.at_open, 0U);
}

TEST_P(FlipOfImages, AFileThatIsGoneIsHarmlessOrCorruption) {
  const Image image = build(GetParam());
  counts = {};
  for (const std::string& path : image.disk->list_files()) {
    const std::unique_ptr<SimDisk> copy = image.disk->clone();
    ASSERT_TRUE(copy->remove(path).is_ok());
    if (!examine(image, *copy, path, "removed")) {
      return;
    }
  }
  EXPECT_GT(counts.at_open, 0U);
}

INSTANTIATE_TEST_SUITE_P(Ends, FlipOfImages, ::testing::Values(End::kClosed, End::kKilled),
                         [](const auto& each) { return each.param == End::kClosed ? "Closed" : "Killed"; });

}  // namespace
}  // namespace penstock::simtest
