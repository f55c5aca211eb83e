"""An unchanged function for Google's functions-framework: says what it was given, or fails when told to."""
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
