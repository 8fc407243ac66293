"""What is no PyTorch file, is damaged, or would do something, is refused in one sentence, and nothing runs."""

import os
import pickle
import zipfile

import numpy as np
import pytest

from aecf_jax.errors import InputError
from aecf_jax.torchfile import read_torch_file
from tests.torchfile.writer import Raw, Tensor, save, save_program

ARRAY = np.arange(6, dtype=np.float32)


def reason(path) -> str:
    with pytest.raises(InputError) as caught:
        read_torch_file(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Bad:
    def __init__(self, function, *arguments):
        self._call = (function, arguments)

    def __reduce__(self):
        return self._call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Bad(os.system, "touch {}"), f"{os.system.__module__}.system"),
        (Bad(eval, "open('{}', 'w')"), "builtins.eval"),
        (Bad(exec, "open('{}', 'w')"), "builtins.exec"),
        (Bad(getattr, "x", "upper"), "builtins.getattr"),
        (Bad(np.load, "x", None, True), "numpy.load"),
        (Bad(zipfile.ZipFile, "x"), "zipfile.ZipFile"),
    ],
)
def test_a_call_is_refused_by_its_name_and_not_made(tmp_path, call, name, protocol):
    victim = tmp_path / "victim"
    call._call = (call._call[0], tuple(str(a).format(victim) for a in call._call[1]))
    program = pickle.dumps({"state_dict": call}, protocol=protocol)
    got = reason(save_program(tmp_path / "bad.ckpt", program))
    assert name in got
    assert "Nothing in the file was executed" in got
    assert not victim.exists()


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (b"(ios\nsystem\n.", "the instruction INST"),
        (b"(cos\nsystem\nX\x02\x00\x00\x00lso.", "os.system"),
        (b"\x80\x02\x82\x01.", "the instruction EXT1"),
        (b"Pname\n.", "the instruction PERSID"),
        (b"\x80\x04)\x81.", "damaged content"),
        (b"\x80\x02}", "damaged content"),
        (b"\x80\x02\xff.", "damaged content"),
        (b"K\x01K\x02.", "damaged content"),
        (b"h\x05.", "damaged content"),
        (b"]K\x01(K\x02e.", "damaged content"),
        (b"}]K\x01s.", "damaged content"),
        (b"K\x01)R.", "damaged content"),
        (b"(0.", "damaged content"),
        (b"K\x01}b.", "attributes of nothing but containers"),
        (b"ctorch\nfloat32\n)R.", "torch.float32"),
        (b"\x8b\xff\x00\x00\x00" + b"\x01" * 255 + b".", "integers of at most 1024 bits"),
        (b"]" * 200 + b"a" * 199 + b".", "nest containers"),
        (b"]q\x00h\x00a.", None),
        (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x01\x00\x00\x00OtRC\x01atR.", "NumPy values of numbers"),
        (b"X\xff\xff\xff\x7fabc.", "damaged content"),
        (b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.", "no data/0"),
        (b"(X\x03\x00\x00\x00xxxctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.", "to storages"),
        (b"(X\x07\x00\x00\x00storagectorch\nfloat32\nX\x03\x00\x00\x00..aX\x03\x00\x00\x00cpuK\x01tQ.", "no data/..a"),
    ],
)  # fmt: skip
def test_a_damaged_or_hostile_program(tmp_path, program, why):
    path = save_program(tmp_path / "bad.ckpt", program)
    if why is None:
        # A list in itself is odd, and harmless.
        assert isinstance(read_torch_file(path), list)
    else:
        assert why in reason(path)


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (Tensor(ARRAY, count=7), "storages of the declared sizes"),
        (Tensor(ARRAY, count=5), "storages of the declared sizes"),
        (Tensor(ARRAY, shape=(7,)), "within their storages"),
        (Tensor(ARRAY, offset=1), "within their storages"),
        (Tensor(ARRAY, shape=(2, 3), strides=(4, 1)), "within their storages"),
        (Tensor(ARRAY, shape=(-1,), strides=(1,)), "positive sizes"),
        (Tensor(ARRAY, shape=(2,), strides=(-1,)), "positive sizes"),
        (Tensor(ARRAY, shape=(1 << 20, 1 << 20), strides=(0, 0)), "repeat a storage"),
        (Tensor(ARRAY, shape=(2, 3), strides=(1,)), "damaged content"),
    ],
)
def test_a_tensor_that_is_not_what_it_says(tmp_path, tensor, why):
    assert why in reason(save(tmp_path / "bad.pt", {"x": tensor}))


def test_a_file_that_is_no_archive(tmp_path):
    contents = {
        "text.ckpt": (b"hello\n", "a text file"),
        "empty.ckpt": (b"", "an empty file"),
        "pickle.ckpt": (pickle.dumps({}), "a bare pickle"),
        "old.pt": (pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2), "before 1.6"),
        "noise.pt": (bytes(range(200, 256)), "another kind"),
    }
    for name, (content, why) in contents.items():
        (tmp_path / name).write_bytes(content)
        assert why in reason(tmp_path / name), name
    assert "exists" in reason(tmp_path / "nothing.pt")


def test_a_file_cut_short_anywhere(tmp_path):
    whole = save(tmp_path / "whole.pt", {"x": ARRAY}).read_bytes()
    for size in range(3, len(whole), 37):
        (tmp_path / "cut.pt").write_bytes(whole[:size])
        assert "cut short" in reason(tmp_path / "cut.pt")


def test_one_changed_byte_of_a_tensor(tmp_path):
    whole = bytearray(save(tmp_path / "whole.pt", {"x": ARRAY}).read_bytes())
    whole[whole.index(ARRAY.tobytes()) + 5] ^= 1
    (tmp_path / "whole.pt").write_bytes(whole)
    assert "checksum" in reason(tmp_path / "whole.pt")


def test_a_zip_bomb_is_refused_before_it_is_read(tmp_path):
    path = save(tmp_path / "bomb.pt", {"x": np.zeros(1 << 20, np.float32)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 20_000
    assert "uncompressed members" in reason(path)


def test_members_that_overlap(tmp_path):
    path = save(tmp_path / "overlap.pt", {"x": np.zeros(1 << 16, np.uint8)})
    content = bytearray(path.read_bytes())
    # Every member of the directory now claims the length of the largest.
    at = -1
    while (at := content.find(b"PK\x01\x02", at + 1)) >= 0:
        content[at + 20 : at + 28] = (1 << 16).to_bytes(4, "little") * 2
    path.write_bytes(content)
    assert "no more than its own" in reason(path)


def test_what_is_missing_or_of_another_kind(tmp_path):
    assert "no data/0" in reason(save(tmp_path / "a.pt", {"x": ARRAY}, without=("data/0",)))
    assert "without data.pkl" in reason(save(tmp_path / "b.pt", {"x": ARRAY}, without=("data.pkl",)))
    assert "little-endian" in reason(save(tmp_path / "c.pt", {"x": ARRAY}, extra={"byteorder": b"big"}))
    assert "TorchScript" in reason(save(tmp_path / "d.pt", {"x": ARRAY}, extra={"constants.pkl": b""}))


def test_every_name_is_refused_that_only_looks_like_one_of_the_list(tmp_path):
    for name in (b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", b"ctorch\nload\n", b"ccollections\nnamedtuple\n"):
        assert "executed" in reason(save(tmp_path / "a.pt", {"x": Raw(name)}))
