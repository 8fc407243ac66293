"""The configuration: what it takes, what it refuses and in which words, and what it becomes elsewhere."""

import dataclasses
import json

import pytest

from aecf_jax.config import AECFConfig, create_default_config, validate_config_compatibility
from aecf_jax.errors import InputError, InputTypeError


def test_lists_become_tuples_and_the_configuration_is_hashable():
    config = AECFConfig(modalities=["a", "b"], gate_hidden_dims=[32, 16], trainer_kwargs={"max_epochs": 3})
    assert config.modalities == ("a", "b")
    assert config.gate_hidden_dims == (32, 16)
    assert hash(config) == hash(AECFConfig(modalities=("a", "b"), gate_hidden_dims=(32, 16),
                                           trainer_kwargs=(("max_epochs", 3),)))  # fmt: skip


def test_fields_cannot_be_set_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        AECFConfig().epochs = 3  # pyright: ignore[reportAttributeAccessIssue]


REFUSED = [
    ({"epochs": 0}, "`epochs` must be positive; got 0."),
    ({"masking_prob": 1.5}, "`masking_prob` must be in [0, 1]; got 1.5."),
    ({"label_smoothing": 1.0}, "`label_smoothing` must be in [0, 1); got 1.0."),
    ({"val_check_interval": 0.0}, "`val_check_interval` must be in (0, 1]; got 0.0."),
    ({"learning_rate": float("nan")}, "`learning_rate` must be positive; got nan."),
    ({"gate_min_temp": 3.0}, "`gate_min_temp` must be at most gate_init_temp, 2.0; got 3.0."),
    ({"gate_hidden_dims": ()}, "`gate_hidden_dims` must hold at least one width; got an empty list."),
    ({"gate_hidden_dims": (8, 0)}, "`gate_hidden_dims` must hold positive widths; got 0."),
    ({"modalities": ()}, "`modalities` must name at least one modality; got []."),
    ({"modalities": ("a", "a")}, "`modalities` must be different from each other; got ['a', 'a']."),
    ({"modalities": ("label",)}, "`modalities` must not be a reserved name; got label."),
    ({"modalities": ("a/b",)}, "`modalities` must be names without a slash; got a/b."),
    ({"input_dims": (3,)}, "`input_dims` must hold one width for each of the 2 modalities, or none; got [3]."),
    ({"masking_strategy": "entropy_mim"}, "Did you mean `entropy_min`?"),
    ({"masking_rates": (0.5,)}, "`masking_rates` must hold one probability for each of the 2 modalities, or none;"),
    ({"masking_rates": (0.5, 1.5)}, "`masking_rates` must hold numbers in [0, 1]; got 1.5."),
    ({"masking_min_active": 3}, "`masking_min_active` must be at most 2, the number of modalities; got 3."),
    ({"masking_strategy": "hardest", "task_type": "embedding"}, "Contrasts have no loss of single rows."),
    ({"entropy_instance": "output", "task_type": "regression"}, "`entropy_instance` must be none where `task_type` is"),
    ({"task_type": "ranking"}, "`task_type` must be one of classification, regression, embedding; got ranking."),
    ({"label_frequencies": (0.5,)}, "`label_frequencies` must hold one number for each of the 80 labels"),
    ({"trainer_kwargs": {"acceletator": 1}}, "`trainer_kwargs` must hold known names; got acceletator."),
]


@pytest.mark.parametrize(("fields", "sentence"), REFUSED, ids=[str(fields) for fields, _ in REFUSED])
def test_values_outside_their_range_are_refused_in_one_sentence(fields, sentence):
    with pytest.raises(InputError) as refused:
        AECFConfig(**fields)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("fields", [{"epochs": 2.5}, {"standardize": 1}, {"modalities": "image"}, {"epochs": True}])
def test_values_of_another_type_are_refused(fields):
    with pytest.raises(InputTypeError):
        AECFConfig(**fields)


def test_unknown_keys_name_the_nearest_field():
    with pytest.raises(InputError, match="Did you mean `learning_rate`"):
        AECFConfig.from_dict({"learning_rat": 0.1})
    with pytest.raises(InputError, match="Did you mean `epochs`"):
        AECFConfig().update(epoch=3)


def test_legacy_dictionaries_may_ignore_unknown_keys_with_a_warning():
    with pytest.warns(UserWarning, match="Ignored unknown configuration keys: clip_model"):
        config = AECFConfig.from_dict({"lr": 0.5, "clip_model": "ViT-B/32"}, ignore_unknown=True)
    assert config.learning_rate == 0.5
    with pytest.raises(InputError, match="clip_model"):
        AECFConfig.from_dict({"lr": 0.5, "clip_model": "ViT-B/32"})
    with pytest.raises(InputError, match="clip_model"):
        AECFConfig.from_dict({"learning_rate": 0.5, "clip_model": "ViT-B/32"}, ignore_unknown=True)


def test_dictionaries_and_json_round_trip():
    config = AECFConfig(modalities=("a", "b"), input_dims=(3, 4), label_frequencies=(0.25,), num_classes=1,
                        trainer_kwargs={"max_epochs": 2})  # fmt: skip
    assert AECFConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(("name", "text"), [("c.toml", "epochs = 3\ngate_hidden_dims = [5]"),
                                            ("c.json", '{"epochs": 3, "gate_hidden_dims": [5]}')])  # fmt: skip
def test_files_are_read(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    config = AECFConfig.from_file(tmp_path / name)
    assert (config.epochs, config.gate_hidden_dims) == (3, (5,))


def test_unreadable_files_are_refused(tmp_path):
    (tmp_path / "broken.toml").write_text("epochs = = 3")
    (tmp_path / "list.json").write_text("[1]")
    for name, words in [("broken.toml", "readable TOML"), ("list.json", "one table"), ("c.yaml", ".toml or .json"),
                        ("none.json", "a file that exists")]:  # fmt: skip
        with pytest.raises(InputError, match=words):
            AECFConfig.from_file(tmp_path / name)


def test_second_names_of_pytorch_follow_the_first():
    config = AECFConfig(gate_hidden_dim=32, entropy_max_lambda=0.3)
    assert (config.gate_hidden_dims, config.entropy_max_coeff) == ((32,), 0.3)
    assert dataclasses.replace(config, gate_hidden_dims=(64,)).gate_hidden_dim == 64
    assert config.update(gate_hidden_dim=7).gate_hidden_dims == (7,)
    assert config.update(gate_hidden_dims=(8, 9)).gate_hidden_dim == 8
    assert AECFConfig.pytorch(gate_hidden_dim=5).gate_hidden_dims == (5,)
    with pytest.raises(InputError, match="`gate_hidden_dim` must agree with `gate_hidden_dims`"):
        AECFConfig(gate_hidden_dim=32, gate_hidden_dims=(16,))


def test_fault_gate_hidden_dims_is_no_longer_ignored_next_to_pytorchs_default_of_the_second_name():
    config = AECFConfig.from_dict({"gate_hidden_dims": [1024, 512], "gate_hidden_dim": 2048})
    assert config.gate_hidden_dims == (1024, 512)


def test_published_is_a_gated_mixture_with_all_three_parts():
    config = AECFConfig.published(epochs=3, entropy_max_lambda=0.2)
    assert (config.fusion, config.masking_strategy, config.entropy_instance) == ("gated", "random", "predictive")
    assert config.confidence_coeff > 0
    assert (config.epochs, config.entropy_max_coeff) == (3, 0.2)


def test_update_changes_one_field_and_nothing_else():
    before = AECFConfig(epochs=3)
    after = before.update(lr=0.5)
    assert after == dataclasses.replace(before, learning_rate=0.5)


def test_widths_default_to_one_for_all():
    assert AECFConfig(feat_dim=7).widths == (7, 7)
    assert AECFConfig(input_dims=(3, 4)).widths == (3, 4)
    assert AECFConfig(embed_dim=0, feat_dim=9).embed_width == 9


def test_default_configurations_by_task():
    config = create_default_config("regression", 3, ["x"])
    assert (config.task_type, config.num_classes, config.modalities) == ("regression", 3, ("x",))


def test_compatibility_with_data_is_checked():
    config = AECFConfig(modalities=("a", "b"), input_dims=(3, 4), num_classes=2)
    validate_config_compatibility(config, {"modalities": ["a", "b", "c"], "input_dims": {"a": 3, "b": 4}})
    for data, words in [
        ({"modalities": ["a"]}, "be among"),
        ({"modalities": ["a", "b"], "feat_dim": 3}, "`b` must be 4"),
        ({"modalities": ["a", "b"], "num_classes": 5}, "num_classes"),
    ]:
        with pytest.raises(InputError, match=words):
            validate_config_compatibility(config, data)
