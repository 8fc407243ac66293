"""How arrays lie on several devices: batches cut along the axis `data`, the widest hidden layers along `model`."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Key

from aecf_jax.errors import require
from aecf_jax.rng import seed_key

DATA, MODEL = "data", "model"

Tree = TypeVar("Tree")
_Path = tuple[str, ...]


def make_mesh(axes: Mapping[str, int] | None) -> Mesh | None:
    """Returns a mesh of the devices of all processes; None where one device is enough.

    Args:
        axes: devices by axis; None: one device, or in several processes all devices along `data`.

    Raises:
        InputError: if there are not as many devices, or several processes would leave some unused.

    >>> make_mesh(None) is None
    True
    """
    devices, several = jax.devices(), jax.process_count() > 1
    if axes is None:
        axes = {DATA: len(devices) if several else 1}
    count = math.prod(axes.values())
    shown = ",".join(f"{name}={size}" for name, size in axes.items())
    require(count <= len(devices), "mesh", f"have at most {len(devices)} devices, as there are here", shown)
    require(not several or count == len(devices), "mesh", f"have all {len(devices)} devices of the processes", shown)
    if count == 1:
        return None
    return jax.make_mesh(
        tuple(axes.values()), tuple(axes), axis_types=(AxisType.Auto,) * len(axes), devices=devices[:count]
    )


def mesh_of(tree: Any) -> Mesh | None:
    """Returns the mesh that the arrays of a tree lie on; None for one device.

    Args:
        tree: arrays, for example a model's variables.
    """
    for leaf in jax.tree.leaves(tree):
        sharding = getattr(leaf, "sharding", None)
        if isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, Mesh) and sharding.mesh.size > 1:
            return sharding.mesh
    return None


def shards(mesh: Mesh | None) -> int:
    """Returns into how many parts a batch is cut.

    Args:
        mesh: the devices; None: one.
    """
    return 1 if mesh is None else mesh.shape[DATA]


def everywhere(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of what every device holds whole."""
    return NamedSharding(mesh, P())


def along_data(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """Returns the sharding of what is cut along `data`.

    Args:
        mesh: the devices.
        axis: which axis of the array is cut.
    """
    return NamedSharding(mesh, P(*[None] * axis, DATA))


def tree_shardings(tree: Any, mesh: Mesh) -> Any:
    """Returns where each array of a training state, a model's variables or a checkpoint lies.

    The hidden layers of the gate, and all that are as wide as the widest one, are cut along `model` where their width
    can be: the columns of one layer, then the rows of the next. Optimizer moments lie where their parameters do;
    everything else is everywhere.

    Args:
        tree: arrays, or their shapes.
        mesh: the devices.

    Raises:
        InputError: if the mesh has an axis `model` and there is no layer to cut along it.
    """
    paths = [(_names(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]
    shapes = {path[path.index("params") + 1 :]: tuple(leaf.shape) for path, leaf in paths if "params" in path}
    cut = _cut_parameters(shapes, mesh.shape.get(MODEL, 1))

    def sharding(path: Any, leaf: Any) -> NamedSharding:
        names = _names(path)
        found = (cut[names[at:]] for at in range(len(names)) if names[at:] in cut)
        spec = next(found, P())
        return NamedSharding(mesh, spec if len(spec) <= len(leaf.shape) else P())

    return jax.tree_util.tree_map_with_path(sharding, tree)


def held(tree: Tree, mesh: Mesh | None) -> Tree:
    """Returns traced arrays with the shardings of `tree_shardings`, so that a step gives back what it was given.

    Args:
        tree: a training state.
        mesh: the devices; None: one.
    """
    return tree if mesh is None else jax.lax.with_sharding_constraint(tree, tree_shardings(tree, mesh))


def spread(tree: Tree, mesh: Mesh | None) -> Tree:
    """Returns traced rows of a batch, cut along `data`.

    Args:
        tree: rows.
        mesh: the devices; None: one.
    """
    return tree if mesh is None else jax.lax.with_sharding_constraint(tree, along_data(mesh))


def placed(tree: Tree, shardings: Any) -> Tree:
    """Returns arrays where they are to lie; those that lie there already are not copied.

    Args:
        tree: arrays, the same in every process.
        shardings: one for each, or one for all.
    """
    each = jax.tree.map(lambda _: shardings, tree) if isinstance(shardings, NamedSharding) else shardings

    def put(leaf: Any, sharding: NamedSharding) -> jax.Array:
        if getattr(leaf, "sharding", None) == sharding:
            return leaf
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(put, tree, each)


def root_key(seed: int, mesh: Mesh | None) -> Key[Array, ""]:
    """Returns a run's key, on every device.

    Args:
        seed: the run's.
        mesh: the devices; None: one.
    """
    key = seed_key(seed)
    if mesh is None:
        return key
    return jax.random.wrap_key_data(placed(jax.random.key_data(key), everywhere(mesh)))


def fetched(tree: Tree) -> Tree:
    """Returns arrays on the host, whole in every process.

    Args:
        tree: arrays, perhaps cut over devices of other processes.
    """
    leaves = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]
    if all(leaf.is_fully_addressable or leaf.is_fully_replicated for leaf in leaves):
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def own_columns(shape: tuple[int, ...], sharding: NamedSharding, axis: int) -> slice:
    """Returns which part of an axis lies on the devices of this process.

    Args:
        shape: of the whole array.
        sharding: how it is cut.
        axis: which axis.
    """
    found = [index[axis].indices(shape[axis]) for index in sharding.addressable_devices_indices_map(shape).values()
             if index is not None]  # fmt: skip
    return slice(min(start for start, _, _ in found), max(stop for _, stop, _ in found))


def assembled(local: np.ndarray, shape: tuple[int, ...], sharding: NamedSharding, axis: int) -> jax.Array:
    """Returns an array cut over devices, of which this process has what `own_columns` says.

    Args:
        local: its part.
        shape: of the whole array.
        sharding: how it is cut.
        axis: along which axis it is cut between processes.
    """
    first = own_columns(shape, sharding, axis).start

    def part(index: Any) -> np.ndarray:
        start, stop, _ = index[axis].indices(shape[axis])
        return local[(slice(None),) * axis + (slice(start - first, stop - first),)]

    return jax.make_array_from_callback(shape, sharding, part)


def _names(path: Any) -> _Path:
    """Returns the names and numbers on the way to a leaf."""
    return tuple(str(getattr(part, "key", getattr(part, "name", getattr(part, "idx", "")))) for part in path)


def _cut_parameters(shapes: Mapping[_Path, tuple[int, ...]], size: int) -> dict[_Path, P]:
    """Returns how the parameters that are cut are cut."""
    if size == 1:
        return {}
    pairs = list(_layer_pairs(shapes))
    widths = [shapes[(*first, "kernel")][-1] for first, _ in pairs]
    chosen = [(first, second) for (first, second), width in zip(pairs, widths, strict=True)
              if width % size == 0 and (width == max(widths) or "gate" in first)]  # fmt: skip
    found = f"hidden widths {', '.join(map(str, sorted(set(widths))))}" if widths else "a model without hidden layers"
    require(bool(chosen), f"mesh axis {MODEL}", "divide the widest hidden width, or the gate's", f"{size} for {found}")
    cut: dict[_Path, P] = {}
    for first, second in chosen:
        if (*first, "kernel") in cut:
            # The rows of this layer are cut already; its columns stay whole.
            continue
        cut |= {(*first, name): P(None, MODEL) for name in ("kernel", "present_kernel") if (*first, name) in shapes}
        cut |= {(*first, "bias"): P(MODEL), (*second, "kernel"): P(MODEL)}
    return cut


def _layer_pairs(shapes: Mapping[_Path, tuple[int, ...]]) -> Iterator[tuple[_Path, _Path]]:
    """Yields the path of every hidden dense layer, with that of the layer that follows it, in order."""
    for path in sorted(path[:-1] for path in shapes if path[-1] == "kernel"):
        if path[-1].startswith("hidden_"):
            following = (*path[:-1], f"hidden_{int(path[-1].removeprefix('hidden_')) + 1}")
            yield path, following if (*following, "kernel") in shapes else (*path[:-1], "out")
        for following in ((*path, "rest", "hidden_0"), (*path, "rest", "out")):
            if (*following, "kernel") in shapes:
                yield path, following
                break
