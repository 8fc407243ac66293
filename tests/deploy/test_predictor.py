"""Serving: the same numbers in any batch, from any thread, by few programs; a clear word on anything else."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.deploy import BATCH_SIZES, Prediction, Predictor
from aecf_jax.errors import InputError
from aecf_jax.model import AECF_CLIP
from tests.deploy.models import (
    KINDS,
    ROWS,
    all_patterns,
    expected,
    poisoned,
    tiny_features,
    tiny_model,
    written,
)

SIZES = (1, 4, 16)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return written(tmp_path_factory.mktemp("served"))[1]


@pytest.fixture(scope="module")
def predictor():
    return Predictor.from_model(tiny_model(), batch_sizes=SIZES)


def same(one: Prediction, other: Prediction, atol=0.0):
    for name, array in one._asdict().items():
        np.testing.assert_allclose(array, getattr(other, name), rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_evaluate_for_every_pattern(kind):
    model = tiny_model(kind)
    features, present = all_patterns()
    served = Predictor.from_model(model, batch_sizes=[len(present)])(poisoned(features, present), present)
    for name, array in expected(model, features, present).items():
        # float32, compiled as another program: a few units in the last place.
        np.testing.assert_allclose(getattr(served, name), array, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.usefixtures("untyped_caller")
def test_bundle_serves_what_the_model_does(bundle, predictor):
    features, present = all_patterns()
    served = Predictor.from_bundle(bundle, batch_sizes=SIZES)
    same(served(features, present), predictor(features, present), atol=1e-6)
    assert served.output_name == "probabilities"


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 16, 17, 40])
def test_any_number_of_rows_is_padded_or_cut_and_gives_the_same(predictor, rows):
    features = tiny_features(rows)
    served = predictor(features)
    assert [len(array) for array in served] == [rows] * 3
    assert served.output.shape == (rows, 3)
    assert all(array.flags.writeable and array.flags.c_contiguous for array in served)
    for row in range(rows):
        # Another program for another size may sum in another order; a float32 near 16 has 1e-6 as its step.
        one = predictor({name: array[row : row + 1] for name, array in features.items()})
        same(one, Prediction(*(array[row : row + 1] for array in served)), atol=4e-6)


def test_one_compilation_for_each_padded_size(predictor):
    fresh = Predictor.from_model(tiny_model(), batch_sizes=SIZES)
    for rows in (3, 4, 2, 20, 1):
        fresh(tiny_features(rows))
    assert fresh.compilations == 3
    fresh.warm_up()
    assert fresh.compilations == 3


def test_warm_up_compiles_ahead_for_the_numbers_of_rows_asked_for():
    fresh = Predictor.from_model(tiny_model(), batch_sizes=SIZES)
    fresh.warm_up([2, 3, 100])
    assert fresh.compilations == 2
    fresh.warm_up()
    assert fresh.compilations == 3


def test_threads_get_their_own_results_and_compile_once(predictor, monkeypatch):
    fresh = Predictor.from_model(tiny_model(), batch_sizes=(4, 8))
    compiled = []
    program = fresh._program
    monkeypatch.setattr(
        fresh, "_program", type("", (), {"lower": lambda _, *a: compiled.append(1) or program.lower(*a)})()
    )
    asked = [tiny_features(1 + seed % 8, seed) for seed in range(64)]
    with ThreadPoolExecutor(8) as pool:
        served = list(pool.map(fresh, asked))
    assert len(compiled) == fresh.compilations == 2
    for features, result in zip(asked, served, strict=True):
        same(result, fresh(features))


def test_a_modality_left_out_is_a_modality_absent(predictor):
    features = tiny_features()
    present = np.tile([True, False, True], (ROWS, 1))
    without = {name: array for name, array in features.items() if name != "text"}
    same(predictor(without), predictor(features, present))
    same(predictor(without, np.ones((ROWS, 3), bool)), predictor(without))
    assert (predictor(without).weights[:, 1] == 0).all()


def test_arrays_of_other_kinds_are_taken(predictor):
    features = tiny_features()
    same(predictor({name: array.astype(np.float64) for name, array in features.items()}), predictor(features))
    same(predictor({name: array.tolist() for name, array in features.items()}), predictor(features))
    same(predictor({name: np.asfortranarray(array) for name, array in features.items()}), predictor(features))


def changed(**arrays):
    return tiny_features() | arrays


@pytest.mark.parametrize(
    ("features", "present", "words"),
    [
        ([1], None, "`features` must be a dictionary of arrays; got list"),
        ({}, None, "`features` must hold at least one modality"),
        ({"txt": np.ones((2, 3))}, None, "`txt` must be one of the model's modalities.* Did you mean `text`"),
        ({"text": np.ones((2, 4))}, None, r"`text` must have shape \(rows, 3\); got shape \(2, 4\)"),
        ({"text": np.ones(3)}, None, r"`text` must have shape \(rows, 3\); got shape \(3,\)"),
        ({"text": np.full((2, 3), "a")}, None, "`text` must hold real numbers; got dtype str"),
        (changed(text=np.ones((2, 3))), None, "`features` must have equally many rows in every modality; got {'image'"),
        (
            changed(),
            np.ones((2, 3), bool),
            r"`present` must be booleans of shape \(8, 3\).*image, text, sound; got",
        ),
        (changed(), np.ones((8, 3)), "`present` must be booleans .* got float64 of shape"),
        (changed(text=np.full((8, 3), np.nan)), None, "`text` must be finite where it is present; got .* rows 0, 1, 2"),
        (changed(text=np.full((8, 3), 1e39)), None, "`text` must be finite where it is present"),
    ],
)
@pytest.mark.usefixtures("untyped_caller")
def test_bad_input_is_named(predictor, features, present, words):
    with pytest.raises(InputError, match=words):
        predictor(features, present)


def test_rows_of_a_later_block_are_counted_from_the_first(predictor):
    features = tiny_features(40)
    features["text"][37, 0] = np.inf
    with pytest.raises(InputError, match="`text` must be finite where it is present; got NaN or Inf in rows 37"):
        predictor(features)


def test_sizes_must_be_positive():
    with pytest.raises(InputError, match="`batch_sizes` must be positive numbers"):
        Predictor.from_model(tiny_model(), batch_sizes=[0, 1])


@pytest.mark.parametrize(
    ("settings", "platform", "most"),
    [({}, "cpu", 4096), ({"gate_hidden_dims": (2048,)}, "cpu", 512), ({"encoder_hidden_dims": (8, 1025)}, "cpu", 512),
     ({"head_hidden_dims": (512,)}, "cpu", 2048), ({"feat_dim": 600}, "cpu", 512), ({"embed_dim": 512}, "cpu", 1024),
     ({"gate_hidden_dims": (2048,)}, "gpu", 4096)],
)  # fmt: skip
def test_as_many_rows_at_once_as_the_cache_has_room_for(settings, platform, most, monkeypatch):
    config = AECFConfig(**{"modalities": ("a", "b"), "feat_dim": 4, "num_classes": 3, "embed_dim": 8} | settings)
    model = AECF_CLIP(config)
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    assert Predictor.from_model(model).batch_sizes == tuple(size for size in BATCH_SIZES if size <= most)


def test_one_row_is_always_possible():
    model = AECF_CLIP(AECFConfig(modalities=("a",), feat_dim=1100000, num_classes=2, embed_dim=1,
                                 encoder_hidden_dims=(1,)))  # fmt: skip
    assert Predictor.from_model(model).batch_sizes == (1,)


def test_a_program_that_this_jax_cannot_read_is_one_sentence(bundle, tmp_path):
    damaged = shutil.copytree(bundle, tmp_path / "bundle")
    content = bytearray((damaged / "model.stablehlo").read_bytes())
    (damaged / "model.stablehlo").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="`bundle` must hold the files that were exported"):
        Predictor.from_bundle(damaged)


def test_no_run_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="`run` must be the folder of a run; got .* made by `aecf-jax train`"):
        Predictor.from_run(tmp_path)
