"""Every table's row type and Arrow schema name the same columns, and none is a float."""

import pyarrow as pa
import pytest

from tickwright.storage.lake.schema import Table, schema_of


@pytest.mark.parametrize("table", list(Table))
def test_schema_when_read_then_holds_no_float_and_times_are_int64(table: Table):
    schema = schema_of(table, price_decimals=2, size_decimals=3)

    assert [] == [one.name for one in schema if pa.types.is_floating(one.type)]
    assert {pa.int64()} == {one.type for one in schema if one.name.endswith("_ns")}
    assert ["ordinal", "received_ns", "venue_ns"] == schema.names[:3]
    assert ["price_decimals", "size_decimals"] == schema.names[-2:]
    assert b"3" == schema.metadata[b"tickwright.size_decimals"]
