#include "tools/penstock-bench/report_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>

#include "tools/penstock-bench/report_page.h"

namespace penstock::bench {
namespace {

constexpr const char* kUsage =
    "usage: penstock-bench report RESULT.json... [-o PAGE.html]\n"
    "Makes one page of the results: latency by percentile, throughput over time, engines side by side. Results are what "
    "--json\n"
    "and --output-format=json+ write; with json+ the curves are exact. Without -o the page is report.html.\n";

int usage(const std::string& why) {
  fmt::print(stderr, "penstock-bench: report: {}\n{}", why, kUsage);
  return 2;
}

}  // namespace

int run_report_command(const std::vector<std::string>& arguments) {
  std::string page_path = "report.html";
  std::vector<std::string> paths;
  for (std::size_t at = 0; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (argument == "-h" || argument == "--help") {
      fmt::print("{}", kUsage);
      return 0;
    }
    if (argument == "-o" || argument == "--output") {
      if (++at == arguments.size()) {
        return usage(argument + " needs a file");
      }
      page_path = arguments[at];
    } else if (argument.starts_with("--output=")) {
      page_path = argument.substr(argument.find('=') + 1);
    } else if (argument.starts_with("-")) {
      return usage("unknown option " + argument);
    } else {
      paths.push_back(argument);
    }
  }
  if (paths.empty()) {
    return usage("no result is given");
  }
  std::vector<ResultFile> files;
  try {
    for (const std::string& path : paths) {
      files.push_back(read_result(path));
    }
  } catch (const ResultError& error) {
    fmt::print(stderr, "penstock-bench: {}\n", error.what());
    return 1;
  }
  std::ofstream output(page_path, std::ios::binary);
  output << report_page(files);
  output.close();
  if (!output) {
    fmt::print(stderr, "penstock-bench: {} cannot be written\n", page_path);
    return 1;
  }
  fmt::print("{}\n", page_path);
  return 0;
}

}  // namespace penstock::bench
