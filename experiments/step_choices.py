"""What each choice that makes the training step fast is worth: undone alone, by turns with the step as it is.

Command:   python experiments/step_choices.py        (--batch 32 for small steps)
Hardware:  1 CPU core; processor time, alternating, median of 40 (of compiling: 7)
Minutes:   14

The step of `AECFConfig.pytorch()`, 2 modalities of 512, 80 labels, a gate of 2,048 units, batch 512, in float32 and in
bfloat16. Printed is how many times as long a step takes without the choice, and where a choice is for compiling, how
many times as long that takes, with the first 4 steps. docs/performance.md has the figures.
"""

import argparse
import contextlib
import functools
import os
import statistics
from collections.abc import Callable, Generator, Mapping
from typing import Any
from unittest import mock

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402

from aecf_jax import rng  # noqa: E402
from aecf_jax.bench import Times, TrainingSteps, median_ratio, random_rows, take_turns  # noqa: E402
from aecf_jax.config import Workload  # noqa: E402
from aecf_jax.losses import _calibration, _task  # noqa: E402
from aecf_jax.nn import _aecf  # noqa: E402
from aecf_jax.ops import _dropout, _matmul  # noqa: E402
from aecf_jax.train import _compiled, _keys, _optimizer, _step  # noqa: E402

STEPS, ROUNDS, COMPILED = 4, 40, 7


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=512, help="rows of a step")
    parser.add_argument("--only", nargs="*", choices=("steps", "compiling"), default=["steps", "compiling"])
    args = parser.parse_args()
    if "steps" in args.only:
        time_steps(args.batch)
    if "compiling" in args.only:
        time_compiling()


def time_steps(batch: int) -> None:
    """Prints what steps take, with each choice undone."""
    for half in (False, True):
        build = functools.partial(made, half, batch=batch)
        ways = {"as it is": build(), **{name: build(undone) for name, undone in UNDONE.items()}}
        ways["one dispatch a step"] = one_by_one(build(steps=1))
        print("a step in bfloat16" if half else "a step in float32")
        print_ratios(take_turns(ways, repeats=ROUNDS), STEPS)


def time_compiling() -> None:
    """Prints what compiling takes, with each choice that is for it undone."""
    choices = {"as it is": contextlib.nullcontext, **{name: UNDONE[name] for name in FOR_COMPILING}}
    compiling = {name: functools.partial(made, False, undone) for name, undone in choices.items()}
    print("tracing, compiling and the first steps, in float32")
    print_ratios(take_turns(compiling, repeats=COMPILED), 1)


def print_ratios(turns: Mapping[str, Times], steps: int) -> None:
    """Prints milliseconds for each of some steps, and the ratios to the way as it is."""
    for name, taken in turns.items():
        ms = statistics.median(taken.processor) / steps * 1e3
        print(f"  {name:44}{ms:8.2f} ms{median_ratio(taken.processor, turns['as it is'].processor):8.2f}")


def made(
    half: bool, undone: Callable[[], Any] = contextlib.nullcontext, *, steps: int = STEPS, batch: int = 512
) -> TrainingSteps:
    """Returns steps that are compiled already, without a choice."""
    work = Workload(rows=8192, batch=batch)
    with undone():
        _step._program.cache_clear()  # Else the program that is compiled with the choice.
        found = TrainingSteps(work.config(mixed_precision=half), random_rows(work), steps)
        found()
    return found


def one_by_one(step: TrainingSteps) -> Callable[[], object]:
    """Returns as many steps, each a call of its own that is waited for."""
    return lambda: [step() for _ in range(STEPS)]


@contextlib.contextmanager
def not_laid_out() -> Generator[None]:
    """Transposed matrices as XLA folds them into products."""
    with mock.patch.object(_matmul, "_turned", lambda x, beside=None: jnp.transpose(x)):
        yield


@contextlib.contextmanager
def few_rows_as_many() -> Generator[None]:
    """Products of few rows with a wide kernel as those of many: the library lays the kernel out, XLA folds the rows."""
    with mock.patch.multiple(_matmul, _FEW=0, _WIDE=1 << 62):
        yield


@contextlib.contextmanager
def few_rows_as_columns() -> Generator[None]:
    """Products of few rows with a wide kernel by columns, as processors with AVX-512 have them."""
    with mock.patch.object(_matmul, "multiplies_in_blocks", return_value=False):
        yield


@contextlib.contextmanager
def bins_along_an_axis() -> Generator[None]:
    """The calibration penalty with an axis of bins, as other platforms have it."""

    def sums(gap: jax.Array, bin_of: jax.Array, bins: int) -> jax.Array:
        member = bin_of[None] == jnp.arange(bins)[:, None, None]
        return jnp.sum(jnp.where(member, gap[None], 0.0), axis=1)

    # Not `lax.platform_dependent`: products of matrices depend on it too.
    with mock.patch.object(_calibration, "_bin_sums", sums):
        yield


@contextlib.contextmanager
def kernels_for_bins() -> Generator[None]:
    """The calibration penalty with a sum of its own for every bin, each compiled."""

    def sums(gap: jax.Array, bin_of: jax.Array, bins: int) -> jax.Array:
        return jnp.stack([jnp.sum(jnp.where(bin_of == one, gap, 0.0), axis=0) for one in range(bins)])

    with mock.patch.object(_calibration, "_bin_sums", sums):
        yield


@contextlib.contextmanager
def own_keys() -> Generator[None]:
    """Keys and draws by JAX's own generator."""
    with contextlib.ExitStack() as patches:
        for module in (rng, _dropout, _keys):
            patches.enter_context(mock.patch.object(module, "hashed_key", lambda key: key))
        yield


@contextlib.contextmanager
def added_columns() -> Generator[None]:
    """Sums over rows as sums, not as products with ones."""

    def added(x: jax.Array) -> jax.Array:
        return jnp.sum(x, axis=tuple(range(x.ndim - 1)))

    with mock.patch.object(_matmul, "summed_rows", added), mock.patch.object(_calibration, "summed_rows", added):
        yield


@contextlib.contextmanager
def two_kernels_a_sum() -> Generator[None]:
    """Long sums in two kernels, as XLA splits them."""
    with mock.patch.dict(_compiled._COMPILED_SOON):
        del _compiled._COMPILED_SOON["xla_disable_hlo_passes"]
        yield


@contextlib.contextmanager
def keys_made_anew() -> Generator[None]:
    """Keys of a step, and that of parameters, derived in every kernel that draws from them."""
    with mock.patch.object(_keys, "made_once", lambda key: key), mock.patch.object(_aecf, "made_once", lambda key: key):
        yield


@contextlib.contextmanager
def drawn_again() -> Generator[None]:
    """Dropout's draws made again for the gradient, as it is without a rectifier."""
    with mock.patch.object(_dropout, "_rectified", lambda x, *draw: _dropout._left(jax.nn.relu(x), *draw)):
        yield


@contextlib.contextmanager
def two_divisions() -> Generator[None]:
    """Adam as optax has it: two divisions for each parameter."""
    with mock.patch.object(_optimizer, "_adam", optax.scale_by_adam().update):
        yield


@contextlib.contextmanager
def xla_log1p() -> Generator[None]:
    """Logarithms of probabilities as JAX has them, both by log1p."""

    def pair(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.nn.log_sigmoid(x), jax.nn.log_sigmoid(-x)

    with mock.patch.object(_task, "log_sigmoids", pair):
        yield


@contextlib.contextmanager
def copied_state() -> Generator[None]:
    """A state whose buffers are not used again."""
    jit = jax.jit

    def without(function: Any, **options: Any) -> Any:
        options.pop("donate_argnums", None)
        return jit(function, **options)

    with mock.patch.object(_step.jax, "jit", without):
        yield


@contextlib.contextmanager
def sums_by_the_library() -> Generator[None]:
    """Long sums added up by the library that multiplies, in its own order."""
    with mock.patch.object(_step, "compiler_options", return_value=_compiled._COMPILED_SOON):
        yield


@contextlib.contextmanager
def products_by_the_library() -> Generator[None]:
    """Products of matrices by the library on every processor."""
    options = _compiled._COMPILED_SOON | _compiled._SUMS_ALIKE
    with mock.patch.object(_step, "compiler_options", return_value=options):
        yield


@contextlib.contextmanager
def all_optimizations() -> Generator[None]:
    """LLVM at the level that XLA asks for by itself."""
    with mock.patch.dict(_compiled._COMPILED_SOON):
        del _compiled._COMPILED_SOON["xla_backend_optimization_level"]
        yield


UNDONE: dict[str, Callable[[], Any]] = {
    "matrices not laid out anew": not_laid_out,
    "few rows multiplied as many": few_rows_as_many,
    "few rows multiplied as columns": few_rows_as_columns,
    "JAX's own keys": own_keys,
    "keys made anew in every kernel": keys_made_anew,
    "draws made again for the gradient": drawn_again,
    "two divisions in Adam": two_divisions,
    "logarithms by log1p": xla_log1p,
    "sums over rows as sums": added_columns,
    "two kernels for a sum": two_kernels_a_sum,
    "an axis of bins": bins_along_an_axis,
    "a sum of its own for every bin": kernels_for_bins,
    "state copied, not donated": copied_state,
    "sums by the library": sums_by_the_library,
    "products by the library": products_by_the_library,
    "LLVM's third level": all_optimizations,
}
FOR_COMPILING = (
    "JAX's own keys", "keys made anew in every kernel", "draws made again for the gradient", "logarithms by log1p",
    "two kernels for a sum", "a sum of its own for every bin",
    "LLVM's third level",
)  # fmt: skip


if __name__ == "__main__":
    main()
