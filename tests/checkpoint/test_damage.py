"""Damaged checkpoints: reported, and passed over for an undamaged one."""

import os
import shutil
import warnings
from pathlib import Path

import pytest

from aecf_jax.checkpoint import Checkpoints
from aecf_jax.errors import InputError
from tests.checkpoint.folders import abstract, largest_file, same, saved, state_of


def _flip(folder: Path) -> None:
    path = largest_file(folder / "state")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))


def _flip_meta(folder: Path) -> None:
    text = (folder / "meta" / "metadata").read_text()
    (folder / "meta" / "metadata").write_text(text.replace('\\"epoch\\": 2', '\\"epoch\\": 3'))


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _each_file(damage):
    """Applies a damage to every data file of the state."""

    def act(folder: Path) -> None:
        for path in [p for p in (folder / "state").rglob("*") if p.is_file() and "/d/" in str(p)]:
            damage(path)

    return act


DAMAGES = {
    "bit flipped in the arrays": _flip,
    "bit flipped in the description": _flip_meta,
    "arrays truncated": _each_file(lambda p: os.truncate(p, p.stat().st_size // 2)),
    "arrays emptied": _each_file(lambda p: os.truncate(p, 0)),
    "arrays missing": _each_file(lambda p: p.unlink()),
    "tree description truncated": lambda f: os.truncate(f / "state" / "_METADATA", 20),
    "manifest truncated": lambda f: os.truncate(f / "state" / "manifest.ocdbt", 10),
    "description truncated": lambda f: os.truncate(f / "meta" / "metadata", 30),
    "description missing": lambda f: (f / "meta" / "metadata").unlink(),
    "metric truncated": lambda f: os.truncate(f / "metrics" / "metrics", 4),
    "metric altered": lambda f: (f / "metrics" / "metrics").write_text('{"metric": 0.0}'),
    "folder empty": _empty,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_newest_is_reported_and_deleted_and_the_one_before_restored(tmp_path, damage, capfd, caplog):
    checkpoints = saved(tmp_path, [3.0, 2.0, 1.0])
    DAMAGES[damage](tmp_path / "3")
    with pytest.warns(
        UserWarning, match=r"checkpoint .*/3 is damaged .* deleted, and the one before it was restored"
    ) as caught:
        restored = checkpoints.restore_latest(abstract(state_of(0.0)), delete_damaged=True)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert restored.step == 2
    assert same(restored.state, state_of(2.0))
    assert checkpoints.steps() == (1, 2)
    checkpoints.save(3, state_of(9.0), {}, metric=0.5)
    checkpoints.close()
    assert same(checkpoints.restore_latest(abstract(state_of(0.0))).state, state_of(9.0))


def test_damage_that_costs_nothing_is_no_damage(tmp_path):
    checkpoints = saved(tmp_path, [1.0])
    (tmp_path / "1" / "state" / "_METADATA").unlink()
    assert same(checkpoints.restore_latest(abstract(state_of(0.0))).state, state_of(1.0))


@pytest.mark.parametrize("damage", ["bit flipped in the arrays", "description truncated"])
def test_damaged_best_gives_way_to_the_next_best_and_stays(tmp_path, damage):
    checkpoints = saved(tmp_path, [3.0, 1.0, 2.0])
    DAMAGES[damage](tmp_path / "2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert checkpoints.restore_best(abstract(state_of(0.0))).step == 3
    assert checkpoints.steps() == (1, 2, 3)


def test_reading_alone_deletes_nothing(tmp_path):
    checkpoints = saved(tmp_path, [3.0, 2.0])
    _flip(tmp_path / "2")
    with pytest.warns(UserWarning, match=r"/2 is damaged .*\. The one before it was restored"):
        assert checkpoints.restore_latest(abstract(state_of(0.0))).step == 1
    assert checkpoints.steps() == (1, 2)


def test_if_all_are_damaged_nothing_is_deleted(tmp_path):
    checkpoints = saved(tmp_path, [3.0, 2.0])
    _flip(tmp_path / "1")
    _flip(tmp_path / "2")
    with pytest.raises(InputError, match=r"hold an undamaged checkpoint in .*step 2: .*; step 1: "):
        checkpoints.restore_latest(abstract(state_of(0.0)), delete_damaged=True)
    assert checkpoints.steps() == (1, 2)


def test_half_deleted_checkpoint_is_removed_when_saving_goes_on(tmp_path):
    saved(tmp_path, [3.0, 2.0, 1.0])
    shutil.rmtree(tmp_path / "1" / "meta")
    again = Checkpoints(tmp_path)
    with pytest.warns(UserWarning, match="/1 is damaged .* It was deleted"):
        again.save(4, state_of(4.0), {}, metric=0.5)
    again.close()
    assert again.steps() == (2, 3, 4)
