#!/usr/bin/env python3
"""Compares Penstock with RocksDB on the same machine, data, batches and durability; also times recovery after a kill.

  bench/compare.py [workload ...] [--rounds N] [--build build/release] [--dir DIR] [--sync 0|1] [--json FILE]

Workloads: manifold, fillrandom, recovery (Penstock alone); default: all. Rounds are interleaved, ours and theirs in turn and with the
first one changing, so that a busy disk or neighbour meets both. Prints medians, the spread (least and most) and the ratio of the
medians. Databases are made in DIR/ours and DIR/theirs and stay there; penstock-bench and RocksDB each remove only a database of their
own.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = ROOT / "bench/jobs"
JOB_FILES = {"manifold": "manifold-cf.ini", "fillrandom": "fillrandom.ini", "recovery": "recovery.ini"}
MEMORY = {"manifold": 0, "fillrandom": 1 << 30}  # memory_limit of the job file: the peer's memtables get the same share.
# As many threads there as batches in flight here (clients x iodepth of the job file): RocksDB groups the commits of waiting threads.
PEER_CLIENTS = {"manifold": 8, "fillrandom": 32}


class Failed(Exception):
    """A program did not do its work; the message holds what it said."""


def run(command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\nended with {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def run_ours(options, workload):
    """Runs the job and returns its JSON."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [options.build / "bin/penstock-bench", JOBS / JOB_FILES[workload], "--dir", options.dir / "ours", "--eta", "never",
                   "--json", report.name, "--set", f"durability={'sync' if options.sync else 'written'}"]
        if workload == "fillrandom" and options.keys:
            command += ["--set", f"keys={options.keys}"]
        for setting in options.set:
            command += ["--set", setting]
        run(command)
        return json.loads(pathlib.Path(report.name).read_text(encoding="utf-8"))["jobs"][0]


def run_peer(options, workload):
    command = [options.build / "bin/rocksdb_peer", workload, "--dir", options.dir / "theirs", "--sync", options.sync,
               "--clients", PEER_CLIENTS[workload]]
    if MEMORY[workload]:
        command += ["--memory", MEMORY[workload]]
    if workload == "fillrandom" and options.keys:
        command += ["--keys", options.keys]
    return json.loads(run(command).splitlines()[-1])


def compare(options, workload):
    """Returns {"ours": [ops/s ...], "theirs": [...]}, one of each per round."""
    runners = {"ours": run_ours, "theirs": run_peer}
    figures = {name: [] for name in runners}
    for number in range(options.rounds):
        order = list(runners) if number % 2 == 0 else list(runners)[::-1]
        for name in order:
            figures[name].append(runners[name](options, workload)["ops_per_second"])
        print(f"{workload}: round {number + 1}: " + ", ".join(f"{name} {amount(figures[name][-1])} ops/s" for name in runners),
              file=sys.stderr)
    return figures


def measure_recovery(options):
    rounds = [run_ours(options, "recovery")["recovery"] for _ in range(options.rounds)]
    return {"bytes_per_second": [each["bytes_per_second"] for each in rounds], "open_seconds": [each["open_ns"] / 1e9 for each in rounds],
            "log_bytes": [each["log_bytes"] for each in rounds]}


def amount(value):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def spread(values):
    return f"median {amount(statistics.median(values))} (least {amount(min(values))}, most {amount(max(values))})"


def report(workload, figures):
    if workload == "recovery":
        speed = [value / (1 << 20) for value in figures["bytes_per_second"]]
        return (f"recovery    log {statistics.median(figures['log_bytes']) / (1 << 20):.0f} MiB; replay MiB/s: {spread(speed)}; "
                f"open, seconds: {spread(figures['open_seconds'])}")
    ratio = statistics.median(figures["ours"]) / statistics.median(figures["theirs"])
    return (f"{workload:<11} ours   ops/s: {spread(figures['ours'])}\n"
            f"{'':<11} theirs ops/s: {spread(figures['theirs'])}\n"
            f"{'':<11} ratio of medians: {ratio:.2f}")


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="workload", help="manifold, fillrandom, recovery")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--dir", type=pathlib.Path, default=ROOT / "build/compare-data")
    parser.add_argument("--sync", type=int, choices=(0, 1), default=1, help="1: on stable storage; 0: handed to the kernel; both sides")
    parser.add_argument("--keys", type=int, default=0, help="fillrandom: keys, instead of the job file's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for penstock-bench")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures there")
    options = parser.parse_args(arguments)
    options.workloads = options.workloads or list(JOB_FILES)
    unknown = [workload for workload in options.workloads if workload not in JOB_FILES]
    if unknown or options.rounds < 1:
        parser.error(f"unknown workload {unknown[0]}" if unknown else "--rounds must be at least 1")
    return options


def main(arguments):
    options = parse_options(arguments)
    options.dir.mkdir(parents=True, exist_ok=True)
    all_figures = {}
    try:
        for workload in options.workloads:
            all_figures[workload] = measure_recovery(options) if workload == "recovery" else compare(options, workload)
    except (Failed, OSError) as failure:
        print(f"compare.py: {failure}", file=sys.stderr)
        return 1
    for workload, figures in all_figures.items():
        print(report(workload, figures))
    if options.json:
        options.json.write_text(json.dumps(all_figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
