"""Runs clang-tidy over the sources, and only over those that changed: a result is kept by the hash of all that it depends on.

Sources of one folder with the same flags are analysed a batch at a time, as one translation unit that includes them: what takes long is not a
source but the headers of the standard library, which each of them has (9 sources of wal/: 3.5 s for 19.7). Sources that cannot stand in one unit
(two files' own names are the same) are analysed alone.
"""

import concurrent.futures
import hashlib
import json
import pathlib
import re
import shlex
import subprocess
import tempfile

from tools import layers

TOOL = "clang-tidy-19"
BATCH_SOURCES_MAX = 12
# Errors of the compiler, not of a check: this unit could not be analysed.
NOT_COMPILED = re.compile(r"^(\S+?):\d+:\d+: error: .*\[clang-diagnostic-error\b", re.MULTILINE)
HEADERS_AND_SOURCES = r"/(base|reactor|wal|memtable|btree|flush|engine|tests|bench|tools|examples|include/penstock)/.*\.(h|cc)$"


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


def flags_of(path, command):
    """What `path` is compiled with, but for its own name and what is made of it."""
    words = iter(shlex.split(command))
    flags = []
    for word in words:
        if word in ("-o", "-MF", "-MT"):
            next(words)
        elif word not in ("-c", "-MD") and not word.endswith(f"/{path}"):
            flags.append(word)
    return tuple(flags)


def batches(commands, paths):
    """Lists of paths that may be analysed as one unit. C sources stand alone."""
    groups = {}
    for path in paths:
        alone = path if not path.endswith(".cc") else ""
        groups.setdefault((pathlib.Path(path).parent, flags_of(path, commands[path]), alone), []).append(path)
    return [group[i:i + BATCH_SOURCES_MAX] for group in groups.values() for i in range(0, len(group), BATCH_SOURCES_MAX)]


def run_tool(root, arguments, path):
    done = subprocess.run([TOOL, "--quiet", *arguments], cwd=root, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line]
    if done.returncode != 0 and not any(": error:" in line for line in lines):
        lines += done.stderr.splitlines()[-20:] + [f"{path}:1:1: error: {TOOL} ended with status {done.returncode}"]
    return "\n".join(lines).replace(f"{root}/", "")


def analyse(root, build, path):
    return run_tool(root, ["-p", str(build), path], path)


def analyse_unit(root, command, paths):
    """What clang-tidy says of all `paths` as one unit."""
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder) / "unit.cc"
        unit.write_text("".join(f'#include "{root / path}"  // NOLINT(bugprone-suspicious-include)\n' for path in paths))
        words = [str(unit) if word.endswith(f"/{paths[0]}") else word for word in shlex.split(command)]
        entry = {"directory": folder, "file": str(unit), "command": shlex.join(words)}
        (unit.parent / "compile_commands.json").write_text(json.dumps([entry]))
        options = ["-p", folder, f"--header-filter={HEADERS_AND_SOURCES}", f"--config-file={root}/.clang-tidy"]
        return run_tool(root, [*options, str(unit)], paths[0])


def findings_of(report):
    return [finding for finding in re.split(r"\n(?=\S+:\d+:\d+: error:)", report) if finding]


def analyse_batch(root, build, commands, paths):
    """path -> report. What concerns no source of the batch, but a header, stands in the report of each."""
    reports, together = {}, list(paths)
    while len(together) > 1:
        unit = analyse_unit(root, commands[together[0]], together)
        misfits = set(NOT_COMPILED.findall(unit)) & set(together)
        if not misfits and NOT_COMPILED.search(unit):
            break
        if not misfits:
            for path in together:
                others = tuple(f"{other}:" for other in together if other != path)
                reports[path] = "\n".join(finding for finding in findings_of(unit) if not finding.startswith(others))
            together = []
        together = [path for path in together if path not in misfits]
    for path in paths:
        if path not in reports:
            reports[path] = analyse(root, build, path)
    return reports


def distinct(reports):
    """The findings without repetition: a header's appears for each source that includes it."""
    seen, out = set(), []
    for report in reports:
        for finding in findings_of(report):
            if finding not in seen:
                seen.add(finding)
                out.append(finding)
    return out


def run(root, build, cache, jobs):
    """Returns (findings, sources analysed, sources taken from the cache)."""
    version = subprocess.run([TOOL, "--version"], capture_output=True, text=True, check=True).stdout
    cache.mkdir(parents=True, exist_ok=True)
    commands = read_commands(root, build)
    known, reports, pending = {}, [], {}
    for path, command in sorted(commands.items()):
        entry = cache / cache_key(root, path, version + command, known)
        if entry.exists():
            reports.append(entry.read_text())
            entry.touch()
        else:
            pending[path] = entry
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda paths: analyse_batch(root, build, commands, paths), batches(commands, pending))
        for path, report in (item for batch in done for item in batch.items()):
            pending[path].write_text(report)
            reports.append(report)
    return distinct(reports), len(pending), len(reports) - len(pending)
