"""An unchanged function for Knative's middleware: it takes an event, and answers one that says what it was given."""
import asyncio
import sys
import uuid

from cloudevents.core.v1.event import CloudEvent
from func_python.cloudevent import serve

LARGE_CHARS = 2 * 1024 * 1024


async def handle(scope, receive, send):
    event = scope["event"]
    data = event.get_data()
    kind = event.get_datacontenttype()
    attributes = {"id": str(uuid.uuid4()), "source": "/function", "type": "example.answered"}
    told = data.get("do") if isinstance(data, dict) else None
    if told == "fail":
        raise RuntimeError("inside")
    if told == "slow":
        await asyncio.sleep(60)
    if told == "large":
        return await send(CloudEvent({**attributes, "datacontenttype": "application/json"}, "x" * LARGE_CHARS))
    if kind != "application/json":
        raw = data if isinstance(data, bytes) else data.encode()
        answer = CloudEvent({**attributes, "datacontenttype": kind}, raw)
        return await (send.binary(answer) if told != "structured" else send(answer))
    said = {"data": data, "attributes": {name: str(value) for name, value in event.get_attributes().items()}}
    print(f"ran {event.get_id()}", file=sys.stderr, flush=True)
    answer = CloudEvent({**attributes, "datacontenttype": "application/json"}, said)
    await (send.binary(answer) if told == "binary" else send(answer))


serve(handle)
