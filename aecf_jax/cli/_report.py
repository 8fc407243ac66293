"""`aecf-jax report RUN [RUN ...]`: one page on runs, as HTML, Markdown and JSON."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aecf_jax.calibrate import CONFORMAL, saved_calibration, saved_sets
from aecf_jax.cli._files import HISTORY, IMPORT, METRICS, existing_run
from aecf_jax.cli._history import read_history
from aecf_jax.cli._run import best_model, read_config, read_data, run_splits, use_compile_cache
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console
from aecf_jax.errors import import_extra, require
from aecf_jax.files import read_json, write_whole
from aecf_jax.report import Subject, measured_report, to_html, to_markdown

_FORMATS = {
    "report.html": to_html,
    "report.md": to_markdown,
    "report.json": lambda report: json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n",
}


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after writing the report.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if a run is not finished, its data have changed, or the runs do not belong in one report.
    """
    use_compile_cache(flags.compile_cache)
    folders = [existing_run(folder) for folder in flags.runs]
    require(len(folders) > 0, "RUN", "be given", "none", "For example: aecf-jax report runs/digits-1")
    require(flags.draws > 0, "draws", "be positive", flags.draws)
    baselines = [existing_run(folder) for folder in flags.baseline]
    _reject_repeated([*folders, *baselines])
    for folder in [*folders, *baselines]:
        _require_finished(folder)
    out: Path = folders[0] / "report" if flags.out is None else flags.out
    require(not out.exists() or out.is_dir(), "out", "be a folder", str(out), "There is a file of that name.")
    named = _names([*folders, *baselines])
    with _progress() as on_part:
        subjects = [_subject(folder, name, flags.root) for folder, name in named]
        report = measured_report(subjects[: len(folders)], subjects[len(folders) :], draws=flags.draws,
                                 on_part=on_part)  # fmt: skip
    texts = {name: write(report) for name, write in _FORMATS.items()}
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(out / name, text)
    make_console().print(f"{out}/: {', '.join(texts)}")
    return 0


def _reject_repeated(folders: Sequence[Path]) -> None:
    """Raises if a run is given twice: it would count as two seeds."""
    places = [folder.resolve() for folder in folders]
    twice = [str(folder) for folder, place in zip(folders, places, strict=True) if places.count(place) > 1]
    require(not twice, "RUN", "be given once", ", ".join(twice))


def _require_finished(folder: Path) -> None:
    """Raises unless a run has its table."""
    imported = (folder / IMPORT).is_file()
    hint = "An imported run has no data of its own." if imported else f"Go on with: aecf-jax train --resume {folder}"
    require((folder / METRICS).is_file(), "RUN", "be finished, to be reported", f"{folder} without {METRICS}", hint)


def _names(folders: Sequence[Path]) -> list[tuple[Path, str]]:
    """Returns each folder with its name, or its whole path where two have the same name."""
    names = [folder.resolve().name for folder in folders]
    return [(folder, name if names.count(name) == 1 else str(folder))
            for folder, name in zip(folders, names, strict=True)]  # fmt: skip


def _subject(folder: Path, name: str, root: str | None) -> Subject:
    """Returns a run as a report reads it.

    Raises:
        InputError: if its data are not what they were.
    """
    config = read_config(folder)
    splits, changed = run_splits(folder, root=root)
    require(not changed, "data", "be what the run was trained and chosen on", f"another {' and '.join(changed)} part",
            f"Restore the files that {folder} was trained on.")  # fmt: skip
    model, step = best_model(folder, config)
    sets = saved_sets(folder, config, step) if (folder / CONFORMAL).is_file() else None
    _, described = read_data(folder)
    return Subject(name=name, model=model, splits=splits, data=described, recorded=read_json(folder / METRICS),
                   history=read_history(folder / HISTORY), conformal=sets,
                   calibration=saved_calibration(folder, config, step))  # fmt: skip


@contextmanager
def _progress() -> Generator[Any]:
    """Gives a function that says on the standard error, if it is a terminal, what is being measured."""
    console = import_extra("rich.console", "cli").Console(stderr=True)
    if not console.is_terminal:
        yield lambda _part: None
        return
    with console.status("reading") as status:
        yield status.update
