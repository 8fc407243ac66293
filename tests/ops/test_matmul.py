"""Products and their gradients against float64, in both types and at every size that takes another path."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from aecf_jax.ops import _processor, biased, matmul, summed_rows

# Small; narrow; large and square; large and narrow; odd; one row; as wide as no power of two; few rows, wide kernels.
SHAPES = [(8, 16, 16), (512, 256, 2), (512, 512, 128), (256, 1024, 64), (64, 257, 257), (1, 256, 256), (2, 2048, 33),
          (32, 1024, 1024), (16, 2048, 512), (1, 1024, 1024), (9, 512, 384)]  # fmt: skip
WIDE = 2**20
CASES = 3  # In a program as it is lowered, for each matrix that is laid out: of platforms, and of the branch.


def arrays(rows, width, out):
    random = np.random.default_rng(rows)
    return [random.normal(size=shape).astype(np.float32) for shape in ((rows, width), (width, out), (rows, out))]


def error(found, expected) -> float:
    return float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())


def product_and_gradients(dtype):
    def loss(x, kernel, weights):
        found = matmul(x, kernel, dtype=dtype)
        return jnp.sum(found * weights), found

    return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_products_and_gradients_are_those_of_float64(shape, dtype):
    x, kernel, weights = arrays(*shape)
    low = dtype == jnp.bfloat16
    # bfloat16 has 8 bits: 2**-9 for each factor, and a sum of hundreds keeps their relative size.
    most = 1e-2 if low else 2e-6
    (_, found), (to_x, to_kernel) = jax.jit(product_and_gradients(dtype))(x, kernel, weights)
    wide = [array.astype(np.float64) for array in (x, kernel, weights)]
    assert error(found, wide[0] @ wide[1]) < most
    assert error(to_x, wide[2] @ wide[1].T) < most
    assert error(to_kernel, wide[0].T @ wide[2]) < most
    assert {array.dtype for array in (found, to_x, to_kernel)} == {jnp.dtype(jnp.float32)}
    if not low and kernel.size < WIDE:
        np.testing.assert_array_equal(found, jax.jit(jnp.matmul)(x, kernel))


def test_a_bias_is_added_and_its_gradient_is_the_sum_of_all_rows():
    random = np.random.default_rng(0)
    product, bias, weights = (
        random.normal(size=shape).astype(np.float32) for shape in ((64, 5, 33), (33,), (64, 5, 33))
    )
    gradients = jax.jit(jax.grad(lambda *given: jnp.sum(biased(*given) * weights), argnums=(0, 1)))
    np.testing.assert_array_equal(biased(jnp.asarray(product), bias), product + bias)
    to_product, to_bias = gradients(product, bias)
    np.testing.assert_array_equal(to_product, weights)
    assert error(to_bias, weights.astype(np.float64).sum((0, 1))) < 2e-6


def test_rows_are_summed_whatever_axes_they_have():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4096, 33)).astype(np.float32))
    expected = np.asarray(x, np.float64).sum(0)
    assert error(jax.jit(summed_rows)(x), expected) < 2e-6
    assert error(summed_rows(x.reshape(8, 512, 33)), expected) < 2e-6


def test_rows_of_several_runs_are_summed_as_those_of_each():
    """By products of their own: of one product of all, the terms would be turned first, and computed anew for that."""
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 64, 10)).astype(np.float32))
    each = jax.vmap(summed_rows)
    np.testing.assert_array_equal(jax.jit(each)(x), jnp.stack([jax.jit(summed_rows)(one) for one in x]))
    (product,) = re.findall(r"stablehlo.dot_general .*", jax.jit(each).lower(x).as_text())
    assert "batching_dims = [0] x [0]" in product
    assert "transpose" not in jax.jit(each).lower(x).as_text()


def test_a_sum_of_rows_has_derivatives_forward_backward_and_twice():
    x, bias = jnp.arange(6.0).reshape(2, 3), jnp.full(3, 0.5)
    value, tangent = jax.jvp(summed_rows, (x,), (2 * x,))
    assert (value.tolist(), tangent.tolist()) == ([3, 5, 7], [6, 10, 14])
    assert jax.grad(lambda x: summed_rows(x)[1])(x).tolist() == [[0, 1, 0]] * 2

    def slope(bias):
        return jnp.sum(jax.grad(lambda bias: jnp.sum(biased(x, bias) ** 3))(bias))

    # The bias's third powers have slopes 3 (x + b)^2, and these 6 (x + b).
    np.testing.assert_allclose(jax.grad(slope)(bias), 6 * (x + bias[None]).sum(0), rtol=1e-6)


def test_bfloat16_is_added_up_in_float32():
    x, kernel = jnp.ones((1, 4096)), jnp.ones((4096, 16)).at[0].set(1 / 128)
    # 4095 has 12 bits, and 1/128 would be lost to any sum that is rounded to 8.
    assert matmul(x, kernel, dtype=jnp.bfloat16).tolist() == [[4095.0078125] * 16]


# What was traced for a processor is found again by its shapes: every one here has a number of rows of its own.
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other devices multiply bfloat16")
@pytest.mark.parametrize(("flags", "rows"), [("avx2 avx512_bf16", 61), ("avx2", 62), (None, 63)])
def test_bfloat16_is_multiplied_as_such_only_where_the_processor_does_so(flags, rows, monkeypatch):
    monkeypatch.setattr(_processor, "processor", lambda: {} if flags is None else {"flags": flags})
    x, kernel, weights = arrays(rows, 512, 256)
    work = jax.jit(product_and_gradients(jnp.bfloat16))
    dots = re.findall(r"dot_general.*-> ", work.lower(x, kernel, weights).as_text())
    assert {"bf16" in dot for dot in dots} == {flags != "avx2"}
    (_, found), gradients = work(x, kernel, weights)
    rounded = [np.asarray(jnp.asarray(array, jnp.bfloat16), np.float64) for array in (x, kernel, weights)]
    expected = (rounded[0] @ rounded[1], rounded[2] @ rounded[1].T, rounded[0].T @ rounded[2])
    for one, other in zip((found, *gradients), expected, strict=True):
        assert error(one, other) < 2e-6


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="how XLA:CPU multiplies")
@pytest.mark.parametrize(
    ("rows", "width", "out", "by_xla", "dtype", "turned", "laid_out"),
    [
        (31, 1024, 1024, False, jnp.float32, {"31x1024xf32", "1024x31xf32"}, 3),
        (30, 2048, 512, False, jnp.float32, {"30x2048xf32", "30x512xf32", "2048x30xf32", "512x2048xf32"}, 3),
        (1, 1024, 1024, False, jnp.float32, {"1x1024xf32", "1024x1xf32"}, 3),
        (64, 1024, 1024, False, jnp.float32, {"64x1024xf32", "1024x64xf32"}, 3),
        (65, 1024, 1024, False, jnp.float32, {"65x1024xf32", "1024x65xf32"}, 3),
        (100, 512, 2048, False, jnp.float32, {"100x512xf32", "100x2048xf32", "512x100xf32"}, 3),
        (129, 1024, 1024, False, jnp.float32, {"129x1024xf32", "1024x1024xf32"}, 1),
        (17, 512, 384, False, jnp.float32, {"17x512xf32", "512x384xf32"}, 0),
        (18, 512, 384, True, jnp.float32, {"18x512xf32", "18x384xf32", "512x18xf32"}, 2),
        (127, 512, 384, True, jnp.float32, {"127x512xf32", "512x384xf32"}, 1),
        (19, 512, 384, False, jnp.bfloat16, {"19x512xbf16", "19x384xbf16", "512x19xf32"}, 3),
    ],
)
def test_what_is_turned_are_the_smaller_matrices(rows, width, out, by_xla, dtype, turned, laid_out, monkeypatch):
    monkeypatch.setattr(_processor, "processor", lambda: {"vendor_id": "GenuineIntel"} if by_xla else {})
    x, kernel, weights = arrays(rows, width, out)
    work = jax.jit(product_and_gradients(dtype))
    lowered = work.lower(x, kernel, weights).as_text()
    assert set(re.findall(r"stablehlo.transpose .*tensor<(\S+)>\) ->", lowered)) == turned
    assert lowered.count("stablehlo.case") == CASES * laid_out
    # Of few rows with a wide kernel the product is of columns, which XLA's library does not take.
    by_columns = 1 < rows < 65 and kernel.size >= WIDE
    assert ("contracting_dims = [0] x [0]" in lowered) == by_columns
    (_, found), gradients = work(x, kernel, weights)
    expected = (x @ kernel, weights @ kernel.T, x.T @ weights)
    for one, other in zip((found, *gradients), expected, strict=True):
        assert error(one, other) < (1e-2 if dtype == jnp.bfloat16 else 4e-6)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="how XLA:CPU multiplies")
@pytest.mark.parametrize(
    ("width", "out", "vendor", "by_blocks"),
    [(1024, 1040, "GenuineIntel", True), (768, 1536, "GenuineIntel", True), (1000, 1056, "GenuineIntel", False),
     (1024, 512, "GenuineIntel", False), (1024, 1072, "AuthenticAMD", False)],
)  # fmt: skip
def test_the_product_of_one_row_reads_wide_kernels_in_blocks_on_intel(width, out, vendor, by_blocks, monkeypatch):
    monkeypatch.setattr(_processor, "processor", lambda: {"vendor_id": vendor})
    x, kernel, weights = arrays(1, width, out)
    lowered = jax.jit(matmul).lower(x, kernel).as_text()
    assert (f"tensor<{width // 256}x256xf32>" in lowered) == by_blocks
    (_, found), gradients = jax.jit(product_and_gradients(jnp.float32))(x, kernel, weights)
    wide = [array.astype(np.float64) for array in (x, kernel, weights)]
    expected = (wide[0] @ wide[1], wide[2] @ wide[1].T, wide[0].T @ wide[2])
    for one, other in zip((found, *gradients), expected, strict=True):
        assert error(one, other) < 2e-6


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="how XLA:CPU multiplies")
@pytest.mark.parametrize(
    ("rows", "width", "vendor", "flags", "by_blocks"),
    [(5, 1024, "AuthenticAMD", "fma avx2", True), (63, 1536, "AuthenticAMD", "avx2 fma", True),
     (65, 1024, "AuthenticAMD", "avx2", False), (6, 1000, "AuthenticAMD", "avx2", False),
     (1, 1088, "AuthenticAMD", "avx2", False), (7, 512, "AuthenticAMD", "avx2", False),
     (8, 1024, "AuthenticAMD", "avx2 avx512f", False), (9, 1024, "AuthenticAMD", "", False),
     (10, 1024, "GenuineIntel", "avx2", False)],
)  # fmt: skip
def test_few_rows_read_wide_kernels_in_blocks_on_amd_without_avx512(rows, width, vendor, flags, by_blocks, monkeypatch):
    monkeypatch.setattr(_processor, "processor", lambda: {"vendor_id": vendor, "flags": flags})
    x, kernel, weights = arrays(rows, width, 1104)
    lowered = jax.jit(matmul).lower(x, kernel).as_text()
    assert ("tensor<64x1104xf32>" in lowered) == by_blocks
    assert ("stablehlo.while" in lowered) == by_blocks
    (_, found), gradients = jax.jit(product_and_gradients(jnp.float32))(x, kernel, weights)
    wide = [array.astype(np.float64) for array in (x, kernel, weights)]
    expected = (wide[0] @ wide[1], wide[2] @ wide[1].T, wide[0].T @ wide[2])
    for one, other in zip((found, *gradients), expected, strict=True):
        assert error(one, other) < 2e-6


@pytest.mark.parametrize("axes", [(0, 0, None), (0, None, None), (None, 0, None)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("shape", [(64, 257, 257), (16, 1024, 1024)], ids=str)
def test_many_at_once_are_each_alone(axes, dtype, shape):
    x, kernel, weights = arrays(*shape)
    both = [np.stack([one, 2 * one]) if axis == 0 else one for one, axis in zip((x, kernel), axes, strict=False)]
    together = jax.jit(jax.vmap(product_and_gradients(dtype), in_axes=axes))(*both, weights)
    alone = jax.jit(product_and_gradients(dtype))(*(one[1] if one.ndim == 3 else one for one in both), weights)
    for found, expected in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        assert error(found[1], np.asarray(expected)) < (1e-2 if dtype == jnp.bfloat16 else 2e-6)


def test_axes_before_the_last_are_rows():
    x, kernel, weights = arrays(8, 16, 16)
    work = jax.jit(product_and_gradients(jnp.float32))
    (_, found), (to_x, to_kernel) = work(x, kernel, weights)
    cube = work(x.reshape(2, 4, 16), kernel, weights.reshape(2, 4, 16))
    for one, other in zip((cube[0][1], *cube[1]), (found, to_x, to_kernel), strict=True):
        # Another program may add in another order.
        np.testing.assert_allclose(np.reshape(one, other.shape), other, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="how XLA:CPU folds transpositions")
def test_a_narrow_kernels_gradient_is_multiplied_as_it_lies():
    x, kernel, weights = arrays(512, 2048, 2)
    compiled = jax.jit(product_and_gradients(jnp.float32)).lower(x, kernel, weights).compile().as_text()
    products = [line for line in compiled.splitlines() if re.search(r"= f32\[.*\bdot\(", line)]
    # Folded in, the transposition of the result would make it (2048, 2), from 2,048 columns one after another.
    assert any("f32[2,2048]" in line for line in products)
    assert not any("f32[2048,2]" in line for line in products)


def test_a_program_for_any_number_of_rows_takes_the_path_of_many():
    kernel = np.random.default_rng(0).normal(size=(1024, 1024)).astype(np.float32)
    (rows,) = export.symbolic_shape("rows")
    work = jax.jit(lambda x: matmul(x, kernel))
    exported = export.export(work)(jax.ShapeDtypeStruct((rows, 1024), jnp.float32))
    for many in (1, 3, 200):
        x = np.random.default_rng(many).normal(size=(many, 1024)).astype(np.float32)
        assert error(exported.call(x), x.astype(np.float64) @ kernel.astype(np.float64)) < 2e-6
