"""Reads an export in Parquet with DuckDB, and prints each row as a line of JSON: its columns, in the file's order."""
import json
import sys
from datetime import timezone

import duckdb

rows = duckdb.read_parquet(sys.argv[1])
for row in rows.fetchall():
    columns = dict(zip(rows.columns, row))
    # With its zone: a timestamp without one would be off by the reader's own.
    columns["at"] = columns["at"].astimezone(timezone.utc).isoformat(timespec="microseconds")
    print(json.dumps(columns))
