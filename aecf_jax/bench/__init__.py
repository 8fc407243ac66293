"""What training, prediction, evaluation, metrics and data cost here, and what the machine could do at best."""

from aecf_jax.bench._ceiling import Probe as Probe
from aecf_jax.bench._ceiling import copy_probe as copy_probe
from aecf_jax.bench._ceiling import product_probe as product_probe
from aecf_jax.bench._clock import Times as Times
from aecf_jax.bench._clock import median_ratio as median_ratio
from aecf_jax.bench._clock import take_turns as take_turns
from aecf_jax.bench._machine import machine as machine
from aecf_jax.bench._machine import peak_memory as peak_memory
from aecf_jax.bench._measure import Figure as Figure
from aecf_jax.bench._measure import Way as Way
from aecf_jax.bench._measure import measured as measured
from aecf_jax.bench._parts import PARTS as PARTS
from aecf_jax.bench._parts import TrainingSteps as TrainingSteps
from aecf_jax.bench._programs import CompileCost as CompileCost
from aecf_jax.bench._programs import compile_cost as compile_cost
from aecf_jax.bench._programs import counted_programs as counted_programs
from aecf_jax.bench._rows import random_rows as random_rows
