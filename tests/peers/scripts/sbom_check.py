"""Checks a bill of materials (CycloneDX 1.6, JSON) against the published schema, strictly."""
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(sys.argv[1]).read_text())
sys.exit(f"not valid: {error}" if error else 0)
