"""Unchanged functions for Google's functions-framework: they say what they were given, or fail when told to."""
import json

import functions_framework


@functions_framework.http
def describe(request):
    if request.args.get("fail"):
        raise RuntimeError("told to fail")
    return {
        "method": request.method,
        "path": request.path,
        "query": request.args.to_dict(flat=False),
        "caller": request.headers.get("latchwork-caller"),
        "authorization": request.headers.get("authorization"),
        "traceparent": request.headers.get("traceparent"),
        "body": request.get_json(silent=True),
    }


@functions_framework.cloud_event
def receive(event):
    if event.data == {"fail": True}:
        raise RuntimeError("told to fail")
    print(json.dumps({"attributes": dict(event.get_attributes()), "data": event.data}), flush=True)
