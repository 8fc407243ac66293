"""PyTorch's files without PyTorch: what they hold as plain values and arrays; nothing in a file is ever executed."""

from aecf_jax.torchfile._read import read_torch_file as read_torch_file
from aecf_jax.torchfile._rebuild import Inert as Inert
