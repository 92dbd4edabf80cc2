"""The documentation: what it has to say of every public name, and that its code is executed.

`make docs` executes all pages; here it is only seen to that no code escapes it.
"""

import ast
import doctest
import importlib
import inspect
import re
from pathlib import Path

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.config.settings import OPTIONS
from nengo_dl.kernels.registry import neuron_types

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)
NOTEBOOKS = sorted((DOCS / "tutorials").glob("*.py"))

#: The modules that users import from, and whose public names are documented.
PUBLIC = (
    "callbacks",
    "check",
    "config",
    "converter",
    "dists",
    "graph_optimizer",
    "integrators",
    "losses",
    "neurons",
    "simulator",
    "surrogate",
    "tensor_node",
    "utils",
    "version",
)
#: Public by their place in a module, but not for users.
INTERNAL = {
    "check.Check",
    "check.CheckError",
    "tensor_node.TensorFuncParam",
    "utils.blame",
    "utils.continue_with",
    "utils.io_names",
    "utils.is_bool",
    "utils.is_positive",
    "utils.own_generator",
    "utils.warn",
}
#: Methods of Keras and of Nengo that are overridden: these describe them.
INHERITED = {"get_config", "call", "shape"}
#: How a docstring leaves the description of parameters to another one: of a method of the class,
#: of the method that this one overrides, or of a class or function of the same module. What it
#: names has to describe them.
REFERENCE = re.compile(r"(?:[Aa]rguments as (?:of|for)|\AAs of|\A[^\n]*; see) `([\w.]+)`")
#: What is not asked for the errors of the functions that it calls: its classes share helpers
#: whose errors no arguments of theirs cause.
CALLS_UNASKED = ("converter.",)


def public():
    """Yield (name, object) of classes, functions and methods that users may call."""
    for module_name in PUBLIC:
        module = importlib.import_module(f"nengo_dl.{module_name}")
        for name, obj in vars(module).items():
            if name.startswith("_") or not getattr(obj, "__module__", "").startswith("nengo_dl"):
                continue
            full = f"{module_name}.{name}"
            internal = full in INTERNAL or full.startswith("check.check_")
            offered = obj.__module__ == module.__name__ or name in getattr(module, "__all__", ())
            if offered and not internal and callable(obj):
                yield full, obj
                if inspect.isclass(obj):
                    yield from methods(full, obj)


def methods(name, cls):
    """Yield those of a class, and of classes of this package that it is derived from."""
    seen = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("nengo_dl"):
            continue
        for key, value in vars(base).items():
            function = getattr(value, "__func__", value)
            if (
                not key.startswith(("_", "on_"))
                and key not in seen
                and inspect.isfunction(function)
            ):
                seen.add(key)
                is_bound = isinstance(value, classmethod)  # then it inherits a docstring
                yield f"{name}.{key}", getattr(cls, key) if is_bound else function


NAMES = dict(public())


# ------------------------------------------------------------------ what docstrings say


def sections(text):
    """Return the sections of a numpydoc docstring by title; what comes first is ''."""
    found, title = {"": []}, ""
    lines = inspect.cleandoc(text or "").splitlines() or [""]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if following and set(following) == {"-"} and len(following) == len(line):
            title = line
            found[title] = []
        elif not (line and set(line) == {"-"}):
            found[title].append(line)
    return {key: "\n".join(value) for key, value in found.items()}


def documented(obj):
    """Return the docstring; of a method that has none, that of what it overrides.

    What a class inherits its arguments from describes these.
    """
    text = inspect.getdoc(obj) or ""
    if not inspect.isclass(obj) or not text or "__init__" in vars(obj):
        return text
    bases = (base for base in obj.__mro__[1:] if base.__module__.startswith("nengo_dl"))
    inherited = [inspect.getdoc(base) for base in bases if "__init__" in vars(base)]
    return "\n\n".join([text, *inherited[:1]])


def raises(obj):
    """Names of the exceptions that the code raises by itself."""
    try:
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(own_code(obj))))
    except (OSError, TypeError, SyntaxError):
        return []
    kinds = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
    named = [getattr(kind.func if isinstance(kind, ast.Call) else kind, "id", "") for kind in kinds]
    return [name for name in named if name.endswith("Error") and name != "NotImplementedError"]


def raised_by_calls(obj, depth=2):
    """Names of the exceptions that functions of this package raise, which the code calls."""
    function = inspect.unwrap(own_code(obj))
    module = inspect.getmodule(function)
    try:
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return []
    found = []
    for node in ast.walk(tree):
        called = by_name(module, ast.unparse(node.func)) if isinstance(node, ast.Call) else None
        if inspect.isfunction(called) and called.__module__.startswith("nengo_dl"):
            found += raises(called)
            found += raised_by_calls(called, depth - 1) if depth > 1 else []
    return found


def by_name(module, name):
    """Return what a name with dots means in a module, or None."""
    target = module
    for part in name.split("."):
        target = getattr(target, part, None)
    return target


def referred(name, obj, text):
    """Return the docstring that another one leaves its parameters to, or ''."""
    found = REFERENCE.search(text)
    if not found:
        return ""
    is_class = inspect.isclass(obj)
    owner, _, method = name.rpartition(".")
    cls = obj if is_class else NAMES.get(owner)
    target = getattr(cls, found[1], None) or by_name(inspect.getmodule(obj), found[1])
    for base in getattr(cls, "__mro__", ()):
        if base.__name__ == found[1]:
            target = base if is_class else getattr(base, method, None)
    return documented(target) if target else ""


def own_code(obj):
    return obj.__init__ if inspect.isclass(obj) else obj


def parameters_of(obj):
    """Names of the parameters of a callable that a docstring has to describe."""
    try:
        found = inspect.signature(own_code(obj)).parameters.values()
    except (TypeError, ValueError):
        return []
    named = [p.name for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return [name for name in named if name not in ("self", "cls") and not name.startswith("_")]


ARRAY = re.compile(r"\b(array|tensor|ndarray)\b(?!_like)", re.IGNORECASE)
SHAPE = re.compile(r"\([^()]*\)|shape")
QUANTITY = {  # what has a unit, by the name of the parameter
    "dt": "[s]",
    "tau": "[s]",
    "tau_rc": "[s]",
    "tau_ref": "[s]",
    "time_in_seconds": "[s]",
    "sample_every": "[s]",
    "rates": "[Hz]",
}


def entries(section):
    """Return what a section describes, each with its description."""
    return [entry for entry in re.split(r"\n(?=\S)", section) if entry.strip()]


def lacking(name, obj):
    """Return what the docstring of a public name lacks."""
    text = documented(obj)
    if not text:
        return ["a docstring"]
    found, missing = sections(text), []
    rest = referred(name, obj, text)
    described = found.get("Parameters", "") + found.get("Attributes", "")
    described += sections(rest).get("Parameters", "")
    parameters = parameters_of(obj)
    if text.startswith(("Deprecated", "Removed")):
        return []
    if name.split(".")[-1] not in INHERITED:
        missing += [f"parameter {p}" for p in parameters if not re.search(rf"\b{p}\b", described)]
    errors = raises(obj)
    if not name.startswith(CALLS_UNASKED):
        errors += raised_by_calls(obj)
    missing += [error for error in dict.fromkeys(errors) if error not in text + rest]
    for title in ("Parameters", "Returns"):
        for entry in entries(found.get(title, "")):
            head = entry.splitlines()[0]
            if ARRAY.search(head) and not SHAPE.search(entry):
                missing.append(f"shape: {head}")
    for parameter, unit in QUANTITY.items():
        if parameter in parameters and unit not in text + rest:
            missing.append(f"unit of {parameter}")
    return missing


def test_this_test_sees_public_names():
    assert {"simulator.Simulator.fit", "simulator.Simulator.run", "dists.Glorot"} < set(NAMES)
    assert {"callbacks.Checkpoint", "tensor_node.Layer", "losses.nan_mse"} < set(NAMES)
    assert len(NAMES) > 60


def test_what_it_looks_for():
    def sample(x, dt):
        """Do something.

        Parameters
        ----------
        x : array
            Something.
        """
        raise ValueError(x)

    assert lacking("sample", sample) == [
        "parameter dt",
        "ValueError",
        "shape: x : array",
        "unit of dt",
    ]


def test_what_a_docstring_refers_to_has_to_say_it():
    def outer(x, dt):
        """Do something.

        Parameters
        ----------
        x : int
        """

    class Inner:
        def step(self, x, dt):
            """Do it; see `outer`."""

    Inner.outer = outer
    NAMES["Inner"] = Inner
    assert lacking("Inner.step", Inner.step) == ["parameter dt", "unit of dt"]
    assert lacking("alone", Inner.step) == ["parameter x", "parameter dt", "unit of dt"]
    del NAMES["Inner"]


def test_docstrings_have_parameters_shapes_units_and_errors():
    found = {name: lacking(name, obj) for name, obj in NAMES.items()}
    assert {name: missing for name, missing in found.items() if missing} == {}


def test_every_option_says_what_it_does_and_accepts():
    for option in OPTIONS.values():
        assert len(option.metadata["doc"]) > 20
        assert option.metadata["rule"].expects


@pytest.mark.parametrize(
    "module_name", ["nengo_dl", *(f"nengo_dl.{m}" for m in (*PUBLIC, "session.progress"))]
)
def test_examples_in_docstrings_run(module_name):
    module = importlib.import_module(module_name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    names = {"nengo": nengo, "nengo_dl": nengo_dl, "np": np}
    assert doctest.testmod(module, extraglobs=names, optionflags=flags).failed == 0


# ------------------------------------------------------------------ what the site has


def test_every_public_name_is_in_the_reference():
    text = "".join(p.read_text(encoding="utf-8") for p in DOCS.glob("reference/api/*.md"))
    for name in NAMES:
        top = ".".join(name.split(".")[:2])
        short = name.split(".")[1]
        whole = {f"nengo_dl.{top}", f"nengo_dl.{short}"}
        module = f".. automodule:: nengo_dl.{name.split('.')[0]}\n   :members:"
        assert any(w in text for w in whole) or module in text, name
    for name in set(nengo_dl.__all__) - set(PUBLIC):
        assert f"nengo_dl.{name}" in text, name


def test_all_code_in_pages_is_executed():
    """Blocks are cells of the notebook that each page is; a few are not code to be run."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        languages = set(re.findall(r"^ *```([a-z]\w*)$", text, flags=re.MULTILINE))
        assert languages <= {"console", "text", "python"}, page
        if page.name == "contributing.md":
            continue  # it shows how a cell is written
        assert "```python" not in text, f"{page}: use {{code-cell}} blocks"
        if "{code-cell}" in text:
            assert text.startswith("---\nfile_format: mystnb\n"), page


def test_all_pages_are_reached():
    """Sphinx says so too, but only when the site is built."""
    reached = {"index"}
    for page in PAGES:
        folder = page.parent.relative_to(DOCS)
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), flags=re.DOTALL):
            entries = [line for line in tree.splitlines() if line and not line.startswith(":")]
            reached.update(str(folder / entry) for entry in entries)
    pages = [*PAGES, *NOTEBOOKS]
    assert {str(p.relative_to(DOCS).with_suffix("")) for p in pages} == reached


def test_notebooks_check_what_they_claim():
    for notebook in NOTEBOOKS:
        text = notebook.read_text(encoding="utf-8")
        assert "\nassert " in text, notebook
        assert text.startswith("# ---\n# jupyter:\n"), notebook


#: That scripts for NengoDL 3 import, or call.
IMPORTED = """
    utils.align_func utils.numpy_function utils.tf_gpu_installed utils.ProgressBar
    utils.NullProgressBar tensor_node.validate_output version.version version.version_info
    version.name version.dev version.latest_nengo_version config.get_setting builder op_builders
    neuron_builders process_builders transform_builders learning_rule_builders signals
    tensor_graph compat graph_optimizer.mergeable graph_optimizer.hamming_sort
    graph_optimizer.sort_ops_by_signals graph_optimizer.sort_signals_by_ops
    graph_optimizer.transitive_closure_recurse graph_optimizer.signal_io_dicts
    graph_optimizer.display_signal_blocks graph_optimizer.tree_planner benchmarks.mnist
    benchmarks.spaun benchmarks.main benchmarks.build benchmarks.profile benchmarks.run_profile
    benchmarks.lmu converter.ConvertKerasSpiking converter.ConvertLowpassAlpha
    converter.ConvertSpikingActivation simulator.SimulationData
"""


def test_names_that_scripts_import_are_there_or_in_the_table():
    page = (DOCS / "reference" / "migration.md").read_text()
    lost = []
    for name in IMPORTED.split():
        module, _, last = name.rpartition(".")
        there = hasattr(importlib.import_module(f"nengo_dl.{module}".rstrip(".")), last)
        if not there and not re.search(rf"`(?:[\w.]*\.)?{last}\b", page):
            lost.append(name)
    assert lost == []


def test_neuron_types_are_those_of_nengo():
    """The table of the reference is made from these."""
    types = {
        t
        for t in vars(nengo.neurons).values()
        if inspect.isclass(t) and issubclass(t, nengo.neurons.NeuronType)
    }
    abstract = {nengo.neurons.NeuronType, nengo.neurons.RatesToSpikesNeuronType, nengo.Direct}
    assert types - abstract <= set(neuron_types())


def test_links_for_language_models_lead_to_pages():
    links = re.findall(r"\]\((.*?)\.html\)", (DOCS / "llms.txt").read_text(encoding="utf-8"))
    assert len(links) > 10
    for link in links:
        assert any((DOCS / f"{link}{suffix}").exists() for suffix in (".md", ".py")), link
