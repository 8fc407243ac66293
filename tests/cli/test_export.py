"""The verb `export`: a bundle or a state dict of the best checkpoint, and what is refused."""

import numpy as np
import pytest

from aecf_jax.cli import main
from aecf_jax.config import AECFConfig
from aecf_jax.deploy import Predictor, read_bundle
from tests.cli.conftest import WIDTHS, tiny_arrays

pytestmark = pytest.mark.usefixtures("untyped_caller")


def said(capsys, *argv):
    code = main([str(word) for word in argv])
    printed = capsys.readouterr()
    return code, printed.out if code == 0 else printed.err


def features():
    return {name: tiny_arrays()[name] for name in WIDTHS}


def test_bundle_of_a_run_serves_what_the_run_does(work, capsys):
    code, printed = said(capsys, "export", "run", "--out", "bundle")
    assert (code, printed.startswith("bundle: a bundle of ")) == (0, True)
    run, bundle = Predictor.from_run("run", batch_sizes=[64]), Predictor.from_bundle("bundle", batch_sizes=[64])
    for one, other in zip(run(features()), bundle(features()), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert read_bundle("bundle").config == AECFConfig.from_file("run/config.json")


def test_second_export_is_refused_unless_forced_and_refresh_repairs(work, capsys):
    assert said(capsys, "export", "run", "--out", "bundle")[0] == 0
    assert said(capsys, "export", "run", "--out", "bundle") == (
        2, "aecf-jax: `out` must be a new or empty folder; got bundle. Pass --force to replace the bundle.\n",
    )  # fmt: skip
    assert said(capsys, "export", "run", "--out", "bundle", "--force")[0] == 0
    (work / "bundle" / "model.stablehlo").write_bytes(b"")
    assert said(capsys, "export", "--refresh", "bundle") == (0, "bundle: program rebuilt\n")
    read_bundle("bundle")


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["run"], "`out` must be given; got none. Pass --out BUNDLE."),
        (["--out", "bundle"], "`RUN` must be the folder of a run; got none. Or pass --refresh BUNDLE."),
        (["none", "--out", "bundle"], "`RUN` must be the folder of a run; got none. There is no such folder."),
        (["run", "--out", "run"], "`out` must be a new or empty folder; got run. What is there is no bundle, and is "
         "left alone."),
        (["run", "--out", "no/bundle"], "`out` must be in a folder that exists; got no/bundle."),
        (["run", "--refresh", "bundle"], "`refresh` must stand alone; got run beside it."),
        (["--refresh", "run"], "`bundle` must hold a bundle.json; got run. A bundle is made by `aecf-jax export`."),
        (["run", "--format", "torch", "--out", "model.pt"], "`out` must end in .safetensors for a state dict; got "
         "model.pt."),
        (["run", "--format", "torch", "--out", "model.safetensors"], "`fusion` must be gated in the refactored "
         "PyTorch model; got aecf. Its model has identity encoders of one width, a gate and a head; export a bundle "
         "instead."),
    ],
)  # fmt: skip
def test_bad_requests_are_one_sentence_and_leave_nothing(work, capsys, argv, sentence):
    assert said(capsys, "export", *argv) == (2, f"aecf-jax: {sentence}\n")
    assert [path.name for path in work.iterdir()] == ["run"]
