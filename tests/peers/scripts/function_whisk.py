"""An unchanged action for OpenWhisk's Python runtime: it says what it was given, or fails in the way it is told to."""
import os
import time


def main(params):
    print("a line of the action", flush=True)
    told = params.get("tell")
    if told == "raise":
        raise ValueError("told to fail")
    if told == "error":
        return {"error": "told to fail"}
    if told == "list":
        return ["no", "dictionary"]
    if told == "large":
        return {"text": "x" * 200_000}
    if told == "sleep":
        time.sleep(60)
    return {
        "params": params, "action": os.environ["__OW_ACTION_NAME"], "activation": os.environ["__OW_ACTIVATION_ID"],
        "greeting": os.environ.get("GREETING"), "process": os.getpid(),
    }
