"""Runs clang-tidy over the sources, and only over those that changed: a result is kept by the hash of all that it depends on."""

import concurrent.futures
import hashlib
import json
import pathlib
import re
import subprocess

from tools import layers

TOOL = "clang-tidy-19"


def included_files(root, path, known):
    """Our own headers that `path` includes, directly or not."""
    if path in known:
        return known[path]
    known[path] = set()  # Ends the recursion if headers include each other.
    found = set()
    for line in (root / path).read_text(encoding="utf-8").splitlines():
        if match := layers.INCLUDE.match(line):
            for header in (match[1], f"include/{match[1]}") if match[1] else ():
                if (root / header).is_file():
                    found |= {header} | included_files(root, header, known)
    known[path] = found
    return found


def cache_key(root, path, command, known):
    digest = hashlib.sha256(command.encode())
    for name in [".clang-tidy", path, *sorted(included_files(root, path, known))]:
        digest.update(name.encode() + b"\0" + (root / name).read_bytes())
    return digest.hexdigest()


def read_commands(root, build):
    """path -> compile command of our own sources, from compile_commands.json."""
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = pathlib.Path(entry["file"])
        if file.is_relative_to(root) and not file.is_relative_to(root / "build"):
            commands[str(file.relative_to(root))] = entry["command"]
    return commands


def analyse(root, build, path):
    done = subprocess.run([TOOL, "--quiet", "-p", str(build), path], cwd=root, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line]
    if done.returncode != 0 and not any(": error:" in line for line in lines):
        lines += done.stderr.splitlines()[-20:] + [f"{path}:1:1: error: {TOOL} ended with status {done.returncode}"]
    return "\n".join(lines).replace(f"{root}/", "")


def distinct(reports):
    """The findings without repetition: a header's appears for each source that includes it."""
    seen, out = set(), []
    for report in reports:
        for finding in re.split(r"\n(?=\S+:\d+:\d+: error:)", report):
            if finding and finding not in seen:
                seen.add(finding)
                out.append(finding)
    return out


def run(root, build, cache, jobs):
    """Returns (findings, sources analysed, sources taken from the cache)."""
    version = subprocess.run([TOOL, "--version"], capture_output=True, text=True, check=True).stdout
    cache.mkdir(parents=True, exist_ok=True)
    known, reports, pending = {}, [], {}
    for path, command in sorted(read_commands(root, build).items()):
        entry = cache / cache_key(root, path, version + command, known)
        if entry.exists():
            reports.append(entry.read_text())
            entry.touch()
        else:
            pending[path] = entry
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for entry, report in zip(pending.values(), pool.map(lambda path: analyse(root, build, path), pending)):
            entry.write_text(report)
            reports.append(report)
    return distinct(reports), len(pending), len(reports) - len(pending)
