// Goal: the C API does what penstock/penstock.h says. Method: the cases are written in C; here each becomes a GoogleTest case
// with an empty folder of its own.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/api/c_api_test.h"

void penstock_check_failed(const char* file, int line, const char* text) { ADD_FAILURE_AT(file, line) << text; }

namespace penstock::apitest {
namespace {

class CCase : public ::testing::Test {
 public:
  explicit CCase(const PenstockCase& wanted) : case_(wanted) {}

 protected:
  void SetUp() override {
    char name[] = "c_api_test_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void TestBody() override { case_.run(root_.c_str()); }

 private:
  const PenstockCase& case_;
  std::string root_;
};

bool register_cases(const char* suite, const PenstockCase* cases) {
  for (; cases->name != nullptr; ++cases) {
    ::testing::RegisterTest(suite, cases->name, nullptr, nullptr, __FILE__, __LINE__,
                            [cases]() -> ::testing::Test* { return new CCase(*cases); });
  }
  return true;
}

[[maybe_unused]] const bool kAreRegistered =
    register_cases("CApiData", kPenstockDataCases) && register_cases("CApiFuture", kPenstockFutureCases) &&
    register_cases("CApiMisuse", kPenstockMisuseCases) && register_cases("CApiSession", kPenstockSessionCases) &&
    register_cases("CApiDonated", kPenstockDonatedCases);

}  // namespace
}  // namespace penstock::apitest
