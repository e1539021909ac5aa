"""The floor plan of the repository as code: who may include whom. Checked by tools/tidy.py."""

import re

# Low to high. A module includes only what stands below it; modules of one floor never include each other.
FLOORS = ["base", "reactor", "wal memtable btree", "flush", "engine"]
RANK = {module: floor for floor, row in enumerate(FLOORS) for module in row.split()}

# Modules whose code sees neither the operating system nor a clock, a thread or chance: reactor/ hands these up.
ABOVE_REACTOR = [module for module in RANK if RANK[module] > RANK["reactor"]]

# These headers of include/penstock/ belong to every floor. The others are the roof: engine/ and programs include them.
VOCABULARY = ["bytes", "status", "types", "task", "future"]

# The public header that programs in C include: it has the standard library of C alone.
C_HEADERS = ["include/penstock/penstock.h"]
C_LIBRARY = ["stdbool.h", "stddef.h", "stdint.h"]

# A module is entered through <module>/<module>.h and its *_format.h; base/ is open. Further doors:
DOORS = {
    "reactor": ["system.h", "io.h", "buffer.h", "chunk_pool.h", "reactor.h", "hosted_loop.h"],
    "wal": ["wal.h", "log_check.h", "log_image.h", "log_stages.h"],
}

# Single exceptions to the front doors: (including file, included header): why.
EXCEPTIONS = {
}

# System and library headers that only one module may include, and programs that are no module.
LIBRARY_HOMES = {
    r"liburing\.h|linux/.*|sys/.*|unistd\.h|fcntl\.h|sched\.h|pthread\.h|poll\.h|dirent\.h|thread|mutex|shared_mutex|"
    r"condition_variable|semaphore|filesystem|fstream|future|random|ctime|time\.h": ("base", "reactor"),
    r"xxhash\.h": ("base",),
    r"fmt/.*": ("engine",),
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def is_test(path):
    """Tests may look behind doors and use any library; they stand on their module's floor all the same."""
    return path.startswith("tests/") or re.search(r"_(test|fuzz|bench)\.(cc|c|h)$|(^|/)test_\w+\.h$", path) is not None


def may_open(path, header):
    module, name = header.split("/", 1)
    if module == "base" or name in (f"{module}.h", *DOORS.get(module, [])) or name.endswith("_format.h"):
        return True
    return (path, header) in EXCEPTIONS


def quoted_violation(path, header):
    own, module = path.split("/")[0], header.split("/")[0]
    if path in C_HEADERS:
        return f'a header for C includes only {", ".join(C_LIBRARY)}, not "{header}"'
    if module == "penstock":
        vocabulary = header.removeprefix("penstock/").removesuffix(".h") in VOCABULARY
        if own in RANK and own != "engine" and not vocabulary and not is_test(path):
            return f"{own}/ may include only the vocabulary of include/penstock/ ({', '.join(VOCABULARY)}), not {header}"
        return None
    if path.startswith("include/penstock/"):
        return f'a public header includes only "penstock/..." and the standard library, not "{header}"'
    if "/" not in header:
        return f'write the path from the repository\'s root, not "{header}"'
    if module not in RANK:
        return None if own not in RANK or is_test(path) else f"{own}/ may not include {module}/"
    if own in RANK and own != module and RANK[module] >= RANK[own]:
        return f"{own}/ may not include {module}/: it does not stand below it (tools/layers.py)"
    if own != module and not is_test(path):
        if header.split("/")[1].startswith("sim_"):
            return f"{header} is the simulator: for tests alone"
        if own in RANK and not may_open(path, header):
            return f"{header} is inside {module}/; enter through {module}/{module}.h or a door in tools/layers.py"
    return None


def angled_violation(path, header):
    own = path.split("/")[0]
    if path in C_HEADERS:
        return None if header in C_LIBRARY else f"a header for C includes only {', '.join(C_LIBRARY)}, not <{header}>"
    if path.startswith("include/penstock/") and ("/" in header or header.endswith(".h")):
        return f"a public header includes only the standard library, not <{header}>"
    if own in RANK and not is_test(path):
        for pattern, homes in LIBRARY_HOMES.items():
            if re.fullmatch(pattern, header) and own not in homes:
                return f"<{header}> is for {'/, '.join(homes)}/ alone: use what {homes[-1]}/ offers"
    return None


def violations(path, text):
    """Yields (line number, message) for each include of `path` that the floor plan forbids."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := INCLUDE.match(line):
            message = quoted_violation(path, found[1]) if found[1] else angled_violation(path, found[2])
            if message:
                yield number, message
