"""Rules that join experts, against their definitions in float64; nothing absent is read, no gradient is lost."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax import ops

ROWS, MODALITIES, CLASSES = 8, 3, 4
PRESENT = np.array(list(itertools.product((True, False), repeat=MODALITIES)))
PRIOR = np.log(np.array([0.4, 0.3, 0.2, 0.1]))
EVIDENCE = np.random.default_rng(0).normal(0, 2, (ROWS, MODALITIES, CLASSES))


def counted(evidence, present):
    """Non-negative counts of those present; what stands at the others is left as it is."""
    shown = present[..., None]
    return jnp.where(shown, jax.nn.softplus(jnp.where(shown, evidence, 0.0)), evidence)


RULES = {
    "sum": lambda e, p: ops.summed_evidence(e, p),
    "mean": lambda e, p: ops.mean_evidence(e, p),
    "pooled": lambda e, p: ops.pooled_evidence(e, p, power=1.5, centred=True),
    "pooled sum": lambda e, p: ops.pooled_evidence(e, p, power=1.0, centred=False),
    "probability": lambda e, p: ops.mean_probability(e, p, jnp.asarray(PRIOR, jnp.float32), labels=False),
    "probability of labels": lambda e, p: ops.mean_probability(e, p, jnp.asarray(PRIOR, jnp.float32), labels=True),
    "surest": lambda e, p: ops.surest_evidence(e, p, jnp.asarray(PRIOR, jnp.float32), labels=False),
    "surest of labels": lambda e, p: ops.surest_evidence(e, p, jnp.asarray(PRIOR, jnp.float32), labels=True),
    "dempster": lambda e, p: ops.dempster_shafer(counted(e, p), p),
    "weights": lambda e, p: ops.evidence_weights(e, p),
}


def softmax(logits):
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def dempster(one, other):
    """Dempster's rule on masses of K singletons and, last, of the whole frame: over all pairs of sets that meet."""
    classes = len(one) - 1
    joined = np.zeros(classes + 1)
    for a, b in itertools.product(range(classes + 1), repeat=2):
        meet = a if b in (classes, a) else b if a == classes else None
        if meet is not None:
            joined[meet] += one[a] * other[b]
    return joined / joined.sum()


def masses(counts):
    """An opinion of subjective logic as masses: beliefs, then doubt."""
    return np.append(counts, len(counts)) / (counts.sum() + len(counts))


def by_definition(name, said):
    """What a rule makes of the evidence of those present, (present, classes), of which there is at least one."""
    logits = PRIOR + said
    if name in ("sum", "pooled sum"):
        return said.sum(0)
    if name == "mean":
        return said.mean(0)
    if name == "pooled":
        centred = said - said.mean(1, keepdims=True)
        size = np.sqrt((centred**2).mean(1))
        return ((size / (size**1.5).sum() ** (1 / 1.5)) ** 0.5) @ centred
    if name == "probability":
        return np.log(softmax(logits).mean(0)) - PRIOR
    if name == "probability of labels":
        chance = sigmoid(logits).mean(0)
        return np.log(chance / (1 - chance)) - PRIOR
    if name == "surest":
        return said[softmax(logits).max(1).argmax()]
    if name == "surest of labels":
        return said[np.maximum(sigmoid(logits), sigmoid(-logits)).mean(1).argmax()]
    if name == "weights":
        size = np.sqrt((said**2).mean(1))
        return size / size.sum()
    joined = masses(np.log1p(np.exp(said[0])))
    for other in said[1:]:
        joined = dempster(joined, masses(np.log1p(np.exp(other))))
    return np.log(joined[:-1] + joined[-1] / len(joined[:-1]))


@pytest.fixture(scope="module")
def results():
    """Every rule's value and gradients, by one program."""

    def value(evidence, name):
        return jnp.sum(jnp.sin(RULES[name](evidence, jnp.asarray(PRESENT))))

    def everything(evidence):
        return {name: (rule(evidence, jnp.asarray(PRESENT)), jax.grad(value)(evidence, name))
                for name, rule in RULES.items()}  # fmt: skip

    # A program that runs once: compiling is what it costs.
    return jax.jit(everything, compiler_options={"xla_backend_optimization_level": 0})


@pytest.mark.parametrize("name", RULES)
def test_rules_are_their_definitions(name, results):
    got = np.asarray(results(jnp.asarray(EVIDENCE, jnp.float32))[name][0])
    for row, seen in enumerate(PRESENT):
        if seen.any():
            want = by_definition(name, EVIDENCE[row, seen])
            found = got[row][seen] if name == "weights" else got[row]
            # Float32: sums of three numbers below 10, and their exponentials.
            np.testing.assert_allclose(found, want, rtol=2e-5, atol=2e-5)
        elif name != "dempster":
            np.testing.assert_array_equal(got[row], 0)
    if name == "weights":
        assert (got[~PRESENT] == 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_what_stands_at_an_absent_expert_changes_no_bit(value, results):
    clean = jnp.asarray(np.where(PRESENT[..., None], EVIDENCE, 0.0), jnp.float32)
    poisoned = jnp.asarray(np.where(PRESENT[..., None], EVIDENCE, value), jnp.float32)
    jax.tree.map(np.testing.assert_array_equal, results(clean), results(poisoned))
    for _, gradient in results(poisoned).values():
        assert (np.asarray(gradient)[~PRESENT] == 0).all()


@pytest.mark.parametrize("extreme", ["saturated", "opposed", "equal", "nothing said"])
def test_extremes_have_finite_values_and_gradients(extreme, results):
    sign = np.sign(EVIDENCE)
    evidence = {
        "saturated": 1e4 * sign,
        "opposed": 1e4
        * np.where(np.arange(CLASSES) == np.arange(MODALITIES)[:, None], 1.0, -1.0)[None].repeat(ROWS, 0),
        "equal": np.full_like(EVIDENCE, 1.5),
        "nothing said": np.zeros_like(EVIDENCE),
    }[extreme]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results(jnp.asarray(evidence, jnp.float32))))


def test_sum_is_bayes_rule_where_modalities_are_independent_given_the_class():
    """Discrete data: p(c), and p(x_m | c) for three modalities of five values each; the posterior by counting."""
    rng = np.random.default_rng(1)
    prior, given = rng.dirichlet(np.ones(CLASSES)), rng.dirichlet(np.ones(5), (MODALITIES, CLASSES))
    seen = rng.integers(0, 5, (PRESENT.shape[0], MODALITIES))
    evidence = np.stack([np.log(given[m, :, seen[:, m]] * prior / (given[m, :, seen[:, m]] @ prior)[:, None])
                         - np.log(prior) for m in range(MODALITIES)], axis=1)  # fmt: skip
    joined = ops.summed_evidence(jnp.asarray(evidence, jnp.float32), jnp.asarray(PRESENT))
    for row, present in enumerate(PRESENT):
        joint = prior * np.prod([given[m, :, seen[row, m]] for m in np.flatnonzero(present)], axis=0)
        # Float32 logits near 1.
        np.testing.assert_allclose(softmax(np.log(prior) + joined[row]), joint / joint.sum(), rtol=1e-5)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 4.0])
def test_equal_opinions_count_as_a_root_of_their_number(power):
    opinion = EVIDENCE[0, 0] - EVIDENCE[0, 0].mean()
    same = jnp.asarray(np.broadcast_to(opinion, EVIDENCE.shape), jnp.float32)
    joined = ops.pooled_evidence(same, jnp.asarray(PRESENT), power=power, centred=True)
    # Float32 exponentials and logarithms.
    np.testing.assert_allclose(joined, PRESENT.sum(1)[:, None] ** (1 / power) * opinion, rtol=2e-5, atol=1e-6)


def test_dempsters_rule_does_not_depend_on_the_order_of_experts():
    counts = jnp.asarray(np.exp(EVIDENCE), jnp.float32)
    orders = [ops.dempster_shafer(counts[:, order], jnp.asarray(PRESENT[:, order]))
              for order in map(list, itertools.permutations(range(MODALITIES)))]  # fmt: skip
    for other in orders[1:]:
        # Float32, two products in another order.
        np.testing.assert_allclose(other, orders[0], rtol=1e-5, atol=1e-6)


def test_dempsters_rule_is_the_formula_of_trusted_multi_view_classification():
    """Han et al. 2021, definition 4, written out for two opinions; of nothing every class is equally likely."""
    counts = np.exp(EVIDENCE[0, :2])
    strength = counts.sum(1) + CLASSES
    belief, doubt = counts / strength[:, None], CLASSES / strength
    conflict = sum(belief[0, i] * belief[1, j] for i in range(CLASSES) for j in range(CLASSES) if i != j)
    joined = (belief[0] * belief[1] + belief[0] * doubt[1] + belief[1] * doubt[0]) / (1 - conflict)
    left = doubt[0] * doubt[1] / (1 - conflict)
    shown = jnp.asarray([[True, True], [False, False]])
    got = ops.dempster_shafer(jnp.asarray(np.stack([counts, counts]), jnp.float32), shown)
    # Float32.
    np.testing.assert_allclose(np.exp(got[0]), joined + left / CLASSES, rtol=1e-5)
    np.testing.assert_allclose(np.exp(got[1]), 1 / CLASSES, rtol=1e-6)


def test_confidence_is_the_top_probability():
    logits = PRIOR + EVIDENCE
    top = ops.confidence(jnp.asarray(logits, jnp.float32), labels=False)
    sides = ops.confidence(jnp.asarray(logits, jnp.float32), labels=True)
    # Float32.
    np.testing.assert_allclose(top, softmax(logits).max(-1), rtol=1e-5)
    np.testing.assert_allclose(sides, np.maximum(sigmoid(logits), sigmoid(-logits)).mean(-1), rtol=1e-5)
