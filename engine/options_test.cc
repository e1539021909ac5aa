#include "penstock/options.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace penstock {
namespace {

DatabaseOptions parsed(std::string_view text, DatabaseOptions defaults = {}) {
  Outcome<DatabaseOptions> options = parse_database_options(text, std::move(defaults));
  EXPECT_TRUE(options.has_value()) << options.error().text;
  return options.value_or(DatabaseOptions{});
}

/// The text of the refusal; empty if it was accepted.
std::string refusal(std::string_view text) {
  const Outcome<DatabaseOptions> options = parse_database_options(text);
  if (options.has_value()) {
    return {};
  }
  EXPECT_TRUE(options.error().status.is(Code::kInvalidArgument));
  return options.error().text;
}

TEST(DatabaseOptionsText, SetsEveryOption) {
  const DatabaseOptions options = parsed(
      "create_if_missing = false\nerror_if_exists = true\nshards = 12\nwal_sync = syscall\nlog_budget_bytes = 1g\n"
      "log_segment_bytes = 4m\nmemtable_percent = 30\ncache_percent = 50\nspace_use_percent = 80\nflush_write_bytes = "
      "512k\nflush_bytes_per_second = 9m\ngather_from_bytes = 1m\n"
      "borrowed_reads = no\n");
  EXPECT_FALSE(options.create_if_missing);
  EXPECT_TRUE(options.error_if_exists);
  EXPECT_EQ(options.shards, 12U);
  EXPECT_EQ(options.wal_sync, WalSync::kSyscall);
  EXPECT_EQ(options.log_budget_bytes, 1_GiB);
  EXPECT_EQ(options.log_segment_bytes, 4_MiB);
  EXPECT_EQ(options.memtable_percent, 30U);
  EXPECT_EQ(options.cache_percent, 50U);
  EXPECT_EQ(options.space_use_percent, 80U);
  EXPECT_EQ(options.flush_write_bytes, 512_KiB);
  EXPECT_EQ(options.flush_bytes_per_second, 9_MiB);
  EXPECT_EQ(options.gather_from_bytes, 1_MiB);
  EXPECT_FALSE(options.borrowed_reads);
}

TEST(DatabaseOptionsText, LeavesWhatItDoesNotNameAsItWas) {
  DatabaseOptions defaults;
  defaults.shards = 7;
  defaults.cache_percent = 20;
  const DatabaseOptions options = parsed("cache_percent = 25", defaults);
  EXPECT_EQ(options.shards, 7U);
  EXPECT_EQ(options.cache_percent, 25U);
  EXPECT_EQ(parsed("").log_segment_bytes, DatabaseOptions{}.log_segment_bytes);
}

TEST(DatabaseOptionsText, CommentsBlanksAndLineEndsDoNotMatter) {
  const DatabaseOptions options = parsed("# all of it\r\n\r\n  shards=3\r\n\tcache_percent\t=\t30 # thirty\r\n#shards = 9");
  EXPECT_EQ(options.shards, 3U);
  EXPECT_EQ(options.cache_percent, 30U);
}

TEST(DatabaseOptionsText, TheLastOfTwoLinesCounts) { EXPECT_EQ(parsed("shards = 1\nshards = 2\n").shards, 2U); }

TEST(DatabaseOptionsText, SizesMayEndInALetterOfEitherCase) {
  EXPECT_EQ(parsed("log_budget_bytes = 3K").log_budget_bytes, 3_KiB);
  EXPECT_EQ(parsed("log_budget_bytes = 3M").log_budget_bytes, 3_MiB);
  EXPECT_EQ(parsed("log_budget_bytes = 3G").log_budget_bytes, 3_GiB);
  EXPECT_EQ(parsed("log_budget_bytes = 18446744073709551615").log_budget_bytes, ~std::uint64_t{0});
}

TEST(DatabaseOptionsText, AnUnknownNameIsRefusedWithItsLine) {
  const std::string text = refusal("shards = 1\n\n# comment\nshard = 2\n");
  EXPECT_NE(text.find("line 4"), std::string::npos) << text;
  EXPECT_NE(text.find("\"shard\""), std::string::npos) << text;
}

TEST(DatabaseOptionsText, ALineWithoutAnEqualsSignIsRefused) {
  EXPECT_NE(refusal("shards 3").find("line 1"), std::string::npos);
}

TEST(DatabaseOptionsText, BadValuesAreRefusedWithTheOptionsName) {
  const std::vector<std::pair<std::string, std::string>> bad = {{"shards", ""},
                                                                {"shards", "-1"},
                                                                {"shards", "3.5"},
                                                                {"shards", "4g"},
                                                                {"shards", "four"},
                                                                {"shards", "0x10"},
                                                                {"create_if_missing", "on"},
                                                                {"wal_sync", "osync"},
                                                                {"wal_sync", "Linked"},
                                                                {"log_budget_bytes", "k"},
                                                                {"log_budget_bytes", "1t"},
                                                                {"log_budget_bytes", "17179869184g"},
                                                                {"log_budget_bytes", "99999999999999999999"}};
  for (const auto& [name, value] : bad) {
    const std::string text = refusal(name + " = " + value);
    EXPECT_NE(text.find("option " + name), std::string::npos) << name << " = " << value << ": " << text;
  }
}

TEST(RuntimeOptionsText, SetsEveryOption) {
  const Outcome<RuntimeOptions> options =
      parse_runtime_options("reactors = 3\nmemory_limit = 256m\npin_threads = yes\nring_entries = 512\nio_backend = syscall\n");
  ASSERT_TRUE(options.has_value()) << options.error().text;
  EXPECT_EQ(options->reactors, 3U);
  EXPECT_EQ(options->memory_limit, 256_MiB);
  EXPECT_TRUE(options->pin_threads);
  EXPECT_EQ(options->ring_entries, 512U);
  EXPECT_EQ(options->io_backend, IoBackend::kSyscall);
}

TEST(RuntimeOptionsText, OptionsOfADatabaseAreUnknownThere) {
  const Outcome<RuntimeOptions> options = parse_runtime_options("shards = 3");
  ASSERT_FALSE(options.has_value());
  EXPECT_TRUE(options.error().status.is(Code::kInvalidArgument));
}

}  // namespace
}  // namespace penstock
