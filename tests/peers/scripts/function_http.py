"""Unchanged functions for Google's functions-framework: they say what they were given, or fail when told to."""
import json
import os
import threading
import time

import flask
import functions_framework


def halves(gate):
    """The second once a file is there."""
    yield b"first, "
    while not os.path.exists(gate):
        time.sleep(0.01)
    yield b"\x00\xff"


@functions_framework.http
def describe(request):
    if request.args.get("fail"):
        raise RuntimeError("told to fail")
    tell = request.args.get("tell")
    if tell == "bytes":
        return flask.Response(request.get_data(), mimetype=request.mimetype)
    if tell == "silent":
        threading.Event().wait()
    if tell == "stream":
        return flask.Response(halves(request.args["gate"]), mimetype="text/plain")
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
