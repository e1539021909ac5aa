#!/usr/bin/env python3
"""How the log's sync modes do: commits of 1 to 512 KiB, 1 to 256 of them in flight from one client. Prints a Markdown table.

  bench/log_matrix.py [--rounds N] [--runtime-ms N] [--kib N ...] [--in-flight N ...] [--build DIR] [--dir DIR]

Each cell is the median rate of commits, in thousands a second, of N rounds; a round runs all cells, the modes of a cell one after the
other, so that a busy disk or neighbour meets all of them. Every commit is on stable storage before it counts.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from bench import program  # noqa: E402

MODES = ("linked", "dsync", "syscall", "auto")
COMMIT_KIB = (1, 8, 64, 512)
IN_FLIGHT = (1, 4, 32, 256)
VALUE_BYTES = 1000  # With its key and headers about 1 KiB.


def rate(options, mode, kib, in_flight):
    settings = {"op": "put", "key_order": "sequential", "clients": 1, "iodepth": in_flight, "batch": kib, "keys": max(64 * kib, 8192),
                "key_size": 8, "value_size": VALUE_BYTES, "durability": "sync", "wal_sync": mode, "time_based": 1, "runtime": f"{options.runtime_ms}ms"}
    with tempfile.TemporaryDirectory() as scratch:
        job = pathlib.Path(scratch) / "job.ini"
        job.write_text("[cell]\n" + "".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
        report = pathlib.Path(scratch) / "report.json"
        program.run([options.build / "bin/penstock-bench", job, "--dir", options.dir, "--eta", "never", "--json", report])
        return json.loads(report.read_text(encoding="utf-8"))["jobs"][0]["ops_per_second"] / kib


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runtime-ms", type=int, default=1000, help="of each cell")
    parser.add_argument("--kib", type=int, nargs="+", default=COMMIT_KIB, help="of a commit")
    parser.add_argument("--in-flight", type=int, nargs="+", default=IN_FLIGHT)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--dir", type=pathlib.Path, default=ROOT / "build/log-matrix-data")
    options = parser.parse_args()
    rates = {}
    for _ in range(options.rounds):
        for kib in options.kib:
            for in_flight in options.in_flight:
                for mode in MODES:
                    rates.setdefault((kib, in_flight, mode), []).append(rate(options, mode, kib, in_flight))
    print("| KiB a commit | in flight | " + " | ".join(MODES) + " |")
    print("|" + "---|" * (2 + len(MODES)))
    for kib in options.kib:
        for in_flight in options.in_flight:
            cells = (statistics.median(rates[kib, in_flight, mode]) / 1000 for mode in MODES)
            print(f"| {kib} | {in_flight} | " + " | ".join(f"{cell:.3g}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
