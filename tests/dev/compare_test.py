"""bench/compare.py runs every engine in turn, leaves out what is not there or only prepares, and says median, spread and ratio.

Method: a made-up penstock-bench that writes down how it was called and answers with numbers of its own.
"""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from bench import compare  # noqa: E402

# Answers with 100 operations per second more at each call; the peers are ten times slower.
BENCH = r'''#!/usr/bin/env python3
import json, pathlib, sys
ENGINES = {"penstock": "Penstock 1", "rocksdb": "RocksDB 2", "lmdb": "not built in: install liblmdb-dev", "leveldb": "LevelDB 3"}
JOBS = [("fill", "penstock"), ("overwrite", "penstock"), ("fill-rocksdb", "rocksdb"), ("overwrite-rocksdb", "rocksdb")]
if "--enghelp" in sys.argv:
    print("\n".join(f"{name:<12}{version}" for name, version in ENGINES.items()))
    sys.exit()
if "--list" in sys.argv:
    print("\n".join(f"{name}\t{engine}\toverwrite" for name, engine in JOBS))
    sys.exit()
log = pathlib.Path(__file__).parent / "calls"
with log.open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\n")
number = len(log.read_text().splitlines())
engine = sys.argv[sys.argv.index("--only-engine") + 1]
jobs = [{"jobname": name, "ops_per_second": number * (100 if of == "penstock" else 10), "user_bytes": 10, "system": {"written_bytes": 25}}
        for name, of in JOBS if of == engine]
env = {"kernel": "Linux", "processor": "one", "cores": 2, "file_system": "ext4"}
pathlib.Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps({"env": env, "jobs": jobs}))
'''


class Compare(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        (self.path / "bin").mkdir()
        program = self.path / "bin/penstock-bench"
        program.write_text(BENCH, encoding="utf-8")
        program.chmod(0o755)

    def run_compare(self, *arguments):
        """(exit code, what was printed, what was said on the way, [arguments of each call])"""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = compare.main([*arguments, "--build", str(self.path), "--dir", str(self.path / "data")])
        calls = self.path / "bin/calls"
        lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
        return code, out.getvalue(), err.getvalue(), [json.loads(line) for line in lines]

    def test_engines_run_in_turn_and_the_first_one_changes(self):
        code, _, _, calls = self.run_compare("overwrite", "--rounds", "3")
        self.assertEqual(code, 0)
        engines = [call[call.index("--only-engine") + 1] for call in calls]
        self.assertEqual(engines, ["penstock", "rocksdb", "rocksdb", "penstock", "penstock", "rocksdb"])

    def test_medians_spread_and_ratios_are_printed_without_what_only_prepares(self):
        _, text, _, _ = self.run_compare("overwrite", "--rounds", "3")
        self.assertRegex(text, r"(?m)^  overwrite +median +400 \(least 100, most 500\)$")  # Calls 1, 4 and 5.
        self.assertRegex(text, r"(?m)^  overwrite-rocksdb +median +30 \(least 20, most 60\)$")  # Calls 2, 3 and 6.
        self.assertIn("  overwrite / overwrite-rocksdb: 13.33\n", text)
        self.assertRegex(text, r"(?m)^  overwrite, bytes written +median +2\.5 ")
        self.assertNotIn("fill", text)
        self.assertIn("Linux; one on 2 cores; ext4; 3 rounds\nPenstock 1; RocksDB 2; LevelDB 3\n", text)

    def test_an_engine_that_is_not_there_is_left_out_and_named(self):
        code, text, said, _ = self.run_compare("overwrite", "--rounds", "1", "--engine", "lmdb", "--engine", "rocksdb")
        self.assertEqual(code, 0)
        self.assertIn("without lmdb", said)
        self.assertIn("overwrite-rocksdb", text)

    def test_an_engine_without_jobs_in_the_file_is_not_asked(self):
        code, _, _, calls = self.run_compare("overwrite", "--rounds", "1", "--engine", "leveldb")
        self.assertEqual((code, len(calls)), (0, 1))

    def test_durability_and_settings_are_handed_on(self):
        _, _, _, calls = self.run_compare("overwrite", "--rounds", "1", "--sync", "0", "--keys", "7", "--set", "seed=3")
        settings = [calls[0][at + 1] for at, word in enumerate(calls[0]) if word == "--set"]
        self.assertEqual(settings, ["durability=written", "keys=7", "seed=3"])

    def test_a_set_is_measured_as_such_and_is_what_is_measured_without_a_name(self):
        with unittest.mock.patch.object(compare.compare_sets, "main", return_value=7) as measured:
            self.assertEqual(compare.main(["full", "--rounds", "2"]), 7)
            self.assertEqual(compare.main([]), 7)
        self.assertEqual([call.args[0] for call in measured.call_args_list], [["full", "--rounds", "2"], ["quick"]])

    def test_every_workload_has_its_job_file(self):
        for workload in compare.WORKLOADS.values():
            self.assertTrue((compare.JOBS / workload.file).is_file(), workload.file)

    def test_a_program_that_fails_ends_it_with_what_it_said(self):
        (self.path / "bin/penstock-bench").write_text("#!/bin/sh\necho no disk >&2\nexit 1\n", encoding="utf-8")
        code, _, said, _ = self.run_compare("overwrite")
        self.assertEqual(code, 1)
        self.assertIn("no disk", said)


if __name__ == "__main__":
    unittest.main()
