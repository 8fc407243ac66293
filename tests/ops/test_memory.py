"""The memory that a process has held."""

import resource
import subprocess
import sys

import numpy as np
import pytest

from aecf_jax.ops import _memory, peak_bytes

SAID = "from aecf_jax.ops import peak_bytes; print(peak_bytes())"


def test_what_is_held_counts_and_what_was_given_back_too():
    before = peak_bytes()
    held = np.ones(before // 4, np.float32)  # As much again, each page of it touched.
    most = peak_bytes()
    assert most > 1.5 * before
    del held
    assert peak_bytes() == pytest.approx(most, rel=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process inherits nothing")
def test_a_process_does_not_inherit_the_peak_of_the_one_that_started_it():
    held = np.ones(1 << 27, np.float32)
    least = held.nbytes
    del held
    done = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=True)
    assert 1e7 < int(done.stdout) < least < peak_bytes()


def test_where_the_system_lists_nothing_its_own_count_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(_memory, "_STATUS", tmp_path / "none")
    unit = 1 if sys.platform == "darwin" else 1024
    assert peak_bytes() == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
