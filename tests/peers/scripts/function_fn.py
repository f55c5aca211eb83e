"""An unchanged function for Fn's kit: it says what it was given, and does as it is told by the body's first word."""
import asyncio
import json

from fdk import response

LARGE_BYTES = 2 * 1024 * 1024


async def handler(ctx, data=None):
    asked = data.getvalue()
    print(json.dumps({"ran": asked.decode(errors="replace")}), flush=True)
    if asked == b"fail":
        raise RuntimeError("inside")
    if asked == b"slow":
        await asyncio.sleep(60)
    if asked == b"large":
        return response.Response(ctx, response_data=b"x" * LARGE_BYTES)
    if asked.startswith(b"\0"):
        return response.Response(ctx, response_data=asked, headers={"Content-Type": "application/octet-stream"})
    said = {
        "method": ctx.Method(), "url": ctx.RequestURL(), "headers": dict(ctx.Headers()), "call": ctx.CallID(),
        "body": asked.decode(),
    }
    headers = {"Content-Type": "application/json", "X-Mine": "1"}
    return response.Response(ctx, response_data=json.dumps(said), headers=headers, status_code=201)
