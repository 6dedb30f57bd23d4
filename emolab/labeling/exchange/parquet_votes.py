"""Votes as a Parquet file: one row a vote, numbers as numbers, lists and objects as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emolab.errors import DataError, MissingExtra
from emolab.labeling.exchange.flat_votes import as_text
from emolab.labeling.exchange.vote_columns import COLUMNS, NUMBERS

_BATCH = 20_000


def check_parquet() -> None:
    """Raise :class:`MissingExtra` where pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", "data")


def write_parquet(file: Path, table: Iterable[Mapping[str, Any]]) -> int:
    """Write rows to ``file`` in batches and return how many there were."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(name, kinds[NUMBERS[name]] if name in NUMBERS else pa.string()) for name in COLUMNS])
    n, batch = 0, []
    with parquet.ParquetWriter(file, schema) as writer:  # type: ignore[no-untyped-call]
        for row in table:
            batch.append({**row, **as_text(row)})
            n += 1
            if len(batch) == _BATCH:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema))
    return n


def read_parquet(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place. Raises :class:`DataError` for what is no Parquet file of votes."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        found = parquet.ParquetFile(file)  # type: ignore[no-untyped-call]
        missing = [name for name in ("sample", "label") if name not in found.schema_arrow.names]
        if missing:
            raise DataError(f"{file.name} has no column {' and '.join(missing)}.")
        number = 0
        for batch in found.iter_batches(_BATCH):  # type: ignore[no-untyped-call]
            for row in batch.to_pylist():
                number += 1
                yield f"Row {number}", row
    except pa.ArrowException as error:
        raise DataError(f"{file.name} is no Parquet file: {error}.") from error
