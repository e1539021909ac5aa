#!/usr/bin/env python3
"""Compares Penstock with its peers on the same machine, data, batches and durability; also times recovery after a kill.

  bench/compare.py [workload ...] [--rounds N] [--build build/release] [--dir DIR] [--sync 0|1] [--json FILE]

Workloads: manifold, fillrandom, overwrite, commit, readrandom, scan, recovery (Penstock alone), manifold_half; default: manifold, fillrandom,
recovery. manifold_half measures latency at a fixed rate: first the peak of each, then each at half of its own and both at half of RocksDB's, 30
minutes a round (--seconds for less). Peaks are medians of three: without --peak of the same job for 30 s without a rate, flushes and all; with
--peak burst of manifold, which ends before they matter. --rate-ops N: both at that rate and nothing else.
Rounds are interleaved, ours and theirs in turn and with the first one changing, so that a busy disk or neighbour meets both. Prints
medians, the spread (least and most) and the ratios of medians. Databases are made in DIR/ours and DIR/<peer> and stay there; every
program removes only a database of its own.
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
JOB_FILES = {"manifold": "manifold-cf.ini", "fillrandom": "fillrandom.ini", "overwrite": "overwrite.ini", "commit": "commit.ini",
             "readrandom": "readrandom.ini", "scan": "scan.ini", "recovery": "recovery.ini", "manifold_half": "manifold_half.ini"}
# What the peers run: name, program, its arguments. As many threads as batches in flight here (clients x iodepth of the job file):
# RocksDB groups the commits of waiting threads. --memory is memory_limit of the job file.
KEYS = {"fillrandom": 5 << 20, "overwrite": 2 << 20, "commit": 1 << 20, "readrandom": 5 << 20, "scan": 5 << 20}
PEERS = {
    "manifold": [("rocksdb", "rocksdb_peer", ["manifold", "--clients", 8])],
    "fillrandom": [("rocksdb", "rocksdb_peer", ["fillrandom", "--clients", 32, "--memory", 1 << 30])],
    "overwrite": [("rocksdb", "rocksdb_peer", ["overwrite", "--clients", 32, "--memory", 256 << 20, "--operations", 4 << 20])],
    "commit": [("bare loop", "bare_loop", [])] +
              [(f"rocksdb-{clients}", "rocksdb_peer", ["commit", "--clients", clients]) for clients in (1, 8, 64, 256)],
    "readrandom": [("lmdb", "lmdb_peer", ["--clients", 2]), ("rocksdb", "rocksdb_peer", ["readrandom", "--clients", 2])],
    "scan": [("lmdb", "lmdb_peer", ["--clients", 2, "--scan-rows", 100])],
}
# Ours, theirs, of each workload.
RATIOS = {
    "manifold": [("manifold-cf", "rocksdb")],
    "fillrandom": [("fillrandom", "rocksdb")],
    "overwrite": [("overwrite", "rocksdb"), ("overwrite, bytes written", "rocksdb, bytes written")],
    "commit": [("commit-1", "bare loop"), ("commit-1-dsync", "bare loop"), ("commit-1-on-shard", "bare loop"),
               ("commit-1-on-shard-dsync", "bare loop"), ("commit-1", "rocksdb-1"), ("commit-8", "rocksdb-8"), ("commit-64", "rocksdb-64"),
               ("commit-256", "rocksdb-256"), ("commit-2x128", "rocksdb-256")],
    "readrandom": [("readrandom-on-shard", "lmdb"), ("readrandom-session", "lmdb"), ("readrandom-waiting", "lmdb"),
                   ("readrandom-waiting", "rocksdb")],
    "scan": [("scan-on-shard", "lmdb"), ("scan-threads", "lmdb")],
}
WITH_BYTES = ("fillrandom", "overwrite")
# manifold_half: commits per client before it begins with its keys again, as in the job file; how the peaks are found.
HALF_COMMITS = 1000
PEAK_ROUNDS = 3
PEAK_SECONDS = 30
PERCENTILES = {"p50": "50.000000", "p99": "99.000000", "p99.9": "99.900000", "p99.99": "99.990000"}


class Failed(Exception):
    """A program did not do its work; the message holds what it said."""


def run(command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\nended with {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def run_jobs(options, workload, settings=()):
    """Runs a job file and returns its jobs' JSON."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [options.build / "bin/penstock-bench", JOBS / JOB_FILES[workload], "--dir", options.dir / "ours", "--eta", "never",
                   "--json", report.name, "--set", f"durability={'sync' if options.sync else 'written'}"]
        if workload in KEYS and options.keys:
            command += ["--set", f"keys={options.keys}"]
        for setting in [*settings, *options.set]:
            command += ["--set", setting]
        run(command)
        return json.loads(pathlib.Path(report.name).read_text(encoding="utf-8"))["jobs"]


def run_ours(options, workload):
    """{figure: value} of one round."""
    figures = {}
    for job in run_jobs(options, workload):
        figures[job["jobname"]] = job["ops_per_second"]
        if workload in WITH_BYTES:
            figures[f"{job['jobname']}, bytes written"] = job["system"]["written_bytes"] / job["user_bytes"]
    return figures


def run_peers(options, workload):
    figures = {}
    for name, program, arguments in PEERS[workload]:
        command = [options.build / "bin" / program, *arguments, "--dir", options.dir / program]
        if program == "rocksdb_peer":
            command += ["--sync", options.sync]
        if workload in KEYS and program != "bare_loop":
            command += ["--keys", options.keys or KEYS[workload]]
        result = json.loads(run(command).splitlines()[-1])
        if program == "bare_loop":
            result = result["direct"]
        figures[name] = result["ops_per_second"]
        if workload in WITH_BYTES:
            figures[f"{name}, bytes written"] = result["written_bytes"] / (result["operations"] * 116)
    return figures


def compare(options, workload):
    """{figure: [value of each round]} of both sides."""
    figures = {}
    for number in range(options.rounds):
        for runner in (run_ours, run_peers) if number % 2 == 0 else (run_peers, run_ours):
            for name, value in runner(options, workload).items():
                figures.setdefault(name, []).append(value)
        print(f"{workload}: round {number + 1}: " + ", ".join(f"{name} {amount(values[-1])}" for name, values in figures.items()),
              file=sys.stderr)
    return figures


def run_peer(options, arguments):
    """RocksDB's JSON."""
    return json.loads(run([options.build / "bin/rocksdb_peer", *arguments, "--dir", options.dir / "rocksdb_peer", "--sync",
                           options.sync]).splitlines()[-1])


def latency_figures(result, latency):
    figures = {name: latency["percentile"][key] / 1e6 for name, key in PERCENTILES.items()}
    return {**figures, "max": latency["max"] / 1e6, "ops/s": result["ops_per_second"], "behind": result["behind_ns"] / 1e6}


def run_half(options, engine, rate, seconds):
    """The figures of one run; rate 0: none."""
    if engine == "penstock":
        job = run_jobs(options, "manifold_half", [f"rate_ops={rate}", f"runtime={seconds}s"])[0]
        return latency_figures({**job, "behind_ns": job.get("rate", {}).get("behind_ns", 0)}, job["commit_lat_ns"])
    result = run_peer(options, ["manifold", "--clients", 8, "--commits", HALF_COMMITS, "--seconds", seconds, "--rate-ops", rate])
    return latency_figures(result, result["lat_ns"])


def peaks(options):
    """Operations per second of (ours, theirs)."""
    rounds = []
    for _ in range(PEAK_ROUNDS):
        if options.peak == "burst":
            rounds.append((run_ours(options, "manifold")["manifold-cf"], run_peers(options, "manifold")["rocksdb"]))
        else:
            rounds.append([run_half(options, engine, 0, PEAK_SECONDS)["ops/s"] for engine in ("penstock", "rocksdb")])
    ours, theirs = (statistics.median(values) for values in zip(*rounds))
    print(f"manifold_half: peaks ({options.peak}): penstock {amount(ours)}, rocksdb {amount(theirs)} operations/s", file=sys.stderr)
    return ours, theirs


def half_rates(options):
    """[(row, engine, rate)]."""
    if options.rate_ops:
        return [("penstock", "penstock", options.rate_ops), ("rocksdb", "rocksdb", options.rate_ops)]
    ours, theirs = (round(peak / 2) for peak in peaks(options))
    return [("penstock, half of its peak", "penstock", ours), ("rocksdb, half of its peak", "rocksdb", theirs),
            ("penstock, rocksdb's half", "penstock", theirs)]


def compare_half(options):
    """{row: {"rate": wanted, figure: [value of each round]}}."""
    rows = half_rates(options)
    figures = {name: {"rate": rate} for name, _, rate in rows}
    for number in range(options.rounds):
        for name, engine, rate in rows if number % 2 == 0 else rows[::-1]:
            for figure, value in run_half(options, engine, rate, options.seconds).items():
                figures[name].setdefault(figure, []).append(value)
        print(f"manifold_half: round {number + 1} of {options.rounds}", file=sys.stderr)
    return figures


def half_report(figures):
    columns = [*PERCENTILES, "max"]
    lines = ["manifold_half: milliseconds from when a commit was to begin; medians of the rounds, of max (least, most) too",
             f"  {'':<28} {'wanted/s':>9} {'reached/s':>9} {'behind':>8}" + "".join(f"{name:>11}" for name in columns)]
    for name, row in figures.items():
        medians = {figure: statistics.median(values) for figure, values in row.items() if figure != "rate"}
        lines.append(f"  {name:<28} {amount(row['rate']):>9} {amount(medians['ops/s']):>9} {medians['behind']:>8.1f}" +
                     "".join(f"{medians[figure]:>11.3f}" for figure in columns) + f" ({min(row['max']):.3f}, {max(row['max']):.3f})")
    return "\n".join(lines)


def measure_recovery(options):
    rounds = [run_jobs(options, "recovery")[0]["recovery"] for _ in range(options.rounds)]
    return {"replay, MiB/s": [each["bytes_per_second"] / (1 << 20) for each in rounds],
            "open, seconds": [each["open_ns"] / 1e9 for each in rounds],
            "log, MiB": [each["log_bytes"] / (1 << 20) for each in rounds]}


def amount(value):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def report(workload, figures):
    if workload == "manifold_half":
        return half_report(figures)
    lines = [f"{workload}: operations/s if nothing else is said; bytes written: for each byte of keys and values"]
    for name, values in figures.items():
        lines.append(f"  {name:<28} median {amount(statistics.median(values)):>6} (least {amount(min(values))}, most {amount(max(values))})")
    for ours, theirs in RATIOS.get(workload, []):
        ratio = statistics.median(figures[ours]) / statistics.median(figures[theirs])
        lines.append(f"  {ours} / {theirs}: {ratio:.2f}")
    return "\n".join(lines)


MEASURES = {"recovery": measure_recovery, "manifold_half": compare_half}  # The others: compare().


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="workload", help=", ".join(JOB_FILES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--dir", type=pathlib.Path, default=ROOT / "build/compare-data")
    parser.add_argument("--sync", type=int, choices=(0, 1), default=1, help="1: on stable storage; 0: handed to the kernel; both sides")
    parser.add_argument("--keys", type=int, default=0, help="instead of the job file's")
    parser.add_argument("--rate-ops", type=int, default=0, help="manifold_half: operations per second of both, instead of half of the peaks")
    parser.add_argument("--seconds", type=int, default=600, help="manifold_half: of each run")
    parser.add_argument("--peak", choices=("steady", "burst"), default="steady", help="manifold_half: what is halved")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for penstock-bench")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures there")
    options = parser.parse_args(arguments)
    options.workloads = options.workloads or ["manifold", "fillrandom", "recovery"]
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
            all_figures[workload] = MEASURES[workload](options) if workload in MEASURES else compare(options, workload)
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
