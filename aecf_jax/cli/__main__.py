"""`python -m aecf_jax.cli`, the same as `aecf-jax`."""

import sys

from aecf_jax.cli import main

if __name__ == "__main__":
    sys.exit(main())
