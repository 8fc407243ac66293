"""`aecf-jax export RUN --out BUNDLE`: a run's best model as a bundle, or as a PyTorch state dict."""

from pathlib import Path
from typing import Any

from aecf_jax.calibrate import saved_calibration
from aecf_jax.cli._files import existing_run
from aecf_jax.cli._run import best_model, read_config, use_compile_cache
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console
from aecf_jax.deploy import refresh_bundle, require_free, torch_state, write_bundle
from aecf_jax.errors import import_extra, require
from aecf_jax.files import write_whole


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after writing the bundle or the file.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if the run has no checkpoint, the output exists, or PyTorch's model has no such parts.
    """
    use_compile_cache(flags.compile_cache)
    console = make_console()
    if flags.refresh is not None:
        _require_alone(flags)
        refresh_bundle(flags.refresh)
        console.print(f"{flags.refresh}: program rebuilt")
        return 0
    require(flags.run is not None, "RUN", "be the folder of a run", "none", "Or pass --refresh BUNDLE.")
    require(flags.out is not None, "out", "be given", "none", "Pass --out BUNDLE.")
    folder, out = existing_run(flags.run), Path(flags.out)
    (_require_file if flags.format == "torch" else require_free)(out, replace=flags.force)
    model, step = best_model(folder, read_config(folder))
    if flags.format == "torch":
        state = torch_state(model.config, model.variables)
        write_whole(out, import_extra("safetensors.numpy", "export").save(state))
        what = f"{len(state)} tensors under PyTorch's names"
    else:
        calibration = saved_calibration(folder, model.config, step)
        write_bundle(model.config, model.variables, out, calibration=calibration, replace=flags.force)
        what = f"a {'' if calibration is None else 'calibrated '}bundle of {_size(out)}"
    console.print(f"{out}: {what}, from the checkpoint of step {step}")
    return 0


def _require_alone(flags: Any) -> None:
    """Raises if something is given beside --refresh that it would not read."""
    given = [name for name in ("run", "out") if getattr(flags, name) is not None]
    require(not given, "refresh", "stand alone", f"{', '.join(given)} beside it")


def _require_file(out: Path, *, replace: bool) -> None:
    """Raises unless a state dict may be written to a file."""
    require(out.suffix == ".safetensors", "out", "end in .safetensors for a state dict", str(out))
    require(out.resolve().parent.is_dir(), "out", "be in a folder that exists", str(out))
    require(replace or not out.exists(), "out", "be a new file", str(out), "Pass --force to replace it.")
    require(not out.is_dir(), "out", "be a file", str(out), "There is a folder of that name.")


def _size(folder: Path) -> str:
    """Returns how large the files of a folder are together."""
    total = sum(path.stat().st_size for path in folder.iterdir())
    return f"{total / 1e6:.1f} MB" if total >= 1e6 else f"{total / 1e3:.0f} kB"
