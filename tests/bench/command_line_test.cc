// The command line: what is an option, a key or a file, and that help, manual and tables say the same.
#include "tools/penstock-bench/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tools/penstock-bench/job.h"
#include "tools/penstock-bench/job_keys.h"
#include "tools/penstock-bench/manual.h"

namespace penstock::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const Environment kEnvironment = {{"ncores", "4"}};

std::vector<Job> jobs_of(const std::vector<std::string>& arguments) {
  const CommandLine line = parse_command_line(arguments, kEnvironment);
  return build_jobs(read_sections(line, kEnvironment), line.overrides);
}

std::string complaint(const std::vector<std::string>& arguments) {
  try {
    jobs_of(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

class JobFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "penstock-line-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::filesystem::path path_;
};

TEST(CommandLine, NameBeginsAJobAndWhatComesBeforeHoldsForAll) {
  const auto jobs = jobs_of({"--dir=/d", "--ops=5", "--name=w", "--op=put", "--batch=10", "--name=r", "--op", "get",
                             "--clients=$ncores", "--stonewall"});
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0].name, "w");
  EXPECT_EQ(jobs[0].batch, 10U);
  EXPECT_EQ(jobs[1].op, Op::kGet);
  EXPECT_EQ(jobs[1].batch, 1U);
  EXPECT_EQ(jobs[1].clients, 4U);
  EXPECT_EQ(jobs[1].directory, "/d");
  EXPECT_TRUE(jobs[1].stonewall);
}

TEST(CommandLine, MistakesNameTheArgumentOrTheNearestOption) {
  EXPECT_THAT(complaint({"--dir=/d", "--name=a", "--op=gett"}), AllOf(HasSubstr("command line:3: "), HasSubstr("'get'")));
  EXPECT_THAT(complaint({"--clinets=3"}), HasSubstr("'--clients'"));
  EXPECT_THAT(complaint({"--outptu=x"}), HasSubstr("'--output'"));
  EXPECT_THAT(complaint({"-h"}), HasSubstr("--help"));
  EXPECT_THAT(complaint({"--name"}), HasSubstr("--name needs a value"));
  EXPECT_THAT(complaint({"--parse-only=1"}), HasSubstr("takes no value"));
  EXPECT_THAT(complaint({"--eta=maybe"}), HasSubstr("auto, always or never"));
  EXPECT_THAT(complaint({"--output-format=yaml"}), HasSubstr("json+"));
  EXPECT_THAT(complaint({"--set", "batch"}), HasSubstr("KEY=VALUE"));
  EXPECT_THAT(complaint({}), HasSubstr("no job"));
  EXPECT_THAT(complaint({"/no/such/file.ini"}), HasSubstr("/no/such/file.ini"));
}

TEST_F(JobFiles, FilesComeOneAfterTheOtherWithDefaultsBelowAndOverridesAboveTheirOwn) {
  const std::string one = write("one.ini", "[global]\nbatch=7\n[a]\nop=get\n[b]\nop=get\n");
  const std::string two = write("two.ini", "[c]\nop=get\nclients=3\n");
  const auto jobs = jobs_of({one, "--dir=/d", "--ops=5", "--batch=9", "--clients=2", two, "--set", "seed=4"});
  ASSERT_EQ(jobs.size(), 3U);
  EXPECT_EQ(jobs[0].batch, 7U);
  EXPECT_EQ(jobs[2].batch, 9U);
  EXPECT_EQ(jobs[0].clients, 2U);
  EXPECT_EQ(jobs[2].clients, 3U);
  EXPECT_EQ(jobs[2].seed, 4U);
  EXPECT_FALSE(jobs[1].stonewall);
  EXPECT_TRUE(jobs[2].stonewall);
}

TEST_F(JobFiles, SectionsAreChosenByName) {
  const std::string one = write("one.ini", "[global]\ndir=/d\nops=5\nop=get\n[a]\n[b]\n[c]\n");
  const auto jobs = jobs_of({one, "--section=b", "--section=c"});
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0].name, "b");
  EXPECT_TRUE(jobs[0].stonewall);
  EXPECT_THAT(complaint({one, "--section=d"}), HasSubstr("--section"));
}

TEST_F(JobFiles, ACommandMeansWhatItsSectionMeans) {
  const std::string file =
      write("one.ini", "[global]\ndir=/d\n[a b]\nop=mixed\nopmix=get:80,put:20\nruntime=5s\ndescription=it's $5\n");
  const auto sections = read_sections(parse_command_line({file}, kEnvironment), kEnvironment);
  EXPECT_EQ(command_of(sections[0]),
            "--name='a b' --dir=/d --op=mixed --opmix=get:80,put:20 --runtime=5s '--description=it'\\''s $5'");
}

TEST(CommandLine, OptionsAndKeysAreNamedApartAndOnce) {
  std::set<std::string> names = {"name"};
  for (const Option& option : program_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_STRNE(option.help, "");
  }
  for (const std::string& key : key_names()) {
    EXPECT_TRUE(names.insert(key).second) << key;
    EXPECT_STRNE(find_key(key)->help, "") << key;
    EXPECT_STRNE(find_key(key)->values, "") << key;
  }
}

TEST(Manual, HelpAndPageHaveEveryOptionAndKey) {
  const std::string help = help_text();
  const std::string page = manual_page();
  for (const Option& option : program_options()) {
    EXPECT_THAT(help, HasSubstr(std::string("--") + option.name));
    EXPECT_THAT(help, HasSubstr(option.help));
  }
  for (const std::string& key : key_names()) {
    EXPECT_THAT(help, HasSubstr("\n  " + key + " ")) << key;
    EXPECT_THAT(page, HasSubstr("\n.BI " + key + "= ")) << key;
    EXPECT_THAT(key_help(*find_key(key)), AllOf(HasSubstr(find_key(key)->help), HasSubstr(find_key(key)->values)));
  }
}

TEST(Manual, ThePageInDocsIsTheOneThatTheProgramPrints) {
  std::ifstream input(std::filesystem::path(PENSTOCK_SOURCE_DIR) / "docs/penstock-bench.1");
  std::stringstream text;
  text << input.rdbuf();
  EXPECT_EQ(text.str(), manual_page()) << "penstock-bench --man > docs/penstock-bench.1";
}

}  // namespace
}  // namespace penstock::bench
