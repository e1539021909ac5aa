"""`penstock-bench report` makes a page from results that penstock-bench wrote: well formed, of one file, and drawn as it stands there by a browser.

Usage: report_page_test.py PENSTOCK_BENCH. Method: a job on a small store, its JSON, the page; Chromium looks at it where it is installed.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

BENCH = ""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
         "--disable-sync").split()
SVG = "{http://www.w3.org/2000/svg}"


class ReportPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = pathlib.Path(cls.folder.name)
        cls.page = cls.path / "page.html"
        subprocess.run([BENCH, "--eta=never", f"--dir={cls.path / 'db'}", f"--json={cls.path / 'r.json'}", "--output-format=json+",
                        f"--output={cls.path / 'out'}", "--name=puts <&>", "--op=put", "--key_order=random", "--keys=1k", "--preload=0",
                        "--runtime=400ms", "--memory_limit=64m", "--reactors=1", "--shards=1", "--durability=written"], check=True)
        subprocess.run([BENCH, "report", cls.path / "r.json", "-o", cls.page], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def root(self):
        return xml.etree.ElementTree.fromstring(self.page.read_text(encoding="utf-8").replace("<!DOCTYPE html>", ""))

    def test_the_page_is_well_formed_and_has_the_job_in_each_picture(self):
        root = self.root()
        self.assertEqual([heading.text for heading in root.iter("h2")], ["puts <&>"])
        labels = [picture.get("aria-label") for picture in root.iter(f"{SVG}svg") if picture.get("aria-label")]
        self.assertIn("Latency of put by percentile, puts <&>", labels)
        self.assertIn("Throughput of puts <&> over time, puts <&>", labels)
        for picture in root.iter(f"{SVG}svg"):
            self.assertTrue(list(picture.iter(f"{SVG}path")), picture.get("aria-label"))

    def test_a_result_that_is_none_is_answered_with_its_name(self):
        other = self.path / "other.json"
        other.write_text("{}", encoding="utf-8")
        done = subprocess.run([BENCH, "report", other], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("other.json", done.stderr)
        self.assertEqual(subprocess.run([BENCH, "report"], capture_output=True).returncode, 2)

    @unittest.skipIf(CHROMIUM is None, "Chromium is not installed")
    def test_chromium_draws_every_picture_and_runs_the_script(self):
        command = [CHROMIUM, *QUIET, f"--user-data-dir={self.path / 'profile'}", "--dump-dom", f"file://{self.page}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("<svg"), self.page.read_text(encoding="utf-8").count("<svg"))
        self.assertNotIn("CONSOLE", done.stderr)  # Errors of the script.


if __name__ == "__main__":
    BENCH = sys.argv.pop(1)
    unittest.main()
