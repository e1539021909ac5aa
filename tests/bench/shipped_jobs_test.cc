// Goal: every job file of bench/jobs does on every engine what it is there for. Method: the files as they are, but with few
// keys, short times and little memory, on real stores; every value that is read is checked.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/bench/run_sections.h"
#include "tools/penstock-bench/job_keys.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

// What makes a job small; values that a file does not set stay away.
const std::map<std::string, std::string> kSmall = {
    {"keys", "1000"},    {"runtime", "30ms"}, {"ramp_time", "5ms"}, {"memory_limit", "64m"}, {"cache", "64m"}, {"ops", "300"},
    {"log_bytes", "1m"}, {"batch", "50"},     {"scan_len", "20"},   {"rate_ops", "20000"},   {"clients", "4"}, {"iodepth", "4"},
    {"numjobs", "2"},    {"cfs", "2"}};

fs::path folder() { return fs::path(PENSTOCK_SOURCE_DIR) / "bench/jobs"; }

std::vector<std::string> shipped_files() {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder())) {
    if (entry.path().extension() == ".ini" && entry.path().filename() != "common.ini") {
      files.push_back(fs::relative(entry.path(), folder()).string());
    }
  }
  std::ranges::sort(files);
  return files;
}

std::vector<Section> sections_of(const std::string& file) {
  const std::vector<Setting> globals = {{.key = "dir", .value = "/d", .place = {}}};
  return read_job_file((folder() / file).string(), process_environment(), globals);
}

void make_small(std::vector<Section>& sections, bool is_for_penstock) {
  for (Section& section : sections) {
    for (Setting& setting : section.settings) {
      const auto small = kSmall.find(setting.key);
      if (small != kSmall.end()) {
        setting.value = small->second;
      } else if (setting.key == "value_size" && parse_size(setting.value) > 1000) {
        setting.value = "1000";
      } else if (setting.value == "sync") {
        setting.value = "written";  // Syncs are slow, and other tests have them.
      }
    }
    const auto engine = std::ranges::find(section.settings, "engine", &Setting::key);
    if (is_for_penstock && (engine == section.settings.end() || engine->value == "penstock")) {
      section.settings.push_back({.key = "shards", .value = "2", .place = {}});
      section.settings.push_back({.key = "log_segment", .value = "1m", .place = {}});
    }
  }
}

bool names_engines(const std::vector<Section>& sections) {
  return std::ranges::any_of(sections, [](const Section& section) {
    return std::ranges::any_of(section.settings, [](const Setting& setting) { return setting.key == "engine"; });
  });
}

class ShippedJobs : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "penstock-jobs-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  void TearDown() override { fs::remove_all(path_); }

  void run(const std::vector<Section>& sections, const std::string& engine) {
    std::vector<Setting> overrides = {{.key = "dir", .value = path_.string() + "/db", .place = {}}};
    if (!engine.empty()) {
      overrides.push_back({.key = "engine", .value = engine, .place = {}});
    }
    std::vector<Job> jobs = build_jobs(sections, overrides);
    std::erase_if(jobs, [](const Job& job) { return !has_engine(job.engine); });
    for (const JobResult& result : run_all(jobs)) {
      EXPECT_EQ(result.error, "") << engine << " " << result.job.name;
      if (result.job.runtime_ns == 0) {
        EXPECT_GT(result.operations(), 0U) << engine << " " << result.job.name;
      }
    }
  }

  fs::path path_;
};

TEST_P(ShippedJobs, AreUnderstoodAndRunOnEveryEngine) {
  std::vector<Section> sections = sections_of(GetParam());
  const bool runs_on_penstock = GetParam() != "db_bench/readreverse.ini";
  if (runs_on_penstock) {
    EXPECT_NO_THROW(build_jobs(sections, {}));
  }
  // A file that names engines compares them; one with settings that are Penstock's alone is for it.
  const bool is_of_penstock = std::ranges::any_of(sections, [](const Section& section) {
    return std::ranges::any_of(section.settings, [](const Setting& setting) {
      return find_key(setting.key)->scope == Scope::kPenstock || setting.value == "on_shard" || setting.value == "recovery";
    });
  });
  if (names_engines(sections) || is_of_penstock) {
    make_small(sections, true);
    run(sections, "");
    return;
  }
  for (const Engine engine : {Engine::kPenstock, Engine::kRocksdb, Engine::kLmdb, Engine::kLeveldb, Engine::kWiredtiger}) {
    if (has_engine(engine) && (engine != Engine::kPenstock || runs_on_penstock)) {
      std::vector<Section> small = sections;
      make_small(small, engine == Engine::kPenstock);
      run(small, engine_name(engine));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, ShippedJobs, ::testing::ValuesIn(shipped_files()),
                         [](const ::testing::TestParamInfo<std::string>& file) {
                           std::string name = file.param.substr(0, file.param.find('.'));
                           std::ranges::replace_if(name, [](char letter) { return letter == '/' || letter == '-'; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace penstock::bench
