"""Keeps the rules of the house that a compiler does not know: `./dev tidy`. Each rule is one function that yields findings.

Errors fail the run; warnings are printed and wait for a reader. Tested by tests/dev/tidy_test.py.
"""

import dataclasses
import functools
import pathlib
import re
import statistics
import subprocess

from tools import layers

FUNCTION_LINES_MAX, FUNCTION_LINES_NOTED = 100, 70
FILE_LINES_MAX, FILE_LINES_NOTED = 900, 500
FILE_BYTES_MAX = 256 * 1024
ASSERTS_PER_KLOC_MIN = 40

# Files over FILE_LINES_NOTED that were looked at and stay whole: why.
LONG_FILES = {
    "include/penstock/penstock.h": "a program in C includes one header",
}

# Files that are bytes, whatever they look like.
BINARY_FOLDERS = ("tests/golden/", "tests/fuzz/corpus/")

# Sources that the test of another file covers: which.
TESTED_BY = {
    "base/frame_pool.cc": "tests/allocation/allocation_test.cc",
    "btree/check.cc": "btree/tree_test.cc",
    "btree/cursor.cc": "btree/tree_test.cc",
    "btree/descent.cc": "btree/tree_test.cc",
    "btree/extent.cc": "btree/page_store_test.cc",
    "btree/extent_head.cc": "btree/page_store_test.cc",
    "btree/family_root.cc": "btree/page_test.cc",
    "btree/family_trees.cc": "flush/family_merge_test.cc",
    "btree/merge.cc": "btree/tree_test.cc",
    "btree/merge_pack.cc": "btree/tree_test.cc",
    "btree/page_writer.cc": "btree/page_store_test.cc",
    "btree/zone_map_early.cc": "btree/early_extents_test.cc",
    "engine/large_values.cc": "tests/api/large_value_test.cc",
    "btree/store_check.cc": "tests/sim/scrub_test.cc",
    "btree/store_open.cc": "btree/store_crash_test.cc",
    "btree/store_pass.cc": "btree/store_fault_test.cc",
    "btree/store_read.cc": "btree/page_store_test.cc",
    "btree/store_space.cc": "btree/page_store_test.cc",
    "btree/zone_table.cc": "btree/zone_map_test.cc",
    "engine/atomic_calls.cc": "tests/api/atomic_test.cc",
    "engine/atomic_work.cc": "tests/api/atomic_test.cc",
    "engine/multi_get.cc": "tests/api/multi_get_test.cc",
    "engine/shard_atomic.cc": "tests/api/atomic_test.cc",
    "engine/attached_reactor.cc": "tests/api/donated_test.cc",
    "engine/c_api_batch.cc": "tests/api/c_api_test.c",
    "engine/c_api_data.cc": "tests/api/c_api_test.c",
    "engine/c_api_family.cc": "tests/api/c_api_test.c",
    "engine/c_api_future.cc": "tests/api/c_api_future_test.c",
    "engine/c_api_multi_get.cc": "tests/api/c_api_test.c",
    "engine/c_api_options.cc": "tests/api/c_api_misuse_test.c",
    "engine/c_api_reactor.cc": "tests/api/c_api_donated_test.c",
    "engine/c_api_report.cc": "tests/api/c_api_test.c",
    "engine/c_api_session.cc": "tests/api/c_api_session_test.c",
    "engine/c_api_verify.cc": "tests/api/c_api_test.c",
    "engine/closed_verify.cc": "tests/sim/scrub_test.cc",
    "engine/database.cc": "tests/api/api_test.cc",
    "engine/database_core.cc": "tests/api/api_test.cc",
    "engine/database_scrub.cc": "tests/sim/scrub_test.cc",
    "engine/scrub.cc": "tests/sim/scrub_test.cc",
    "engine/shard_scrub.cc": "tests/sim/scrub_test.cc",
    "engine/database_life.cc": "tests/api/donated_test.cc",
    "engine/merged_scan.cc": "tests/api/api_test.cc",
    "engine/old_logs.cc": "tests/sim/engine_sim_test.cc",
    "engine/open.cc": "tests/api/bad_input_test.cc",
    "engine/reactor_part.cc": "tests/sim/engine_sim_test.cc",
    "engine/row_walk.cc": "tests/api/row_cursor_test.cc",
    "engine/runtime.cc": "tests/api/bad_input_test.cc",
    "engine/session.cc": "tests/api/session_test.cc",
    "engine/shard.cc": "tests/api/api_test.cc",
    "engine/shard_engine.cc": "tests/sim/engine_sim_test.cc",
    "engine/shard_flush.cc": "tests/sim/full_disk_test.cc",
    "engine/shard_read.cc": "tests/api/api_test.cc",
    "engine/shard_recovery.cc": "tests/sim/engine_sim_test.cc",
    "flush/family_merge.cc": "flush/family_merge_test.cc",
    "flush/flush.cc": "tests/sim/engine_sim_test.cc",
    "flush/merge_sources.cc": "flush/family_merge_test.cc",
    "flush/run_plan.cc": "flush/run_plan_test.cc",
    "memtable/cursor.cc": "memtable/memtable_test.cc",
    "memtable/entry.cc": "memtable/memtable_test.cc",
    "reactor/backend.cc": "tests/io/seccomp_test.cc",
    "reactor/sim_content.cc": "reactor/sim_disk_test.cc",
    "reactor/sim_disk_names.cc": "reactor/sim_disk_test.cc",
    "reactor/sim_disk_power.cc": "reactor/sim_disk_test.cc",
    "reactor/sim_faults.cc": "reactor/sim_disk_test.cc",
    "reactor/sim_system.cc": "reactor/sim_disk_test.cc",
    "reactor/syscall_io.cc": "reactor/io_contract_test.cc",
    "reactor/thread.cc": "reactor/reactor_thread_test.cc",
    "wal/segment_pool.cc": "wal/log_test.cc",
    "wal/segment_stream.cc": "wal/log_reader_test.cc",
}

CODE_SUFFIXES = (".h", ".cc", ".c")
TEXT_SUFFIXES = (".h", ".cc", ".c", ".py", ".md", ".txt", ".cmake", ".ini", ".json", ".in", ".yml", ".sh", "")
FOLDERS = "base reactor wal memtable btree flush engine include tests bench tools examples docs cmake".split()


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    text: str
    is_error: bool = True

    def __str__(self):
        return f"{self.path}:{self.line}: {'error' if self.is_error else 'warning'}: {self.text}"


class Source:
    """One file and the views of it that the rules share."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.splitlines()

    @property
    def module(self):
        first = self.path.split("/")[0]
        return first if first in layers.RANK else None

    @property
    def is_code(self):
        return self.path.endswith(CODE_SUFFIXES)

    @functools.cached_property
    def code(self):
        """The text with comments and literals blanked; every character keeps its place."""
        return blank(self.text, keep_comments=False)

    @functools.cached_property
    def comments(self):
        return blank(self.text, keep_comments=True) if self.is_code else self.text

    def line_at(self, offset):
        return self.text.count("\n", 0, offset) + 1


LEXEME = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def blank(text, keep_comments):
    """Blanks comments and literals, or with `keep_comments` everything but comments."""
    def spaces(piece):
        return re.sub(r"[^\n]", " ", piece)

    out, end = [], 0
    for found in LEXEME.finditer(text):
        is_comment = found[0].startswith("/")
        between = text[end:found.start()]
        out.append(spaces(between) if keep_comments else between)
        out.append(found[0] if is_comment and keep_comments else spaces(found[0]))
        end = found.end()
    out.append(spaces(text[end:]) if keep_comments else text[end:])
    return "".join(out)


# --- Functions and their lengths ---

@dataclasses.dataclass(frozen=True)
class Function:
    first_line: int  # Of the signature.
    body_line: int
    last_line: int

    @property
    def line_count(self):
        return self.last_line - self.body_line + 1


SCOPE = re.compile(r'\b(namespace|class|struct|union|enum)\b(?![^{]*\)\s*(const|noexcept|override|final|->[^{]*)*\s*$)|\bextern\s*$')


def functions(source):
    """Finds function bodies by their braces: a `{` at namespace or class level whose head has parameters."""
    found, stack, head_start = [], [], 0
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m[0]), source.code, flags=re.MULTILINE)
    for match in re.finditer(r"[{};]", code):
        symbol, offset = match[0], match.start()
        in_function = "function" in stack
        if symbol == "{":
            head = code[head_start:offset]
            if in_function:
                stack.append("block")
            elif SCOPE.search(head) and not re.search(r"=\s*$", head):
                stack.append("scope")
            elif ")" in head and not is_member_initializer(head):
                label = re.match(r"\s*(?:(?:public|protected|private):\s*)*", head)
                start_line = source.line_at(head_start + label.end())
                found.append(Function(start_line, source.line_at(offset), 0))
                stack.append("function")
            else:
                stack.append("initializer")
                continue  # The head goes on after it.
        elif symbol == "}":
            closed = stack.pop() if stack else "scope"
            if closed == "function":
                found[-1] = dataclasses.replace(found[-1], last_line=source.line_at(offset))
            if closed == "initializer":
                continue
        if "initializer" not in stack:
            head_start = offset + 1
    return [function for function in found if function.last_line]


def is_member_initializer(head):
    """`Log::Log(int a) : a_` before `{a}`: the brace begins a member, not the body."""
    return re.search(r"\)\s*(noexcept\s*)?:(?!:)[^;]*[\w>]\s*$", head) is not None and not head.rstrip().endswith(("noexcept", "const"))


def check_function_lengths(source):
    if not source.is_code:
        return
    for function in functions(source):
        length = function.line_count
        if length <= FUNCTION_LINES_NOTED:
            continue
        near = "\n".join(source.lines[max(0, function.first_line - 4):function.body_line + 1])
        if length > FUNCTION_LINES_MAX:
            yield Finding(source.path, function.body_line, f"function of {length} lines; the most is {FUNCTION_LINES_MAX}")
        elif not re.search(r"// tidy: long-function \w", near):
            yield Finding(source.path, function.body_line, f"function of {length} lines: shorten it to {FUNCTION_LINES_NOTED}, or "
                          "say why it is whole: // tidy: long-function <reason>")


def check_file_length(source):
    if not source.path.endswith((*CODE_SUFFIXES, ".py")):
        return
    count = len(source.lines)
    if count > FILE_LINES_MAX:
        yield Finding(source.path, count, f"file of {count} lines; the most is {FILE_LINES_MAX}")
    elif count > FILE_LINES_NOTED and source.path not in LONG_FILES:
        yield Finding(source.path, count, f"file of {count} lines: split it or list it in tools/tidy.py (LONG_FILES)", False)


# --- Includes and headers ---

def check_layers(source):
    if source.is_code:
        for line, message in layers.violations(source.path, source.text):
            yield Finding(source.path, line, message)


def check_header_prologue(source):
    if not source.path.endswith(".h"):
        return
    if "#pragma once" not in source.lines:
        yield Finding(source.path, 1, "#pragma once is missing")
    if not source.lines or not re.match(r"// \S+ \S+ \S+", source.lines[0]):
        yield Finding(source.path, 1, "a header opens with a paragraph on its job: // <what it is for>")


def check_format_header(source):
    """On-disk structs live in *_format.h, each with its size asserted."""
    if not source.path.endswith(".h") or source.module in (None, "base"):
        return
    if not source.path.endswith("_format.h"):
        for found in re.finditer(r"^\s*(?:base::)?le(?:16|32|48|64)\s+\w+\s*[;{=]", source.code, re.MULTILINE):
            if not layers.is_test(source.path):
                yield Finding(source.path, source.line_at(found.end()), "on-disk fields belong in a *_format.h")
        return
    for found in re.finditer(r"^struct (\w+) \{", source.code, re.MULTILINE):
        if not re.search(rf"static_assert\(sizeof\({found[1]}\) ==", source.code):
            yield Finding(source.path, source.line_at(found.start()), f"static_assert(sizeof({found[1]}) == ...) is missing")


# --- Words and calls ---

# Names that nothing else has are banned bare; the others only with the `::` that a system call is written with here.
OS_CALLS = r"fsync|fdatasync|sync_file_range|preadv?|pwritev?|openat|ftruncate|fallocate|mmap|munmap|getenv|getpid|usleep|nanosleep"
OS_CALLS_QUALIFIED = r"open|close|read|write|stat|rename|unlink|mkdir|poll|signal|fork"
BANNED_ABOVE_REACTOR = [
    (rf"(?<![\w.>])(?:::|std::)?(?:{OS_CALLS})\s*\(|(?<![\w>])::(?:{OS_CALLS_QUALIFIED})\s*\(",
     "the operating system is reached through reactor::System and reactor::Reactor"),
    (r"\bstd::(?:this_thread|thread|jthread|mutex|recursive_mutex|shared_mutex|condition_variable|counting_semaphore|async)\b",
     "a shard lives on one reactor: post a Message, await a Future"),
    (r"\b(?:system_clock|steady_clock|high_resolution_clock|clock_gettime|gettimeofday|time\(nullptr\))",
     "time comes from reactor::System (now_ns, wall_clock_ns), so that a run can be replayed"),
    (r"\b(?:std::random_device|std::mt19937\w*|getrandom|rand\(\)|drand48)",
     "chance comes from reactor::System::random_u64 or a seeded base::Random"),
    (r"\bsleep_(?:for|until)\b", "await reactor.sleep()"),
    (r"\bthread_local\b", "state belongs to a reactor or shard, not to a thread"),
]
BANNED_IN_LIBRARY = [
    (r"\busing namespace\b(?!\s+(?:\w+::)*\w*literals)", "name what you use"),
    (r"(?<![\w_])assert\s*\(", "PENSTOCK_ASSERT is on in every build"),
    (r"\b(?:throw|try|catch)\b(?!_)", "the library has no exceptions: return a Status"),
]
BANNED_IN_CODE = [
    (r"\bco_await\s+std::move\(\s*\w*task\w*\s*\)", "a Task is awaited where it is made: co_await f(x)"),
    (r"\bPENSTOCK_(?:CO_)?TRY\w*\(\s*co_await\s+[^;]*\bco_await\b", "one co_await a statement (GCC 12)"),
    (r"#\s*if\s+0\b", "delete dead code"),
]
# Put together here, so that this file does not hold them.
BANNED_WORDS = [
    (r"\b(?:FIX" r"ME|TO" r"DO|XX" r"X|HA" r"CK)\b", "finish it, or open an issue"),
    (r"(?<![\w.])/(?:work|root|home)/", "no path of one machine"),
    (r"/tmp/" r"bash_jobs", "no path of one machine"),
]
PRINTING = (r"\b(?:printf|fprintf|std::puts|std::cout|std::cerr)\b", "a library prints nothing: return it or count it")
PRINTERS = ("base/assert.cc", "reactor/ring_io.cc", "reactor/sim_")  # Last words of a process; the simulator, which is for tests.


def banned_calls(source):
    rules = list(BANNED_IN_CODE)
    if source.module and not layers.is_test(source.path):
        rules += BANNED_IN_LIBRARY + ([] if source.path.startswith(PRINTERS) else [PRINTING])
        if source.module in layers.ABOVE_REACTOR:
            rules += BANNED_ABOVE_REACTOR
    return rules


def check_banned_calls(source):
    if not source.is_code:
        return
    for pattern, instead in banned_calls(source):
        for found in re.finditer(pattern, source.code, re.MULTILINE):
            line = source.line_at(found.start())
            if "// tidy: allow " not in source.lines[line - 1]:
                yield Finding(source.path, line, f"`{found[0].strip()}`: {instead}")


def check_words(source):
    for number, line in enumerate(source.lines, 1):
        for pattern, why in BANNED_WORDS:
            if found := re.search(pattern, line):
                yield Finding(source.path, number, f"`{found[0]}`: {why}")
        if line != line.rstrip():
            yield Finding(source.path, number, "trailing white space")
        if "\t" in line and not source.path.endswith((".mk", "Makefile")):
            yield Finding(source.path, number, "a tab")
    if source.text and not source.text.endswith("\n"):
        yield Finding(source.path, len(source.lines), "no newline at the end")
    if len(source.text) > FILE_BYTES_MAX:
        yield Finding(source.path, 1, f"file over {FILE_BYTES_MAX // 1024} KiB")


# --- Tests ---

def check_test_names(source):
    if not source.path.endswith("_test.cc"):
        return
    for found in re.finditer(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*\w+,\s*(\w+)\s*\)", source.text, re.MULTILINE):
        if re.search(r"^Test|^Basic|Works$|\d+$", found[1]) and not re.search(r"[A-Z][a-z]+\w*(?:Bytes|V)\d+$", found[1]):
            yield Finding(source.path, source.line_at(found.start()), f"`{found[1]}`: a test's name is a sentence on behaviour")


def check_has_test(source, paths):
    if not source.module or not source.path.endswith(".cc") or layers.is_test(source.path):
        return
    test = TESTED_BY.get(source.path, source.path.replace(".cc", "_test.cc"))
    if test in paths:
        return
    if source.path in TESTED_BY:
        yield Finding(source.path, 1, f"TESTED_BY in tools/tidy.py names {test}, which does not exist")
    else:
        yield Finding(source.path, 1, f"no {test}; if another test covers it, say so in tools/tidy.py (TESTED_BY)", False)


# --- Paths and links ---

# A path that begins with one of our folders and ends in a known suffix; placeholders hold < * { or N.
PATH = re.compile(rf"(?<![\w/.<>*-])((?:{'|'.join(FOLDERS)}|penstock)/[\w./-]*\.(?:h|cc?|py|md|cmake|ini|txt|json))\b(?![<*{{])")


def exists(target, paths):
    return target in paths or f"include/{target}" in paths


def check_paths_in_comments(source, paths):
    if not source.path.endswith((*CODE_SUFFIXES, ".md", ".py", ".cmake")) or source.path == "tests/dev/tidy_test.py":
        return
    text = source.comments if source.is_code else source.text
    for found in PATH.finditer(text):
        if not exists(found[1], paths):
            yield Finding(source.path, source.line_at(found.start()), f"{found[1]} does not exist")


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def check_links(source, paths, texts):
    if not source.path.endswith(".md"):
        return
    folder = pathlib.PurePosixPath(source.path).parent
    body = re.sub(r"```.*?```", lambda found: re.sub(r"[^\n]", " ", found[0]), source.text, flags=re.DOTALL)
    for found in re.finditer(r"\]\(([^)\s]+)\)", body):
        target, _, anchor = found[1].partition("#")
        if re.match(r"\w+:", target):
            continue
        resolved = normalize(folder / target) if target else source.path
        line = source.line_at(found.start())
        if resolved not in paths and not any(path.startswith(resolved.rstrip("/") + "/") for path in paths):
            yield Finding(source.path, line, f"broken link: {found[1]}")
        elif anchor and anchor not in {slug(heading) for heading in re.findall(r"^#+ (.*)", texts.get(resolved, ""), re.MULTILINE)}:
            yield Finding(source.path, line, f"broken link: no heading #{anchor}")


def normalize(path):
    parts = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


# --- All together ---

FILE_RULES = [check_layers, check_header_prologue, check_format_header, check_function_lengths, check_file_length,
              check_banned_calls, check_words, check_test_names]


def check(texts):
    """`texts`: path -> text of every file of the repository that is text. Returns the findings, by path and line."""
    paths = set(texts)
    findings = []
    for path, text in texts.items():
        source = Source(path, text)
        for rule in FILE_RULES:
            findings.extend(rule(source))
        findings.extend(check_has_test(source, paths))
        findings.extend(check_paths_in_comments(source, paths))
        findings.extend(check_links(source, paths, texts))
    return sorted(findings, key=lambda finding: (finding.path, finding.line, finding.text))


def repository_files(root):
    """Tracked files and new ones that git does not ignore; without git every file outside build/."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, text=True)
    if listed.returncode == 0:
        names = listed.stdout.split("\0")
    else:
        names = [str(path.relative_to(root)) for path in root.rglob("*") if path.relative_to(root).parts[0] not in ("build", ".git")]
    return sorted(name for name in set(names) if name and (root / name).is_file())


def read_repository(root):
    texts, findings = {}, []
    for name in repository_files(root):
        if pathlib.PurePosixPath(name).suffix not in TEXT_SUFFIXES or name.startswith(BINARY_FOLDERS):
            texts[name] = ""
            if (root / name).stat().st_size > FILE_BYTES_MAX:
                findings.append(Finding(name, 1, f"file over {FILE_BYTES_MAX // 1024} KiB"))
            continue
        try:
            texts[name] = (root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            texts[name] = ""
            findings.append(Finding(name, 1, "not UTF-8 text"))
    return texts, findings


def statistics_table(texts):
    """Size and density of assertions of each module, tests left out."""
    rows = [f"{'module':<10} {'files':>5} {'code':>7} {'tests':>7} {'longest':>8} {'median':>7} {'over 70':>8} {'asserts':>8} {'/kloc':>6}"]
    for module in layers.RANK:
        mine = [Source(path, text) for path, text in texts.items() if path.startswith(module + "/") and path.endswith(CODE_SUFFIXES)]
        library = [source for source in mine if not layers.is_test(source.path)]
        code_lines = sum(count_code_lines(source) for source in library)
        test_lines = sum(count_code_lines(source) for source in mine if layers.is_test(source.path))
        lengths = [function.line_count for source in library for function in functions(source)] or [0]
        asserts = sum(len(re.findall(r"\b(?:PENSTOCK_(?:ASSERT|AUDIT)\w*|static_assert)\s*\(", source.code)) for source in library)
        density = 1000 * asserts / max(code_lines, 1)
        low = "  below the aim of 40" if module in ("wal", "btree", "flush", "engine") and density < ASSERTS_PER_KLOC_MIN else ""
        rows.append(f"{module:<10} {len(library):>5} {code_lines:>7} {test_lines:>7} {max(lengths):>8} {statistics.median(lengths):>7.0f} "
                    f"{sum(length > FUNCTION_LINES_NOTED for length in lengths):>8} {asserts:>8} {density:>6.0f}{low}")
    return "\n".join(rows)


def count_code_lines(source):
    return sum(1 for line in source.code.splitlines() if line.strip())
