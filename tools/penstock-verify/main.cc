// penstock-verify: reads all files of a database that nobody has open, checks them, and names every damage. Changes nothing.
//
// Exit: 0 sound; 1 damaged; 2 it could not be looked at (in use, no permission, not a database, a wrong option).
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <string>

#include "penstock/db.h"

namespace {

constexpr int kSound = 0;
constexpr int kDamaged = 1;
constexpr int kNotLookedAt = 2;

bool show_progress(const penstock::ScrubProgress& progress) {
  const std::uint64_t total = progress.bytes_total == 0 ? 1 : progress.bytes_total;
  std::fprintf(stderr, "\r%3llu %% of %llu MiB, %llu damages ",
               static_cast<unsigned long long>(progress.bytes_done * 100 / total),
               static_cast<unsigned long long>(total >> 20U), static_cast<unsigned long long>(progress.damages));
  return true;
}

int verify(const std::string& directory, const penstock::ScrubOptions& options) {
  auto runtime = penstock::Runtime::start();
  if (!runtime.has_value()) {
    std::fprintf(stderr, "%s\n", runtime.error().text.c_str());
    return kNotLookedAt;
  }
  const penstock::Outcome<penstock::VerifyReport> report = penstock::Database::verify_closed(*runtime, directory, options);
  if (options.on_progress) std::fprintf(stderr, "\n");
  if (!report.has_value()) {
    std::fprintf(stderr, "%s\n", report.error().text.c_str());
    return kNotLookedAt;
  }
  for (const penstock::Damage& damage : report->damages) std::printf("%s\n", damage.to_string().c_str());
  std::printf("%s: %llu pages and values, %llu entries, %llu log groups, %llu bytes read: ", directory.c_str(),
              static_cast<unsigned long long>(report->pages), static_cast<unsigned long long>(report->entries),
              static_cast<unsigned long long>(report->log_groups), static_cast<unsigned long long>(report->read_bytes));
  if (report->is_sound()) {
    std::printf("sound\n");
    return kSound;
  }
  std::printf("%llu damages%s\n", static_cast<unsigned long long>(report->damage_count),
              report->is_complete ? "" : "; what needs the damaged parts was not looked at");
  return kDamaged;
}

}  // namespace

int main(int argument_count, char** arguments) {
  CLI::App app{"Reads all files of a Penstock database that nobody has open and names every damage; changes nothing."};
  std::string directory;
  penstock::ScrubOptions options;
  bool progress = false;
  app.add_option("directory", directory, "the database")->required();
  app.add_option("--rate", options.bytes_per_second, "bytes per second at most (k, m, g)")->transform(CLI::AsSizeValue(false));
  app.add_flag("--progress", progress, "show how far it is");
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kSound : kNotLookedAt;
  }
  if (progress) options.on_progress = &show_progress;
  return verify(directory, options);
}
