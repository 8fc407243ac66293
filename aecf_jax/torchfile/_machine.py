"""A small machine that reads pickle's instructions and makes plain values of them; it can do nothing else."""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from aecf_jax.errors import require
from aecf_jax.torchfile._rebuild import FILE, Inert, Name, Storage, accepted, built, called

_MOST_STEPS = 20_000_000
_MOST_BITS = 1024
_MOST_DEPTH = 100
_MARK = object()
_SAME = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8",
)  # fmt: skip
"""Instructions whose value is their argument."""


class Machine:
    """The stack and the memory of one file.

    Args:
        find_storage: the numbers that a file's reference to a storage means.
    """

    def __init__(self, find_storage: Callable[[Any], Storage]) -> None:
        self._find_storage = find_storage
        self._stack: list[Any] = []
        self._memory: dict[int, Any] = {}

    def run(self, program: bytes) -> Any:
        """Returns the value that a pickle describes.

        Args:
            program: the pickle.

        Raises:
            InputError: for whatever is not a plain value, by name; for too much of anything.
            ValueError: and what else Python raises at nonsense, if the pickle is damaged.
        """
        for count, (step, argument, _) in enumerate(pickletools.genops(program)):
            require(count < _MOST_STEPS, FILE, f"have at most {_MOST_STEPS} instructions", "more")
            if step.name == "STOP":
                (value,) = self._stack
                _check_depth(value)
                return value
            known = step.name in _STEPS
            require(known, FILE, "hold tensors, containers, numbers and strings alone", f"the instruction {step.name}",
                    "Nothing in the file was executed.")  # fmt: skip
            _STEPS[step.name](self, argument)
        raise ValueError("the pickle has no end")

    def push(self, value: Any) -> None:
        """Puts a value on the stack."""
        if isinstance(value, int):
            require(value.bit_length() <= _MOST_BITS, FILE, f"hold integers of at most {_MOST_BITS} bits",
                    f"one of {value.bit_length()}")  # fmt: skip
        self._stack.append(value)

    def pop(self) -> Any:
        """Takes the uppermost value."""
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value must be")
        return value

    def pop_mark(self) -> list[Any]:
        """Takes everything above the uppermost mark, and the mark."""
        at = next(index for index in reversed(range(len(self._stack))) if self._stack[index] is _MARK)
        taken, self._stack[at:] = self._stack[at + 1 :], []
        return taken

    def forget(self) -> None:
        """Forgets everything down to the uppermost mark."""
        self.pop_mark()

    def top(self, kind: type) -> Any:
        """Returns the uppermost value, which stays and must be of a type."""
        value = self._stack[-1]
        # Lightning's dictionaries are placeholders whose items are set one by one.
        value = value.items if kind is dict and isinstance(value, Inert) else value
        if not isinstance(value, kind):
            raise ValueError(f"{kind.__name__} expected, not {type(value).__name__}")
        return value

    def remember(self, at: int | None) -> None:
        """Remembers the uppermost value under a number; None: the next one."""
        self._memory[len(self._memory) if at is None else at] = self._stack[-1]

    def recall(self, at: int) -> None:
        """Puts what is remembered under a number on the stack."""
        self._stack.append(self._memory[at])

    def extend(self, items: list[Any]) -> None:
        """Appends to the list on top."""
        self.top(list).extend(items)

    def add(self, items: list[Any]) -> None:
        """Adds to the set on top."""
        self.top(set).update(items)

    def set_items(self, pairs: list[Any]) -> None:
        """Sets items of the dictionary on top."""
        target = self.top(dict)
        target.update(zip(pairs[::2], pairs[1::2], strict=True))

    def reference(self) -> None:
        """Replaces a reference to a storage by the storage."""
        self.push(self._find_storage(self.pop()))

    def reduce(self) -> None:
        """Replaces a name and its arguments by the plain value that stands for the call."""
        arguments, name = self.pop(), self.pop()
        if not isinstance(arguments, tuple) or not isinstance(name, Name):
            raise ValueError("a call of something that is no name")
        self.push(called(name, arguments))

    def build(self) -> None:
        """Sets attributes of the value below the uppermost."""
        state, value = self.pop(), self.pop()
        self.push(built(value, state))

    def named(self, module: Any, name: Any) -> None:
        """Puts a name on the stack, if it is on the list."""
        self.push(accepted(str(module), str(name)))

    def named_on_stack(self) -> None:
        """Puts a name on the stack whose parts are there."""
        name, module = self.pop(), self.pop()
        self.named(module, name)

    def mark(self) -> None:
        """Marks a place on the stack."""
        self._stack.append(_MARK)

    def drop(self) -> None:
        """Forgets the uppermost value, be it a mark."""
        self._stack.pop()

    def twice(self) -> None:
        """Puts the uppermost value on the stack again."""
        self._stack.append(self._stack[-1])

    def newest(self, count: int) -> tuple[Any, ...]:
        """Takes the uppermost few values, in their order."""
        return tuple(reversed([self.pop() for _ in range(count)]))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    """Returns keys and values in turn as a dictionary."""
    return dict(zip(items[::2], items[1::2], strict=True))


_Step = Callable[[Machine, Any], None]
_STEPS: Mapping[str, _Step] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, argument: None),
    **dict.fromkeys(_SAME, Machine.push),
    "BYTEARRAY8": lambda m, a: m.push(bytes(a)),
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_SET": lambda m, _: m.push(set()),
    "MARK": lambda m, _: m.mark(),
    "POP": lambda m, _: m.drop(),
    "POP_MARK": lambda m, _: m.forget(),
    "DUP": lambda m, _: m.twice(),
    "LIST": lambda m, _: m.push(m.pop_mark()),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_mark())),
    "TUPLE1": lambda m, _: m.push(m.newest(1)),
    "TUPLE2": lambda m, _: m.push(m.newest(2)),
    "TUPLE3": lambda m, _: m.push(m.newest(3)),
    "DICT": lambda m, _: m.push(_pairs(m.pop_mark())),
    "FROZENSET": lambda m, _: m.push(frozenset(m.pop_mark())),
    "APPEND": lambda m, _: m.extend(list(m.newest(1))),
    "APPENDS": lambda m, _: m.extend(m.pop_mark()),
    "ADDITEMS": lambda m, _: m.add(m.pop_mark()),
    "SETITEM": lambda m, _: m.set_items(list(m.newest(2))),
    "SETITEMS": lambda m, _: m.set_items(m.pop_mark()),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine.recall),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), Machine.remember),
    "GLOBAL": lambda m, a: m.named(*a.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.named_on_stack(),
    "REDUCE": lambda m, _: m.reduce(),
    "NEWOBJ": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": lambda m, _: m.reference(),
}
"""What each accepted instruction does; every other one is refused."""


def _check_depth(value: Any) -> None:
    """Raises if containers stand in each other too deep for what reads them later, or in themselves."""
    level, depth, seen = [value], 0, set[int]()
    while level:
        require(depth <= _MOST_DEPTH, FILE, f"nest containers at most {_MOST_DEPTH} deep", "more")
        inner: list[Any] = []
        for item in level:
            if id(item) in seen:
                continue
            if isinstance(item, Inert):
                item = item.items
            if isinstance(item, (dict, list, tuple, set, frozenset)):
                seen.add(id(item))
                inner.extend(item.values() if isinstance(item, dict) else item)
        level, depth = inner, depth + 1
