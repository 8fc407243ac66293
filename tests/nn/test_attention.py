"""The attention layer: parity with PyTorch's in evaluation, and a curriculum that acts where PyTorch's does not."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from aecf_jax import AECF_CLIP, AECFConfig
from aecf_jax.errors import InputError
from aecf_jax.nn import (
    CurriculumMasking,
    MultimodalAttentionPool,
    _attention,
    create_fusion_pool,
    multimodal_attention_pool,
)
from aecf_jax.nn._curriculum import _largest_entries
from aecf_jax.ops import gate_entropy
from aecf_jax.torchfile import read_torch_file

ROWS, ENTRIES, WIDTH, HEADS = 6, 3, 8, 2
X = jax.random.normal(jax.random.key(0), (ROWS, ENTRIES, WIDTH))
PADDING = jnp.asarray(np.random.default_rng(0).random((ROWS, ENTRIES)) < 0.4).at[0].set([False, True, False])
CERTAIN = CurriculumMasking(base_mask_prob=0.9)


def pool(prob=0.5, **attributes):
    return create_fusion_pool(WIDTH, ENTRIES, prob, num_heads=HEADS, **attributes)


PARAMS = jax.tree.map(lambda leaf: leaf + 0.1, pool().init(jax.random.key(1), X))


def run(module, x=X, padding=None, *, key=None, params=PARAMS):
    rngs = {} if key is None else {"curriculum": jax.random.key(key), "dropout": jax.random.key(9)}
    return applied(module, params, (x, padding), rngs, train=key is not None)


@partial(jax.jit, static_argnums=0, static_argnames="train")
def applied(module, params, arguments, rngs, *, train=False):
    return module.apply(params, *arguments, train=train, rngs=rngs)


def textbook(params, query, x, padding):
    """Multi-head attention as it is written, in float64: project, score, soften, mix, join, project."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"]["pool"])
    split = lambda a: a.reshape(*a.shape[:2], HEADS, -1)  # noqa: E731
    parts = [
        np.asarray(a, np.float64) @ k + b
        for a, k, b in zip(
            (query, x, x), np.split(params["in_kernel"], 3, 1), np.split(params["in_bias"], 3), strict=True
        )
    ]
    q, k, v = map(split, parts)
    scores = np.einsum("qshd,bmhd->bhsm", q, k) / np.sqrt(WIDTH / HEADS)
    scores = np.where(padding[:, None, None], -np.inf, scores)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    joined = np.einsum("bhsm,bmhd->bshd", weights, v).reshape(len(x), -1, WIDTH)
    return joined @ params["out_kernel"] + params["out_bias"], weights.mean(1)


def test_one_product_for_all_modalities_is_the_textbook_attention():
    padding = PADDING.at[:, 0].set(False)
    output, info = run(pool(), padding=padding)
    wanted, weights = textbook(PARAMS, PARAMS["params"]["fusion_query"], X, np.asarray(padding))
    # float32 sums of at most 8 products.
    np.testing.assert_allclose(output, wanted[:, 0], atol=1e-5)
    np.testing.assert_allclose(info.attention_weights, weights, atol=1e-6)


def test_a_query_for_every_row_is_the_same_as_one_for_all():
    module, params = pool().pool, {"params": PARAMS["params"]["pool"]}
    query = PARAMS["params"]["fusion_query"]
    shared, _ = applied(module, params, (query, X), {})
    own, _ = applied(module, params, (jnp.broadcast_to(query, (ROWS, 1, WIDTH)), X), {})
    np.testing.assert_allclose(own, shared, atol=1e-6)


@pytest.mark.parametrize(("name", "heads"), [("pool_one_head", 1), ("pool_four_heads", 4)])
def test_golden_pools(golden, golden_dir, name, heads):
    arrays, held = golden(name), read_torch_file(golden_dir / f"{name}.pt")
    state = held["pool"]
    params = {
        "in_kernel": state["attention.in_proj_weight"].T, "in_bias": state["attention.in_proj_bias"],
        "out_kernel": state["attention.out_proj.weight"].T, "out_bias": state["attention.out_proj.bias"],
    }  # fmt: skip
    module = create_fusion_pool(16, arrays["x"].shape[1], 0.3, num_heads=heads)
    variables = jax.tree.map(jnp.asarray, {"params": {"fusion_query": held["fusion_query"], "pool": params}})
    x, padding = jnp.asarray(arrays["x"]), jnp.asarray(arrays["key_padding_mask"])
    output, info = applied(module, variables, (x,), {})
    # The requirement; measured: 1.8e-7.
    np.testing.assert_allclose(output, arrays["output"][:, 0], atol=1e-5)
    np.testing.assert_allclose(info.attention_weights, arrays["attention_weights"], atol=1e-5)
    np.testing.assert_allclose(info.entropy, arrays["entropy"], atol=1e-5)
    output, info = applied(module, variables, (jnp.where(padding[..., None], jnp.nan, x), padding), {})
    np.testing.assert_allclose(output, arrays["output_padded"][:, 0], atol=1e-5)
    np.testing.assert_allclose(info.attention_weights, arrays["attention_weights_padded"], atol=1e-5)
    # PyTorch counts two entries before its first training step, however many there are.
    loss = module.pool.curriculum_masking.entropy_loss(jnp.asarray(arrays["entropy"]), 2)
    np.testing.assert_allclose(loss, arrays["entropy_loss"], atol=1e-5)


def test_golden_mask_frequencies(golden):
    arrays = golden("curriculum_masking")
    weights, draws, theirs = jnp.asarray(arrays["weights"]), 20_000, int(arrays["draws"])
    masking = CurriculumMasking(base_mask_prob=0.6, entropy_target=0.7, min_active=2)
    keys = jax.random.split(jax.random.key(0), draws)
    left, info = jax.jit(jax.vmap(lambda key: masking(weights, key=key)))(keys)
    kept = np.asarray(left > 0)
    code = (kept * 2 ** np.arange(weights.shape[1])).sum(-1)
    subset_rate = np.stack([(code == c).mean(0) for c in range(2 ** weights.shape[1])], axis=-1)
    for ours, recorded in ((kept.mean(0), arrays["keep_rate"]), (subset_rate, arrays["subset_rate"])):
        # Five standard deviations of the difference of two frequencies, for 100 frequencies.
        spread = np.sqrt(recorded * (1 - recorded) * (1 / draws + 1 / theirs))
        assert (np.abs(ours - recorded) <= 5 * spread + 1e-9).all()
    np.testing.assert_allclose(info.entropy[0], arrays["entropy"], atol=1e-5)
    np.testing.assert_allclose(info.mask_rate.mean(0), 1 - kept.mean((0, 2)), atol=1e-5)


def test_mask_rate_0_is_the_unmasked_output():
    plain, _ = run(pool())
    never, info = run(pool(0.0), key=3)
    np.testing.assert_array_equal(never, plain)
    np.testing.assert_array_equal(info.masked_attention_weights, info.attention_weights)


def test_the_mask_reaches_the_output_by_head():
    plain, before = run(pool())
    masked, info = run(pool(), key=3)
    assert float(jnp.abs(masked - plain).max()) > 0.01
    np.testing.assert_array_equal(info.attention_weights, before.attention_weights)
    hidden = info.mask_rate > 0
    assert bool(hidden.any())
    # One of two heads hides an entry that the other keeps: its mean weight falls and is not 0.
    partly = (info.masked_attention_weights > 0) & (info.masked_attention_weights < info.attention_weights)
    assert bool(partly.any())
    again, _ = run(pool(), key=3)
    np.testing.assert_array_equal(again, masked)


def test_a_key_of_any_kind_draws_the_curriculum():
    rngs = {name: jax.random.key(3, impl="rbg") for name in ("curriculum", "dropout")}
    _, info = applied(pool(), PARAMS, (X, None), rngs, train=True)
    assert 0 < float(info.mask_rate.mean()) < 1


def test_hiding_a_modality_changes_the_output():
    whole, _ = run(pool())
    hidden, info = run(pool(), padding=jnp.zeros((ROWS, ENTRIES), bool).at[:, 1].set(True))
    assert float(jnp.abs(hidden - whole).max(axis=-1).min()) > 1e-3
    np.testing.assert_array_equal(info.attention_weights[..., 1], 0)


def test_a_nan_in_a_padded_slot_changes_neither_output_nor_gradient():
    def loss(params, x):
        output, info = run(pool(0.9), x, PADDING, key=4, params=params)
        return jnp.sum(output**2) + CERTAIN.entropy_loss(info.entropy, jnp.sum(~PADDING, axis=1)[:, None])

    filled = [jnp.where(PADDING[..., None], value, X) for value in (0.0, jnp.nan, jnp.inf)]
    both = jax.jit(jax.value_and_grad(loss, (0, 1)))
    values = [both(PARAMS, x) for x in filled]
    for value, gradients in values[1:]:
        np.testing.assert_array_equal(value, values[0][0])
        jax.tree.map(np.testing.assert_array_equal, gradients, values[0][1])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(values))


def test_a_row_of_padding_alone_is_the_bias():
    output, info = run(pool(), padding=jnp.ones((ROWS, ENTRIES), bool))
    np.testing.assert_array_equal(output, jnp.broadcast_to(PARAMS["params"]["pool"]["out_bias"], output.shape))
    np.testing.assert_array_equal(info.attention_weights, 0)


def test_the_entropy_loss_has_a_gradient_that_reaches_the_query():
    def loss(params):
        return CERTAIN.entropy_loss(run(pool(), params=params)[1].entropy, ENTRIES)

    gradient = jax.jit(jax.grad(loss))(PARAMS)["params"]["fusion_query"]
    assert float(jnp.abs(gradient).max()) > 1e-5


def test_rematerialization_changes_nothing_but_memory():
    def loss(params, remat):
        output, info = run(pool(0.9, remat=remat, dropout=0.2), key=5, params=params)
        return jnp.sum(output**2) + jnp.sum(info.entropy)

    both = jax.jit(jax.value_and_grad(loss), static_argnums=1)
    plain, again = both(PARAMS, False), both(PARAMS, True)
    # The same operations in another program: float32 rounding.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), plain, again)
    assert "remat" in str(jax.make_jaxpr(jax.grad(loss), static_argnums=1)(PARAMS, True))


@pytest.mark.parametrize(("direction", "wins"), [("high_entropy", 0), ("low_entropy", 1)])
def test_the_direction_of_the_probability(direction, wins):
    weights = jnp.array([[0.25] * 4, [0.97, 0.01, 0.01, 0.01]])
    masking = CurriculumMasking(base_mask_prob=0.5, mask_more_at=direction)
    probability = masking.hiding_probability(gate_entropy(weights), jnp.array([4, 4]))
    assert int(jnp.argmax(probability)) == wins
    assert float(probability.max()) <= 0.5


def test_at_least_so_many_of_the_largest_stay_and_padding_never_counts():
    masking = CurriculumMasking(base_mask_prob=1.0, min_active=2)
    weights = jnp.array([[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0] * 4])
    present = jnp.array([[True] * 4, [True, True, False, False], [True, False, False, False], [False] * 4])
    left, info = masking(weights, present, key=jax.random.key(0))
    np.testing.assert_allclose(left, [[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [1, 0, 0, 0], [0] * 4])
    np.testing.assert_allclose(info.mask_rate, [0.5, 0, 0, 0])
    np.testing.assert_allclose(info.target_entropy, 0.7 * np.log([4, 2, 1, 1]), atol=1e-6)


def test_values_of_their_own_and_an_attention_mask():
    module, params = pool().pool, {"params": PARAMS["params"]["pool"]}
    query = jnp.concatenate([PARAMS["params"]["fusion_query"]] * 2, axis=1)
    blocked = jnp.array([[False, False, False], [True, False, True]])
    output, info = module.apply(params, query, X, 2 * X, attn_mask=blocked)
    np.testing.assert_array_equal(info.attention_weights[:, 1], jnp.tile(jnp.array([0.0, 1.0, 0.0]), (ROWS, 1)))
    assert float(jnp.abs(output[:, 0] - run(pool())[0]).max()) > 1e-3


def test_without_biases():
    module = MultimodalAttentionPool(WIDTH, HEADS, bias=False)
    query = jnp.ones((1, 1, WIDTH))
    output, variables = module.init_with_output(jax.random.key(0), query, X)
    assert sorted(variables["params"]) == ["in_kernel", "out_kernel"]
    assert output[0].shape == (ROWS, 1, WIDTH)


def test_the_function_without_parameters():
    query, padding = X[:1, :1], PADDING.at[:, 0].set(False)
    output = multimodal_attention_pool(query, jnp.where(padding[..., None], jnp.nan, X), X, padding)
    scores = np.where(padding, -np.inf, np.einsum("e,bme->bm", query[0, 0], X) / np.sqrt(WIDTH))
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(output[:, 0], np.einsum("bm,bme->be", weights, X), atol=1e-5)
    masked = multimodal_attention_pool(query, X, num_heads=2, curriculum_masking=CERTAIN, key=jax.random.key(0))
    assert float(jnp.abs(masked - multimodal_attention_pool(query, X, num_heads=2)).max()) > 1e-3


@pytest.mark.usefixtures("untyped_caller")
@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: MultimodalAttentionPool(0), "embed_dim"),
        (lambda: MultimodalAttentionPool(8, 3), "num_heads"),
        (lambda: MultimodalAttentionPool(8, 0), "num_heads"),
        (lambda: MultimodalAttentionPool(8, dropout=1.0), "dropout"),
        (lambda: CurriculumMasking(base_mask_prob=1.1), "base_mask_prob"),
        (lambda: CurriculumMasking(entropy_target=0.0), "entropy_target"),
        (lambda: CurriculumMasking(min_active=0), "min_active"),
        (lambda: CurriculumMasking(mask_more_at="high"), "mask_more_at"),
        (lambda: create_fusion_pool(8, 0), "num_modalities"),
        (lambda: multimodal_attention_pool(X[:1, :1], X, num_heads=3), "num_heads"),
        (lambda: run(pool(), X[..., :4]), "keys"),
        (lambda: run(pool(), X[:, :0]), "keys"),
        (lambda: run(pool(), padding=PADDING[:2]), "key_padding_mask"),
        (lambda: AECFConfig(fusion="attention", attention_heads=3), "attention_heads"),
    ],
)
def test_wrong_input_is_named(make, named):
    with pytest.raises(InputError, match=named):
        make()


def test_attention_is_a_fusion_of_the_whole_model():
    config = AECFConfig(fusion="attention", attention_heads=2, feat_dim=4, num_classes=3, embed_dim=8)
    model = AECF_CLIP(config)
    features = {name: np.asarray(X[:, i, :4]) for i, name in enumerate(config.modalities)}
    present = np.tile([True, False], (ROWS, 1))
    present[0] = False
    broken = {**features, "text": np.full((ROWS, 4), np.nan, np.float32)}
    output, weights = model(broken, present)
    np.testing.assert_array_equal(weights[1:], [[1, 0]] * (ROWS - 1))
    np.testing.assert_array_equal(output[1:], model({"image": features["image"]})[0][1:])
    np.testing.assert_array_equal(output[0], 0)
    both, weights = model(features)
    assert float(jnp.abs(both - output).max()) > 1e-3
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("most", [1, 2])
def test_the_largest_entries_are_present_and_the_first_of_equal_ones(most):
    rng = np.random.default_rng(0)
    # Few values, so that many are equal; and what is absent may be larger than what is there.
    weights, present = rng.integers(0, 3, (256, 5)).astype(np.float32), rng.random((256, 5)) < 0.6
    order = np.argsort(np.where(present, -weights, np.inf), axis=-1, kind="stable")[:, :most]
    expected = present & (order[:, None, :] == np.arange(5)[None, :, None]).any(-1)
    found = _largest_entries(jnp.asarray(weights), jnp.asarray(present), most)
    np.testing.assert_array_equal(present & np.asarray(found), expected)


def pooled_many(
    rows, entries, queries, heads, *, padding=True, mixed_first=True, width=128, of=jnp.float32, **attributes
):
    """Output, information and gradients of a pool that is large enough to mix before it projects, and its program."""
    query, keys = (jax.random.normal(jax.random.key(n), (rows, n, width)) for n in (queries, entries))
    keys = keys.astype(of)
    hidden = jax.random.bernoulli(jax.random.key(2), 0.3, (rows, entries)).at[0].set(True) if padding else None
    module = MultimodalAttentionPool(width, heads, **attributes)
    params = jax.tree.map(lambda leaf: leaf + 0.1, module.init(jax.random.key(3), query, keys))
    rngs = {name: jax.random.key(4) for name in ("curriculum", "dropout")}

    def loss(params, query, keys):
        output, info = module.apply(params, query, keys, key_padding_mask=hidden, train=True, rngs=rngs)
        return jnp.sum(output * jnp.cos(jnp.arange(output.size).reshape(output.shape))), (output, info)

    with pytest.MonkeyPatch.context() as patch:
        if not mixed_first:
            patch.setattr(_attention, "_ROWS", 10**9)
        work = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))
        program = work.lower(params, query, keys)
    (_, found), gradients = program.compile()(params, query, keys)
    return (found, gradients), program.as_text()


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="of CPUs")
@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((256, 3, 1, 2), {}),
        ((257, 3, 2, 1), {"bias": False, "padding": False}),
        ((256, 10, 1, 2), {"curriculum_masking": CERTAIN, "dropout": 0.3}),
        ((258, 4, 3, 2), {"curriculum_masking": CERTAIN, "remat": True}),
        ((256, 3, 1, 2), {"of": jnp.bfloat16}),
    ],
    ids=str,
)
def test_mixing_before_projecting_is_the_same(shape, attributes):
    rows, entries, _, heads = shape
    found, program = pooled_many(*shape, **attributes)
    expected, usual = pooled_many(*shape, mixed_first=False, **attributes)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        # float32 sums of up to 2,580 products; a gradient in bfloat16 is a sum of two that are rounded to 8 bits.
        one, other, least = *(np.asarray(leaf, np.float64) for leaf in (one, other)), jnp.finfo(one.dtype).eps
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=max(1e-5, least) * max(1.0, np.abs(other).max()))
    every, own = f"tensor<{rows}x{entries}x128xf32>, tensor<128x128xf32>", f"tensor<128x{128 // heads}xf32>"
    assert every in usual
    assert every not in program
    assert any(own in line for line in program.splitlines() if "dot_general" in line)


@pytest.mark.parametrize("shape", [(255, 3, 1, 2), (256, 3, 1, 4), (256, 2, 2, 2)], ids=str)
def test_what_would_gain_nothing_is_projected_first(shape):
    _, program = pooled_many(*shape)
    assert program == pooled_many(*shape, mixed_first=False)[1]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="of CPUs")
def test_other_devices_project_first(monkeypatch):
    _, usual = pooled_many(256, 3, 1, 2, mixed_first=False)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert pooled_many(256, 3, 1, 2)[1] == usual


def test_a_pool_is_exported_for_any_number_of_rows():
    module, query = MultimodalAttentionPool(128, 2), jnp.ones((1, 1, 128))
    params = module.init(jax.random.key(0), query, jnp.ones((1, 3, 128)))
    (rows,) = export.symbolic_shape("rows")
    work = jax.jit(lambda keys: module.apply(params, query, keys)[0])
    exported = export.export(work)(jax.ShapeDtypeStruct((rows, 3, 128), jnp.float32))
    keys = jax.random.normal(jax.random.key(1), (300, 3, 128))
    np.testing.assert_allclose(exported.call(keys), work(keys), atol=1e-5)
