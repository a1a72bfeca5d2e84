"""The shape of the code, checked: imports point down, the core is pure, modules say what they offer and have a twin.

To add a module: give it a rank below (core modules a layer), an ``__all__``, and a test file ``tests/**/test_NAME.py``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "gp_replay"
MAX_LINES = 450

# A module imports from its own package, and from what has a lower rank. The longest name that fits counts.
RANKS = {
    "errors": 0,
    "core": 1,
    "contracts": 2,
    "store": 3,
    "interop": 3,
    "report": 3,
    "settings": 3,
    "console": 3,
    "net": 4,
    "runs": 4,
    "run_counts": 5,
    "run_settings": 5,
    "demo": 5,
    "bringing_up": 6,
    "service": 6,
    "recording": 7,
    "replaying": 7,
    "driving": 8,
    "running": 8,
    "api": 9,
    "upkeep": 10,
    "demo.loop": 10,
    "cli_run": 11,
    "cli_upkeep": 11,
    "pytest_plugin": 11,
    "cli": 12,
    "__main__": 13,
}

# A core module imports errors, and core modules of the layers above its own in this list.
CORE_LAYERS = (
    "aligning json_strings model places plain pseudonym records rewriter secret_rules shapes sse timing",
    "ambient answers authority coding copies correlation cuts deltas document_reading entries faults frames http1 id_index"
    " identity index landmarks layouts migrations outages rebasing rules ruling secret_scan volatility",
    "bindings codec credentials document profile recorder redaction routing terms",
    "canonical",
    "matching script",
    "evidence explain faulting learning",
    "acts defining openings playing render",
    "hearing injection speaking",
    "crowd",
    "choosing",
    "player",
)

PURE = ("core", "contracts", "report", "runs")
# What the world would come in through: clock, environment, disk, network, randomness, processes, logging.
IMPURE_IMPORTS = """
asyncio concurrent ctypes fcntl getpass glob http httpx importlib logging mmap multiprocessing os pathlib
platform random requests sched secrets select selectors shutil signal socket socketserver ssl subprocess sys
syslog tempfile threading time typer urllib.request uuid vcr warnings websockets.asyncio websockets.cli
websockets.legacy websockets.sync
"""
IMPURE_CALLS = frozenset({"open", "input", "print", "breakpoint", "exec", "eval", "__import__"})
IMPURE_METHODS = frozenset({"now", "utcnow", "today"})

# Entry points: typer and pytest find their functions, nobody imports them.
ENTRY_POINTS = frozenset({"cli", "cli_run", "cli_upkeep", "pytest_plugin"})

# These lists may only shrink: a module that no longer needs its exception fails the test until it is struck out.
WITHOUT_TWIN = ""
TOO_LONG = ""


@cache
def sources() -> dict[str, str]:
    """All modules of the package, by name without the package's; the package itself is ``""``."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        found[".".join(parts).removesuffix("__init__").removesuffix(".")] = path.read_text(encoding="utf-8")
    return found


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(sources()[module])


def imports_of(parsed: ast.AST, modules: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Modules of the package that are imported anywhere, in functions and for type checking too, with the name."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE:
                    yield alias.name.removeprefix(PACKAGE).removeprefix("."), ""
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            base = node.module or ""
            if base.split(".")[0] == PACKAGE:
                inner = base.removeprefix(PACKAGE).removeprefix(".")
                for alias in node.names:
                    submodule = f"{inner}.{alias.name}".removeprefix(".")
                    yield (submodule, "") if submodule in modules else (inner, alias.name)


def edges(module: str) -> set[str]:
    found = {imported for imported, _ in imports_of(tree(module), frozenset(sources()))}
    return found - {"", module}


def rank(module: str) -> int:
    fitting = [name for name in RANKS if module == name or module.startswith(f"{name}.")]
    assert fitting, f"{module} has no rank: add it to RANKS"
    return RANKS[max(fitting, key=len)]


def layer(core_module: str) -> int:
    name = core_module.removeprefix("core.")
    found = [number for number, names in enumerate(CORE_LAYERS) if name in names.split(" ")]
    assert len(found) == 1, f"{core_module} stands in {len(found)} layers: it belongs into one of CORE_LAYERS"
    return found[0]


def points_down(module: str, imported: str) -> bool:
    if module.startswith("core.") and imported.startswith("core."):
        return layer(imported) < layer(module)
    if rank(imported) == rank(module):
        return module.split(".")[0] == imported.split(".")[0]
    return rank(imported) < rank(module)


MODULES = [module for module in sources() if module]


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down_only(module: str) -> None:
    up = sorted(imported for imported in edges(module) if not points_down(module, imported))
    assert not up, f"{module} imports {', '.join(up)}, which it may not know"


def test_no_module_imports_itself_by_a_detour() -> None:
    try:
        TopologicalSorter({module: edges(module) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_package_itself_loads_nothing_but_the_api_and_that_only_when_asked() -> None:
    package = tree("")
    assert {imported for imported, _ in imports_of(package, frozenset(sources()))} <= {"api"}
    at_once = [node for node in package.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {getattr(node, "module", None) for node in at_once} <= {"__future__", "typing"}


def test_nothing_imports_the_command_line() -> None:
    assert [module for module in MODULES if "cli" in edges(module)] == ["__main__"]
    for commands in ("cli_run", "cli_upkeep"):
        assert [module for module in MODULES if commands in edges(module)] == ["cli"]


def test_every_core_module_stands_in_one_layer_and_no_layer_names_what_is_gone() -> None:
    for module in MODULES:
        if module.startswith("core."):
            layer(module)
    gone = [name for names in CORE_LAYERS for name in names.split(" ") if f"core.{name}" not in sources()]
    assert not gone


def impurities(parsed: ast.AST) -> Iterator[str]:
    for node in ast.walk(parsed):
        names: list[str] = []
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom():
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_CALLS:
                yield f"line {node.lineno}: {name}()"
            case ast.Attribute(attr=name) if name in IMPURE_METHODS:
                yield f"line {node.lineno}: .{name}"
            case ast.Global():
                yield f"line {node.lineno}: global"
            case _:
                pass
        for name in names:
            if any(name == impure or name.startswith(f"{impure}.") for impure in IMPURE_IMPORTS.split()):
                yield f"line {node.lineno}: import {name}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[0] in PURE])
def test_core_and_reports_know_nothing_of_the_world(module: str) -> None:
    assert list(impurities(tree(module))) == []


def all_of(module: str) -> list[str]:
    for node in tree(module).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__":
            value = node.value  # type: ignore[attr-defined]
            names = ast.literal_eval(value)
            assert all(isinstance(name, str) for name in names)
            return list(names)
    pytest.fail(f"{module or PACKAGE} has no __all__")


def bound_in(body: list[ast.stmt]) -> Iterator[str]:
    """Names a module binds at its top level."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import() | ast.ImportFrom():
                yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
            case ast.If() | ast.Try():
                yield from bound_in([*node.body, *node.orelse])
            case _:
                pass


@pytest.mark.parametrize("module", sources())
def test_a_module_lists_what_it_offers(module: str) -> None:
    offered = all_of(module)
    assert len(set(offered)) == len(offered)
    assert set(offered) <= set(bound_in(tree(module).body)), "__all__ names what is not there"
    if module in ENTRY_POINTS:
        return
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = {node.name for node in tree(module).body if isinstance(node, kinds) and not node.name.startswith("_")}
    assert public <= set(offered), "a public function or class is missing in __all__"


@pytest.mark.parametrize("module", sources())
def test_a_module_takes_only_what_others_offer(module: str) -> None:
    taken = [(imported, name) for imported, name in imports_of(tree(module), frozenset(sources())) if name]
    known = [(imported, name) for imported, name in taken if imported in sources()]  # mypy knows what is not there
    missing = sorted({f"{imported}.{name}" for imported, name in known if name not in all_of(imported)})
    assert not missing, f"not in __all__ of its module: {', '.join(missing)}"


def has_twin(module: str) -> bool:
    """``tests/**/test_NAME.py``, or ``test_PACKAGE_NAME.py`` where the name alone says too little."""
    names = {module.split(".")[-1], module.replace(".", "_")}
    return any(path.stem.removeprefix("test_") in names for path in (ROOT / "tests").rglob("test_*.py"))


def needs_twin(module: str) -> bool:
    """Packages only gather, and ``__main__`` only calls."""
    is_package = (ROOT / PACKAGE / Path(*module.split("."))).is_dir()
    return not is_package and module != "__main__"


def test_every_module_has_a_test_file_of_its_name() -> None:
    lacking = {module for module in MODULES if needs_twin(module) and not has_twin(module)}
    assert not lacking - set(WITHOUT_TWIN.split()), "add tests/**/test_NAME.py or test_PACKAGE_NAME.py"
    assert not set(WITHOUT_TWIN.split()) - lacking, (
        "these have a twin now, or are gone: strike them out of WITHOUT_TWIN"
    )


def test_file_names_tell_modules_and_tests_apart() -> None:
    for names in (
        [module.split(".")[-1] for module in MODULES if needs_twin(module)],
        [path.name for path in (ROOT / "tests").rglob("*.py")],
    ):
        assert sorted(names) == sorted(set(names))


def test_no_module_is_too_long() -> None:
    long = {module for module, text in sources().items() if text.count("\n") > MAX_LINES}
    assert not long - set(TOO_LONG.split()), f"over {MAX_LINES} lines: it has more than one reason to change"
    assert not set(TOO_LONG.split()) - long, "these are short enough now: strike them out of TOO_LONG"


@pytest.mark.parametrize(
    ("module", "source", "up"),
    [
        ("core.model", "from gp_replay.core.player import Player", ["core.player"]),
        ("core.model", "def f():\n    import gp_replay.net.clock", ["net.clock"]),
        ("core.model", "if TYPE_CHECKING:\n    from gp_replay import api", ["api"]),
        ("core.model", "from gp_replay import __version__", []),
        ("core.player", "from gp_replay.core import script", []),
        ("core.index", "from gp_replay.core.http1 import Body", ["core.http1"]),
        ("store.files", "from gp_replay.report.show import show_lines", ["report.show"]),
        ("store.files", "from gp_replay.store.reading import CassetteFile", []),
        ("net.record", "from gp_replay.core.model import Event", []),
        ("api", "from gp_replay.cli import main", ["cli"]),
    ],
)
def test_these_checks_see_an_import_wherever_it_stands(module: str, source: str, up: list[str]) -> None:
    found = {imported for imported, _ in imports_of(ast.parse(source), frozenset(sources()))} - {""}
    assert [imported for imported in sorted(found) if not points_down(module, imported)] == up


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", 1),
        ("import os.path", 1),
        ("def f():\n    from os import environ", 1),
        ("from urllib import request", 1),
        ("from urllib.parse import urlsplit", 0),
        ("from websockets.asyncio.client import connect", 1),
        ("from websockets.protocol import Protocol", 0),
        ("at = datetime.now(UTC)", 1),
        ("at = datetime.fromisoformat(text)", 0),
        ("print(1)", 1),
        ("stream.write(open_file)", 0),
    ],
)
def test_these_checks_see_the_world_come_in(source: str, found: int) -> None:
    assert len(list(impurities(ast.parse(source)))) == found
