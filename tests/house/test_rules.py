"""The rules of the house, read from the code: sizes, names, and what a room may import."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"focus_plugin": "focus_plugin", "focus_cli": "cli", "focus_export": "export"}
MOST_PARAMETERS = 6
DECLARING = ("focus_plugin.heads.", "focus_plugin.methods.", "focus_export.heads.")  # their files have the same parts


def _modules() -> Iterator[tuple[str, Path]]:
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), path


MODULES = dict(_modules())
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def test_no_function_has_many_parameters():
    many = []
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                given = node.args
                count = len([*given.posonlyargs, *given.args, *given.kwonlyargs])
                count -= bool(given.args) and given.args[0].arg in ("self", "cls")
                if count > MOST_PARAMETERS:
                    many.append(f"{name}.{node.name}: {count}")
    assert not many, "\n".join(many)


def test_no_two_classes_functions_or_types_have_one_name():
    places = defaultdict(list)
    for name, tree in TREES.items():
        if name.startswith(DECLARING):
            continue
        for found in map(_defined, tree.body):
            if found and not found.startswith("_") and found != "command":  # of every file in cli
                places[found].append(name)
    assert not {found: names for found, names in places.items() if len(names) > 1}


def test_no_two_constants_have_one_name():
    places = defaultdict(set)
    for name, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for found in (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)):
                    places[found].add(name)
    of_declarations_and_types = ("HEAD", "METHOD", "T")
    assert not {
        found: names
        for found, names in places.items()
        if len(names) > 1 and found.isupper() and found[0] != "_" and found not in of_declarations_and_types
    }


def _defined(node: ast.stmt) -> str | None:
    """The name of a class, of a function or of another name for a type."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        name = node.targets[0].id
        return name if name != name.upper() and name != name.lower() else None
    return None


def _imported(tree: ast.AST, only_at_import: bool) -> set[str]:
    """The modules that are imported, also in functions unless ``only_at_import``."""
    found: set[str] = set()
    for node in _nodes(tree, only_at_import):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = f"focus_export.{node.module}" if node.level else str(node.module)  # the only relative imports
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def _nodes(tree: ast.AST, only_at_import: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if only_at_import and (isinstance(node, ast.FunctionDef) or typing_only):
            continue
        yield node
        yield from _nodes(node, only_at_import)


RULES = {  # a room, and what none of its modules may import anywhere
    "focus_plugin": ("click",),
    "focus_plugin.vocabulary": ("torch", "fairseq", "focus_plugin.checkpoint", "focus_plugin.models"),
    "focus_plugin.checkpoint": ("focus_plugin.methods", "focus_plugin.mixing"),
    "focus_plugin.auxiliary": ("focus_plugin.checkpoint",),
    "focus_plugin.methods": ("fairseq", "focus_plugin.files", "focus_plugin.jobs"),
    "focus_plugin.mixing": ("fairseq", "focus_plugin.jobs", "focus_plugin.transfer"),
    "focus_plugin.parallel": ("torch", "fairseq", "focus_plugin.checkpoint", "focus_plugin.mixing"),
    "focus_plugin.hypernetwork": ("fairseq", "focus_plugin.methods", "focus_plugin.mixing", "focus_plugin.jobs"),
    "focus_plugin.learning": ("fairseq", "focus_plugin.jobs"),
    "focus_plugin.report": ("fairseq", "focus_plugin.checkpoint"),
    "focus_plugin.comparison": ("fairseq", "focus_plugin.checkpoint", "focus_plugin.jobs"),
    "focus_plugin.optimization": ("focus_plugin.methods", "focus_plugin.mixing", "focus_plugin.heads"),
    "focus_plugin.training": ("focus_plugin.methods", "focus_plugin.mixing", "focus_plugin.heads"),
    "focus_plugin.model_card": ("torch", "fairseq", "focus_plugin.heads", "focus_plugin.jobs"),
    "focus_plugin.embeddings": ("fairseq", "focus_plugin.heads"),
    "focus_plugin.tagging": ("fairseq", "torch", "numpy", "focus_plugin.heads"),
    "focus_plugin.question_answering": ("fairseq", "torch", "focus_plugin.heads"),
    "focus_plugin.bilingual": ("fairseq", "focus_plugin.methods", "focus_plugin.jobs"),
    "focus_export": ("torch", "fairseq", "click"),
}


@pytest.mark.parametrize("room", RULES)
def test_a_room_imports_only_what_it_may(room):
    broken = [
        f"{name} imports {module}"
        for name, tree in TREES.items()
        if name == room or name.startswith(f"{room}.")
        for module in sorted(_imported(tree, only_at_import=False))
        if any(module == banned or module.startswith(f"{banned}.") for banned in RULES[room])
    ]
    assert not broken, "\n".join(broken)


def test_no_modules_import_each_other_in_a_circle():
    """Not even for types or inside functions: data flows one way."""
    graph = {name: _imported(tree, only_at_import=False) & set(TREES) - {name} for name, tree in TREES.items()}
    try:
        TopologicalSorter(graph).prepare()
        circle = []
    except CycleError as error:
        circle = error.args[1]
    assert not circle, " <- ".join(circle)


OPENING = ("open", "read_text", "read_bytes", "write_text", "write_bytes")


def test_methods_open_no_files():
    broken = [
        f"{name}, line {node.lineno}: {ast.unparse(node)}"
        for name, tree in TREES.items()
        if name.startswith("focus_plugin.methods.")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in OPENING
    ]
    assert not broken, "\n".join(broken)


HEAVY = ("torch", "fairseq", "transformers", "numpy", "scipy", "sentencepiece", "onnx", "onnxruntime", "fasttext")


@pytest.mark.parametrize("room", ["focus_plugin.methods", "focus_plugin.heads", "focus_cli"])
def test_declarations_import_nothing_heavy(room):
    broken = [
        f"{name} imports {module}"
        for name, tree in TREES.items()
        if name.startswith(f"{room}.")
        for module in sorted(_imported(tree, only_at_import=True))
        if module.split(".")[0] in HEAVY
    ]
    assert not broken, "\n".join(broken)
