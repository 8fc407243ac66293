"""Where a run's numbers go: one `Writer` interface, small writers, and the logger types that name them."""

from aecf_jax.logs._files import CsvWriter as CsvWriter
from aecf_jax.logs._files import JsonlWriter as JsonlWriter
from aecf_jax.logs._make import LOGGER_TYPES as LOGGER_TYPES
from aecf_jax.logs._make import check_logger as check_logger
from aecf_jax.logs._make import make_writer as make_writer
from aecf_jax.logs._services import TensorBoardWriter as TensorBoardWriter
from aecf_jax.logs._services import WandbWriter as WandbWriter
from aecf_jax.logs._writer import MultiWriter as MultiWriter
from aecf_jax.logs._writer import NullWriter as NullWriter
from aecf_jax.logs._writer import Writer as Writer
