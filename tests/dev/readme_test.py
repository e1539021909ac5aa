"""What README.md shows is what is there: the example, the limits, the plan of the house."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """Fenced blocks of a language, without their fences."""
    return [text for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL) if kind == language]


class Readme(unittest.TestCase):
    def test_the_example_is_quickstart_from_its_first_include_on(self):
        source = (ROOT / "examples/quickstart.cc").read_text(encoding="utf-8")
        self.assertEqual(blocks("cpp"), [source[source.index("#include"):]])

    def test_the_first_commands_are_those_of_dev(self):
        commands = re.findall(r"^\./dev (\w+)", blocks("")[0], re.MULTILINE)
        self.assertEqual(commands, ["bench", "test"])
        entry = (ROOT / "dev").read_text(encoding="utf-8")
        for command in commands:
            self.assertIn(f'"{command}": ', entry)

    def test_the_limits_are_those_of_types_h(self):
        types = (ROOT / "include/penstock/types.h").read_text(encoding="utf-8")
        constants = {name: value for name, value in re.findall(r"(k\w+Max) = ([\w']+);", types)}
        table = {row[0]: row[1] for row in re.findall(r"^\| ([\w ]+) \| ([^|]+) \|", README, re.MULTILINE)}
        for row, constant in [("key", "kKeyBytesMax"), ("batch", "kBatchBytesMax"), ("family name", "kFamilyNameBytesMax"),
                              ("families", "kFamilyCountMax"), ("shards", "kShardCountMax"), ("reactors", "kReactorCountMax")]:
            shown = table[row].replace(",", "").replace(" bytes", "").replace(" ", "_")
            self.assertEqual(shown, constants[constant].replace("'", ""), row)

    def test_the_plan_names_the_folders_that_exist(self):
        plan = next(block for block in blocks("") if block.startswith("include/penstock/"))
        named = {line.split("/")[0] for line in plan.splitlines()}
        self.assertEqual([folder for folder in sorted(named) if not (ROOT / folder).is_dir()], [])
        modules = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.h"))}
        self.assertEqual(modules - named, set())


if __name__ == "__main__":
    unittest.main()
