"""docs/api.md shows pieces of examples/tour.cc, each as it stands there: `<!-- tour: NAME -->` before a block of C++ names the
piece between `// [NAME]` and `// [end]`. `python3 tests/dev/api_page_test.py --write` brings the page up to date."""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/api.md"
BLOCK = re.compile(r"(<!-- tour: ([\w ,]+) -->\n```cpp\n)(.*?)(```\n)", re.DOTALL)


def pieces():
    tour = (ROOT / "examples/tour.cc").read_text(encoding="utf-8")
    return dict(re.findall(r"^// \[([\w ,]+)\]\n(.*?)^// \[end\]$", tour, re.MULTILINE | re.DOTALL))


class ApiPage(unittest.TestCase):
    def test_the_page_shows_what_the_tour_runs(self):
        shown = {name: code for _, name, code, _ in BLOCK.findall(PAGE.read_text(encoding="utf-8"))}
        self.assertEqual(shown, pieces())

    def test_no_code_of_the_page_is_from_elsewhere(self):
        page = PAGE.read_text(encoding="utf-8")
        self.assertEqual(page.count("```cpp"), len(BLOCK.findall(page)))


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        made = pieces()
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(BLOCK.sub(lambda block: block[1] + made[block[2]] + block[4], page), encoding="utf-8")
    else:
        unittest.main()
