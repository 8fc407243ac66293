"""Definitions written a second time, in float64 NumPy, one row at a time: slow, plain, and not our code's way."""

import math

import numpy as np


def softmax_over_present(logits, present):
    """Softmax of the present entries of one row; zeros elsewhere."""
    out = np.zeros(len(logits))
    there = [i for i, ok in enumerate(present) if ok]
    if there:
        top = max(float(logits[i]) for i in there)
        powers = {i: math.exp(float(logits[i]) - top) for i in there}
        for i in there:
            out[i] = powers[i] / math.fsum(powers.values())
    return out


def entropy_nats(weights):
    """-sum w log w of one row."""
    return -math.fsum(float(w) * math.log(float(w)) for w in weights if w > 0)
