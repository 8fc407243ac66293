"""The verbs beside `train`, each a dataclass whose fields are its flags.

Nothing here imports JAX or NumPy, so that help is printed at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

_RUN = arg(metavar="RUN", help="Folder of the run.")
_RUNS = arg(metavar="RUN [RUN ...]", help="Folders of finished runs on the same data; those that differ in their seed "
                                          "alone are replicates of one model.")  # fmt: skip
_PART = arg(metavar="[PART]", help="train, infer, evaluate, metrics, data or all.")


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Print a run's metrics for every subset of the modalities, from its best checkpoint."""

    run: Positional[Annotated[Path, _RUN]]
    data: str | None = None
    """Other data to evaluate on: a named source, a file or a folder; None: the run's."""
    root: str | None = None
    """Folder of a named source's files; None: the run's."""
    part: Literal["test", "validation", "train", "all"] | None = None
    """Which part of the data; None: test, or all rows of a file or folder that --data names."""
    drops: str | None = None
    """Instead, hide modalities by a drop table: a file, or for example mcar:0.5 or mar:0.3,observed=image,seed=1."""
    curve: str | None = None
    """Instead, rates from 0 to 0.9 of mcar, mar:observed=image, mnar, exclusive or bursts:length=8; or of exact."""
    intervals: bool = False
    """Give every metric its 95 % interval, by the bootstrap over rows."""
    json: bool = False
    """Print JSON with all digits, instead of the table."""
    calibration: bool = True
    """Use the calibration that `aecf-jax calibrate` saved with the run, if there is one."""
    compile_cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is faster."""


@dataclass(frozen=True, kw_only=True)
class Calibrate:
    """Make a run's probabilities honest for every pattern of missing modalities, on its validation rows alone."""

    run: Positional[Annotated[Path, _RUN]]
    method: Literal["temperature", "vector", "isotonic", "none"] = "temperature"
    """One number that sharpens or softens; a scale and a shift per class; a rising line; or none, for sets alone."""
    by: Literal["pattern", "size", "all"] = "pattern"
    """What gets a calibration of its own: each set of visible modalities, each number of them, or all together."""
    sets: Literal["lac", "aps", "none"] = "lac"
    """Conformal sets as well: the smallest (lac), for classes also adaptive ones (aps), or none."""
    coverage: float = 0.9
    """Share of new rows whose set is to hold the truth."""
    root: str | None = None
    """Folder of a named source's files; None: the run's."""
    seed: int = 0
    """Of the folds of the cross-validation, and of every other random draw."""
    force: bool = False
    """Replace the calibration and the sets that the run has."""
    compile_cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is faster."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Write predictions for new rows, from a run's best checkpoint or a bundle."""

    run: Positional[Annotated[Path, arg(metavar="RUN", help="Folder of the run, or a bundle.")]]
    data: Path
    """Rows to predict: a .npz, .safetensors or .pt file, or a folder of .npy files, which may be larger than memory;
    labels are not needed."""
    out: Path
    """File to write: .csv, .npz or .jsonl; without a suffix, a folder of .npy files."""
    nan_as_missing: bool = False
    """Treat a modality as missing in rows where it has NaN, or in all if the file lacks it, instead of refusing."""
    calibration: bool = True
    """Use the calibration that `aecf-jax calibrate` saved with the run, if there is one."""
    sets: bool = False
    """Write conformal sets as well: 1 for each class in a row's set; of labels, whether each may be 0, and may be 1."""
    force: bool = False
    """Replace the output file if it exists."""
    compile_cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is faster."""


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Compare runs on the same test rows: figures with intervals, and paired differences with p-values."""

    runs: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN [RUN ...]", help="Folders of the runs.")]]
    by: Literal["model", "run"] = "model"
    """What is compared: models, each of all runs whose settings differ in the seed alone; or single runs."""
    name: tuple[str, ...] = ()
    """Names of what is compared, in the order of first runs; none: by the settings that differ, or the folders."""
    drops: Path | None = None
    """A drop table that was saved; None: every modality is hidden with probability 0.5."""
    draws: int = 1000
    """Resamples of the test rows."""
    root: str | None = None
    """Folder of a named source's files; None: the runs'."""
    format: Literal["table", "markdown", "latex", "json"] | None = None
    """What is printed or written; None: a table, or what the end of --out says (.md, .tex, .json)."""
    out: Path | None = None
    """File to write; None: print."""
    force: bool = False
    """Replace the file if it exists."""
    compile_cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is faster."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write one page on runs, as HTML, Markdown and JSON: can they be trusted where modalities are missing?"""

    runs: Positional[Annotated[tuple[Path, ...], _RUNS]]
    out: Path | None = None
    """Folder for report.html, report.md and report.json, which are replaced; None: RUN/report of the first run."""
    baseline: tuple[Path, ...] = ()
    """Runs to compare with, on the same test rows."""
    draws: int = 1000
    """Resamples of the test rows that intervals are made of."""
    root: str | None = None
    """Folder of a named source's files; None: the runs'."""
    compile_cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is faster."""


@dataclass(frozen=True, kw_only=True)
class Import:
    """Make a run of a PyTorch checkpoint, of any of its three generations; PyTorch is not needed."""

    checkpoint: Positional[Annotated[Path, arg(metavar="CHECKPOINT", help="A .ckpt or .pt file. It is never run.")]]
    out: Path
    """Folder of the new run."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities in the model's order; None: those in the file."""
    multilabel: bool | None = None
    """Whether labels are independent, which no file says; None: read from the targets."""
    attention_heads: int | None = None
    """Heads of an attention pool, which no file says; None: 1."""
    compile_cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is faster."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a run's model as a bundle that runs without this library, or as a PyTorch state dict."""

    run: Positional[Annotated[Path | None, arg(metavar="[RUN]", help="Folder of the run.")]] = None
    out: Path | None = None
    """The bundle's folder, or with --format torch a .safetensors file."""
    format: Literal["bundle", "torch"] = "bundle"
    """A bundle, which needs jax, numpy and flatbuffers to run; or torch, a state dict under PyTorch's names."""
    refresh: Path | None = None
    """Rebuild the program in this bundle for the JAX that is installed; takes no run."""
    force: bool = False
    """Replace the bundle or file if it exists."""
    compile_cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is faster."""


@dataclass(frozen=True, kw_only=True)
class Info:
    """Print what a run is, and how far it came."""

    run: Positional[Annotated[Path, _RUN]]


@dataclass(frozen=True, kw_only=True)
class Data:
    """List the named sources of data, or convert data to a folder of .npy files, which are memory-mapped."""

    action: Positional[Annotated[Literal["list", "convert"], arg(help="What to do.")]]
    source: Positional[
        Annotated[str | None, arg(metavar="[SRC]", help="To convert: a named source, file or folder.")]
    ] = None
    folder: Positional[Annotated[Path | None, arg(metavar="[DST]", help="The new folder.")]] = None
    root: str | None = None
    """Folder of a named source's original files; None: what the environment variable AECF_DATA_DIR names."""
    label_kind: Literal["auto", "classes", "labels", "values"] = "auto"
    """What the labels are; auto: integers are classes, columns of 0 and 1 labels, other floats values."""
    nan_as_missing: bool = False
    """Treat a modality as missing in rows where it has NaN, instead of refusing."""
    split_seed: int = 0
    """Seed of the split, where the source has none of its own."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Measure what training, prediction, evaluation, metrics and data cost on this machine, on random rows.

    Ways that are compared take turns, and medians are printed: of the clock, and of this process's processor time,
    which other work on the machine disturbs less. "Of best" is the share of the rate of large products of matrices,
    measured in the same turns. The first turns, in which programs are compiled, do not count; what compiling costs, and
    what the compile cache saves of it, is printed below the table.
    """

    what: Positional[Annotated[Literal["train", "infer", "evaluate", "metrics", "data", "all"], _PART]] = "all"
    repeats: int = 7
    """Turns that count."""
    quick: bool = False
    """Tiny sizes and three turns, to see that all of it runs; the figures mean nothing."""
    json: bool = False
    """Print JSON with all digits, instead of the table."""
    out: Path | None = None
    """A file for the JSON as well, which is replaced."""
    compile_cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is faster."""


VERBS: Mapping[str, type] = {
    "evaluate": Evaluate, "calibrate": Calibrate, "predict": Predict, "compare": Compare, "report": Report,
    "import": Import, "export": Export, "info": Info, "data": Data,
    "bench": Bench,
}  # fmt: skip
"""The verbs in the order of the help; each has a module of its name, `cli/_NAME.py`, with `run`."""
