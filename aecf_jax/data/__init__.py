"""Data sets: named sources and the user's own features, checked at the door, cut into parts, standardized on training.

Rows are NumPy arrays by modality, memory-mapped where the files allow it.
"""

from aecf_jax.data._blocks import chunk_rows as chunk_rows
from aecf_jax.data._convert import as_dataset as as_dataset
from aecf_jax.data._dataset import Dataset as Dataset
from aecf_jax.data._dataset import LabelKind as LabelKind
from aecf_jax.data._dataset import Part as Part
from aecf_jax.data._dataset import Splits as Splits
from aecf_jax.data._drops import DropTable as DropTable
from aecf_jax.data._drops import Marginals as Marginals
from aecf_jax.data._drops_make import MECHANISMS as MECHANISMS
from aecf_jax.data._drops_make import Mechanism as Mechanism
from aecf_jax.data._drops_make import make_drops as make_drops
from aecf_jax.data._fingerprint import fingerprint as fingerprint
from aecf_jax.data._folder import Converted as Converted
from aecf_jax.data._folder import convert_data as convert_data
from aecf_jax.data._leaks import refuse_leak as refuse_leak
from aecf_jax.data._leaks import shared_rows as shared_rows
from aecf_jax.data._memory import aligned as aligned
from aecf_jax.data._memory import gathered as gathered
from aecf_jax.data._memory import in_memory as in_memory
from aecf_jax.data._memory import let_go as let_go
from aecf_jax.data._source import Source as Source
from aecf_jax.data._sources import SOURCES as SOURCES
from aecf_jax.data._sources import describe_sources as describe_sources
from aecf_jax.data._sources import load_splits as load_splits
from aecf_jax.data._standardize import Standardization as Standardization
from aecf_jax.data._standardize import fit_standardization as fit_standardization
from aecf_jax.data._stream import FeatureStream as FeatureStream
from aecf_jax.data._stream import stream_features as stream_features
from aecf_jax.data._user import load_dataset as load_dataset
from aecf_jax.data._user import load_features as load_features
