"""The door: a path in, plain values and arrays out."""

from pathlib import Path
from typing import Any

from aecf_jax.errors import InputError, message, require
from aecf_jax.torchfile._archive import Archive
from aecf_jax.torchfile._machine import Machine
from aecf_jax.torchfile._rebuild import FILE, Name, Storage, storage

_MOST_BYTES = 256 << 20
"""Length of the part of a file that describes its tensors; their numbers are elsewhere."""

_NONSENSE = (ValueError, TypeError, KeyError, IndexError, AttributeError, StopIteration, OverflowError, RecursionError,
             UnicodeError, MemoryError)  # fmt: skip
"""What Python raises at a pickle that is damaged or made to annoy."""


def read_torch_file(path: str | Path) -> Any:
    """Returns what a PyTorch file holds: dictionaries, lists, numbers, strings, and tensors as memory-mapped arrays.

    The file is read by a machine of our own that knows tensors, containers, numbers and strings, and a short list of
    classes, whose objects become `Inert`. Anything else is refused by its name. Nothing in the file is executed, and
    no more memory is used than the file is long. bfloat16 stays bfloat16; `requires_grad` and devices are dropped.

    Args:
        path: a file that `torch.save` of PyTorch 1.6 or later, or Lightning, has written.

    Raises:
        InputError: if it is no such file, cut short or damaged, or holds anything else.

    Source: the format that `torch.save` documents; its reader `torch.load(weights_only=True)` accepts the same values.
    """
    path = Path(path).expanduser()
    archive = Archive(path)
    program = archive.member("data.pkl")
    rule = f"describe its tensors in at most {_MOST_BYTES} bytes"
    require(len(program) <= _MOST_BYTES, str(path), rule, f"{len(program)} bytes")
    found: dict[str, memoryview] = {}

    def find(reference: Any) -> Storage:
        kind, name, key, _device, count = reference
        require(kind == "storage" and isinstance(name, Name), FILE, "refer to storages alone", str(kind))
        if key not in found:
            # The checksum of a storage that many tensors share is computed once.
            found[key] = archive.member(f"data/{key}")
        return storage(name.text, found[key], int(count))

    try:
        return Machine(find).run(bytes(program))
    except InputError as error:
        raise InputError(str(error).replace(f"`{FILE}`", f"`{path}`")) from error
    except _NONSENSE as error:
        why = f"damaged content ({error or type(error).__name__})"
        raise InputError(message(str(path), "be a readable PyTorch file", why)) from error
