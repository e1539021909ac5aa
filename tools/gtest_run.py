"""Runs the test programs through ctest and counts GoogleTest cases: CI wants cases, ctest knows programs."""

import dataclasses
import json
import os
import re
import subprocess
import xml.etree.ElementTree

TEST_SECONDS_MAX = 900


@dataclasses.dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list = dataclasses.field(default_factory=list)
    slowest: list = dataclasses.field(default_factory=list)  # (seconds, program)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed"


def count_cases(program, output, succeeded):
    """Counts the cases in a program's output. One that died counts its last case as failed; one without cases counts once."""
    started = re.findall(r"\[ RUN      \] (\S+)", output)
    passed = set(re.findall(r"\[       OK \] (\S+) \(\d+ ms\)", output))
    failed = set(re.findall(r"\[  FAILED  \] ([^\s,]+)(?:, where .*)? \(\d+ ms\)", output))
    skipped = set(re.findall(r"\[  SKIPPED \] (\S+) \(\d+ ms\)", output))
    if not started:
        return count_other(program, output, succeeded)
    if not succeeded and not failed:
        failed = {started[-1] if started[-1] not in passed | skipped else "(after its last case)"}
    tally = Tally(len(passed), len(failed), len(skipped))
    tally.failures = [f"{program}: {name}" for name in sorted(failed)]
    return tally


def count_other(program, output, succeeded):
    """A program without GoogleTest cases: Python's unittest tells how many it ran, others count once."""
    if "[==========] 0 tests" in output and succeeded:
        return Tally()
    ran = re.search(r"^Ran (\d+) tests? in ", output, re.MULTILINE)
    failed = sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", output))) if ran else 0
    failed = max(failed, int(not succeeded))
    return Tally(max((int(ran[1]) if ran else 1) - failed, 0), failed, failures=[program] if failed else [])


def read_junit(path):
    tally = Tally()
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        program = case.get("name")
        if case.get("status") == "notrun":  # Its program was not built.
            tally.failed += 1
            tally.failures.append(f"{program}: not built")
            continue
        output = case.findtext("system-out") or ""
        tally.add(count_cases(program, output, succeeded=case.get("status") == "run"))
        tally.slowest.append((float(case.get("time", 0)), program))
    tally.slowest.sort(reverse=True)
    return tally


def list_programs(build):
    """name -> command of each test that ctest knows."""
    shown = subprocess.run(["ctest", "--show-only=json-v1"], cwd=build, capture_output=True, text=True, check=True)
    return {test["name"]: test.get("command", []) for test in json.loads(shown.stdout)["tests"]}


def list_targets(build, pattern):
    """The CMake targets among the programs whose names match. ctest knows no command for one that is not built yet."""
    programs = list_programs(build)
    targets = [re.sub(r"_shard\d+$", "", name) for name, command in programs.items()
               if re.search(pattern, name) and (not command or command[0].startswith(f"{build}/"))]
    return list(dict.fromkeys(targets))


def list_cases(command):
    """Full names of a GoogleTest program's cases; none for other programs."""
    if len(command) != 1 or not os.access(command[0], os.X_OK):
        return []
    shown = subprocess.run([command[0], "--gtest_list_tests"], capture_output=True, text=True)
    return parse_case_list(shown.stdout) if shown.returncode == 0 else []


def parse_case_list(text):
    cases, suite = [], ""
    for line in text.splitlines():
        if re.match(r"\S+\.(\s|$)", line):
            suite = line.split()[0]
        elif suite and line.startswith("  "):
            cases.append(suite + line.split()[0])
    return cases


def select(pattern, programs):
    """`programs`: name -> cases. Returns (names to run, cases to run or None for all of theirs)."""
    by_name = [name for name in programs if re.search(pattern, name)]
    if by_name:
        return by_name, None
    cases = {name: [case for case in cases if re.search(pattern, case)] for name, cases in programs.items()}
    names = [name for name in programs if cases[name]]
    return names, [case for name in names for case in cases[name]]


def run(build, pattern="", environment=None, jobs=2, programs=None):
    """Runs what `pattern` (a regex on program names, else on case names) selects, or the programs of that regex `programs`."""
    known = list_programs(build)
    if programs:
        known = {name: command for name, command in known.items() if re.search(programs, name)}
    variables = dict(os.environ, GTEST_COLOR="no", **(environment or {}))
    names = list(known)
    if pattern:
        names, cases = select(pattern, {name: list_cases(command) for name, command in known.items()})
        if cases is not None:
            variables["GTEST_FILTER"] = ":".join(cases)
    if not names:
        raise LookupError(f"no test program or test matches {pattern or programs!r}; known programs: {', '.join(known) or 'none'}")
    report = build / "tests.xml"
    report.unlink(missing_ok=True)
    regex = f"^({'|'.join(map(re.escape, names))})$"
    subprocess.run(["ctest", "-j", str(jobs), "-R", regex, "--output-on-failure", "--no-tests=error", "--timeout", str(TEST_SECONDS_MAX),
                    "--test-output-size-passed", "100000000", "--test-output-size-failed", "100000000",
                    "--output-junit", str(report)], cwd=build, env=variables)
    return read_junit(report)
