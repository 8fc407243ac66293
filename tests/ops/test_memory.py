"""The memory that a process has held."""

import resource
import subprocess
import sys

import numpy as np
import pytest

from aecf_jax.ops import _memory, peak_bytes

SAID = "from aecf_jax.ops import peak_bytes; print(peak_bytes())"


def test_what_was_given_back_counts_still():
    # In a process of its own: the peak of this one may be far above what it holds.
    code = f"import numpy as np; {SAID}; held = np.ones(1 << 26, np.float32); del held; print(peak_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert 0.9 < (after - before) / 2**28 < 1.1


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
