"""Pure training: state, optimizer, views, step and chunk. No file, clock or print; optax is used here alone."""

from aecf_jax.train._optimizer import learning_rate as learning_rate
from aecf_jax.train._optimizer import make_optimizer as make_optimizer
from aecf_jax.train._order import epoch_order as epoch_order
from aecf_jax.train._programs import Numbers as Numbers
from aecf_jax.train._programs import numbers as numbers
from aecf_jax.train._programs import program_config as program_config
from aecf_jax.train._programs import with_numbers as with_numbers
from aecf_jax.train._state import StepInfo as StepInfo
from aecf_jax.train._state import TrainState as TrainState
from aecf_jax.train._state import init_state as init_state
from aecf_jax.train._step import TrainChunk as TrainChunk
from aecf_jax.train._step import loss_and_components as loss_and_components
from aecf_jax.train._step import make_train_chunk as make_train_chunk
from aecf_jax.train._step import scanned_steps as scanned_steps
from aecf_jax.train._step import train_step as train_step
from aecf_jax.train._validation import ValidationInfo as ValidationInfo
from aecf_jax.train._validation import hidden_pattern as hidden_pattern
from aecf_jax.train._validation import validation_info as validation_info
from aecf_jax.train._validation import validation_step as validation_step
from aecf_jax.train._views import Views as Views
from aecf_jax.train._views import alone_logits as alone_logits
from aecf_jax.train._views import dropout_draws as dropout_draws
from aecf_jax.train._views import training_views as training_views
