"""Mutants of a source file: every small change of meaning that `mutants.py` can put to the tests.

A change replaces one span of the text, so line numbers before it stay. Words for people (f-strings, docstrings, what is raised),
annotations, decorators, asserts and the keywords of a class are left alone.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_OPPOSITE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_NO_NUMBERS = (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp)
#: Fields of nodes that are no code that runs.
_NO_CODE = {"annotation", "returns", "decorator_list", "type_comment"}
_UNTOUCHED = (ast.JoinedStr, ast.Assert, ast.Raise, ast.Import, ast.ImportFrom)

Change = tuple[str, str, str]  # kind, the change in words, what the span becomes


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A change of one file. text: the line that it is in, stripped; source: the whole file with the change, which may not compile."""

    file: str
    line: int
    text: str
    kind: str
    change: str
    source: bytes

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it as long as its line stays as it is."""
        return self.file, self.text, self.change


def enum_members(root: Path) -> dict[str, list[str]]:
    """Members of every enumeration below a folder, by the name of its class."""
    found: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        if b"Enum):" not in content:
            continue
        for node in ast.parse(content).body:
            if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
                names = [item.targets[0] for item in node.body if isinstance(item, ast.Assign)]
                found[node.name] = [name.id for name in names if isinstance(name, ast.Name)]
    return found


def mutants_of(content: bytes, file: str, enums: dict[str, list[str]]) -> list[Mutant]:
    """Every mutant of a file; two changes that give the same file are one."""
    tree = ast.parse(content)
    names = {**enums, **{alias: enums[name] for alias, name in _aliases(tree) if name in enums}}
    starts = [0]
    for line in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: dict[bytes, Mutant] = {}
    for node, (kind, change, becomes) in _Walker(names).changes(tree):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        source = content[:begin] + becomes.encode() + content[end:]
        text = content[starts[node.lineno - 1] : starts[node.lineno]].decode().strip()
        words = " ".join(change.split())
        found.setdefault(source, Mutant(file=file, line=node.lineno, text=text, kind=kind, change=words, source=source))
    return list(found.values())


def _aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(alias, name) of module level assignments of plain names: ``_S, _G = KillStage, KillSignal``."""
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        target, value = node.targets[0], node.value
        pairs = (
            zip(target.elts, value.elts, strict=False)
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            else [(target, value)]
        )
        for left, right in pairs:
            if isinstance(left, ast.Name) and isinstance(right, ast.Name):
                yield left.id, right.id


class _Walker:
    """Goes through a tree and names the changes of every node."""

    def __init__(self, enums: dict[str, list[str]]) -> None:
        self._enums = enums
        self._of: tuple[tuple[type[ast.AST], Callable[[ast.AST], Iterator[Change]]], ...] = (
            (ast.Compare, self._compare),
            (ast.BoolOp, self._bool_op),
            (ast.UnaryOp, self._unary),
            (ast.BinOp, self._arithmetic),
            (ast.Constant, self._constant),
            (ast.Call, self._call),
            (ast.Attribute, self._enum),
            (ast.Set, self._element),
            (ast.Dict, self._element),
            (ast.stmt, self._statement),
        )

    def changes(self, node: ast.AST, function: ast.FunctionDef | None = None) -> Iterator[tuple[ast.AST, Change]]:
        """(node to replace, change) for everything below a node, which is in a function."""
        for child in _below(node):
            yield from ((child, change) for kind, changer in self._of if isinstance(child, kind) for change in changer(child))
            if function is None and isinstance(child, ast.Tuple) and all(isinstance(item, ast.Call) for item in child.elts):
                yield from ((child, change) for change in self._element(child))  # a table of rows
            if function is not None and isinstance(child, ast.Return):
                yield from ((child, change) for change in _returned(child, function))
            yield from ((test, change) for test in _tests(child) for change in _decided(test))
            yield from self.changes(child, child if isinstance(child, ast.FunctionDef) else function)

    @staticmethod
    def _compare(node: ast.AST) -> Iterator[Change]:
        assert isinstance(node, ast.Compare)
        for index, operator in enumerate(node.ops):
            for other in _OPPOSITE[type(operator)]:
                yield _changed("comparison", node, lambda new, i=index, o=other: new.ops.__setitem__(i, o()))

    @staticmethod
    def _bool_op(node: ast.AST) -> Iterator[Change]:
        assert isinstance(node, ast.BoolOp)
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _changed("boolean", node, lambda new: setattr(new, "op", other))
        if len(node.values) > 1:
            for index in range(len(node.values)):
                yield _changed("boolean", node, lambda new, i=index: new.values.pop(i))

    @staticmethod
    def _unary(node: ast.AST) -> Iterator[Change]:
        assert isinstance(node, ast.UnaryOp)
        kind = "boolean" if isinstance(node.op, ast.Not) else "arithmetic"
        yield kind, f"{ast.unparse(node)} -> {ast.unparse(node.operand)}", f"({ast.unparse(node.operand)})"

    @staticmethod
    def _arithmetic(node: ast.AST) -> Iterator[Change]:
        assert isinstance(node, ast.BinOp)
        sides = (node.left, node.right)
        texts = any(isinstance(side, ast.Constant) and isinstance(side.value, str | bytes) for side in sides)
        if texts or any(isinstance(side, _NO_NUMBERS) for side in sides) or _is_type(node) or type(node.op) not in _ARITHMETIC:
            return
        yield _changed("arithmetic", node, lambda new: setattr(new, "op", _ARITHMETIC[type(node.op)]()))

    @staticmethod
    def _constant(node: ast.AST) -> Iterator[Change]:
        assert isinstance(node, ast.Constant)
        if isinstance(node.value, bool):
            yield "constant", f"{node.value} -> {not node.value}", repr(not node.value)
        elif isinstance(node.value, int | float):
            yield "constant", f"{node.value} -> {node.value + 1}", repr(node.value + 1)

    @staticmethod
    def _call(node: ast.AST) -> Iterator[Change]:
        assert isinstance(node, ast.Call)
        name = ast.unparse(node.func)
        if name in _FUNCTIONS:
            yield _changed("function", node, lambda new: setattr(new.func, "id", _FUNCTIONS[name]))
        if name.split(".")[-1] == "replace" and len(node.keywords) > 0:
            for index in range(len(node.keywords)):
                yield _changed("field kept", node, lambda new, i=index: new.keywords.pop(i))

    def _enum(self, node: ast.AST) -> Iterator[Change]:
        assert isinstance(node, ast.Attribute)
        members = self._enums.get(node.value.id, []) if isinstance(node.value, ast.Name) else []
        if node.attr in members and len(members) > 1:
            other = f"{ast.unparse(node.value)}.{members[(members.index(node.attr) + 1) % len(members)]}"
            yield "member", f"{ast.unparse(node)} -> {other}", other

    @staticmethod
    def _element(node: ast.AST) -> Iterator[Change]:
        assert isinstance(node, ast.Set | ast.Dict | ast.Tuple)
        lists = (node.keys, node.values) if isinstance(node, ast.Dict) else (node.elts,)
        if len(lists[0]) < 2 or not hasattr(node, "lineno"):
            return
        for index in range(len(lists[0])):
            new = copy.deepcopy(node)
            for items in (new.keys, new.values) if isinstance(new, ast.Dict) else (new.elts,):
                items.pop(index)
            yield "element", f"without {ast.unparse(lists[0][index] or lists[-1][index])}", f"({ast.unparse(new)})"

    @staticmethod
    def _statement(node: ast.AST) -> Iterator[Change]:
        to_part = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Subscript)
        called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if to_part or called or isinstance(node, ast.AugAssign | ast.Raise | ast.Break):
            yield "statement", f"without {ast.unparse(node)}", "pass"
        elif isinstance(node, ast.Continue):
            yield "statement", "continue -> break", "break"


def _returned(node: ast.Return, function: ast.FunctionDef) -> Iterator[Change]:
    """A claim turned round, what comes beside a state dropped, nothing where nothing may come back."""
    value = node.value
    if isinstance(value, ast.Tuple):
        for index, item in enumerate(value.elts):
            if isinstance(item, ast.Tuple) and item.elts:
                new = copy.deepcopy(value)
                new.elts[index] = ast.Tuple([], ast.Load())
                yield "return", f"{ast.unparse(node)} -> return {ast.unparse(new)}", f"return {ast.unparse(new)}"
    elif value is None or function.returns is None or (isinstance(value, ast.Constant) and value.value is None):
        return
    elif ast.unparse(function.returns) == "bool":
        yield "return", f"{ast.unparse(node)} -> return not ...", f"return not ({ast.unparse(value)})"
    elif "None" in ast.unparse(function.returns):
        yield "return", f"{ast.unparse(node)} -> return None", "return None"


def _changed(kind: str, node: ast.expr, edit: Callable[[ast.AST], object]) -> Change:
    new = copy.deepcopy(node)
    edit(new)
    if isinstance(new, ast.BoolOp) and len(new.values) == 1:
        new = new.values[0]
    return kind, f"{ast.unparse(node)} -> {ast.unparse(new)}", f"({ast.unparse(new)})"


def _is_type(node: ast.BinOp) -> bool:
    """Whether it is a union of types: ``A | B`` of capitalised names."""
    names = [item for item in ast.walk(node) if isinstance(item, ast.Name)]
    return isinstance(node.op, ast.BitOr) and all(name.id[:1].isupper() for name in names)


def _tests(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield node.test
    elif isinstance(node, ast.comprehension):
        yield from node.ifs
    elif isinstance(node, ast.match_case) and node.guard is not None:
        yield node.guard


def _decided(test: ast.expr) -> Iterator[Change]:
    for word in ("True", "False"):
        yield "condition", f"{ast.unparse(test)} -> {word}", word


def _below(node: ast.AST) -> Iterator[ast.AST]:
    """Children that may be changed."""
    if isinstance(node, _UNTOUCHED) or _is_list_of_names(node):
        return
    for name, value in ast.iter_fields(node):
        if name not in _NO_CODE and not (name == "keywords" and isinstance(node, ast.ClassDef)):
            yield from (child for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST))


def _is_list_of_names(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"__all__", "__slots__"}
