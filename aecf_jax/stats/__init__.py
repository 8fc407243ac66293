"""How sure a figure is: bootstrap, permutation and binomial statistics, in float64 NumPy, seeded and pure."""

from aecf_jax.stats._bootstrap import DRAWS as DRAWS
from aecf_jax.stats._bootstrap import Estimate as Estimate
from aecf_jax.stats._bootstrap import paired_bootstrap as paired_bootstrap
from aecf_jax.stats._bootstrap import percentile_interval as percentile_interval
from aecf_jax.stats._bootstrap import resample_counts as resample_counts
from aecf_jax.stats._exact import binomial_interval as binomial_interval
from aecf_jax.stats._exact import mean_interval as mean_interval
from aecf_jax.stats._exact import t_bound as t_bound
from aecf_jax.stats._exact import t_pvalue as t_pvalue
from aecf_jax.stats._permutation import holm as holm
from aecf_jax.stats._permutation import paired_permutation as paired_permutation
