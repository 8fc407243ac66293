"""Bundles: what they hold, that they run where this library is not, and what is refused."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.deploy import read_bundle, refresh_bundle, write_bundle
from aecf_jax.errors import InputError
from tests.deploy import fresh
from tests.deploy.models import KINDS, PATTERNS, tiny_model, written

FILES = ["README.md", "bundle.json", "config.json", "model.safetensors", "model.stablehlo", "normalization.safetensors"]
ISOLATED = Path(__file__).with_name("isolated.py")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return written(tmp_path_factory.mktemp("original"))


@pytest.fixture
def model(original):
    return original[0]


@pytest.fixture
def bundle(original, tmp_path):
    """A copy to damage."""
    return shutil.copytree(original[1], tmp_path / "bundle")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_bundle_holds_its_files_and_gives_the_model_back(model, bundle, tmp_path):
    assert sorted(path.name for path in bundle.iterdir()) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert AECFConfig.from_file(bundle / "config.json") == model.config
    arrays = read_bundle(bundle).arrays
    leaves = {"/".join(key.key for key in path): leaf for path, leaf in jax.tree.leaves_with_path(model.variables)}
    assert sorted(arrays) == sorted(leaves)
    for name, leaf in leaves.items():
        np.testing.assert_array_equal(arrays[name], leaf, err_msg=name)


def test_program_is_lowered_for_three_platforms_and_any_batch_size(bundle):
    exported = jax.export.deserialize(bytearray(read_bundle(bundle).program))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert [str(aval.shape[0]) for aval in exported.out_avals] == ["batch"] * 3


def test_program_says_nothing_of_the_machine_and_is_the_same_every_time(bundle, tmp_path):
    _, again = written(tmp_path, name="again")
    assert contents(again) == contents(bundle)
    assert str(Path(__file__).parents[2]).encode() not in (bundle / "model.stablehlo").read_bytes()


@pytest.fixture(scope="module")
def isolated(tmp_path_factory):
    """A folder with bundles of every kind, and what they gave in a process without this library."""
    folder = tmp_path_factory.mktemp("isolated")
    fresh.write(folder)
    command = [sys.executable, "-I", str(ISOLATED), folder / "in.npz", folder / "out.npz"]
    done = subprocess.run([*command, *(folder / kind for kind in KINDS)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_outputs_without_this_library_are_those_of_evaluate_for_every_pattern(isolated):
    found = fresh.differences(isolated)
    assert len(found) == 3 * len(KINDS)
    assert max(found.values()) <= fresh.TOLERANCE


def test_every_pattern_of_presence_is_told_apart(isolated):
    with np.load(isolated / "out.npz") as out:
        for name in ("classes/probabilities", "labels/probabilities", "values/values"):
            by_pattern = out[name].reshape(len(PATTERNS), -1)
            assert len(np.unique(by_pattern.round(6), axis=0)) == len(PATTERNS)


def test_isolation_hides_what_is_installed():
    names = ["jax", "aecf_jax", "flax", "safetensors"]
    code = f"""import runpy, importlib.util
runpy.run_path({str(ISOLATED)!r})["isolate"]()
print([name for name in {names} if importlib.util.find_spec(name)])"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.stdout == "['jax']\n", done.stderr


@pytest.mark.usefixtures("untyped_caller")
def test_refresh_rebuilds_the_program_alone(bundle):
    before = contents(bundle)
    (bundle / "model.stablehlo").write_bytes(b"of another JAX")
    (bundle / "README.md").unlink()
    refresh_bundle(bundle)
    assert contents(bundle) == before


def test_refresh_refuses_damaged_parameters_and_changes_nothing(bundle):
    flip(bundle / "model.safetensors")
    before = contents(bundle)
    with pytest.raises(InputError, match=r"another content in .*model.safetensors\. Export the run again\.$"):
        refresh_bundle(bundle)
    assert contents(bundle) == before


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("file", [name for name in FILES if name not in ("README.md", "bundle.json")])
def test_a_flipped_bit_and_a_missing_file_are_named(bundle, file):
    flip(bundle / file)
    with pytest.raises(InputError, match=f"`bundle` must hold the files that were exported; got another .*{file}"):
        read_bundle(bundle)
    (bundle / file).unlink()
    with pytest.raises(InputError, match=f"`bundle` must hold a {file}"):
        read_bundle(bundle)


def described(bundle, **changes):
    about = bundle / "bundle.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | changes))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda bundle: (bundle / "bundle.json").unlink(),
            "`bundle` must hold a bundle.json; got .* `aecf-jax ex",
        ),
        (lambda bundle: (bundle / "bundle.json").write_text("{"), "bundle.json` must be readable JSON"),
        (lambda bundle: (bundle / "bundle.json").write_text("{}"), "`bundle` must be described by its bundle.json"),
        (lambda bundle: described(bundle, sha256=[]), "`bundle` must be described by its bundle.json"),
        (
            lambda bundle: described(bundle, version=2, aecf_jax="9"),
            "be of version 1; got 2. It was made by aecf_",
        ),
    ],
)
def test_what_is_no_bundle_of_ours_is_refused(bundle, tmp_path, spoil, words):
    spoil(bundle)
    with pytest.raises(InputError, match=words):
        read_bundle(bundle)
    with pytest.raises(InputError, match="`bundle` must be a folder; got"):
        read_bundle(tmp_path / "none")


@pytest.mark.usefixtures("untyped_caller")
def test_a_bundle_is_replaced_only_if_asked_and_only_a_bundle(model, bundle, tmp_path):
    with pytest.raises(InputError, match="`out` must be a new or empty folder; got .* Pass --force"):
        write_bundle(model.config, model.variables, bundle)
    other = tiny_model("labels")
    write_bundle(other.config, other.variables, bundle, replace=True)
    assert read_bundle(bundle).config == other.config
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    with pytest.raises(InputError, match="What is there is no bundle, and is left alone"):
        write_bundle(model.config, model.variables, tmp_path / "mine", replace=True)
    with pytest.raises(InputError, match="`out` must be in a folder that exists"):
        write_bundle(model.config, model.variables, tmp_path / "no" / "bundle")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "mine"]


@pytest.mark.usefixtures("untyped_caller")
def test_a_failed_write_leaves_nothing_and_keeps_what_was_there(model, bundle, tmp_path, monkeypatch):
    before = contents(bundle)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aecf_jax.deploy._bundle.write_json", full)
    for out in (bundle, tmp_path / "new"):
        with pytest.raises(OSError, match="No space"):
            write_bundle(model.config, model.variables, out, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert contents(bundle) == before


def test_hashes_are_those_of_the_files(bundle):
    for file, digest in json.loads((bundle / "bundle.json").read_text())["sha256"].items():
        assert hashlib.sha256((bundle / file).read_bytes()).hexdigest() == digest
