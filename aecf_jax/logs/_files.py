"""Metrics in a text file: a JSON object a line, or a table with a column for every metric ever seen."""

import contextlib
import csv
import io
import json
import math
import os
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from aecf_jax.errors import InputError, message


class JsonlWriter:
    """Appends one JSON object a line, on disk after every write; numbers that are not finite become null.

    Lines after the step that the run continues from are dropped, and so is a last line that a killed run left half
    written.

    Args:
        path: the file; its folder is made.
        last_step: the step that the run continues from; 0 starts anew.

    Raises:
        InputError: if the file cannot be written.
    """

    def __init__(self, path: str | Path, *, last_step: int = 0) -> None:
        self._path = Path(path)
        with _failures_named(self._path):
            rows = [row for row in _json_rows(self._path) if row["step"] <= last_step] if last_step else []
            _replace(self._path, "".join(_json_line(row) for row in rows))

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends a line.

        Args:
            step: training steps done.
            metrics: numbers by name.

        Raises:
            InputError: if the file cannot be written.
        """
        line = _json_line({"step": step, **{k: _plain(v) for k, v in metrics.items()}})
        # Opened for every line: a file that stays open tries once more to write what a full disk had no room for.
        with _failures_named(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(line)

    def close(self) -> None:
        """Does nothing: every line is on disk already."""


class CsvWriter:
    """Keeps a table with one row a step and one column for every metric ever seen, on disk after every write.

    Args:
        path: the file; its folder is made.
        last_step: the step that the run continues from; later rows are dropped; 0 starts anew.

    Raises:
        InputError: if the file cannot be written.
    """

    def __init__(self, path: str | Path, *, last_step: int = 0) -> None:
        self._path = Path(path)
        with _failures_named(self._path):
            self._rows = [row for row in _csv_rows(self._path) if int(row["step"]) <= last_step] if last_step else []
        self._columns = list(dict.fromkeys(["step", *(name for row in self._rows for name in row)]))
        self._rewrite()

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds a row; a metric seen for the first time adds a column, empty in the rows before.

        Args:
            step: training steps done.
            metrics: numbers by name.

        Raises:
            InputError: if the file cannot be written.
        """
        row = {"step": step, **{k: _plain(v) for k, v in metrics.items()}}
        self._rows.append(row)
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            self._rewrite()
            return
        with _failures_named(self._path), self._path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self._columns, lineterminator="\n").writerow(row)

    def close(self) -> None:
        """Does nothing: every row is on disk already."""

    def _rewrite(self) -> None:
        """Writes the whole table."""
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, self._columns, lineterminator="\n")
        table.writeheader()
        table.writerows(self._rows)
        with _failures_named(self._path):
            _replace(self._path, text.getvalue())


@contextlib.contextmanager
def _failures_named(path: Path) -> Generator[None]:
    """Turns a full disk or a folder without permission into one sentence that names the file."""
    try:
        yield
    except OSError as error:
        raise InputError(message("log file", "be writable", f"{path} ({error.strerror})")) from error


def _replace(path: Path, text: str) -> None:
    """Replaces a file's content at once: a run that is killed here leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, encoding="utf-8", newline="")
    os.replace(draft, path)


def _plain(value: float) -> float | None:
    """Returns a Python number; None for one that is not finite, which JSON has no word for."""
    number = float(value)
    return number if math.isfinite(number) else None


def _json_line(row: Mapping[str, Any]) -> str:
    """Returns a row as one line."""
    return json.dumps(dict(row)) + "\n"


def _json_rows(path: Path) -> Iterable[dict[str, Any]]:
    """Yields the rows of a file, up to the first line that is not whole."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            return
        yield row


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a table that are whole: a cell for every column."""
    if not path.is_file():
        return []
    # Every whole row ends in a line break: what comes after the last one was being written.
    text = path.read_text(encoding="utf-8").rpartition("\n")[0]
    rows = list(csv.DictReader(io.StringIO(text)))
    return [{name: value for name, value in row.items() if value} for row in rows]
