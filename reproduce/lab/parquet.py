"""Sealed Parquet files: a table with metadata and a digest of both, so that damage is noticed."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from alm.errors import UserError
from alm.training.files import write_atomically
from reproduce.lab.errors import reason_of

_CONTENT_KEY = b"alm-sha256"


def table_of(frame: pd.DataFrame, columns: Mapping[str, pa.DataType]) -> pa.Table:
    """The given columns of a frame, in the given types and order.

    Raises:
        UserError: a column is missing, or a value has another type.
    """
    try:
        arrays = [_to_array(frame[name], kind) for name, kind in columns.items()]
    except (KeyError, OverflowError, TypeError, ValueError) as error:  # pyarrow's own are of these types
        raise UserError(reason_of(error)) from error
    return pa.table(arrays, schema=pa.schema(list(columns.items())))


def _to_array(column: pd.Series, kind: pa.DataType) -> pa.Array:
    # from_pandas=False keeps NaN a number: a metric that became NaN is a result, not a gap.
    if pa.types.is_list(kind):
        return pa.array([list(map(float, values)) for values in column], type=kind, from_pandas=False)
    return pa.array(column.to_numpy(), type=kind, from_pandas=False)


def write(path: Path, table: pa.Table, metadata: Mapping[bytes, bytes], **options: Any) -> None:
    """Write a table atomically, with metadata and a digest of both.

    Parquet's own checksums cover pages, not the footer that holds the metadata.

    Args:
        path: the file.
        table: its columns.
        metadata: texts by keys that begin with ``alm-``.
        options: of `pyarrow.parquet.write_table`.
    """
    table = table.replace_schema_metadata(metadata)
    sealed = table.replace_schema_metadata({**metadata, _CONTENT_KEY: _content_digest(table)})
    write_atomically(path, lambda file: pq.write_table(sealed, file, compression="zstd", **options))


def read(path: Path) -> pa.Table:
    """The content of a file; raises some exception if it is damaged.

    Files of earlier versions have no digest: their damage is noticed only if they cannot be decoded.
    """
    table = pq.ParquetFile(path).read()
    expected = (table.schema.metadata or {}).get(_CONTENT_KEY)
    if expected is not None and expected != _content_digest(table):
        raise UserError("its content is not what was written")
    return table


def require_columns(table: pa.Table, columns: Mapping[str, pa.DataType], further: pa.DataType) -> None:
    """Raise UserError unless the table has the columns, and further ones of one type only."""
    found = {one.name: _kind(one.type) for one in table.schema}
    missing = [name for name in columns if name not in found]
    if missing:
        raise UserError(f"it lacks the columns {', '.join(missing)}")
    for name, kind in found.items():
        if kind != (wanted := _kind(columns.get(name, further))):
            raise UserError(f"its column {name} is {kind}, not {wanted}")


def _kind(kind: pa.DataType) -> str:
    # The name of a list's item differs between memory and file.
    return f"list of {kind.value_type}" if pa.types.is_list(kind) else str(kind)


def _content_digest(table: pa.Table) -> bytes:
    """SHA-256 of metadata, names and values, independent of the bytes of the file."""
    digest = hashlib.sha256()

    def add(content: bytes) -> None:
        digest.update(len(content).to_bytes(8, "little") + content)

    metadata = table.schema.metadata or {}
    for key in sorted(key for key in metadata if key.startswith(b"alm-") and key != _CONTENT_KEY):
        add(key)
        add(metadata[key])
    for name, column in zip(table.column_names, table.columns, strict=True):
        add(name.encode())
        values = column.combine_chunks()
        if pa.types.is_list(values.type):
            add(values.value_lengths().to_numpy(zero_copy_only=False).tobytes())
            values = values.flatten()
        add(str(values.type).encode())
        add(values.to_numpy(zero_copy_only=False).tobytes())
    return digest.hexdigest().encode()
