#!/usr/bin/env python3
"""Compares Penstock with its peers on the same machine, data, batches and durability; also times recovery after a kill.

  ./dev compare [quick | full] ...          the sets: all engines over a table of jobs (bench/compare_sets.py --help; the default is quick)
  ./dev compare WORKLOAD ... [--rounds N] [--engine NAME ...] [--dir DIR] [--sync 0|1] [--json FILE]

Workloads are job files of bench/jobs: manifold, fillrandom, overwrite, commit, readrandom, scan, recovery (Penstock alone), manifold_half. An engine
that penstock-bench was built without is left out, and that is said.
manifold_half measures latency at a fixed rate: first the peak of each, then each at half of its own and both at half of RocksDB's, 30
minutes a round (--seconds for less). Peaks are medians of three: without --peak of the same job for 30 s without a rate, flushes and all; with
--peak burst of manifold, which ends before they matter. --rate-ops N: both at that rate and nothing else.
Rounds are interleaved, the engines in turn and with the first one changing, so that a busy disk or neighbour meets all. Prints
medians, the spread (least and most) and the ratios of medians. Databases are made in DIR/data and DIR/data-ENGINE and stay there.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from bench import compare_sets  # noqa: E402
from bench.program import Failed, built_engines, run  # noqa: E402

JOBS = ROOT / "bench/jobs"
PENSTOCK = "penstock"
BARE_LOOP = "bare loop"  # What the disk does without an engine: bench/bare_loop.cc.


@dataclasses.dataclass(frozen=True)
class Workload:
    file: str
    engines: tuple = ("rocksdb", )  # Beside Penstock, without --engine.
    ratios: tuple = ()  # (ours, theirs), beside X and X-ENGINE.
    with_bytes: bool = False  # Bytes written for each byte given are figures, too.
    has_keys: bool = True  # --keys is for it.
    has_runtime: bool = False  # --runtime is for it.


WORKLOADS = {
    "manifold": Workload("manifold-cf.ini", ("rocksdb", "leveldb", "wiredtiger", "lmdb"), has_keys=False),
    "fillrandom": Workload("fillrandom.ini", with_bytes=True),
    "overwrite": Workload("overwrite.ini", with_bytes=True),
    "commit": Workload("commit.ini", (BARE_LOOP, "rocksdb"),
                       tuple((f"commit-1{kind}", BARE_LOOP) for kind in ("", "-dsync", "-on-shard", "-on-shard-dsync")) +
                       (("commit-2x128", "commit-256-rocksdb"), ), has_runtime=True),
    "readrandom": Workload("readrandom.ini", ("lmdb", "rocksdb"),
                           tuple((f"readrandom-{kind}", f"readrandom-{engine}") for engine in ("lmdb", "rocksdb", "leveldb", "wiredtiger")
                                 for kind in ("on-shard", "waiting")) +
                           tuple(("readrandom-session", f"readrandom-{engine}-multiget") for engine in ("lmdb", "rocksdb")), has_runtime=True),
    "scan": Workload("scan.ini", ("lmdb", "rocksdb"),
                     tuple((f"scan-{kind}", f"scan-{engine}") for engine in ("lmdb", "rocksdb", "leveldb", "wiredtiger")
                           for kind in ("on-shard", "threads")), has_runtime=True),
    "recovery": Workload("recovery.ini", (), has_keys=False),
    "manifold_half": Workload("manifold_half.ini", has_keys=False),
}
# Jobs that only prepare others.
NOT_COMPARED = re.compile(r"(^|-)(fill|warming|loading)(-|$)")
# manifold_half: how the peaks are found.
PEAK_ROUNDS = 3
PEAK_SECONDS = 30
PERCENTILES = {"p50": "50.000000", "p99": "99.000000", "p99.9": "99.900000", "p99.99": "99.990000"}


def run_jobs(options, workload, engine, settings=()):
    """Runs the jobs of one engine, or of no engine in particular, and returns their JSON."""
    spec = WORKLOADS[workload]
    wanted = [f"durability={'sync' if options.sync else 'written'}"]
    if spec.has_keys and options.keys:
        wanted.append(f"keys={options.keys}")
    if spec.has_runtime and options.runtime:
        wanted.append(f"runtime={options.runtime}")
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [options.build / "bin/penstock-bench", JOBS / spec.file, "--dir", options.dir / "data", "--eta", "never", "--json", report.name]
        command += ["--only-engine", engine] if engine else []
        for setting in [*wanted, *settings, *options.set]:
            command += ["--set", setting]
        run(command)
        document = json.loads(pathlib.Path(report.name).read_text(encoding="utf-8"))
    options.machine = document["env"]
    return document["jobs"]


def run_bare_loop(options):
    return {BARE_LOOP: json.loads(run([options.build / "bin/bare_loop", "--dir", options.dir / "bare_loop"]).splitlines()[-1])["direct"]["ops_per_second"]}


def run_engine(options, workload, engine):
    """{figure: value} of one round."""
    if engine == BARE_LOOP:
        return run_bare_loop(options)
    figures = {}
    for job in run_jobs(options, workload, engine):
        if NOT_COMPARED.search(job["jobname"]):
            continue
        figures[job["jobname"]] = job["ops_per_second"]
        if WORKLOADS[workload].with_bytes:
            figures[f"{job['jobname']}, bytes written"] = job["system"]["written_bytes"] / job["user_bytes"]
    return figures


def engines_of(options, workload):
    """Those of a workload that are there, Penstock first."""
    spec = WORKLOADS[workload]
    peers = options.engine or spec.engines
    missing = [engine for engine in peers if engine != BARE_LOOP and engine not in options.engines]
    if missing:
        print(f"{workload}: without {', '.join(missing)}: penstock-bench was built without (--enghelp)", file=sys.stderr)
    jobs = run([options.build / "bin/penstock-bench", JOBS / spec.file, "--dir", options.dir / "data", "--list"]).splitlines()
    with_jobs = {line.split("\t")[1] for line in jobs} | {BARE_LOOP}
    return [PENSTOCK] + [engine for engine in peers if engine not in missing and engine in with_jobs and engine != PENSTOCK]


def compare(options, workload):
    """{figure: [value of each round]} of all engines."""
    engines = engines_of(options, workload)
    figures = {}
    for number in range(options.rounds):
        first = number % len(engines)
        for engine in engines[first:] + engines[:first]:
            for name, value in run_engine(options, workload, engine).items():
                figures.setdefault(name, []).append(value)
        print(f"{workload}: round {number + 1}: " + ", ".join(f"{name} {amount(values[-1])}" for name, values in figures.items()),
              file=sys.stderr)
    return figures


def latency_figures(job):
    latency = job["put"]["lat_ns"]
    figures = {name: latency["percentile"][key] / 1e6 for name, key in PERCENTILES.items()}
    return {**figures, "max": latency["max"] / 1e6, "ops/s": job["ops_per_second"], "behind": job.get("rate", {}).get("behind_ns", 0) / 1e6}


def run_half(options, engine, rate, seconds):
    """The figures of one run; rate 0: none."""
    return latency_figures(run_jobs(options, "manifold_half", None, [f"engine={engine}", f"rate_ops={rate}", f"runtime={seconds}s"])[0])


def peak(options, engine):
    if options.peak == "burst":
        return next(iter(run_engine(options, "manifold", engine).values()))
    return run_half(options, engine, 0, PEAK_SECONDS)["ops/s"]


def peaks(options):
    """Operations per second of (ours, theirs)."""
    rounds = [[peak(options, engine) for engine in (PENSTOCK, "rocksdb")] for _ in range(PEAK_ROUNDS)]
    ours, theirs = (statistics.median(values) for values in zip(*rounds))
    print(f"manifold_half: peaks ({options.peak}): penstock {amount(ours)}, rocksdb {amount(theirs)} operations/s", file=sys.stderr)
    return ours, theirs


def half_rates(options):
    """[(row, engine, rate)]."""
    if options.rate_ops:
        return [("penstock", PENSTOCK, options.rate_ops), ("rocksdb", "rocksdb", options.rate_ops)]
    ours, theirs = (round(value / 2) for value in peaks(options))
    return [("penstock, half of its peak", PENSTOCK, ours), ("rocksdb, half of its peak", "rocksdb", theirs),
            ("penstock, rocksdb's half", PENSTOCK, theirs)]


def compare_half(options, _):
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


def measure_recovery(options, workload):
    rounds = [run_jobs(options, workload, PENSTOCK)[0]["recovery"] for _ in range(options.rounds)]
    return {"replay, MiB/s": [each["bytes_per_second"] / (1 << 20) for each in rounds],
            "open, seconds": [each["open_ns"] / 1e9 for each in rounds],
            "log, MiB": [each["log_bytes"] / (1 << 20) for each in rounds]}


def amount(value):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def ratios_of(workload, figures):
    """(ours, theirs) of all that have both figures: those of the table, and X beside X-ENGINE."""
    pairs = list(WORKLOADS[workload].ratios)
    for name in figures:
        plain, comma, rest = name.partition(", ")
        ours = re.sub(r"-(rocksdb|lmdb|leveldb|wiredtiger)$", "", plain)
        if ours != plain:
            pairs.append((ours + comma + rest, name))
    return [(ours, theirs) for ours, theirs in pairs if ours in figures and theirs in figures]


def report(workload, figures):
    if workload == "manifold_half":
        return half_report(figures)
    lines = [f"{workload}: operations/s if nothing else is said; bytes written: for each byte of keys and values"]
    for name, values in figures.items():
        lines.append(f"  {name:<36} median {amount(statistics.median(values)):>6} (least {amount(min(values))}, most {amount(max(values))})")
    for ours, theirs in ratios_of(workload, figures):
        ratio = statistics.median(figures[ours]) / statistics.median(figures[theirs])
        lines.append(f"  {ours} / {theirs}: {ratio:.2f}")
    return "\n".join(lines)


MEASURES = {"recovery": measure_recovery, "manifold_half": compare_half}  # The others: compare().


def parse_options(arguments):
    parser = argparse.ArgumentParser(prog="./dev compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="+", metavar="workload", help=", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", action="append", default=[], help="beside Penstock, instead of the workload's own; may be repeated")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--dir", type=pathlib.Path, default=ROOT / "build/compare-data")
    parser.add_argument("--sync", type=int, choices=(0, 1), default=1, help="1: on stable storage; 0: handed to the kernel; all engines")
    parser.add_argument("--keys", type=int, help="instead of the job file's")
    parser.add_argument("--runtime", help="instead of the job file's, of workloads that have one")
    parser.add_argument("--rate-ops", type=int, default=0, help="manifold_half: operations per second of both, instead of half of the peaks")
    parser.add_argument("--seconds", type=int, default=600, help="manifold_half: of each run")
    parser.add_argument("--peak", choices=("steady", "burst"), default="steady", help="manifold_half: what is halved")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for penstock-bench")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures there")
    options = parser.parse_args(arguments)
    unknown = [workload for workload in options.workloads if workload not in WORKLOADS]
    if unknown or options.rounds < 1:
        parser.error(f"unknown workload {unknown[0]}" if unknown else "--rounds must be at least 1")
    return options


def print_machine(options, arguments):
    machine = options.machine
    print(f"./dev compare {' '.join(arguments)}")
    print(f"{machine['kernel']}; {machine['processor']} on {machine['cores']} cores; {machine['file_system']}; {options.rounds} rounds")
    print("; ".join(options.engines.values()))


def main(arguments):
    if not arguments or arguments[0] in compare_sets.SETS or arguments[0] in ("-h", "--help"):
        if "-h" in arguments or "--help" in arguments:
            print(__doc__)
        return compare_sets.main(arguments or ["quick"])
    options = parse_options(arguments)
    options.dir.mkdir(parents=True, exist_ok=True)
    all_figures = {}
    try:
        options.engines = built_engines(options.build)
        for workload in options.workloads:
            all_figures[workload] = MEASURES.get(workload, compare)(options, workload)
    except (Failed, OSError) as failure:
        print(f"compare.py: {failure}", file=sys.stderr)
        return 1
    print_machine(options, arguments)
    for workload, figures in all_figures.items():
        print(report(workload, figures))
    if options.json:
        options.json.write_text(json.dumps(all_figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
