# SPDX-License-Identifier: Apache-2.0
"""compile_code: run by each CPython that the bundle is for:  pythonX.Y -I -X no_debug_ranges compile_code.py <in >out

In: lines of JSON, [name in the tree, source]. Out: marshal of (magic number, [code as marshal, …]) in the same order.
Code is optimised: no docstrings, no assertions, no annotations of functions (they are texts that nobody asks for),
nothing of what only a type checker reads, and of the lines only each function's first. Written for CPython 3.8.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import marshal
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Leaner(ast.NodeTransformer):
    """Takes out what does nothing at run time."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        args = node.args
        for argument in [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]:
            if argument is not None:
                argument.annotation = None
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" and not node.orelse:
            return None
        self.generic_visit(node)
        return node


def lines(code: types.CodeType) -> bytes:
    """A table that says of all of this code that it is where it begins: in the form of the CPython that runs this."""
    size = len(code.co_code)
    if sys.version_info < (3, 10):  # noqa: UP036
        return b""
    if sys.version_info < (3, 11):  # noqa: UP036
        return b"".join(bytes((min(254, size - at), 0)) for at in range(0, size, 254))
    return b"".join(bytes((0x80 | 13 << 3 | min(8, size // 2 - at) - 1, 0)) for at in range(0, size // 2, 8))


def one_line(code: types.CodeType) -> types.CodeType:
    """The code and all within it, without the lines: a sixth of its size when packed."""
    consts = tuple(one_line(const) if isinstance(const, types.CodeType) else const for const in code.co_consts)
    table: Any = {"co_lnotab" if sys.version_info < (3, 10) else "co_linetable": lines(code)}
    return code.replace(co_consts=consts, **table)


def compiled(name: str, source: str) -> bytes:
    """The code as marshal, the same bytes each time: read once and written again, so that no reference is by chance."""
    tree = ast.fix_missing_locations(Leaner().visit(ast.parse(source, name)))
    code = one_line(compile(tree, name, "exec", dont_inherit=True, optimize=2))
    return marshal.dumps(marshal.loads(marshal.dumps(code)))


def main() -> None:
    codes = [compiled(*json.loads(line)) for line in sys.stdin.buffer]
    sys.stdout.buffer.write(marshal.dumps((importlib.util.MAGIC_NUMBER, codes)))


main()
