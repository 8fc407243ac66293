"""Many runs at once: those whose shapes agree share one compiled program, as a sequence or side by side."""

from aecf_jax.sweep._choice import Choice as Choice
from aecf_jax.sweep._choice import fastest_way as fastest_way
from aecf_jax.sweep._many import train_many as train_many
from aecf_jax.sweep._progress import Progress as Progress
from aecf_jax.sweep._saved import save_run as save_run
from aecf_jax.sweep._saved import saved_run as saved_run
from aecf_jax.sweep._train import Trained as Trained
