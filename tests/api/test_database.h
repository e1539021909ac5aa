// A database in a folder of its own for one test, removed afterwards.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "penstock/db.h"

namespace penstock::apitest {

class DatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "api_test_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    root_ = name;
    auto runtime = Runtime::start({.reactors = 2, .memory_limit = 64_MiB});
    ASSERT_TRUE(runtime.has_value()) << runtime.error().text;
    runtime_.emplace(std::move(*runtime));
  }
  void TearDown() override {
    db_.reset();
    runtime_.reset();
    std::filesystem::remove_all(root_);
  }

  std::string path() const { return root_ + "/db"; }

  static DatabaseOptions small_options() {
    DatabaseOptions options;
    options.shards = 4;
    options.log_segment_bytes = 1_MiB;
    options.log_budget_bytes = 8_MiB;
    return options;
  }

  void open(const DatabaseOptions& options = small_options()) {
    db_.reset();
    auto db = Database::open(*runtime_, path(), options);
    ASSERT_TRUE(db.has_value()) << db.error().text;
    db_.emplace(std::move(*db));
  }

  /// Opening must fail; returns why.
  Failure open_failure(const DatabaseOptions& options = small_options()) {
    db_.reset();
    auto db = Database::open(*runtime_, path(), options);
    if (db.has_value()) {
      ADD_FAILURE() << "it opened";
      return {};
    }
    return db.error();
  }

  Family family(const std::string& name, const FamilyOptions& options = {}) {
    auto made = db_->open_or_create_family(name, options).get();
    EXPECT_TRUE(made.has_value()) << made.error().text;
    return *made;
  }

  std::string root_;
  std::optional<Runtime> runtime_;
  std::optional<Database> db_;
};

}  // namespace penstock::apitest
