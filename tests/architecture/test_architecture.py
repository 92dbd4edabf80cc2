"""Who may import whom, and how large and how documented a part may be; read from the source."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "nengo_dl"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: What each room at the root may import of this package, itself aside. Data flow down this list,
#: from what users see to what is computed; public modules stand at its end.
ALLOWED = {
    "benchmarks": {"compiler", "config", "converter", "dists", "neurons", "simulator"},
    "check": {"neurons"},
    "callbacks": {"runtimes", "simulator", "utils"},
    "converter": {"config", "neurons", "runtimes", "simulator", "tensor_node", "utils"},
    "simulator": {"compiler", "config", "lowering", "runtimes", "session", "surrogate", "utils"},
    "session": {
        "compiler",
        "config",
        "graph_optimizer",
        "kernels",
        "lowering",
        "runtimes",
        "utils",
    },
    "lowering": {"compiler", "tensor_node"},
    "tensor_node": {"config", "kernels", "runtimes", "utils"},
    "runtimes": {"compiler", "kernels", "utils"},
    "kernels": {"compiler", "neurons", "surrogate", "utils"},
    "compiler": set(),
    "config": {"surrogate", "utils"},
    "losses": {"runtimes", "utils"},
    "neurons": {"integrators"},
    "surrogate": {"utils"},
    **dict.fromkeys(["dists", "graph_optimizer", "integrators", "utils", "version"], set()),
}
#: The same for rooms within `runtimes`: neither runtime knows the other, and what both share
#: knows none; one module chooses.
WITHIN_RUNTIMES = {
    "numpy": {"memory", "plan", "switches"},
    "tensorflow": {"by_position", "emit", "later", "memory", "plan", "replicas", "switches"},
    "choose": {"base", "numpy"},
    "later": {"precision", "quiet"},
    "memory": {"plan"},
    "plan": {"replicas"},
    "replicas": {"later"},
    **dict.fromkeys(
        ["base", "by_position", "compilation_cache", "emit", "precision", "switches"], set()
    ),
}
FORBIDDEN = {
    "compiler": {"nengo", "keras", "tensorflow"},
    "lowering": {"keras", "tensorflow"},
    "kernels": {"tensorflow"},
    "runtimes.numpy": {"tensorflow"},
    "runtimes.emit": {"keras", "tensorflow"},
    "session": {"tensorflow"},
    "benchmarks": {"keras", "tensorflow"},
    "converter": {"tensorflow"},
}

#: Outside of its runtime, this imports TensorFlow: what users write TensorBoard logs with. Nothing
#: is to join it; who needs TensorFlow for a while asks `runtimes.later`.
#: The networks written by hand are what XLA can do: written in its terms, without the package.
#: Training and converted models are compared with Keras's own.
USES_TENSORFLOW = {
    "callbacks",
    "benchmarks.limits",
    "benchmarks.training",
    "benchmarks.memory",
    "benchmarks.conversion",
}

LONGEST_MODULE = 390
LONGEST_FUNCTION = 60
#: Share of a room's annotated parameters that may be just `Any`: of arguments that are passed on.
MOST_ANY = 0.05


def name_of(path):
    """Return the dotted name of a module, without that of the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree, path):
    """Yield (target, line, whether it is inside a function) for each import.

    A target in this package begins with a dot.
    """
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _inner(alias.name), node.lineno, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            for target in _from(node, path):
                yield target, node.lineno, id(node) in inside


def _from(node, path):
    if node.level == 0:
        base = _inner(node.module)
    else:
        folder = path.relative_to(PACKAGE).parent.parts
        kept = folder[: len(folder) - node.level + 1]
        base = "." + ".".join([*kept, *(node.module or "").split(".")]).strip(".")
    if not base.startswith("."):
        return [base]
    return [_named(base.rstrip("."), alias.name) for alias in node.names]


def _named(base, name):
    """Return what is imported by a name: a module of its own, or something in a module."""
    path = PACKAGE.joinpath(*base.strip(".").split("."), name)
    is_module = path.is_dir() or path.with_suffix(".py").exists()
    return f"{base}.{name}" if is_module or not base else base


def _inner(name):
    return name.removeprefix("nengo_dl") or "." if _is_own(name) else name


def _is_own(name):
    return name == "nengo_dl" or name.startswith("nengo_dl.")


def top(target):
    """Return the first part of a dotted name."""
    return target.lstrip(".").split(".")[0]


TREES = {path: ast.parse(path.read_text()) for path in MODULES}
IMPORTS = [
    (name_of(path), target, line, lazy)
    for path, tree in TREES.items()
    for target, line, lazy in imports(tree, path)
]


def defined(kinds):
    """Return (module, qualified name, node) for each definition that is not in a function."""
    found = []

    def visit(node, path, names):
        for child in getattr(node, "body", []):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [*names, child.name]
                if isinstance(child, kinds):
                    found.append((name_of(path), ".".join(inner), child))
                if isinstance(child, ast.ClassDef):
                    visit(child, path, inner)

    for path, tree in TREES.items():
        visit(tree, path, [])
    return found


def is_public(module, name):
    return not any(part.startswith("_") for part in (*module.split("."), *name.split(".")))


def is_registered(node):
    """Whether it is one entry of a table: all have the signature that the table says."""
    calls = [d.func for d in node.decorator_list if isinstance(d, ast.Call)]
    return any(getattr(function, "id", "") == "lowers" for function in calls)


FUNCTIONS = defined(ast.FunctionDef | ast.AsyncFunctionDef)
CLASSES = defined(ast.ClassDef)


# ------------------------------------------------------------------------------------- imports


def test_this_test_sees_the_package():
    """Imports of all forms are found: an empty list would pass everything else."""
    found = {(module, target) for module, target, _, _ in IMPORTS}
    assert ("runtimes.tensorflow.execute", "tensorflow") in found
    assert ("runtimes.tensorflow.execute", ".kernels.context") in found
    assert ("compiler.pipeline", ".compiler.arrange") in found
    assert ("compiler.simplify.zeros", ".compiler.ir") in found
    assert ("session.compilation", ".graph_optimizer") in found
    modules = {name_of(path) for path in MODULES}
    assert {"compiler.ir", "runtimes.tensorflow.loops.scan", "kernels.basic"} < modules
    assert len(FUNCTIONS) > 300
    assert len(CLASSES) > 50


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_point_one_way(room):
    """Within functions too, but for `utils`, whose old names lead to what they now are."""
    wrong = [
        f"{module}:{line} imports {target}"
        for module, target, line, lazy in IMPORTS
        if top(module) == room
        and target.startswith(".")
        and top(target) not in {room, "", *ALLOWED[room]}
        and not (lazy and room in ("utils", "check"))
    ]
    assert wrong == []


@pytest.mark.parametrize("room", [r for r in ALLOWED if (PACKAGE / r).is_dir()])
def test_rooms_say_what_they_may_import(room):
    """In the docstring of the folder, in one sentence; a clause after it is of something else."""
    text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
    said = re.search(r"May import ([^.;]*)[.;,]", text)
    assert said is not None
    assert set(re.findall(r"`(\w+)`", said[1])) == ALLOWED[room]


def test_every_room_is_known():
    """A new file or folder at the root is public, or a part of the pipeline, and says which."""
    rooms = {top(name_of(path)) for path in MODULES if name_of(path)}
    assert rooms == set(ALLOWED)


@pytest.mark.parametrize("room", WITHIN_RUNTIMES)
def test_runtimes_do_not_know_each_other(room):
    wrong = [
        f"{module}:{line} imports {target}"
        for module, target, line, _ in IMPORTS
        if module.split(".")[:2] == ["runtimes", room]
        and target.startswith(".runtimes.")
        and target.split(".")[2] not in {room, *WITHIN_RUNTIMES[room]}
    ]
    assert wrong == []


def test_loops_do_not_know_what_they_run():
    """Within the runtime of TensorFlow, `execute` uses loops, and not the other way round."""
    room = "runtimes.tensorflow"
    allowed = ("runtimes.tensorflow.loops", "runtimes.tensorflow.backend", "kernels")
    found = {t[1:] for m, t, _, _ in IMPORTS if m.startswith(f"{room}.loops") and t[0] == "."}
    assert found
    assert not [target for target in found if not target.startswith(allowed)]


@pytest.mark.parametrize("part", FORBIDDEN)
def test_libraries_stay_where_they_belong(part):
    wrong = [
        f"{module}:{line} imports {target}"
        for module, target, line, _ in IMPORTS
        if (module + ".").startswith(part + ".")
        and top(target) in FORBIDDEN[part]
        and module not in USES_TENSORFLOW
    ]
    assert wrong == []


def test_one_runtime_alone_imports_tensorflow():
    found = {m for m, target, _, _ in IMPORTS if top(target) == "tensorflow"}
    own = ("runtimes.tensorflow", "runtimes.quiet", "runtimes.later")
    outside = {m for m in found if not m.startswith(own)}
    assert outside - {"check"} <= USES_TENSORFLOW


def test_imports_have_no_cycle():
    """Between modules, imports inside functions aside."""
    names = {name_of(path) for path in MODULES}
    edges = {name: set() for name in names}
    for module, target, _, lazy in IMPORTS:
        if target.startswith(".") and not lazy:
            edges[module].update({target[1:]} & names)
    left = dict(edges)
    while free := [name for name, targets in left.items() if not targets & left.keys() - {name}]:
        for name in free:
            del left[name]
    assert sorted(left) == []


def test_kinds_are_not_known_by_name():
    """Kernels state what they are: `Traits` of the compiler, attributes of `Kernel`."""
    elsewhere = {path: tree for path, tree in TREES.items() if top(name_of(path)) != "kernels"}
    assert not [f"{p}:{line}" for p, tree in elsewhere.items() for line in _named_kinds(tree)]


def test_named_kinds_are_found():
    source = 'op.kind == "a"\nx in {o.kind for o in ops}\nkind == "b"\nk.kind in ("c", "d")'
    assert _named_kinds(ast.parse(source)) == [1, 4]
    assert _named_kinds(ast.parse('"c" in {o.kind for o in ops}')) == [1]
    assert not _named_kinds(ast.parse('array.dtype.kind in "fi"\nop.kind in KINDS'))


def _named_kinds(tree):
    """Lines where the kind of an operation is compared with a string."""
    return [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Compare) and _names_kind(n)]


def _names_kind(comparison):
    sides = [comparison.left, *comparison.comparators]
    nodes = [n for side in sides for n in ast.walk(side)]
    texts = [n for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return bool(texts) and any(map(_is_kind, nodes))


def _is_kind(node):
    if not (isinstance(node, ast.Attribute) and node.attr == "kind"):
        return False
    return ast.unparse(node.value).rpartition(".")[2] != "dtype"  # NumPy's


def test_importing_the_package_does_not_import_tensorflow():
    code = "import sys, nengo_dl; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "tensorflow" not in result.stdout


# ------------------------------------------------------------------------------------- size


def test_modules_are_short():
    """Counted in lines of code: no docstring, comment or empty line makes a file long."""
    lengths = {name_of(path): len(_lines_of_code(path, tree)) for path, tree in TREES.items()}
    assert {name: n for name, n in lengths.items() if n > LONGEST_MODULE} == {}


def _lines_of_code(path, tree):
    lines = path.read_text().splitlines()
    code = {i for i, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"}
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            code -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return code


def test_functions_are_short():
    """Counted without the docstring."""
    lengths = {f"{module}.{name}": _lines(node) for module, name, node in FUNCTIONS}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}


def _lines(node):
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    documented = docstring.end_lineno - docstring.lineno + 1 if docstring is not None else 0
    return node.end_lineno - node.lineno + 1 - documented


def test_assert_is_not_an_error():
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    assert wrong == []


# ------------------------------------------------------------------------------------- documents


def test_modules_have_docstrings():
    assert [name_of(path) for path, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_public_names_have_docstrings():
    """All but methods, which may be documented where they are first declared."""
    found = [(m, n, node) for m, n, node in CLASSES + FUNCTIONS if is_public(m, n)]
    found = [(m, n, node) for m, n, node in found if not is_registered(node)]
    nested = {id(node) for _, name, node in FUNCTIONS if "." in name}
    wrong = [
        f"{module}.{name}"
        for module, name, node in found
        if id(node) not in nested and not ast.get_docstring(node)
    ]
    assert wrong == []


def test_public_functions_have_annotations():
    wrong = [
        f"{module}.{name}({argument.arg})"
        for module, name, node in FUNCTIONS
        if is_public(module, name) and not is_registered(node)
        for argument in _arguments(node, is_method="." in name)
        if argument.annotation is None
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ALLOWED)
def test_annotations_say_something(room):
    """What a parameter may be: readers learn nothing of `Any`, and a checker takes all for it."""
    found = [
        f"{module}.{name}({argument.arg})"
        for module, name, argument in _annotated(room)
        if ast.unparse(argument.annotation) in ("Any", "Any | None")
    ]
    # one may be there in the smallest of rooms
    assert len(found) <= max(1, MOST_ANY * len(_annotated(room))), found


def _annotated(room):
    """Return (module, function, parameter) of all parameters of a room with an annotation."""
    functions = [
        (name_of(path), node.name, node.args)
        for path, tree in TREES.items()
        if top(name_of(path)) == room
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [
        (module, name, argument)
        for module, name, args in functions
        for argument in ast.walk(args)
        if isinstance(argument, ast.arg) and argument.annotation is not None
    ]


def _arguments(node, is_method):
    """Return arguments that need an annotation: not `self`, and no `*_` that is ignored."""
    args = node.args
    static = any(getattr(d, "id", "") == "staticmethod" for d in node.decorator_list)
    named = [*args.posonlyargs, *args.args]
    named = named[1:] if is_method and not static else named
    named += args.kwonlyargs + [a for a in (args.vararg, args.kwarg) if a is not None]
    return [a for a in named if not a.arg.startswith("_")]
