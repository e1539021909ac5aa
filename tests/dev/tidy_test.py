"""Each rule of tools/tidy.py finds what it forbids and leaves alone what it allows; test cases are counted as they ran.

Method: small made-up repositories, given as path -> text.
"""

import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tools import clang_tidy, gtest_run, layers, tidy  # noqa: E402

PROLOGUE = "// What this header is for.\n#pragma once\n"


def errors(path, text, *others):
    """Texts of the errors in one file; `others` are paths that exist beside it."""
    texts = {path: text, **{other: "" for other in others}}
    return [finding.text for finding in tidy.check(texts) if finding.path == path and finding.is_error]


def body(lines, head="void f(int a) {"):
    """A function of so many lines."""
    return "\n".join([head, *["  a();"] * (lines - 2), "}", ""])


class Layers(unittest.TestCase):
    def include(self, path, header):
        return [message for _, message in layers.violations(path, f"#include {header}\n")]

    def test_a_module_includes_what_stands_below_it(self):
        for path, header in [("wal/log.cc", "reactor/reactor.h"), ("flush/flush.cc", "btree/btree.h"), ("wal/log.cc", "base/endian.h"),
                             ("engine/db.cc", "wal/group_format.h"), ("wal/log.cc", "wal/inner.h"), ("wal/log.cc", "penstock/status.h")]:
            self.assertEqual(self.include(path, f'"{header}"'), [], (path, header))

    def test_siblings_and_upper_floors_are_closed(self):
        for path, header in [("wal/log.cc", "btree/btree.h"), ("base/a.h", "reactor/io.h"), ("btree/b.cc", "flush/flush.h"),
                             ("memtable/m.cc", "engine/shard.h"), ("wal/log_test.cc", "memtable/memtable.h"), ("wal/log.cc", "tests/x.h")]:
            self.assertEqual(len(self.include(path, f'"{header}"')), 1, (path, header))

    def test_other_modules_enter_through_doors(self):
        self.assertEqual(self.include("wal/log.cc", '"reactor/io.h"'), [])
        self.assertEqual(len(self.include("wal/log.cc", '"reactor/ring_io.h"')), 1)
        self.assertEqual(len(self.include("flush/flush.cc", '"btree/node.h"')), 1)

    def test_the_simulator_is_for_tests(self):
        self.assertEqual(len(self.include("wal/log.cc", '"reactor/sim_system.h"')), 1)
        self.assertEqual(self.include("wal/log_test.cc", '"reactor/sim_system.h"'), [])
        self.assertEqual(self.include("tests/sim/power_cut_test.cc", '"reactor/sim_system.h"'), [])

    def test_public_headers_include_the_vocabulary_and_the_standard_library(self):
        path = "include/penstock/db.h"
        self.assertEqual(self.include(path, '"penstock/task.h"') + self.include(path, "<vector>"), [])
        for header in ['"wal/wal.h"', "<liburing.h>", "<fmt/core.h>"]:
            self.assertEqual(len(self.include(path, header)), 1, header)

    def test_the_header_for_c_includes_the_library_of_c_alone(self):
        path = "include/penstock/penstock.h"
        self.assertEqual(self.include(path, "<stdint.h>"), [])
        for header in ["<cstdint>", "<string>", "<pthread.h>", '"penstock/types.h"']:
            self.assertEqual(len(self.include(path, header)), 1, header)

    def test_only_the_engine_sees_the_whole_api(self):
        self.assertEqual(len(self.include("wal/log.cc", '"penstock/db.h"')), 1)
        self.assertEqual(self.include("engine/db.cc", '"penstock/db.h"'), [])

    def test_system_headers_stay_in_reactor(self):
        self.assertEqual(len(self.include("engine/db.cc", "<thread>")), 1)
        self.assertEqual(len(self.include("wal/log.cc", "<unistd.h>")), 1)
        self.assertEqual(self.include("reactor/ring_io.cc", "<liburing.h>"), [])
        self.assertEqual(self.include("wal/log.cc", "<vector>"), [])


class Sizes(unittest.TestCase):
    def test_a_function_of_seventy_lines_passes(self):
        self.assertEqual(errors("tools/a.cc", body(70)), [])

    def test_a_longer_function_needs_a_reason(self):
        self.assertEqual(len(errors("tools/a.cc", body(71))), 1)
        self.assertEqual(errors("tools/a.cc", "// tidy: long-function one decision table\n" + body(71)), [])
        self.assertEqual(len(errors("tools/a.cc", "// tidy: long-function \n" + body(71))), 2)  # And the trailing space.

    def test_over_a_hundred_lines_no_reason_helps(self):
        self.assertEqual(len(errors("tools/a.cc", "// tidy: long-function one decision table\n" + body(101))), 1)

    def test_sources_in_c_are_measured_too(self):
        self.assertEqual(len(errors("tests/api/a_test.c", body(71, "static void f(const char* a) {"))), 1)
        self.assertEqual(len(errors("examples/a.c", "int a;\n" * 901)), 1)
        self.assertEqual(len(errors("examples/a.c", "// See docs/absent.md.\n")), 1)

    def test_functions_are_found_wherever_they_stand(self):
        text = "\n".join(['namespace a {', 'struct S {', '  int x{1};', '  S() : x{2} {', '    f("}");', '  }', '  bool g() const { return {}; }',
                          '};', 'enum class E { kA };', 'constexpr int kTable[] = {1, 2};', '#define M(x) \\', '  { x }', 'template <typename T>',
                          '  requires(sizeof(T) > 1)', 'auto h(T t) -> std::vector<T> {', "  auto l = [] { return '{'; };", '}', '}  // namespace a', ''])
        lengths = [function.line_count for function in tidy.functions(tidy.Source("base/a.cc", text))]
        self.assertEqual(lengths, [3, 1, 3])

    def test_a_file_over_nine_hundred_lines_is_refused(self):
        self.assertEqual(len(errors("tools/a.cc", "int a;\n" * 901)), 1)
        self.assertEqual(errors("tools/a.cc", "int a;\n" * 900), [])


class Headers(unittest.TestCase):
    def test_a_header_opens_with_its_job(self):
        self.assertEqual(errors("base/a.h", PROLOGUE), [])
        self.assertEqual(len(errors("base/a.h", "#pragma once\n")), 1)
        self.assertEqual(len(errors("base/a.h", "// What this header is for.\n")), 1)

    def test_on_disk_structs_assert_their_size(self):
        struct = PROLOGUE + "struct Head {\n  base::le32 a;\n};\n"
        self.assertEqual(len(errors("wal/head_format.h", struct)), 1)
        self.assertEqual(errors("wal/head_format.h", struct + "static_assert(sizeof(Head) == 4);\n"), [])
        self.assertEqual(len(errors("wal/head.h", struct)), 1)


class Calls(unittest.TestCase):
    def test_calls_of_the_system_are_banned_above_reactor(self):
        for call in ["::fsync(fd);", "pread(fd, p, 1, 0);", "::open(path, 0);", "std::mutex m;", "std::this_thread::yield();",
                     "auto t = std::chrono::steady_clock::now();", "std::random_device d;", "clock_gettime(0, &t);"]:
            self.assertEqual(len(errors("btree/a.cc", call + "\n")), 1, call)
            self.assertEqual(errors("reactor/a.cc", call + "\n"), [], call)
            self.assertEqual(errors("btree/a_test.cc", call + "\n"), [], call)

    def test_our_own_names_pass(self):
        for call in ["co_await log.open();", "Task<Status> open(int a);", "Log::open(1);", "file_.close();", "reactor.read(fd, 0, b);"]:
            self.assertEqual(errors("btree/a.cc", call + "\n"), [], call)

    def test_comments_and_literals_are_not_code(self):
        self.assertEqual(errors("btree/a.cc", '// Not fsync(fd).\nauto s = "fsync(fd)"; /* std::mutex */\n'), [])

    def test_exceptions_and_plain_asserts_are_banned_in_the_library(self):
        for line in ["throw 1;", "try {", "assert(a);", "using namespace std;"]:
            self.assertEqual(len(errors("base/a.cc", line + "\n")), 1, line)
        self.assertEqual(errors("base/a.cc", "static_assert(a); PENSTOCK_ASSERT(a); using namespace penstock::literals;\n"), [])

    def test_a_named_task_is_not_awaited(self):
        self.assertEqual(len(errors("base/a.cc", "co_await std::move(task);\n")), 1)
        self.assertEqual(errors("base/a.cc", "co_await std::move(future);\n"), [])

    def test_an_exception_names_its_reason(self):
        self.assertEqual(errors("btree/a.cc", "thread_local int a;  // tidy: allow a counter of the process\n"), [])


class Words(unittest.TestCase):
    def test_unfinished_work_and_paths_of_a_machine_are_refused(self):
        for line in ["// FIX" "ME: later", "// TO" "DO(me) later", "see /wo" "rk/shared/x", "see /ro" "ot/x", "end ", "a\tb"]:
            self.assertEqual(len(errors("docs/a.txt", line + "\n")), 1, line)
        self.assertEqual(errors("docs/a.txt", "the framework/ folder, TODOS\n"), [])

    def test_a_file_ends_with_a_newline(self):
        self.assertEqual(len(errors("docs/a.txt", "a")), 1)

    def test_names_of_tests_say_something(self):
        for name in ["Basic", "TestRead", "ItWorks", "Read2"]:
            self.assertEqual(len(errors("base/a_test.cc", f"TEST(Log, {name}) {{}}\n")), 1, name)
        self.assertEqual(errors("base/a_test.cc", "TEST(Log, TornTailEndsTheLog) {}\n"), [])


class Paths(unittest.TestCase):
    def test_paths_in_comments_exist(self):
        self.assertEqual(len(errors("base/a.cc", "// See docs/formats/log.md.\n")), 1)
        self.assertEqual(errors("base/a.cc", "// See docs/formats/log.md.\n", "docs/formats/log.md"), [])
        self.assertEqual(errors("base/a.cc", "// See penstock/db.h, docs/<name>.md, include/penstock/db.h.\n", "include/penstock/db.h"), [])

    def test_links_lead_somewhere(self):
        self.assertEqual(len(errors("docs/a.md", "[b](b.md)\n")), 1)
        self.assertEqual(errors("docs/a.md", "# On Logs\n[b](../base/b.h) [c](#on-logs) [d](https://e.org) [f](../base)\n", "base/b.h"), [])
        self.assertEqual(len(errors("docs/a.md", "# On Logs\n[c](#on-trees)\n")), 1)

    def test_a_source_without_a_test_is_noted(self):
        noted = [finding for finding in tidy.check({"wal/log.cc": ""}) if not finding.is_error]
        self.assertEqual(len(noted), 1)
        self.assertEqual(tidy.check({"wal/log.cc": "", "wal/log_test.cc": ""}), [])


class ClangTidyCache(unittest.TestCase):
    def test_the_key_follows_the_headers(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "base").mkdir()
            files = {".clang-tidy": "", "base/a.cc": '#include "base/b.h"\n', "base/b.h": '#include "base/c.h"\n', "base/c.h": "int a;\n"}
            for name, text in files.items():
                (root / name).write_text(text)
            before = clang_tidy.cache_key(root, "base/a.cc", "c++", {})
            self.assertEqual(before, clang_tidy.cache_key(root, "base/a.cc", "c++", {}))
            self.assertNotEqual(before, clang_tidy.cache_key(root, "base/a.cc", "c++ -O1", {}))
            (root / "base/c.h").write_text("int b;\n")
            self.assertNotEqual(before, clang_tidy.cache_key(root, "base/a.cc", "c++", {}))

    def test_a_finding_in_a_header_is_shown_once(self):
        finding = "base/a.h:1:1: error: x\n  1 | a"
        self.assertEqual(clang_tidy.distinct([finding, f"{finding}\nbase/b.cc:1:1: error: y", ""]), [finding, "base/b.cc:1:1: error: y"])


class ClangTidyBatches(unittest.TestCase):
    COMMAND = "ccache c++ -I. {flags} -o d/{path}.o -c /source/{path}"

    def commands(self, flags):
        return {path: self.COMMAND.format(flags=flag, path=path) for path, flag in flags.items()}

    def test_sources_of_one_folder_with_the_same_flags_stand_together(self):
        commands = self.commands({"base/a.cc": "", "base/b.cc": "", "base/c.cc": "-DX", "wal/a.cc": "", "base/d.c": "", "base/e.c": ""})
        found = clang_tidy.batches(commands, commands)
        self.assertEqual(sorted(found), [["base/a.cc", "base/b.cc"], ["base/c.cc"], ["base/d.c"], ["base/e.c"], ["wal/a.cc"]])

    def test_a_batch_is_bounded(self):
        commands = self.commands({f"base/{i:02}.cc": "" for i in range(clang_tidy.BATCH_SOURCES_MAX + 1)})
        self.assertEqual([len(batch) for batch in clang_tidy.batches(commands, commands)], [clang_tidy.BATCH_SOURCES_MAX, 1])

    def analyse(self, units, alone):
        """analyse_batch() with a tool that answers `units` in turn for batches, and `alone`[path] for single sources."""
        paths = ["base/a.cc", "base/b.cc", "base/c.cc"]
        with mock.patch.object(clang_tidy, "analyse_unit", side_effect=units), \
                mock.patch.object(clang_tidy, "analyse", side_effect=lambda root, build, path: alone[path]):
            return clang_tidy.analyse_batch("root", "build", dict.fromkeys(paths, ""), paths)

    def test_a_finding_belongs_to_its_source_and_one_in_a_header_to_all(self):
        reports = self.analyse(["base/a.h:1:1: error: x [bugprone-y]\nbase/b.cc:2:1: error: z [bugprone-y]\n  note"], {})
        header = "base/a.h:1:1: error: x [bugprone-y]"
        self.assertEqual(reports, {"base/a.cc": header, "base/b.cc": f"{header}\nbase/b.cc:2:1: error: z [bugprone-y]\n  note", "base/c.cc": header})

    def test_a_source_that_does_not_fit_in_is_analysed_alone(self):
        clash = "base/b.cc:2:1: error: redefinition of 'kA' [clang-diagnostic-error,-warnings-as-errors]"
        self.assertEqual(self.analyse([clash, ""], {"base/b.cc": "own"}), {"base/a.cc": "", "base/b.cc": "own", "base/c.cc": ""})

    def test_a_unit_that_does_not_compile_at_all_is_taken_apart(self):
        alone = {"base/a.cc": "1", "base/b.cc": "2", "base/c.cc": "3"}
        self.assertEqual(self.analyse(["base/a.h:1:1: error: no [clang-diagnostic-error]"], alone), alone)


class Counting(unittest.TestCase):
    def count(self, output, succeeded):
        tally = gtest_run.count_cases("x_test", output, succeeded)
        return tally.passed, tally.failed, tally.skipped

    def test_cases_are_counted(self):
        output = ("[ RUN      ] A.B\n[       OK ] A.B (0 ms)\n[ RUN      ] A.C\nnoise[  FAILED  ] A.C (3 ms)\n[ RUN      ] P/A.D/0\n"
                  "[  FAILED  ] P/A.D/0, where GetParam() = 3 (1 ms)\n[ RUN      ] A.E\n[  SKIPPED ] A.E (0 ms)\n"
                  "[  FAILED  ] 2 tests, listed below:\n[  FAILED  ] A.C\n")
        self.assertEqual(self.count(output, False), (1, 2, 1))

    def test_a_program_that_dies_fails_its_last_case(self):
        self.assertEqual(self.count("[ RUN      ] A.B\n[       OK ] A.B (0 ms)\n[ RUN      ] A.C\n", False), (1, 1, 0))
        self.assertEqual(self.count("[ RUN      ] A.B\n[       OK ] A.B (0 ms)\n", False), (1, 1, 0))
        self.assertEqual(self.count("", False), (0, 1, 0))

    def test_other_programs_count_once_and_python_counts_its_cases(self):
        self.assertEqual(self.count("fine\n", True), (1, 0, 0))
        self.assertEqual(self.count("Ran 12 tests in 0.1s\n\nOK\n", True), (12, 0, 0))
        self.assertEqual(self.count("Ran 12 tests in 0.1s\n\nFAILED (failures=1, errors=2)\n", False), (9, 3, 0))

    def test_a_filter_is_for_programs_first_then_for_cases(self):
        programs = {"wal_test": ["WalReader.TornTail", "WalReader.Empty"], "btree_test": ["Tree.Empty"]}
        self.assertEqual(gtest_run.select("wal", programs), (["wal_test"], None))
        self.assertEqual(gtest_run.select("Empty", programs), (["wal_test", "btree_test"], ["WalReader.Empty", "Tree.Empty"]))
        self.assertEqual(gtest_run.select("nothing", programs), ([], []))

    def test_cases_are_listed(self):
        listing = "A.\n  B\n  C  # GetParam() = 1\nT/0.  # TypeParam = int\n  D\n"
        self.assertEqual(gtest_run.parse_case_list(listing), ["A.B", "A.C", "T/0.D"])


if __name__ == "__main__":
    unittest.main()
