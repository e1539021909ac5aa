"""Runs penstock-sim: one plan as it is, a search on all cores. `./dev sim` and a step of `./dev ci` use it."""

import dataclasses
import re
import subprocess
import sys

SEARCHES = {"--minutes", "--search-cycles", "--seeds"}


@dataclasses.dataclass
class Searched:
    cycles: int = 0
    seeds: int = 0
    wrong: list = dataclasses.field(default_factory=list)
    unreached: set = dataclasses.field(default_factory=set)  # Marks that no process reached.
    marks: int = 0

    def __str__(self):
        text = f"simulated: {self.cycles} crash-recover cycles of {self.seeds} seeds, {len(self.wrong)} wrong"
        text += f"; {self.marks - len(self.unreached)} of {self.marks} marks reached"
        return text + "".join(f"\nmark never reached: {name}" for name in sorted(self.unreached)) + "".join(f"\n{line}" for line in self.wrong)


def read_report(text, found):
    """Adds one process's report. Its own unreached marks are intersected with those of the others."""
    summary = re.search(r"^(\d+) seeds: crash-recover cycles (\d+)", text, re.MULTILINE)
    if summary is None:
        found.wrong.append("the simulator itself failed: " + text[-500:])
        return
    unreached = set(re.findall(r"^mark never reached: (.*)$", text, re.MULTILINE))
    marks = re.search(r"^marks reached: \d+ of (\d+)$", text, re.MULTILINE)
    found.unreached = unreached if found.seeds == 0 else found.unreached & unreached
    found.marks = int(marks[1]) if marks else 0
    found.seeds += int(summary[1])
    found.cycles += int(summary[2])
    found.wrong += re.findall(r"^(?:WRONG|small): .*$", text, re.MULTILINE)


def search(program, options, jobs, first_seed=1):
    """`jobs` processes with every jobs-th seed each."""
    commands = [[program, *options, "--from", str(first_seed + index), "--step", str(jobs)] for index in range(jobs)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for command in commands]
    found = Searched()
    for process in running:
        read_report(process.communicate()[0], found)
    return found


def run(program, arguments, jobs):
    """The command: what is asked for on one core, or a search on all. `--all-marks` demands that every mark was reached."""
    if not SEARCHES & set(arguments):
        return subprocess.run([program, *arguments], check=False).returncode
    options, first_seed = [argument for argument in arguments if argument != "--all-marks"], 1
    if "--from" in options:
        place = options.index("--from")
        first_seed = int(options[place + 1])
        del options[place:place + 2]
    if "--search-cycles" in options:  # Of all processes together.
        place = options.index("--search-cycles") + 1
        options[place] = str(-(-int(options[place]) // jobs))
    found = search(program, options, jobs, first_seed)
    print(found)
    if found.unreached and "--all-marks" in arguments:
        print("some mark was never reached", file=sys.stderr)
        return 1
    return 1 if found.wrong else 0
