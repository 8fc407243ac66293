"""The package as a whole: lazy names, light imports, declared dependencies, the shape of files, the harness itself."""

import ast
import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import aecf_jax
from aecf_jax.ops import gate_entropy

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = [*sorted((ROOT / "aecf_jax").rglob("*.py")), ROOT / "aecf_jax" / "__init__.pyi"]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 50
BANNED = ("pickle.load", "allow_pickle=True", "weights_only=False", "TODO", "FIXME", "except:", "TYPE_CHECKING")
IMPORT_NAMES = {"orbax-checkpoint": "orbax"}


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


library_file = pytest.mark.parametrize("path", LIBRARY, ids=short)
function_node = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[function_node]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, function_node))


def public_functions(path: Path) -> Iterator[function_node]:
    """What the folder re-exports of a private file, or a public file has: functions, and public methods of classes."""
    tree = ast.parse(path.read_text())
    if path.name.startswith("_") and path.name != "__init__.py":
        exported = re.findall(r" as (\w+)$", (path.parent / "__init__.py").read_text(), re.MULTILINE)
    else:
        exported = [node.name for node in tree.body if hasattr(node, "name") and not node.name.startswith("_")]
    public = [node for node in tree.body if getattr(node, "name", None) in exported]
    methods = [child for node in public if isinstance(node, ast.ClassDef) for child in node.body]
    yield from (node for node in public if isinstance(node, function_node))
    yield from (node for node in methods if isinstance(node, function_node) and not node.name.startswith("_"))


def argument_names(node: function_node) -> list[str]:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})


# Names


@pytest.mark.parametrize("name", aecf_jax.__all__)
def test_lazy_name_is_the_name_of_its_home(name):
    home = next(line.split()[1] for line in stub_lines() if line.endswith(f" as {name}"))
    assert getattr(aecf_jax, name) is getattr(importlib.import_module(home), name)
    assert name in dir(aecf_jax)


def stub_lines() -> list[str]:
    return (ROOT / "aecf_jax" / "__init__.pyi").read_text().splitlines()


def test_every_import_of_the_stub_is_a_lazy_name():
    assert sum(line.startswith("from ") for line in stub_lines()) == len(aecf_jax.__all__) > 20


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'aecf_jax' has no attribute 'AECFConfg'"):
        _ = aecf_jax.AECFConfg


def test_model_check_is_not_collected_as_a_test():
    assert aecf_jax.test_model_forward.__test__ is False


def test_version_is_the_one_of_the_package_and_of_the_changelog():
    assert aecf_jax.__version__ == importlib.metadata.version("aecf-jax")
    assert f"## [{aecf_jax.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


# Light imports


@pytest.mark.parametrize(
    "code",
    [
        "import aecf_jax",
        "import aecf_jax.config",
        "import aecf_jax.errors",
        "import aecf_jax.cli",
        "from aecf_jax import AECFConfig, DataConfig, create_default_config; AECFConfig()",
    ],
)
def test_imports_without_jax_and_without_a_warning(code):
    heavy = ("jax", "flax", "numpy", "matplotlib", "sklearn")
    done = run_python(f"{code}; import sys; print([name for name in {heavy} if name in sys.modules])")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_whole_library_imports_without_a_warning():
    done = run_python("import aecf_jax; [getattr(aecf_jax, name) for name in aecf_jax.__all__]")
    assert (done.returncode, done.stderr) == (0, "")


@library_file
def test_imports_are_of_the_standard_library_or_declared(path):
    lines = PROJECT["project"]["dependencies"]
    if "cli" in path.relative_to(ROOT).parts:
        lines = lines + PROJECT["project"]["optional-dependencies"]["cli"]
    declared = [re.split(r"[^\w-]", line)[0] for line in lines]
    allowed = {IMPORT_NAMES.get(name, name) for name in declared} | {"aecf_jax"} | sys.stdlib_module_names
    nodes = list(ast.walk(ast.parse(path.read_text())))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= allowed, "use aecf_jax.errors.import_extra for an extra"


@library_file
def test_library_takes_names_from_their_homes(path):
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    taken = {alias.name for node in nodes if node.module == "aecf_jax" for alias in node.names}
    assert taken.isdisjoint(aecf_jax.__all__), "a lazy name would climb the floors unseen"


# The shape of files


@library_file
def test_library_file_has_a_docstring_and_no_banned_word(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert [word for word in BANNED if word in text] == []


@pytest.mark.parametrize("path", LIBRARY + TESTS, ids=short)
def test_file_is_not_too_long(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


@library_file
def test_no_function_is_too_long(path):
    def lines(node: function_node) -> int:
        whole = node.end_lineno - node.lineno + 1
        return whole - len((ast.get_docstring(node, clean=False) or "").splitlines())

    assert [node.name for node in functions(path) if lines(node) > MOST_LINES_OF_A_FUNCTION] == []


@library_file
def test_public_functions_explain_their_arguments(path):
    bare = [
        node.name
        for node in public_functions(path)
        if len(argument_names(node)) > 1 and "Args:" not in (ast.get_docstring(node) or "")
    ]
    assert bare == []


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "aecf_jax/py.typed"])
def test_file_stands_in_its_place(name):
    assert (ROOT / name).is_file()


# The harness acts


def test_eight_devices():
    assert jax.device_count() == 8


def test_rank_promotion_is_an_error():
    with pytest.raises(ValueError, match="rank_promotion"):
        _ = jnp.ones((2, 3)) + jnp.ones(3)


def test_key_reuse_is_an_error():
    key = jax.random.key(0)
    jax.random.normal(key)
    with pytest.raises(jax.errors.KeyReuseError):
        jax.random.normal(key)


def test_wrong_type_of_array_is_an_error():
    with pytest.raises(jaxtyping.TypeCheckError):
        gate_entropy(jnp.arange(2))


@pytest.mark.usefixtures("untyped_caller")
def test_untyped_caller_is_not_checked():
    assert float(gate_entropy(jnp.arange(2))) == 0


def test_golden_reads_arrays_and_json(golden):
    assert isinstance(golden("metrics"), dict)
    assert all(isinstance(value, np.ndarray) for value in golden("metrics").values())
    assert golden("config")["legacy"]["gate_hidden"] == 2048
