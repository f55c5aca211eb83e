"""Checks an export of the audit log line by line, and prints how many events there are.

`export_check.py ocsf FILE` holds each to the published schema of OCSF 1.5.0, which leaves no member open;
`export_check.py cloudevents FILE` reads each with the CloudEvents SDK.
"""
import json
import sys

form, file = sys.argv[1:]
lines = open(file, "rb").read().splitlines()

if form == "ocsf":
    from jsonschema import Draft202012Validator, FormatChecker
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.5.0"))
    name = schema.lookup_class_name_from_uid(class_uid=6003)
    validator = Draft202012Validator(schema.get_class_schema(class_name=name), format_checker=FormatChecker())
    for number, line in enumerate(lines, 1):
        event = json.loads(line)
        for error in validator.iter_errors(event):
            sys.exit(f"{file}:{number}: {error.json_path}: {error.message}\n{line.decode()}")
        if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
            sys.exit(f"{file}:{number}: type_uid is {event['type_uid']}")
else:
    from cloudevents.core.formats.json import JSONFormat

    seen = set()
    for number, line in enumerate(lines, 1):
        event = JSONFormat().read(None, line)
        identity = (event.get_source(), event.get_id())
        if event.get_specversion() != "1.0" or identity in seen:
            sys.exit(f"{file}:{number}: {identity} twice, or of another version")
        seen.add(identity)
        data = event.get_data()
        if event.get_type() != f"latchwork.audit.v1.{data['kind']}" or event.get_id() != f"{data['incarnation']}/{data['seq']}":
            sys.exit(f"{file}:{number}: the data is of another event")
        if event.get_time().isoformat() != data["at"].replace("Z", "+00:00"):
            sys.exit(f"{file}:{number}: the time is {event.get_time()}")

print(len(lines))
