"""The sets of ./dev compare: every engine runs every row in each round, in turn; the table has medians, spread and ratios, and goes into
its place in the docs.

Method: a made-up penstock-bench that writes down how it was called and answers with numbers of its own.
"""

import contextlib
import io
import json
import pathlib
import re
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from bench import compare_sets  # noqa: E402

# Answers with 1,000 operations per second more at each call; peers with a tenth of that; LevelDB's scans fail.
BENCH = r'''#!/usr/bin/env python3
import json, pathlib, sys
if "--enghelp" in sys.argv:
    print("penstock    Penstock 1\nrocksdb     RocksDB 2\nlmdb        not built in: install liblmdb-dev\nleveldb     LevelDB 3")
    sys.exit()
log = pathlib.Path(__file__).parent / "calls"
with log.open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\n")
number = len(log.read_text().splitlines())
options = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:] if word.startswith("--") and "=" in word)
if options["engine"] == "leveldb" and options.get("op") == "scan":
    sys.exit("no scans here")
ops = number * (1000 if options["engine"] == "penstock" else 100)
job = {"ops_per_second": ops, "verify": {"open_ns": 2e9 if options["engine"] == "penstock" else 1e9},
       "system": {"write_amplification": 2.5, "space_amplification": 1.25}}
env = {"kernel": "Linux", "processor": "one", "cores": 2, "file_system": "ext4", "memory_bytes": 1 << 30, "device": "vda",
       "device_cache": "write back", "device_fua": "no"}
pathlib.Path(options["json"]).write_text(json.dumps({"env": env, "jobs": [job]}))
'''


class CompareSets(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        (self.path / "bin").mkdir()
        program = self.path / "bin/penstock-bench"
        program.write_text(BENCH, encoding="utf-8")
        program.chmod(0o755)

    def run_set(self, *arguments):
        """(exit code, what was printed, what was said on the way, [arguments of each call])"""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = compare_sets.main([*arguments, "--build", str(self.path), "--dir", str(self.path / "data")])
        calls = self.path / "bin/calls"
        lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
        return code, out.getvalue(), err.getvalue(), [json.loads(line) for line in lines]

    @staticmethod
    def engines_of(calls):
        return [word.removeprefix("--engine=") for call in calls for word in call if word.startswith("--engine=")]

    def test_the_engines_take_turns_and_another_one_is_first_each_time(self):
        _, _, _, calls = self.run_set("quick", "--rounds", "2", "--row", "fillrandom")
        self.assertEqual(self.engines_of(calls), ["penstock", "rocksdb", "leveldb", "rocksdb", "leveldb", "penstock"])

    def test_the_table_has_medians_spread_and_how_many_times_as_fast_penstock_is(self):
        code, text, _, _ = self.run_set("quick", "--rounds", "2", "--row", "fillrandom")
        self.assertEqual(code, 0)
        # Penstock: calls 1 and 6; RocksDB: 2 and 4; LevelDB: 3 and 5.
        self.assertIn("| fillrandom until settled, sync | 3.5k (1k - 6k) | 300 (200 - 400), **11.67** | 400 (300 - 500), **8.75** |\n", text)
        self.assertIn("| fillrandom until settled, sync | 2.50, 1.25 | 2.50, 1.25 | 2.50, 1.25 |\n", text)
        self.assertIn("2 interleaved rounds", text)
        self.assertIn("Penstock 1; RocksDB 2; LevelDB 3", text)
        self.assertIn("Not ahead: nowhere.", text)

    def test_of_a_time_the_shorter_one_is_ahead(self):
        _, text, _, _ = self.run_set("quick", "--row", "reopening")
        self.assertIn("| reopening after a kill, seconds | 2 | 1, **0.50** | 1, **0.50** |\n", text)
        self.assertIn("Not ahead: reopening after a kill, seconds: 0.50 of RocksDB; reopening after a kill, seconds: 0.50 of LevelDB.", text)

    def test_an_engine_that_fails_a_row_is_named_and_the_others_are_shown(self):
        code, text, said, _ = self.run_set("quick", "--row", "scans")
        self.assertEqual(code, 1)
        self.assertIn("leveldb: ", said)
        self.assertRegex(text, r"\| scans of 100 rows, 2 clients \| 1k \| 200, \*\*5\.00\*\* \| failed \|")

    def test_an_engine_that_is_not_built_in_is_left_out_and_named(self):
        _, text, said, _ = self.run_set("quick", "--row", "fillrandom")
        self.assertIn("without lmdb, wiredtiger", said)
        self.assertNotIn("LMDB", text)

    def test_only_penstock_is_given_what_the_others_lack(self):
        _, _, _, calls = self.run_set("quick", "--row", "in flight", "--engine", "rocksdb")
        self.assertIn("--iodepth=128", calls[0])
        self.assertIn("--clients=256", calls[1])
        self.assertEqual([word for word in calls[0] if word.startswith("--runtime")], [word for word in calls[1] if word.startswith("--runtime")])

    def test_the_table_takes_the_place_of_the_one_before(self):
        begin, end = compare_sets.marks("quick")
        document = f"before\n{begin}\nold\n{end}\nafter\n"
        once = compare_sets.with_section(document, "quick", ["new"])
        self.assertEqual(once, f"before\n{begin}\nnew\n{end}\nafter\n")
        self.assertEqual(compare_sets.with_section(once, "quick", ["new"]), once)
        with self.assertRaises(compare_sets.Failed):
            compare_sets.with_section("nothing", "quick", ["new"])

    def test_the_docs_have_a_place_for_each_set(self):
        text = compare_sets.DOCS.read_text(encoding="utf-8")
        for name in compare_sets.SETS:
            compare_sets.with_section(text, name, [])

    def test_rows_have_names_of_their_own_and_files_that_are_there(self):
        for rows, _ in compare_sets.SETS.values():
            names = [row.name for row in rows]
            self.assertEqual(len(names), len(set(names)))
            for row in rows:
                if row.options[0].endswith(".ini"):
                    self.assertTrue((compare_sets.JOBS / row.options[0]).exists(), row.options[0])
                else:
                    self.assertTrue(all(re.fullmatch(r"--\w+=\S+", word) for word in row.options), row.options)


if __name__ == "__main__":
    unittest.main()
