# SPDX-License-Identifier: Apache-2.0
"""Size and form as tests: heads, lengths, what may import what, and where the interpreter may be seen.

A limit may be exceeded by a file or function that ALLOWED names, with its reason.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SPDX = "SPDX-License-Identifier: Apache-2.0"
CODE = {".py", ".pyi", ".c", ".h", ".sh", ".cmake", ".js", ".css", ".html", ".svg"}
ALLOWED: dict[str, str] = {}
# Inside functions only: the app's OpenTelemetry API when it has one, the app's own sitecustomize, and in `pillion up`,
# `pillion install` and their like the node's side, which runs in no application.
BORROWED = {"opentelemetry", "sitecustomize", "pillion_collector", "pillion_inject"}
NO_HEAD = {"LICENSE", ".gitignore", ".clang-format"}  # no place for one, or its own text
NO_COMMENTS = {".json", ".png", ".bin", ".txt"}


def tracked() -> list[Path]:
    """Every file under version control, and the new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs git and a checkout: {error}")
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()]


def code(*suffixes: str) -> list[Path]:
    return [path for path in tracked() if path.suffix in suffixes]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Python: each function's name and its lines, decorators and docstring left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            yield node.name, (node.end_lineno or 0) - first.lineno + 2


def c_functions(path: Path) -> Iterator[tuple[str, int]]:
    """C as clang-format leaves it: a body runs from the line that ends in `{` at column 0's function to the `}`."""
    start, title = 0, ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.endswith("{") and not line.startswith((" ", "\t", "}", "#", "/")):
            start, title = number, line
        elif line.startswith("}") and start:
            if "(" in title or ")" in title:
                yield title, number - start + 1
            start = 0


def test_every_file_says_its_licence_in_its_first_lines() -> None:
    lacking = []
    for path in tracked():
        if path.name in NO_HEAD or path.suffix in NO_COMMENTS:
            continue
        head = path.read_bytes()[:400].decode(errors="replace").splitlines()[:3]
        if not any(SPDX in line for line in head):
            lacking.append(name(path))
    assert not lacking


def test_no_file_is_longer_than_400_lines_and_no_hook_than_120() -> None:
    long = []
    for path in tracked():
        if path.suffix not in CODE:
            continue
        is_hook = name(path).startswith("agent/pillion/hooks/") and path.name != "__init__.py"
        limit = 120 if is_hook else 400
        lines = path.read_bytes().count(b"\n")
        if lines > limit and name(path) not in ALLOWED:
            long.append(f"{name(path)}: {lines} lines, {limit} allowed")
    assert not long


def test_half_of_all_source_files_have_at_most_150_lines() -> None:
    lengths = sorted(path.read_bytes().count(b"\n") for path in code(".py", ".c", ".h"))
    assert lengths[len(lengths) // 2] <= 150


def test_no_python_function_is_longer_than_40_lines_or_60_in_tests() -> None:
    long = []
    for path in code(".py"):
        limit = 60 if name(path).startswith("tests/") else 40
        for title, lines in functions(path):
            if lines > limit and f"{name(path)}:{title}" not in ALLOWED:
                long.append(f"{name(path)}: {title} has {lines} lines, {limit} allowed")
    assert not long


def test_no_c_function_is_longer_than_60_lines() -> None:
    long = []
    for path in code(".c", ".h"):
        for title, lines in c_functions(path):
            if lines > 60 and f"{name(path)}:{title}" not in ALLOWED:
                long.append(f"{name(path)}: {title} has {lines} lines")
    assert not long


def test_every_exception_from_the_limits_still_exists_and_has_a_reason() -> None:
    for entry, reason in ALLOWED.items():
        assert (ROOT / entry.split(":", maxsplit=1)[0]).exists(), entry
        assert len(reason) > 10, entry


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Top-level names that a file imports, and whether that happens when it is loaded."""
    tree = ast.parse(path.read_text())
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.Lambda))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for each in names:
            yield each.split(".")[0], id(node) not in late


def test_the_injected_package_imports_the_standard_library_and_itself_alone() -> None:
    own = set(sys.stdlib_module_names) | {"pillion"}
    foreign = [
        f"{name(path)}: {module}"
        for path in code(".py")
        if name(path).startswith("agent/pillion/")
        for module, early in imports(path)
        if module not in own and (early or module not in BORROWED)
    ]
    assert not foreign


def test_a_hook_imports_nothing_but_the_engine_and_the_standard_library() -> None:
    foreign = [
        f"{name(path)}: {module}"
        for path in code(".py")
        if name(path).startswith("agent/pillion/hooks/")
        for module, _early in imports(path)
        if module not in set(sys.stdlib_module_names) | {"pillion"}
    ]
    assert not foreign


def test_what_prepares_containers_imports_the_standard_library_and_itself_alone() -> None:
    own = set(sys.stdlib_module_names) | {"pillion_inject"}
    foreign = [
        f"{name(path)}: {module}"
        for path in code(".py")
        if name(path).startswith("agent/pillion_inject/")
        for module, early in imports(path)
        if module not in own and (early or module != "pillion")  # whose table of reasons may be at hand
    ]
    assert not foreign


def test_what_a_bundle_holds_is_written_for_python_3_8() -> None:
    for path in code(".py"):
        if name(path).startswith(("agent/pillion/", "agent/pillion_inject/")):
            ast.parse(path.read_text(), str(path), feature_version=(3, 8))


def test_only_the_module_sees_the_interpreter() -> None:
    seeing = {
        path.name
        for path in code(".c", ".h")
        if name(path).startswith("native/") and re.search(r"^#include [<\"]Python\.h[>\"]", path.read_text(), re.M)
    }
    wrong = {each for each in seeing if not each.startswith("module") and each != "compat.h"}
    assert not wrong


def test_no_print_statement_in_what_is_injected() -> None:
    """Its commands print; what rides in the application does not."""
    commands = {"__main__.py", "cli.py", "run.py", "why.py"}
    printing = [
        f"{name(path)}:{node.lineno}"
        for path in code(".py")
        if name(path).startswith("agent/pillion/") and path.name not in commands and "cli" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not printing
