"""The zip archive that PyTorch writes: its members are stored as they are, so that they can be mapped into memory."""

import mmap
import struct
import zipfile
import zlib
from pathlib import Path

from aecf_jax.errors import InputError, message, require

_MOST_MEMBERS = 200_000
_LOCAL_HEADER = struct.Struct("<26xHH")
"""The lengths of name and extra field, at the end of the header before each member's content."""

_OLD_PICKLE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of PyTorch before 1.6 begin."""


class Archive:
    """The members of one file, mapped, each verified when it is first asked for.

    A compressed member is refused, and so is an archive whose members are larger than itself: what a file asks of
    memory is never more than its own size.

    Args:
        path: the file.

    Raises:
        InputError: if it is no archive of PyTorch's, cut short, damaged, or compressed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        infos = _listed(path)
        self._infos = {info.filename: info for info in infos}
        root = [name for name in self._infos if name.endswith("/data.pkl") and name.count("/") == 1]
        self._require(len(root) == 1, "be a PyTorch file", "a zip archive without data.pkl")
        self._root = root[0].removesuffix("data.pkl")
        script = f"{self._root}constants.pkl" in self._infos
        self._require(not script, "hold data", "a TorchScript archive, which holds a program")
        with path.open("rb") as file:
            self._map = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        order = bytes(self.member("byteorder")) if self.has("byteorder") else b"little"
        self._require(order == b"little", "be of little-endian numbers", order.decode("ascii", "replace"))

    def has(self, name: str) -> bool:
        """Returns whether there is a member.

        Args:
            name: below the archive's one folder.
        """
        return self._root + name in self._infos

    def member(self, name: str) -> memoryview:
        """Returns the content of a member, without copying it.

        Args:
            name: below the archive's one folder.

        Raises:
            InputError: if there is none, or its checksum is not the recorded one.
        """
        self._require(self.has(name), "have all of its members", f"no {name}")
        info = self._infos[self._root + name]
        start = info.header_offset
        header = self._map[start : start + 30]
        undamaged = len(header) == 30 and bytes(header[:4]) == b"PK\x03\x04"
        self._require(undamaged, "be whole", f"a damaged header of {name}")
        start += 30 + sum(_LOCAL_HEADER.unpack(header))
        content = self._map[start : start + info.file_size]
        self._require(len(content) == info.file_size, "be whole", f"{name}, which is cut short")
        self._require(zlib.crc32(content) == info.CRC, "be undamaged", f"{name}, whose checksum is another")
        return content

    def _require(self, ok: bool, rule: str, got: str) -> None:
        """Raises unless a rule holds for the file."""
        require(ok, str(self._path), rule, got)


def _listed(path: Path) -> list[zipfile.ZipInfo]:
    """Returns the members that an archive declares, after judging what they would cost."""
    require(path.is_file(), str(path), "be a file that exists", "none")
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise InputError(message(str(path), "be a PyTorch file", _kind(path), "")) from error
    require(len(infos) <= _MOST_MEMBERS, str(path), f"have at most {_MOST_MEMBERS} members", len(infos))
    for info in infos:
        stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
        ratio = f"{info.filename}, compressed {info.file_size / max(info.compress_size, 1):.0f} to 1"
        require(stored, str(path), "have uncompressed members, as PyTorch writes them", ratio)
        require(not info.flag_bits & 1, str(path), "not be encrypted", info.filename)
    total = sum(info.file_size for info in infos)
    require(total <= size, str(path), f"hold no more than its own {size} bytes", f"members of {total} bytes")
    return infos


def _kind(path: Path) -> str:
    """Returns what a file is that is no zip archive."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "an empty file"
    if start.startswith(_OLD_PICKLE):
        return "a file of PyTorch before 1.6, which is to be saved again with a later one"
    if start.startswith(b"PK"):
        return "a damaged zip archive, or one that is cut short"
    if start[:1] == b"\x80":
        return "a bare pickle"
    return "a text file" if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start) else "a file of another kind"
