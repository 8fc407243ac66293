"""What a PyTorch file may hold is read as plain values and arrays, without PyTorch and without copying."""

import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.torchfile import Inert, read_torch_file
from tests.torchfile.writer import FLOAT8, STORAGES, Raw, Tensor, save, save_program

RNG = np.random.default_rng(0)


def as_type(name):
    values = RNG.integers(0, 2 if name == "bool" else 9, (2, 3))
    return np.asarray(jnp.asarray(values).astype(name)) if "float8" in name or "bf" in name else values.astype(name)


@pytest.mark.parametrize("name", [*STORAGES, *sorted(FLOAT8)])
def test_every_type_comes_back_as_it_is(tmp_path, name):
    array = as_type(name)
    read = read_torch_file(save(tmp_path / "a.pt", {"x": array}))["x"]
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_containers_numbers_and_strings(tmp_path):
    value = {
        "a": [1, -2.5, True, None, "ü", b"b"],
        "n": (1, 2, (3,)),
        "big": 2**100,
        7: {},
        "s": {1, 2},
        "f": frozenset("x"),
    }
    for protocol in (0, 1, 2, 3, 4, 5):
        program = pickle.dumps(value, protocol=protocol)
        assert read_torch_file(save_program(tmp_path / f"{protocol}.pt", program)) == value


def test_views_share_their_storage_and_stay_on_disk(tmp_path):
    whole = np.arange(12, dtype=np.float32)
    value = {
        "transposed": Tensor(whole, "s", 0, (3, 4), (1, 3)),
        "part": Tensor(whole, "s", 4, (2, 2), (4, 1)),
        "one": Tensor(whole, "s", 11, (), ()),
        "none": Tensor(whole, "s", 0, (0, 4), (4, 1)),
        "repeated": Tensor(whole, "s", 5, (3, 2), (0, 0)),
        "parameter": Tensor(whole, "s", parameter=True),
    }
    read = read_torch_file(save(tmp_path / "a.pt", value))
    np.testing.assert_array_equal(read["transposed"], whole.reshape(4, 3).T)
    np.testing.assert_array_equal(read["part"], [[4, 5], [8, 9]])
    np.testing.assert_array_equal(read["repeated"], np.full((3, 2), 5))
    np.testing.assert_array_equal(read["parameter"], whole)
    assert (read["one"].item(), read["none"].shape) == (11, (0, 4))
    assert not read["part"].flags.owndata
    assert np.shares_memory(read["part"], read["parameter"])
    with pytest.raises(ValueError, match="read-only"):
        read["part"][0, 0] = 1


def test_what_lightning_and_numpy_leave_beside_tensors(tmp_path):
    state = {"lr": 0.1, "names": ["a"]}
    value = {
        "scalar": Raw(pickle.dumps(np.float64(0.25), protocol=2)[2:-1]),
        "array": Raw(pickle.dumps(np.arange(6).reshape(2, 3), protocol=2)[2:-1]),
        "size": Raw(b"ctorch\nSize\n((K\x02K\x03ttR"),
        "device": Raw(b"ctorch\ndevice\n(X\x04\x00\x00\x00cudaK\x01tR"),
        "dtype": Raw(b"ctorch\nfloat32\n"),
        "path": Raw(b"cpathlib\nPosixPath\n(X\x01\x00\x00\x00/X\x01\x00\x00\x00atR"),
        "default": Raw(b"ccollections\ndefaultdict\n(cbuiltins\ndict\ntR"),
        "config": Raw(b"caecf.config\nAECFConfig\n)\x81" + pickle.dumps(state, protocol=2)[2:-1] + b"b"),
        "hparams": Raw(b"clightning_fabric.utilities.data\nAttributeDict\n)\x81(X\x01\x00\x00\x00aK\x01u"),
    }
    read = read_torch_file(save(tmp_path / "a.ckpt", value))
    assert (read["scalar"], read["size"], read["device"], read["path"], read["default"]) == (
        0.25,
        (2, 3),
        "cuda:1",
        "/a",
        {},
    )
    np.testing.assert_array_equal(read["array"], np.arange(6).reshape(2, 3))
    assert read["config"] == Inert("aecf.config.AECFConfig", state)
    assert read["hparams"].items == {"a": 1}


def test_every_golden_file_is_read(golden_dir):
    files = sorted([*golden_dir.glob("*.ckpt"), *golden_dir.glob("*.pt")])
    assert len(files) > 10
    assert all(isinstance(read_torch_file(file), dict) for file in files)
