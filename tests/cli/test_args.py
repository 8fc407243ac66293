"""Flags: one for every field, with the field's help; files of defaults; what the data decides."""

import dataclasses
import gc
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from aecf_jax.cli import _main, main
from aecf_jax.cli._args import field_docs, parsed, train_flags
from aecf_jax.cli._settings import FROM_DATA, data_config, make_defaults, model_config, reject_unread
from aecf_jax.cli._verbs import VERBS
from aecf_jax.config import AECFConfig, DataConfig
from aecf_jax.errors import InputError

FACTS = {
    "modalities": ("left", "right"), "input_dims": (3, 5), "num_classes": 4, "task_type": "classification",
    "multilabel": False,
}  # fmt: skip
FIELDS = [(cls, field) for cls in (AECFConfig, DataConfig) for field in dataclasses.fields(cls)]


def flags_of(*arguments, path=None):
    defaults = make_defaults(path)
    return parsed(["train", *arguments], defaults), defaults


def config_of(*arguments, path=None):
    return model_config(*flags_of(*arguments, path=path), FACTS)


@pytest.fixture(scope="module")
def help_text():
    # A wide terminal, so that no help is cut by a line break.
    code = "import sys; from aecf_jax.cli import main; main(['train', '--help']); print([m for m in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True,
                          env={"COLUMNS": "400", "PYTHONPATH": ":".join(sys.path)})  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def test_help_imports_no_jax_and_no_numpy(help_text):
    modules = help_text.splitlines()[-1]
    assert "'aecf_jax.cli._args'" in modules
    assert [name for name in ("jax", "numpy", "flax", "matplotlib") if f"'{name}'" in modules] == []


@pytest.mark.parametrize(("cls", "field"), FIELDS, ids=lambda value: getattr(value, "name", ""))
def test_every_field_is_a_flag_with_its_help(help_text, cls, field):
    flag = "--" + field.name.replace("_", "-")
    assert f"{flag}" in help_text.replace(",", " ").split()
    assert field_docs(cls)[field.name] in help_text


@pytest.mark.parametrize("verb", ["train", *VERBS, ""])
def test_help_of_every_verb(capsys, verb):
    assert main([verb, "--help"] if verb else []) == 0
    assert capsys.readouterr().out.startswith(f"usage: aecf-jax {verb}".rstrip())


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("aecf-jax 0.")


def test_without_flags_the_configurations_are_the_defaults():
    assert config_of() == AECFConfig().update(**FACTS)
    assert data_config(flags_of()[0]) == DataConfig()


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        ("--learning-rate 0.5", "learning_rate", 0.5),
        ("--no-curriculum-mask", "curriculum_mask", False),
        ("--mixed-precision", "mixed_precision", True),
        ("--encoder-hidden-dims 8 9", "encoder_hidden_dims", (8, 9)),
        ("--head-hidden-dims None", "head_hidden_dims", None),
        ("--head-hidden-dims 7", "head_hidden_dims", (7,)),
        ("--gate-hidden-dim 12", "gate_hidden_dims", (12,)),
        ("--gate-hidden-dims 12 13", "gate_hidden_dims", (12, 13)),
        ("--entropy-max-lambda 0.7", "entropy_max_coeff", 0.7),
        ("--label-frequencies 0.1 0.2 0.3 0.4", "label_frequencies", (0.1, 0.2, 0.3, 0.4)),
        ("--trainer-kwargs max_epochs=3 enable_progress_bar=false", "trainer_kwargs",
         (("enable_progress_bar", False), ("max_epochs", 3))),
        ("--masking-strategy entropy_min", "masking_strategy", "entropy_min"),
        ("--modalities left right", "modalities", ("left", "right")),
        ("--num-classes 4 --input-dims 3 5 --multilabel False", "num_classes", 4),
    ],
)  # fmt: skip
def test_a_flag_sets_its_field_and_no_other(arguments, field, value):
    config = config_of(*arguments.split())
    assert getattr(config, field) == value
    second_names = {"gate_hidden_dim", "gate_hidden_dims", "entropy_max_lambda", "entropy_max_coeff", field}
    base = AECFConfig().update(**FACTS)
    others = [f.name for f in dataclasses.fields(AECFConfig) if f.name not in second_names]
    assert [name for name in others if getattr(config, name) != getattr(base, name)] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--num-classes 7", "`num_classes` must be 4, as the data has it; got 7. Leave it out."),
        ("--task-type regression", "`task_type` must be classification, as the data has it; got regression."),
        ("--input-dims 3 6", "`input_dims` must be 3 5, as the data has it; got 3 6. Leave it out."),
        ("--multilabel True", "`multilabel` must be False, as the data has it; got True. Leave it out."),
        ("--learning-rate -1", "`learning_rate` must be positive; got -1.0."),
        ("--trainer-kwargs max_epochs", "`trainer_kwargs` must be given as name=value; got max_epochs."),
        ("--trainer-kwargs max_epoch=1", "`trainer_kwargs` must hold known names; got max_epoch."),
    ],
)
def test_a_flag_that_contradicts_is_refused(arguments, text):
    with pytest.raises(InputError) as caught:
        config_of(*arguments.split())
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("suffix", [".json", ".toml"])
def test_a_file_gives_defaults_and_flags_win(tmp_path, suffix):
    path = tmp_path / f"settings{suffix}"
    fields = {"learning_rate": 0.25, "epochs": 7, "data": "yeast", "gate_hidden_dims": [5]}
    text = json.dumps(fields) if suffix == ".json" else "\n".join(f"{k} = {json.dumps(v)}" for k, v in fields.items())
    path.write_text(text)
    flags, defaults = flags_of("--epochs", "9", path=path)
    config = model_config(flags, defaults, FACTS)
    assert (config.learning_rate, config.epochs, config.gate_hidden_dims) == (0.25, 9, (5,))
    assert data_config(flags).data == "yeast"
    # A flag wins even where it says what the field's own default is.
    own = AECFConfig().learning_rate
    flags, defaults = flags_of("--learning-rate", str(own), "--data", "digits", path=path)
    assert model_config(flags, defaults, FACTS).learning_rate == own != 0.25
    assert data_config(flags).data == "digits"


def test_the_configuration_of_a_run_is_accepted_and_comes_back(tmp_path):
    path = tmp_path / "config.json"
    config = AECFConfig(**FACTS, trainer_kwargs={"max_epochs": 3}, label_smoothing=0.1, head_hidden_dims=None)
    path.write_text(json.dumps(config.to_dict()))
    assert config_of(path=path) == config


def test_a_pytorch_dictionary_is_accepted(tmp_path):
    path = tmp_path / "legacy.json"
    path.write_text(json.dumps({"lr": 0.125, "p_missing": 0.75}))
    config = config_of(path=path)
    assert config == AECFConfig.from_dict({"lr": 0.125, "p_missing": 0.75}).update(**FACTS)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (
            "learning_rat",
            "`learning_rat` must be a configuration field; got an unknown key. Did you mean `learning_rate`?",
        ),
        ("dificulty", "`dificulty` must be a configuration field; got an unknown key. Did you mean `difficulty`?"),
    ],
)
def test_an_unknown_key_offers_the_nearest_name(tmp_path, key, text):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({key: 1}))
    with pytest.raises(InputError) as caught:
        make_defaults(path)
    assert str(caught.value) == text


def test_flags_beside_resume_are_named():
    flags, defaults = flags_of("--resume", "run", "--epochs", "3", "--data", "yeast", "--no-plots")
    with pytest.raises(InputError, match=r"`resume` must stand without other settings: .* got --epochs, --data\."):
        reject_unread(flags, defaults)
    reject_unread(*flags_of("--resume", "run", "--no-plots", "--no-compile-cache"))


def test_what_the_data_decides_is_unset_unless_given():
    flags = train_flags(make_defaults())()
    assert [getattr(flags, name) for name in FROM_DATA] == [None] * len(FROM_DATA)


def test_garbage_is_looked_for_seldom_in_a_process_of_its_own_alone(monkeypatch, capsys):
    before = gc.get_threshold()
    try:
        gc.set_threshold(700, *before[1:])
        assert main(["--version"]) == 0
        assert gc.get_threshold()[0] == 700
        monkeypatch.setattr(sys, "argv", ["aecf-jax", "--version"])
        assert main() == 0
        assert gc.get_threshold()[0] > 10 * 700
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
    assert len(set(capsys.readouterr().out.splitlines())) == 1


@pytest.mark.parametrize("alone", [False, True])
def test_garbage_is_looked_for_when_a_verb_is_imported_and_not_among_what_was(alone, monkeypatch):
    before, frozen, seen = gc.get_threshold(), gc.get_freeze_count(), []
    verb = SimpleNamespace(run=lambda *_: seen.append((gc.isenabled(), gc.get_freeze_count() > frozen)) or 0)
    monkeypatch.setattr(_main, "import_module", lambda name: seen.append(gc.isenabled()) or verb)
    monkeypatch.setattr(_main, "_flags", lambda arguments: (verb, None))
    monkeypatch.setattr(sys, "argv", ["aecf-jax", "data"])
    try:
        assert main(*[] if alone else [["data"]]) == 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    assert seen == [not alone, (True, alone)]
    assert gc.isenabled()
