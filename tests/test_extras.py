"""Every package that an extra brings is imported late, through one door, from that extra."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import tumorlens
from tumorlens.errors import MissingExtraError
from tumorlens.extras import installed, require

PACKAGE = Path(tumorlens.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]

CALLED = {
    "dicom-anonymizer": "dicomanonymizer",
    "huggingface-hub": "huggingface_hub",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
}
"""Distributions that are imported by another name."""

CHOSEN = {"jax", "polars", "torch"}
"""Keras runs on two of them as well, data frames on the third; who has them chose them."""

BEYOND = {"onnxruntime": "onnx", "markupsafe": "jinja2", "pydicom": "highdicom"}
"""What parts of a core package need beyond the core (here, quantising), and what comes along."""


def imported_as(requirements: list[str]) -> set[str]:
    names = set()
    for requirement in requirements:
        name = ast.literal_eval(repr(requirement)).split("[")[0].split(">=")[0].split(";")[0]
        name = name.strip().lower().removesuffix("-cpu")
        names.add(CALLED.get(name.replace("_", "-"), name.replace("-", "_")))
    return names


CORE = imported_as(PROJECT["dependencies"])


def root_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def is_optional(module: str) -> bool:
    root = root_of(module)
    return root not in sys.stdlib_module_names and root not in CORE and root != "tumorlens"


def for_types_only(tree: ast.AST) -> set[ast.AST]:
    """Everything below ``if TYPE_CHECKING:``."""
    blocks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {inner for block in blocks for statement in block.body for inner in ast.walk(statement)}


def bare_imports(path: Path) -> Iterator[str]:
    """Name what a file imports of optional packages beside the door."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = for_types_only(tree)
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if is_optional(alias.name))
        elif isinstance(node, ast.ImportFrom) and is_optional(node.module or ""):
            yield node.module or ""
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            text = node.args[0]
            known = isinstance(text, ast.Constant) and isinstance(text.value, str)
            if not known or is_optional(text.value):
                yield ast.unparse(text)


ALLOWED = {
    "__init__.py": {"f\"{__name__}.{_HOME.get(name, 'errors')}\""},
    "apps/cli/data.py": {"_ELSEWHERE[cmd_name]"},
    "models/engine.py": {"f'onnxruntime.{name}'"},  # the core's own, through its one door
    # A program of its own, which `tumorlens.data.download` starts where kagglehub is installed.
    "data/kaggle_client.py": {"kagglehub", "kagglehub.exceptions", "requests"},
}
"""Beside these: modules of this package whose names are put together."""

WHOLE = {"apps/web/": "web"}
"""Folders that only a command imports, after it has asked the door for all of their extra."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_optional_packages_come_through_the_door(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    if name == "extras.py":
        return
    found = set(bare_imports(path)) - ALLOWED.get(name, set())
    for folder, extra in WHOLE.items():
        if name.startswith(folder):
            brought = imported_as(PROJECT["optional-dependencies"][extra])
            found = {module for module in found if root_of(module) not in brought}
    assert not found


def asked_for() -> Iterator[tuple[str, str, str]]:
    """Every module that some file asks the door for, and the extra it says."""
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "require":
                modules = strings(node.args[0], tree)
                for module in modules:
                    for extra in strings(node.args[2], tree):
                        yield path.relative_to(PACKAGE).as_posix(), module, extra


def strings(node: ast.expr, tree: ast.AST) -> list[str]:
    """The texts that an argument may be: itself, its beginning, or those a loop gives it."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return [str(ast.literal_eval(node.values[0]))]
    assert isinstance(node, ast.Name), ast.unparse(node)
    for other in ast.walk(tree):
        if isinstance(other, ast.comprehension | ast.For) and ast.unparse(other.target) == node.id:
            return [str(text) for text in ast.literal_eval(value_of(other.iter, tree))]
        if isinstance(other, ast.Assign) and isinstance(other.targets[0], ast.Tuple):
            names = [ast.unparse(name) for name in other.targets[0].elts]
            if node.id in names and isinstance(other.value, ast.Tuple):
                return [str(ast.literal_eval(other.value.elts[names.index(node.id)]))]
    raise AssertionError(f"cannot tell what {node.id} is")


def value_of(node: ast.expr, tree: ast.AST) -> ast.expr:
    """The value itself, or what a constant of the file stands for."""
    for other in ast.walk(tree):
        if isinstance(other, ast.AnnAssign) and ast.unparse(other.target) == ast.unparse(node):
            assert other.value is not None
            return other.value
    return node


@pytest.mark.parametrize(("where", "module", "extra"), sorted(set(asked_for())))
def test_the_extra_that_is_named_brings_the_package(where: str, module: str, extra: str) -> None:
    brought = imported_as(PROJECT["optional-dependencies"][extra]) | CHOSEN
    assert {root_of(module), BEYOND.get(root_of(module))} & brought, where


def test_what_is_missing_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, "scipy.ndimage", raising=False)
    with pytest.raises(MissingExtraError, match=r"^drawing needs more packages: .*\[data\]"):
        require("scipy.ndimage", "drawing", "data")
    assert not installed("scipy")


def test_what_is_there_and_broken_is_a_sentence_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_here.py").write_text("raise ImportError('libx.so: not found')")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed("broken_here")
    message = r"^drawing cannot load broken_here \(libx.so: not found\) and needs more packages"
    with pytest.raises(MissingExtraError, match=message):
        require("broken_here", "drawing", "data")
