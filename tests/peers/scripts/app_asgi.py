"""Any web application, for a server that knows nothing of functions: it says what it was given, streams, and fails."""
import asyncio
import json
import os


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    path = scope["path"]
    status = 503 if path == "/busy" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    if path == "/stream":
        for number in range(3):
            await send({"type": "http.response.body", "body": f"{number}\n".encode(), "more_body": True})
            await asyncio.sleep(0.05)
        return await send({"type": "http.response.body", "body": b""})
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    said = {
        "method": scope["method"], "path": path, "query": scope["query_string"].decode(), "headers": headers,
        "body": body.decode(), "process": os.getpid(),
    }
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})
