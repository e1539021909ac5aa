"""penstock-bench, called by the comparisons of this folder."""

import subprocess


class Failed(Exception):
    """A program did not do its work; the message holds what it said."""


def run(command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\nended with {result.returncode}\n{result.stdout[-4000:]}{result.stderr[-4000:]}")
    return result.stdout


def built_engines(build):
    """{name: version} of what penstock-bench was built with."""
    lines = run([build / "bin/penstock-bench", "--enghelp"]).splitlines()
    return {name: version for name, version in (line.split(maxsplit=1) for line in lines) if not version.startswith("not built in")}
