#include "tools/penstock-bench/manual.h"

#include <fmt/format.h>

#include <string_view>

#include "tools/penstock-bench/command_line.h"
#include "tools/penstock-bench/job_keys.h"

namespace penstock::bench {
namespace {

struct ExitCode {
  int code;
  const char* meaning;
};
constexpr ExitCode kExitCodes[] = {{0, "All is well."},
                                   {1, "A job or its verification failed."},
                                   {2, "The options or a job file are wrong."},
                                   {3, "The machine lacks what a job requires, such as io_uring."},
                                   {4, "A limit (max_latency, rate_min) was missed."},
                                   {128, "An interrupt ended the jobs early; the report is of what was done."}};

constexpr const char* kSynopsis = "penstock-bench [OPTION]... [--KEY=VALUE]... [FILE | --name=JOB [--KEY=VALUE]...]...";

constexpr const char* kReportSynopsis = "penstock-bench report RESULT.json... [-o PAGE.html]";

std::string option_text(const Option& option) {
  const std::string_view argument = option.argument;
  if (argument.empty()) {
    return fmt::format("--{}", option.name);
  }
  return argument.starts_with('[') ? fmt::format("--{}[={}]", option.name, argument.substr(1, argument.size() - 2))
                                   : fmt::format("--{}={}", option.name, argument);
}

// As troff wants it: a dash is a minus sign, a line does not begin with a dot or a quote.
std::string troff(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    if (letter == '-') {
      result += "\\-";
    } else if (letter == '\\') {
      result += "\\e";
    } else {
      result += letter;
    }
  }
  return result.starts_with('.') || result.starts_with('\'') ? "\\&" + result : result;
}

std::string options_part() {
  std::string text = ".SH OPTIONS\n";
  for (const Option& option : program_options()) {
    text += fmt::format(".TP\n.B {}\n{}\n", troff(option_text(option)), troff(option.help));
  }
  return text + ".TP\n.B \\-\\-name=JOB\nBegin a job; the keys that follow are its own. JOB may be global.\n" +
         ".TP\n.B \\-\\-KEY=VALUE\nA key of job files: of the job begun last, or, before the first, of all jobs that do not "
         "say "
         "otherwise.\n";
}

std::string keys_part() {
  std::string text = ".SH KEYS\n";
  for (const KeyBlock& block : key_blocks()) {
    text += fmt::format(".SS {}\n", troff(block.title));
    for (const Key& key : block.keys) {
      text += fmt::format(".TP\n.BI {}= {}\n{}", troff(key.name), "\"" + troff(key.values) + "\"", troff(key.help));
      text += *key.preset == '\0' ? "" : fmt::format(" Default: {}.", troff(key.preset));
      text += key.scope == Scope::kPenstock ? " Of engine=penstock alone.\n" : "\n";
    }
  }
  return text;
}

}  // namespace

std::string help_text() {
  std::string text = fmt::format(
      "{}\n{}\n\nMeasures Penstock and other engines with job files in the manner of fio; report makes a page of "
      "pictures of results.\n\nOptions:\n",
      kSynopsis, kReportSynopsis);
  for (const Option& option : program_options()) {
    text += fmt::format("  {:<28} {}\n", option_text(option), option.help);
  }
  text += fmt::format("  {:<28} {}\n", "--name=JOB", "Begin a job: the keys that follow are its own.");
  text += "\nKeys, in job files or as --KEY=VALUE (--cmdhelp=KEY says more):\n\n" + key_help();
  text += "\nExit codes:\n";
  for (const ExitCode& code : kExitCodes) {
    text += fmt::format("  {:<4} {}\n", code.code, code.meaning);
  }
  return text;
}

std::string manual_page() {
  std::string text = ".TH PENSTOCK\\-BENCH 1\n.SH NAME\npenstock\\-bench \\- measures key\\-value engines with job files\n";
  text += fmt::format(".SH SYNOPSIS\n{}\n.br\n{}\n", troff(kSynopsis), troff(kReportSynopsis));
  text +=
      ".SH DESCRIPTION\nRuns the jobs of each FILE, and those of the command line, and reports in the manner of fio.\n"
      "The same jobs run on Penstock, RocksDB, LMDB, LevelDB and WiredTiger: engine= says on which.\n"
      ".PP\nA job file has sections: [name] begins a job, and lines KEY=VALUE below it say what it does; a KEY alone is "
      "KEY=1.\n"
      "[global] holds for the jobs below it, and may come again. A line may be\n.B include PATH\nwith a path from the file's "
      "folder.\n"
      "${NAME} is put in from the environment, $ncores and $mb_memory from the machine. A # or ; begins a comment.\n"
      ".PP\nJobs run at the same time, on one store, up to the next with\n.BR stonewall .\n"
      ".PP\n.B report\nmakes one page of pictures of the results that \\-\\-json or \\-\\-output\\-format=json+ wrote.\n"
      ".PP\nSIZE and N take k, m, g and t, which are powers of 1,024. TIME is in seconds, or takes ns, us, ms, s, m or h.\n";
  text += options_part() + keys_part();
  text += ".SH EXIT STATUS\n";
  for (const ExitCode& code : kExitCodes) {
    text += fmt::format(".TP\n.B {}\n{}\n", code.code, troff(code.meaning));
  }
  return text + ".SH SEE ALSO\n.BR fio (1)\n";
}

}  // namespace penstock::bench
