"""Bundles: a folder with a model's parameters, constants and configuration, and a program that JAX alone runs."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from aecf_jax import __version__
from aecf_jax.calibrate import CALIBRATION, Calibration
from aecf_jax.config import AECFConfig
from aecf_jax.deploy._program import PLATFORMS, exported_program, named_arrays
from aecf_jax.deploy._readme import readme
from aecf_jax.errors import import_extra, require
from aecf_jax.files import read_json, whole_folder, write_json, write_whole

MANIFEST, CONFIG, PROGRAM = "bundle.json", "config.json", "model.stablehlo"
"""Names of files of a bundle, beside the arrays' and README.md, and the calibration's, if the model is calibrated."""

ARRAYS = {"model.safetensors": "params/", "normalization.safetensors": "constants/"}
"""File of arrays -> how the names of those in it begin."""

_FORMAT, _VERSION = "aecf_jax bundle", 1
_MADE_BY = "A bundle is made by `aecf-jax export`."
_AGAIN = "Export the run again."
_REFRESH = "Rebuild it with: aecf-jax export --refresh"


class Bundle(NamedTuple):
    """What a bundle holds, verified.

    Attributes:
        config: the model's.
        arrays: parameters and constants by name, the first argument of the program.
        calibration: what is inside the program; None if there is none.
        program: the exported function, serialized; empty where it was not asked for.
    """

    config: AECFConfig
    arrays: dict[str, np.ndarray]
    calibration: Calibration | None
    program: bytes


def write_bundle(
    config: AECFConfig, variables: Mapping[str, Any], out: str | Path, *, calibration: Calibration | None = None,
    replace: bool = False,
) -> None:  # fmt: skip
    """Writes a bundle, whole or not at all.

    Args:
        config: the model's.
        variables: its parameters and constants.
        out: the folder.
        calibration: of its logits.
        replace: whether to take the place of a bundle that is there.

    Raises:
        InputError: if the calibration is of another model, or the folder is there, and is no bundle to be replaced, or
            the one it stands in is not.
        MissingExtraError: if flatbuffers or safetensors is not installed.
    """
    out = Path(out)
    require_free(out, replace=replace)
    safetensors = import_extra("safetensors.numpy", "export")
    arrays = named_arrays(jax.device_get(dict(variables)))
    contents: dict[str, bytes] = {PROGRAM: exported_program(config, arrays, calibration)}
    for file, start in ARRAYS.items():
        contents[file] = safetensors.save({name: arrays[name] for name in arrays if name.startswith(start)})
    with whole_folder(out, replace=replace) as folder:
        write_json(folder / CONFIG, config.to_dict())
        if calibration is not None:
            calibration.save(folder / CALIBRATION)
        for file, content in contents.items():
            write_whole(folder / file, content)
        _write_about(folder, config)


def read_bundle(path: str | Path, *, program: bool = True) -> Bundle:
    """Returns what a bundle holds, after verifying that every file is the one that was exported.

    Args:
        path: the folder.
        program: whether the exported function is read.

    Raises:
        InputError: if it is no bundle, or a file is missing or damaged.
    """
    folder = Path(path)
    manifest = _manifest(folder)
    hashes: dict[str, str] = manifest["sha256"]
    optional = {PROGRAM: program, CALIBRATION: CALIBRATION in hashes}
    files = [CONFIG, *ARRAYS, *(file for file, wanted in optional.items() if wanted)]
    contents = {file: _verified(folder, file, hashes) for file in files}
    safetensors = import_extra("safetensors.numpy", "export")
    arrays = {name: array for file in ARRAYS for name, array in safetensors.load(contents[file]).items()}
    calibration = Calibration.load(folder / CALIBRATION) if CALIBRATION in contents else None
    config = AECFConfig.from_dict(read_json(folder / CONFIG))
    return Bundle(config, arrays, calibration, contents.get(PROGRAM, b""))


def refresh_bundle(path: str | Path) -> None:
    """Rebuilds a bundle's program and README from everything else in it, for the JAX that is installed.

    Args:
        path: the folder.

    Raises:
        InputError: if it is no bundle, or its parameters or configuration are missing or damaged.
    """
    folder = Path(path)
    bundle = read_bundle(folder, program=False)
    write_whole(folder / PROGRAM, exported_program(bundle.config, bundle.arrays, bundle.calibration))
    _write_about(folder, bundle.config)


def require_free(out: Path, *, replace: bool) -> None:
    """Returns nothing; raises unless a bundle may be written to a folder.

    Args:
        out: the folder.
        replace: whether a bundle that is there may be replaced.

    Raises:
        InputError: if something is there, or the folder around it is not.
    """
    require(out.resolve().parent.is_dir(), "out", "be in a folder that exists", str(out))
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    ours = (out / MANIFEST).is_file()
    require(ours, "out", "be a new or empty folder", str(out), "What is there is no bundle, and is left alone.")
    require(replace, "out", "be a new or empty folder", str(out), "Pass --force to replace the bundle.")


def is_bundle(path: str | Path) -> bool:
    """Returns whether a folder says that it is a bundle."""
    return (Path(path) / MANIFEST).is_file()


def _manifest(folder: Path) -> dict[str, Any]:
    """Returns what a bundle says of itself."""
    require(folder.is_dir(), "bundle", "be a folder", str(folder), _MADE_BY)
    require((folder / MANIFEST).is_file(), "bundle", f"hold a {MANIFEST}", str(folder), _MADE_BY)
    manifest = read_json(folder / MANIFEST)
    ours = manifest.get("format") == _FORMAT and isinstance(manifest.get("sha256"), dict)
    require(ours, "bundle", f"be described by its {MANIFEST}", f"another content in {folder}", _MADE_BY)
    known = manifest.get("version") == _VERSION
    hint = f"It was made by aecf_jax {manifest.get('aecf_jax')}; this is {__version__}."
    require(known, "bundle", f"be of version {_VERSION}", str(manifest.get("version")), hint)
    return manifest


def _verified(folder: Path, file: str, hashes: Mapping[str, str]) -> bytes:
    """Returns a file's content, which must be the one that was exported."""
    hint = f"{_REFRESH} {folder}" if file == PROGRAM else _AGAIN
    require((folder / file).is_file(), "bundle", f"hold a {file}", str(folder), hint)
    content = (folder / file).read_bytes()
    same = hashlib.sha256(content).hexdigest() == hashes.get(file)
    require(same, "bundle", "hold the files that were exported", f"another content in {folder / file}", hint)
    return content


def _write_about(folder: Path, config: AECFConfig) -> None:
    """Writes the README, and last what the bundle says of itself and of its files."""
    write_whole(folder / "README.md", readme(config))
    ours = {CONFIG, PROGRAM, CALIBRATION, *ARRAYS}
    files = sorted(path.name for path in folder.iterdir() if path.name in ours)
    hashes = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files}
    about = {"aecf_jax": __version__, "jax": jax.__version__, "platforms": list(PLATFORMS)}
    write_json(folder / MANIFEST, {"format": _FORMAT, "version": _VERSION, **about, "sha256": hashes})
