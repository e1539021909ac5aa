"""Runs the fuzz targets: `./dev fuzz`. Seeds come from the golden files and from tests/fuzz/corpus; what a run finds stays in build/fuzz/corpus."""

import concurrent.futures
import os
import pathlib
import re
import struct
import subprocess
import time

# How long a target is run unless told otherwise, in seconds; the others run for DECODER_SECONDS: they are soon through with what they have.
DECODER_SECONDS = 15
TARGET_SECONDS = {"image_fuzz": 60, "store_fuzz": 60, "log_fuzz": 30, "page_fuzz": 30}
# Longest input. Programs and mutations are short; decoders see a little more than their largest golden file.
LENGTH_MAX = {"image_fuzz": 256, "store_fuzz": 1024, "log_fuzz": 20_000, "page_fuzz": 9_000, "superblock_fuzz": 2_000,
              "zone_table_fuzz": 4_000, "epoch_fuzz": 1_200, "identity_fuzz": 4_200, "catalog_fuzz": 1_000, "job_fuzz": 2_000}
# Few inputs a second: long ones from the beginning, and nothing that slows each one.
WHOLE_DATABASE = ["-len_control=0"]
INPUT_SECONDS_MAX = 25  # One input that takes longer hangs.
MEMORY_MEGABYTES_MAX = 2_000


def targets(root):
    """Names of all targets, from their files."""
    folders = ("base", "reactor", "wal", "memtable", "btree", "flush", "engine", "tests/fuzz", "tools/penstock-bench")
    return sorted(path.stem for folder in folders for path in (root / folder).glob("*_fuzz.cc"))


def seeds(root, target):
    """Inputs made of the golden files."""
    golden = root / "tests/golden"

    def operation(key, value):
        return struct.pack("<BBHII", 1, 0, len(key), 0, len(value)) + key + value

    if target == "log_fuzz":
        segment = (golden / "log/v1/3-1-0").read_bytes()
        return [bytes([mode, 0, end]) + segment for mode, end in ((0, 0), (1, 0), (3, 1), (3, 2), (7, 2), (1, 9))]
    if target == "epoch_fuzz":
        slots = (golden / "epoch/v1/EPOCH").read_bytes()
        return [bytes([mode]) + slots[:512] + slots[65536:65536 + 512] for mode in (0, 1)]
    if target == "superblock_fuzz":
        slot = (golden / "super/v1/slot0.bin").read_bytes()
        return [bytes([mode]) + slot[:1024] for mode in (0, 1)]
    if target == "zone_table_fuzz":
        table = (golden / "zones/v1/table.bin").read_bytes()
        return [struct.pack("<HH", zones, 999) + table[:16 * (zones + 1)] for zones in (1, 3, 7, 15)]
    if target == "page_fuzz":
        return [bytes([2, 0]) + (golden / "page/v1" / name).read_bytes() for name in ("leaf", "inner")]
    if target == "identity_fuzz":
        block = (golden / "identity/v1/IDENTITY").read_bytes()
        return [bytes([mode]) + block for mode in (0, 1)]
    if target == "catalog_fuzz":
        catalog = golden / "catalog/v1"
        stored = operation(b"i", (catalog / "next-id").read_bytes())
        for name in ("hashed", "pinned"):
            stored += operation(b"n" + name.encode(), (catalog / name).read_bytes())
        return [(golden / "operations/v1/payload").read_bytes(), stored]
    if target == "job_fuzz":
        return [path.read_bytes() for path in sorted((root / "bench/jobs").glob("*.ini"))]
    return []


def command(root, build, target, seconds):
    kept = root / "tests/fuzz/corpus" / target
    work = build / "corpus" / target
    work.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds(root, target)):
        (work / f"seed-{index}").write_bytes(seed)
    duration = f"-max_total_time={seconds}" if seconds > 0 else "-runs=0"  # All that is known, and nothing new.
    return [build / "bin" / target, duration, f"-timeout={INPUT_SECONDS_MAX}",
            f"-rss_limit_mb={MEMORY_MEGABYTES_MAX}", f"-max_len={LENGTH_MAX.get(target, 4096)}", "-print_final_stats=1",
            f"-artifact_prefix={build}/{target}-", *(WHOLE_DATABASE if target in ("image_fuzz", "store_fuzz") else ["-use_value_profile=1"]), work, *([kept] if kept.is_dir() else [])]


def run_one(root, build, target, seconds, environment):
    """Returns (target, whether it is fine, a line or the end of its output)."""
    start = time.monotonic()
    done = subprocess.run(command(root, build, target, seconds), cwd=root, capture_output=True, text=True, errors="replace",
                          env={**os.environ, **environment})
    took = time.monotonic() - start
    text = done.stderr
    (build / f"{target}.log").write_text(text)
    if done.returncode != 0:
        where = re.findall(r"Test unit written to (\S+)", text)
        hint = f"replay: ./dev fuzz {target} {where[-1]}" if where else f"all of it: {build}/{target}.log"
        return target, False, "\n".join([*text.splitlines()[-60:], hint])
    runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text)
    covered = re.findall(r"\bcov: (\d+) ft: (\d+) corp: (\d+)", text)
    edges, _, inputs = covered[-1] if covered else ("?", "?", "?")
    memory = re.findall(r"stat::peak_rss_mb:\s*(\d+)", text)
    return target, True, (f"{target:16} {took:5.0f} s {runs[-1] if runs else '?':>9} inputs, {edges} edges, {inputs} kept, "
                          f"{memory[-1] if memory else '?'} MiB")


def run(root, build, names, seconds, jobs, environment):
    """Runs targets side by side; `seconds` None: TARGET_SECONDS; 0: the known inputs alone. Prints a line each; returns the names of those that failed."""
    failed = []

    def time_of(name):
        return TARGET_SECONDS.get(name, DECODER_SECONDS) if seconds is None else seconds

    # The longest first, so that none is left alone at the end.
    names = sorted(names, key=lambda name: -TARGET_SECONDS.get(name, DECODER_SECONDS))
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(run_one, root, build, name, time_of(name), environment) for name in names]
        for future in concurrent.futures.as_completed(futures):
            name, is_fine, text = future.result()
            print(text if is_fine else f"FAILED {name}\n{text}", flush=True)
            failed += [] if is_fine else [name]
    return failed


def minimize(root, build, names, environment):
    """Replaces the kept corpora by the fewest inputs that cover as much as all that is known."""
    for name in names:
        kept = root / "tests/fuzz/corpus" / name
        merged = build / "merged" / name
        merged.mkdir(parents=True, exist_ok=True)
        for old in merged.iterdir():
            old.unlink()
        sources = [build / "corpus" / name, *([kept] if kept.is_dir() else [])]
        subprocess.run([build / "bin" / name, "-merge=1", f"-max_len={LENGTH_MAX.get(name, 4096)}", merged, *sources], cwd=root, check=True,
                       capture_output=True, env={**os.environ, **environment})
        kept.mkdir(parents=True, exist_ok=True)
        for old in kept.iterdir():
            old.unlink()
        size = 0
        for path in sorted(merged.iterdir(), key=lambda path: path.stat().st_size):
            size += path.stat().st_size
            (kept / path.name[:16]).write_bytes(path.read_bytes())
        print(f"{name}: {len(list(kept.iterdir()))} inputs, {size // 1024} KiB")


def replay(build, target, file, environment):
    return subprocess.run([build / "bin" / target, file], env={**os.environ, **environment}, check=False).returncode
