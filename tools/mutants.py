"""Measures the simulator by mistakes planted in a scratch copy of the engine: `./dev mutants [NAME...]`.

Each mutant of tests/mutants/table.py is applied to the copy alone, penstock-sim is built there, and searches until it finds
something wrong. One that it does not find in SEEDS_MAX seeds has survived, and fails the run. The copy keeps its build, so that a
mutant compiles one or two files.
"""

import os
import pathlib
import re
import shutil
import subprocess
import time

from tests.mutants import table

SEEDS_MAX = 4000
# Mistakes that only a disk that fails, or only one that lies, brings to light: seeds of that kind are every third or so.
SECONDS_MAX = 240
FIRST_SEED = 1


class BadMutant(Exception):
    """The table does not fit the code."""


def change(text, mutant, path, old, new):
    if text.count(old) != 1:
        raise BadMutant(f"mutant {mutant}: this stands {text.count(old)} times in {path}, not once: {old!r}")
    return text.replace(old, new)


def apply(root, mutant, changes):
    """Changes the files under `root`; returns what they held before."""
    before = {}
    for path, old, new in changes:
        file = root / path
        text = file.read_text()
        before.setdefault(path, text)
        file.write_text(change(text, mutant, path, old, new))
    return before


def refresh_copy(root, copy):
    """Makes `copy` hold the files of the repository, and touches those alone that differ."""
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root, capture_output=True, text=True,
                           check=True).stdout.splitlines()
    for name in names:
        source, target = root / name, copy / name
        if not source.is_file():
            continue
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)


def build(copy, jobs):
    environment = dict(os.environ, CCACHE_BASEDIR=str(copy), CCACHE_NOHASHDIR="1")
    folder = copy / "build/release"
    if not (folder / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "release", "-DPENSTOCK_TOOLS=OFF"], cwd=copy, check=True, stdout=subprocess.DEVNULL, env=environment)
    done = subprocess.run(["cmake", "--build", str(folder), "-j", str(jobs), "--target", "penstock-sim"], cwd=copy, capture_output=True,
                          text=True, env=environment)
    if done.returncode != 0:
        raise BadMutant("does not compile:\n" + done.stdout[-3000:])
    return folder / "bin/penstock-sim"


def search(program):
    """(seeds until it was found, what was wrong), or (seeds, None)."""
    done = subprocess.run([program, "--seeds", str(SEEDS_MAX), "--minutes", str(SECONDS_MAX / 60), "--from", str(FIRST_SEED), "--as-it-is"],
                          capture_output=True, text=True)
    seeds = re.search(r"^(\d+) seeds: ", done.stdout, re.MULTILINE)
    wrong = re.search(r"^WRONG: (.*)$", done.stdout, re.MULTILINE)
    if seeds is None:
        raise BadMutant("the search itself failed:\n" + done.stdout[-2000:] + done.stderr[-2000:])
    return int(seeds[1]), wrong[1] if wrong else None


def fails(program, wrong):
    """Whether the plan that a line of the search names fails with that program as well."""
    plan = re.match(r"--seed \d+ --cycles \d+", wrong)[0]
    return subprocess.run([program, *plan.split()], capture_output=True).returncode != 0


def run(root, jobs, names):
    known = {name: (text, changes) for name, text, changes in table.MUTANTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadMutant(f"no such mutant: {', '.join(unknown)}; there are {', '.join(known)}")
    copy = root / "build/mutants"
    copy.mkdir(parents=True, exist_ok=True)
    refresh_copy(root, copy)
    unplanted = copy / "build/penstock-sim-unplanted"
    shutil.copy2(build(copy, jobs), unplanted)
    survivors = []
    for name in names or known:
        text, changes = known[name]
        start = time.monotonic()
        before = apply(copy, name, changes)
        try:
            seeds, wrong = search(build(copy, jobs))
        except BadMutant as bad:
            raise BadMutant(f"mutant {name}: {bad}") from None
        finally:
            for path, held in before.items():
                (copy / path).write_text(held)
        seconds = time.monotonic() - start
        if wrong is not None and fails(unplanted, wrong):
            raise BadMutant(f"mutant {name}: what was found is wrong without it too; mend that first: {wrong}")
        if wrong is None:
            survivors.append(name)
            print(f"SURVIVED  {name}: {text}; {seeds} seeds, {seconds:.0f} s", flush=True)
        else:
            print(f"found     {name}: {text}; after {seeds} seeds, {seconds:.0f} s: {wrong[:160]}", flush=True)
    print(f"mutants: {len(names or known) - len(survivors)} found, {len(survivors)} survived", flush=True)
    return 1 if survivors else 0
