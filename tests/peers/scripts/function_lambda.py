"""An unchanged function for AWS's own Python runtime: echoes its event, or fails in the way it is told to."""
import os
import sys
import time


def echo(event, context):
    told = event.get("tell", "") if isinstance(event, dict) else ""
    if told == "raise":
        raise ValueError("told to fail")
    if told == "exit":
        sys.stdout.flush()
        os._exit(3)
    if told == "sleep":
        time.sleep(float(event["seconds"]))
    print("a line in the function's log")
    return {
        "event": event,
        "request": context.aws_request_id,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "process": os.getpid(),
        "secrets": sorted(name for name in os.environ if "SECRET" in name),
    }
