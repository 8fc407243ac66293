"""Matrix products of a layer, forward and backward, in the order and layout in which they are fast on the CPU."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from aecf_jax.ops._processor import multiplies_bfloat16, multiplies_by_xla, multiplies_in_blocks

_LARGE = 2**16
_WIDE = 2**20
_FEW = 64  # Rows.
_BLOCK = 256  # Of a kernel's rows.
_SMALL_BLOCK = 64  # Whose layout stays in the cache.
_BITS = {jnp.dtype(jnp.float32): jnp.uint32, jnp.dtype(jnp.bfloat16): jnp.uint16}


def matmul(
    x: Float[Array | np.ndarray, "*batch width"],
    kernel: Float[Array | np.ndarray, "width out"],
    *,
    dtype: Any = jnp.float32,
) -> Float[Array, "*batch out"]:
    """Returns x @ kernel, added up in float32.

    Args:
        x: rows.
        kernel: weights.
        dtype: what is multiplied is rounded to, float32 or bfloat16; so it is in the gradient. Where bfloat16 has
            nothing to gain, for small kernels and on CPUs that do not multiply it, what is rounded is multiplied in
            float32: the products are the same, since float32 holds them exactly.

    >>> import jax.numpy as jnp
    >>> matmul(jnp.ones((2, 3)), jnp.ones((3, 1))).tolist()
    [[3.0], [3.0]]
    """
    # Rounded inside, so that gradients have the type of what came in.
    return _matmul(jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32), jnp.dtype(dtype))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _matmul(x: Array, kernel: Array, dtype: Any) -> Array:
    """The product."""
    return _forward(x, kernel, dtype)[0]


def _forward(x: Array, kernel: Array, dtype: Any) -> tuple[Array, tuple[Array, Array, Array | None]]:
    """The product, and what its gradient needs, rounded already."""
    x, kernel = (_rounded(array, dtype, kernel) for array in (x, kernel))
    rows = x.reshape(-1, x.shape[-1])
    if not (_are_few(rows, _FEW) and kernel.size >= _WIDE and kernel.dtype == jnp.float32):
        return _product(x, kernel), (x, kernel, None)
    if len(rows) == 1:
        return _product_of_one(rows, kernel).reshape(*x.shape[:-1], -1), (x, kernel, None)
    # XLA's library for rows lays the kernel out anew before it multiplies, which takes as long as to multiply thirty.
    # It does so in the cache block by block; and of columns, which it does not take, not at all.
    if multiplies_in_blocks() and len(kernel) % _SMALL_BLOCK == 0:
        product = lax.platform_dependent(rows, kernel, cpu=_product_in_blocks, default=_product)
        return product.reshape(*x.shape[:-1], -1), (x, kernel, None)
    columns = _turned(rows, beside=kernel)
    return _product(columns, kernel, axis=0).reshape(*x.shape[:-1], -1), (x, kernel, columns)


def _backward(dtype: Any, kept: tuple[Array, Array, Array | None], gradient: Array) -> tuple[Array, Array]:
    """The gradients with respect to rows and kernel; what is turned are the smaller of the matrices."""
    x, kernel, columns = kept
    rows = x.reshape(-1, x.shape[-1])
    gradient = _rounded(gradient.reshape(-1, gradient.shape[-1]), dtype, kernel)
    to_x = _gradient_of_rows(gradient, kernel).reshape(x.shape)
    if 4 * kernel.shape[1] <= kernel.shape[0]:
        return to_x, _turned(_product(gradient.T, rows), beside=rows)
    if columns is None:
        columns = _turned(rows, beside=kernel if kernel.size >= _WIDE else rows)
    return to_x, _product(columns, gradient)


def _gradient_of_rows(gradient: Array, kernel: Array) -> Array:
    """The product of a gradient and a kernel's transpose."""
    few = _are_few(gradient, kernel.size // (4 * sum(kernel.shape)))
    # XLA's library multiplies what is folded as fast as what is laid out, unless the kernel is wide.
    folded = kernel.dtype == jnp.float32 and not multiplies_by_xla()
    if few and kernel.size >= (_WIDE if folded else _LARGE):
        return _turned(_product(kernel, _turned(gradient, beside=kernel)), beside=kernel)
    return _product(gradient, kernel.T if folded else _turned(kernel))


_matmul.defvjp(_forward, _backward)


def _are_few(rows: Array, most: int) -> bool:
    """Returns whether there are at most so many; not where a program is exported for any number."""
    return isinstance(rows.shape[0], int) and rows.shape[0] <= most


def _rounded(x: Array, dtype: Any, kernel: Array) -> Array:
    """Numbers rounded to a type; still float32 where that is multiplied no slower."""
    if dtype == jnp.float32:
        return x.astype(dtype)
    as_such = kernel.size >= _LARGE and multiplies_bfloat16()
    return x.astype(dtype) if as_such else lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)


def _product(x: Array, kernel: Array, *, axis: int = -1) -> Array:
    """A product added up in float32, along an axis of the first."""
    return lax.dot_general(x, kernel, (((axis % x.ndim,), (0,)), ((), ())), preferred_element_type=jnp.float32)


def _product_of_one(row: Array, kernel: Array) -> Array:
    """The product of one row, which waits for the kernel: Intel processors read it faster one block after the other."""
    if len(kernel) % _BLOCK or not multiplies_by_xla():
        return _product(row, kernel)
    return lax.platform_dependent(row, kernel, cpu=_added_blocks, default=_product)


def _added_blocks(row: Array, kernel: Array) -> Array:
    """The sum of the products of blocks of the kernel."""
    blocks = kernel.reshape(-1, _BLOCK, kernel.shape[1])
    dimensions = (((1,), (1,)), ((0,), (0,)))
    parts = lax.dot_general(row.reshape(-1, _BLOCK), blocks, dimensions, preferred_element_type=jnp.float32)
    return jnp.sum(parts, axis=0, keepdims=True)


def _product_in_blocks(rows: Array, kernel: Array) -> Array:
    """The product, added up block after block of the kernel."""

    def added(index: Array, total: Array) -> Array:
        first = index * _SMALL_BLOCK
        columns = lax.dynamic_slice_in_dim(rows, first, _SMALL_BLOCK, axis=1)
        return total + _product(columns, lax.dynamic_slice_in_dim(kernel, first, _SMALL_BLOCK))

    return lax.fori_loop(0, len(kernel) // _SMALL_BLOCK, added, jnp.zeros((len(rows), kernel.shape[1]), jnp.float32))


def _turned(x: Array, *, beside: Array | None = None) -> Array:
    """Returns the transposed matrix; on the CPU laid out anew, where that pays.

    XLA:CPU multiplies fast, and bfloat16 as such, only where both matrices lie row by row; it folds a transposition
    into the product next to it, which then takes up to thirty times as long: so does even a small one that folds into
    the product of a large matrix, which is what `beside` is.
    """
    size = x.size if beside is None else beside.size
    if size < _LARGE and x.dtype == jnp.float32:
        return x.T
    return lax.platform_dependent(x, cpu=_laid_out, default=jnp.transpose)


def _laid_out(x: Array) -> Array:
    """The transposed matrix, as what a branch returns, which XLA leaves as it is; the branch is always taken."""
    one_bit = lax.bitcast_convert_type(x[0, 0], _BITS[x.dtype]) & 1
    return lax.cond(one_bit < 2, jnp.transpose, lambda x: jnp.zeros(x.shape[::-1], x.dtype), x)


def summed_rows(x: Float[Array, "*batch out"]) -> Float[Array, "out"]:
    """Returns the sum over all axes but the last, as a product with ones.

    For a sum XLA:CPU computes what it adds up anew, column after column; a product reads what is there.

    Args:
        x: rows.

    >>> import jax.numpy as jnp
    >>> summed_rows(jnp.ones((4, 2))).tolist()
    [4.0, 4.0]
    """
    return _summed(x.reshape(-1, x.shape[-1]))


def _times_ones(rows: Array) -> Array:
    """The products of ones and rows."""
    return jnp.matmul(jnp.ones((*rows.shape[:-2], 1, rows.shape[-2]), rows.dtype), rows, precision="highest")[..., 0, :]


_each_times_ones = jax.custom_batching.custom_vmap(_times_ones)


@_each_times_ones.def_vmap
def _side_by_side(_size: int, _batched: Any, rows: Array) -> tuple[Array, bool]:
    """The products, one for each. XLA would turn what goes into one product of all, and round it anew for that."""
    return _each_times_ones(rows), True


@jax.custom_jvp
def _summed(rows: Array) -> Array:
    """The sum; JAX does not differentiate what has a rule for many."""
    return _each_times_ones(rows)


@_summed.defjvp
def _summed_jvp(rows: tuple[Array], tangent: tuple[Array]) -> tuple[Array, Array]:
    """The sum, and that of the tangent."""
    return _summed(*rows), _times_ones(*tangent)


def biased(product: Float[Array, "*batch out"], bias: Float[Array | np.ndarray, "out"]) -> Float[Array, "*batch out"]:
    """Returns a layer's product plus its bias, whose gradient is `summed_rows`.

    Args:
        product: as `matmul` returns it.
        bias: added to every row.

    >>> import jax.numpy as jnp
    >>> biased(jnp.ones((2, 1)), jnp.ones(1)).tolist()
    [[2.0], [2.0]]
    """
    return _biased(product, jnp.asarray(bias))


@jax.custom_vjp
def _biased(product: Array, bias: Array) -> Array:
    """The sum."""
    return product + jnp.broadcast_to(bias, product.shape)


def _biased_forward(product: Array, bias: Array) -> tuple[Array, None]:
    """The sum; its gradient needs nothing."""
    return _biased(product, bias), None


def _biased_backward(_: None, gradient: Array) -> tuple[Array, Array]:
    """The gradients with respect to product and bias."""
    return gradient, summed_rows(gradient)


_biased.defvjp(_biased_forward, _biased_backward)
