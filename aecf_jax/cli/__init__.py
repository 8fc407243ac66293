"""The command line `aecf-jax`: arguments to configurations, one call, and what is printed and written of its result."""

from aecf_jax.cli._main import main as main
