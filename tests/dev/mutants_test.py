"""Goal: `./dev mutants` and `./dev sim` can be believed. Method: the table against the code, the runners on texts made up here."""

import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from tests.mutants import table  # noqa: E402
from tools import mutants, simulate  # noqa: E402


class Table(unittest.TestCase):
    def test_every_text_that_a_mutant_changes_stands_in_the_code_once(self):
        for name, _, changes in table.MUTANTS:
            texts = {}
            for path, old, new in changes:
                text = texts.get(path) or (ROOT / path).read_text()
                texts[path] = mutants.change(text, name, path, old, new)

    def test_there_are_many_and_their_names_differ(self):
        names = [name for name, _, _ in table.MUTANTS]
        self.assertGreaterEqual(len(names), 15)
        self.assertEqual(len(names), len(set(names)))


class Apply(unittest.TestCase):
    def test_gives_back_what_stood_there(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "a.cc").write_text("one two three")
            before = mutants.apply(root, "m", [("a.cc", "two", "2"), ("a.cc", "three", "3")])
            self.assertEqual((root / "a.cc").read_text(), "one 2 3")
            self.assertEqual(before, {"a.cc": "one two three"})

    def test_refuses_a_text_that_is_not_there_or_twice(self):
        with self.assertRaises(mutants.BadMutant):
            mutants.change("one", "m", "a.cc", "two", "2")
        with self.assertRaises(mutants.BadMutant):
            mutants.change("two two", "m", "a.cc", "two", "2")


class Search(unittest.TestCase):
    def test_a_mark_is_unreached_if_no_process_reached_it(self):
        found = simulate.Searched()
        for unreached in (["a", "b"], ["b", "c"]):
            lines = "".join(f"mark never reached: {name}\n" for name in unreached)
            simulate.read_report(f"3 seeds: crash-recover cycles 40, power cuts 1\n{lines}marks reached: 1 of 3\n", found)
        self.assertEqual((found.seeds, found.cycles, found.unreached, found.marks, found.wrong), (6, 80, {"b"}, 3, []))

    def test_what_went_wrong_is_kept_and_so_is_a_simulator_that_died(self):
        found = simulate.Searched()
        simulate.read_report("1 seeds: crash-recover cycles 4,\nmarks reached: 1 of 3\nWRONG: --seed 1: lost\n", found)
        simulate.read_report("Segmentation fault", found)
        self.assertEqual(len(found.wrong), 2)


if __name__ == "__main__":
    unittest.main()
