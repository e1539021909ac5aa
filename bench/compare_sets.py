"""The sets of ./dev compare: rows that every engine runs with the same settings, measured in interleaved rounds, as one table.

  ./dev compare [quick | full] [--rounds N] [--engine NAME ...] [--row REGEX] [--dir DIR] [--docs] [--json FILE]

A row is one job of penstock-bench, told to each engine in the same words. In each round every engine runs every row, row by row and the
engines in turn, another one first each time, so that a busy disk or neighbour meets all. The table has medians, the least and the most, and
how many times as fast Penstock is (for a time: how many times as short). --docs writes it into docs/benchmarks.md, between the marks of
the set. quick takes under 3 minutes on two cores; full is sized for under 25 and was not run whole yet.
"""

import argparse
import dataclasses
import datetime
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from bench.program import Failed, built_engines, run

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = ROOT / "bench/jobs"
DOCS = ROOT / "docs/benchmarks.md"
PENSTOCK = "penstock"
PEERS = ("rocksdb", "lmdb", "leveldb", "wiredtiger")
NAMES = {PENSTOCK: "Penstock", "rocksdb": "RocksDB", "lmdb": "LMDB", "leveldb": "LevelDB", "wiredtiger": "WiredTiger"}


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    options: tuple  # Of penstock-bench: keys, as --key=value, of one job; or a file of bench/jobs and keys that are --set.
    ours: tuple = ()  # Beside them for Penstock alone: where it has calls that others lack. Said in the name.
    theirs: tuple = ()
    store: str = ""  # Rows that name the same share a store of each engine: what one has loaded is there for the next.
    with_bytes: bool = False  # Bytes written and bytes on disk are shown, too.
    unit: str = "operations/s"
    figure: str = "ops"  # "ops": of the first job; "open": seconds to open the store after a kill.

    @property
    def is_time(self):
        return self.figure == "open"


def job(text):
    return tuple(f"--{word}" for word in text.split())


# What all rows share, unless they say otherwise. Peers are given the same bytes for memtables and cache.
SMALL = "key_size=16 value_size=100"
WRITES = f"op=put {SMALL} memory_limit=256m"
COMMITS = f"{WRITES} key_order=random keys=1m preload=0 fresh=1 durability=sync"
READS = f"{SMALL} keys=1m memory_limit=1g"
COLD = f"{SMALL} keys=1m cache=11m"  # A tenth of the 110 MiB.

MANIFOLD = "op=put key_order=sequential cfs=8 clients=8 batch=1000 keys=50000 key_size=8 value_size=150 fresh=1"
PINNED = job("cf_placement=pinned")


def commit(name, clients, seconds, ours=(), theirs=()):
    return Row(name, job(f"{COMMITS} runtime={seconds}s" + (f" clients={clients}" if clients else "")), ours, theirs)


def ycsb(letter, keys, ops):
    return Row(f"YCSB {letter.upper()}, written", (f"ycsb/{letter}.ini", "--set=keys=" + keys, "--set=ops=" + ops, "--set=memory_limit=1g"),
               store="ycsb")


QUICK = (
    Row("Manifold's benchmark, sync", job(f"{MANIFOLD} durability=sync"), PINNED),
    commit("commit, 1 client waits", 1, 1),
    commit("commit, 64 clients wait", 64, 1),
    commit("commit, 256 in flight (2 clients with futures; peers 256 threads)", 0, 1, job("clients=2 iodepth=128"), job("clients=256")),
    Row("fillrandom until settled, sync", job(f"{WRITES} key_order=shuffled keys=200k batch=200 clients=4 durability=sync settle=1 fresh=1"),
        with_bytes=True),
    Row("gets, all cached, 2 clients", job(f"op=get {SMALL} keys=200k memory_limit=1g clients=2 runtime=1s"), store="reads"),
    Row("scans of 100 rows, 2 clients", job(f"op=scan scan_len=100 {SMALL} keys=200k memory_limit=1g clients=2 runtime=1s"), store="reads"),
    ycsb("a", "50k", "50k"),
    Row("reopening after a kill, seconds", job(f"{WRITES} key_order=random keys=200k batch=100 ops=200k clients=2 durability=written fresh=1 "
                                               "preload=0 trigger=kill trigger_timeout=60s"), unit="s", figure="open"),
)

FULL = (
    Row("Manifold's benchmark, sync", job(f"{MANIFOLD} durability=sync"), PINNED),
    Row("Manifold's benchmark, written", job(f"{MANIFOLD} durability=written"), PINNED),
    commit("commit, 1 client waits", 1, 2),
    commit("commit, 8 clients wait", 8, 2),
    commit("commit, 64 clients wait", 64, 2),
    commit("commit, 256 clients wait", 256, 2),
    commit("commit, 8 in flight (1 client with futures; peers 8 threads)", 0, 2, job("clients=1 iodepth=8"), job("clients=8")),
    commit("commit, 64 in flight (2 clients with futures; peers 64 threads)", 0, 2, job("clients=2 iodepth=32"), job("clients=64")),
    commit("commit, 256 in flight (2 clients with futures; peers 256 threads)", 0, 2, job("clients=2 iodepth=128"), job("clients=256")),
    Row("fillseq until settled, sync, 100 a commit", job(f"{WRITES} key_order=sequential keys=500k batch=100 clients=4 durability=sync settle=1 fresh=1"),
        with_bytes=True),
    Row("fillrandom until settled, sync, 1,000 a commit",
        job(f"{WRITES} key_order=shuffled keys=1m batch=1000 clients=4 durability=sync settle=1 fresh=1"), store="fill", with_bytes=True),
    Row("overwrite until settled, sync, 1,000 a commit",
        job(f"{WRITES} key_order=random keys=1m batch=1000 ops=1m clients=4 durability=sync settle=1"), store="fill", with_bytes=True),
    Row("gets, all cached, 2 clients", job(f"op=get {READS} clients=2 runtime=3s"), store="reads"),
    Row("gets, all cached, 256 a call, 2 clients", job(f"op=multiget batch=256 {READS} clients=2 runtime=3s"), store="reads"),
    Row("scans of 100 rows, 2 clients", job(f"op=scan scan_len=100 {READS} clients=2 runtime=3s"), store="reads"),
    Row("gets with a cache of 10 %, 8 clients (peers: and the kernel's cache)", job(f"op=get {COLD} clients=8 runtime=3s"), store="reads"),
    Row("gets while one client overwrites, written, 4 clients", ("db_bench/readwhilewriting.ini", "--set=runtime=3s", "--set=memory_limit=1g"),
        store="reads"),
    *(ycsb(letter, "200k", ops) for letter, ops in (("a", "100k"), ("b", "200k"), ("c", "200k"), ("d", "200k"), ("e", "20k"), ("f", "100k"))),
    Row("reopening after a kill, seconds", job(f"{WRITES} key_order=random keys=1m batch=100 ops=1m clients=2 durability=written fresh=1 preload=0 "
                                               "trigger=kill trigger_timeout=120s"), unit="s", figure="open"),
)

SETS = {"quick": (QUICK, 1), "full": (FULL, 3)}  # Rows, rounds.


def command_of(options, row, engine, report):
    """What runs a row on an engine."""
    store = row.store or "one"
    more = row.ours if engine == PENSTOCK else row.theirs
    command = [options.build / "bin/penstock-bench", "--eta=never", f"--json={report}"]
    if row.options[0].endswith(".ini"):
        return command + [f"--dir={options.dir / store}", f"--engine={engine}", JOBS / row.options[0], *row.options[1:]]
    return command + ["--name=row", f"--dir={options.dir / store}", f"--engine={engine}", *row.options, *more]


@dataclasses.dataclass
class Measured:
    value: float
    written: float = 0  # For each byte given.
    space: float = 0  # For each byte of the data.


def measure(options, row, engine):
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        run(command_of(options, row, engine, report.name))
        document = json.loads(pathlib.Path(report.name).read_text(encoding="utf-8"))
    options.machine = document["env"]
    first = document["jobs"][0]
    system = first["system"]
    value = first["verify"]["open_ns"] / 1e9 if row.is_time else first["ops_per_second"]
    return Measured(value, system["write_amplification"], system["space_amplification"])


def remove_stores(options, store):
    for path in options.dir.glob(f"{store}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def measure_set(options):
    """{row: {engine: [Measured of each round]}}. A row that an engine fails has no figures of it, and that is said."""
    results = {row.name: {engine: [] for engine in options.engines} for row in options.rows}
    for number in range(options.rounds):
        for at, row in enumerate(options.rows):
            first = (number + at) % len(options.engines)
            for engine in options.engines[first:] + options.engines[:first]:
                start = time.monotonic()
                try:
                    results[row.name][engine].append(measure(options, row, engine))
                except Failed as failure:
                    print(f"compare: {row.name}: {engine}: {failure}", file=sys.stderr)
                if options.verbose:
                    print(f"  {row.name}: {engine}: {time.monotonic() - start:.1f} s", file=sys.stderr)
            if not row.store:
                remove_stores(options, "one")  # Room for the next one.
            print(f"compare: round {number + 1} of {options.rounds}: {row.name}: " +
                  ", ".join(f"{engine} {amount(values[-1].value)}" for engine, values in results[row.name].items() if values), file=sys.stderr)
    return results


# --- The table ---

def amount(value):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def times(ratio):
    """Two digits at least behind the first that is not 0; no more than three in all from 100 on."""
    return f"{ratio:.2f}" if 0.1 <= ratio < 100 else f"{ratio:.2g}" if ratio < 0.1 else f"{ratio:.0f}"


def median(measured, part="value"):
    return statistics.median(getattr(each, part) for each in measured)


def ratio_of(row, ours, theirs):
    """How many times as good Penstock is, by the medians."""
    ratio = median(ours) / median(theirs)
    return 1 / ratio if row.is_time else ratio


def cell(row, measured, ours=None):
    if not measured:
        return "failed"
    values = [each.value for each in measured]
    text = amount(statistics.median(values))
    if len(values) > 1:
        text += f" ({amount(min(values))} - {amount(max(values))})"
    return text + (f", **{times(ratio_of(row, ours, measured))}**" if ours else "")


def table(rows, engines, results):
    """The lines of the table, in Markdown."""
    peers = [engine for engine in engines if engine != PENSTOCK]
    lines = [f"| | Penstock | {' | '.join(NAMES[peer] for peer in peers)} |", "|---" * (len(peers) + 2) + "|"]
    for row in rows:
        measured = results[row.name]
        ours = measured[PENSTOCK]
        lines.append(f"| {row.name} | {cell(row, ours)} | " + " | ".join(cell(row, measured[peer], ours) for peer in peers) + " |")
    if any(row.with_bytes for row in rows):
        lines += ["", "Bytes written for each byte given, by the kernel's count for the process, and bytes on disk for each byte of the data, by the blocks of "
                  "the files:", "", lines[0], lines[1]]
        for row in rows:
            if row.with_bytes:
                cells = (f"{median(results[row.name][engine], 'written'):.2f}, {median(results[row.name][engine], 'space'):.2f}"
                         if results[row.name][engine] else "failed" for engine in [PENSTOCK, *peers])
                lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return lines


def behind(rows, engines, results):
    """Rows on which Penstock is not ahead of every peer: (row, peer, ratio)."""
    found = []
    for row in rows:
        ours = results[row.name][PENSTOCK]
        for peer in engines:
            theirs = results[row.name][peer]
            if peer != PENSTOCK and ours and theirs and ratio_of(row, ours, theirs) < 1:
                found.append((row.name, NAMES[peer], ratio_of(row, ours, theirs)))
    return found


def section(options, results, seconds):
    machine = options.machine
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    plural = "s" if options.rounds > 1 else ""
    lines = [f"`./dev compare {options.command}`, commit {commit or 'unknown'}, {datetime.date.today().isoformat()}, {options.rounds} interleaved "
             f"round{plural}, {seconds / 60:.0f} minutes; {machine['kernel']}, {machine['processor']} on {machine['cores']} cores, "
             f"{machine['memory_bytes'] / (1 << 30):.0f} GiB, {machine['file_system']} on {machine['device'] or 'an unknown device'} (cache {machine['device_cache']}, FUA {machine['device_fua']}); "
             + "; ".join(options.versions[engine] for engine in options.engines) + ".", "",
             "Operations per second, medians" + (" (least - most)" if options.rounds > 1 else "") +
             "; behind a peer's figure, how many times as fast Penstock is (of a time: as short).", ""]
    lines += table(options.rows, options.engines, results)
    slower = behind(options.rows, options.engines, results)
    lines += ["", "Not ahead: " + ("; ".join(f"{name}: {times(ratio)} of {peer}" for name, peer, ratio in slower) if slower else "nowhere") + "."]
    return lines


def marks(name):
    return f"<!-- compare {name}: begin -->", f"<!-- compare {name}: end -->"


def with_section(document, name, lines):
    """The document with the set's section in place of the one it has."""
    begin, end = marks(name)
    if begin not in document or end not in document:
        raise Failed(f"docs/benchmarks.md has no place for it: {begin} ... {end}")
    before, rest = document.split(begin, 1)
    after = rest.split(end, 1)[1]
    return before + "\n".join([begin, *lines, end]) + after


def parse_options(arguments):
    parser = argparse.ArgumentParser(prog="./dev compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--rounds", type=int, help="default: quick 1, full 3")
    parser.add_argument("--engine", action="append", default=[], help="beside Penstock, instead of all; may be repeated")
    parser.add_argument("--row", help="only rows whose names the regex finds")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--dir", type=pathlib.Path, default=ROOT / "build/compare-data")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/benchmarks.md")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures there")
    parser.add_argument("--verbose", action="store_true", help="say how long each run took")
    options = parser.parse_args(arguments)
    options.command = " ".join(word for word in arguments if word != "--docs")
    rows, rounds = SETS[options.set]
    options.rows = [row for row in rows if options.row is None or re.search(options.row, row.name)]
    options.rounds = rounds if options.rounds is None else options.rounds
    if options.rounds < 1 or not options.rows:
        parser.error("--rounds must be at least 1" if options.rows else f"no row is called like {options.row}")
    return options


def choose_engines(options):
    options.versions = built_engines(options.build)
    wanted = options.engine or PEERS
    missing = [engine for engine in wanted if engine not in options.versions]
    if missing:
        print(f"compare: without {', '.join(missing)}: penstock-bench was built without (--enghelp)", file=sys.stderr)
    options.engines = [PENSTOCK] + [engine for engine in PEERS if engine in wanted and engine not in missing]


def main(arguments):
    options = parse_options(arguments)
    options.dir.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    try:
        choose_engines(options)
        results = measure_set(options)
        lines = section(options, results, time.monotonic() - start)
        print("\n".join(lines))
        if options.docs:
            DOCS.write_text(with_section(DOCS.read_text(encoding="utf-8"), options.set, lines), encoding="utf-8")
    except (Failed, OSError) as failure:
        print(f"compare: {failure}", file=sys.stderr)
        return 1
    finally:
        for store in {row.store or "one" for row in options.rows}:
            remove_stores(options, store)
    if options.json:
        figures = {name: {engine: [dataclasses.asdict(each) for each in values] for engine, values in of_row.items()} for name, of_row in results.items()}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if all(values for of_row in results.values() for values in of_row.values()) else 1
