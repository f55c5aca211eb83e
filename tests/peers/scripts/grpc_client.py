"""A client of grpcio: does what the file that it is given says (JSON) and prints what came back, one JSON object per call."""
import json
import queue
import sys
import time

import grpc

with open(sys.argv[1], encoding="utf-8") as file:
    plan = json.load(file)
OPTIONS = [("grpc.max_receive_message_length", 64 << 20)]
if plan["target"].startswith("http://"):
    channel = grpc.insecure_channel(plan["target"].removeprefix("http://"), OPTIONS)
else:
    with open(plan["ca"], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    if plan.get("token"):
        credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(plan["token"]))
    channel = grpc.secure_channel(plan["target"], credentials, OPTIONS)


def shown(metadata):
    return {key: value if isinstance(value, str) else value.hex() for key, value in metadata or ()}


def outcome(call, messages, error=None):
    failed = error or call
    return {
        "messages": [m.decode("utf-8", "replace") for m in messages],
        "hex": [m.hex() for m in messages],
        "code": failed.code().name,
        "details": failed.details(),
        "initial": shown(failed.initial_metadata()),
        "trailing": shown(failed.trailing_metadata()),
    }


def native(step):
    metadata = [(k, bytes.fromhex(v) if k.endswith("-bin") else v) for k, v in step.get("metadata", {}).items()]
    options = {"metadata": metadata, "timeout": step.get("timeout", 20)}
    sent = [bytes.fromhex(text) for text in step["send_hex"]] if "send_hex" in step else [text.encode() for text in step["send"]]
    method, messages = step["method"], []
    try:
        if step["shape"] == "unary":
            reply, call = channel.unary_unary(method).with_call(sent[0], **options)
            return outcome(call, [reply])
        if step["shape"] == "client":
            reply, call = channel.stream_unary(method).with_call(iter(sent), **options)
            return outcome(call, [reply])
        if step["shape"] == "server":
            call = channel.unary_stream(method)(sent[0], **options)
            for message in call:
                messages.append(message)
                if step.get("cancel"):
                    call.cancel()
            return outcome(call, messages)
        # Each message is sent only after the answer to the one before.
        turns = queue.Queue()
        call = channel.stream_stream(method)(iter(turns.get, None), **options)
        for message in sent:
            turns.put(message)
            messages.append(next(call))
        turns.put(None)
        messages.extend(call)
        return outcome(call, messages)
    except grpc.RpcError as error:
        return outcome(None, messages, error)


def reflected():
    from google.protobuf.descriptor_pool import DescriptorPool
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

    database = ProtoReflectionDescriptorDatabase(channel)
    return database, DescriptorPool(database)


def reflection(step):
    try:
        database, pool = reflected()
        services = {}
        for name in sorted(database.get_services()):
            services[name] = [method.name for method in pool.FindServiceByName(name).methods]
        return {"code": "OK", "services": services}
    except grpc.RpcError as error:
        return outcome(None, [], error)


def health(step):
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    try:
        request = health_pb2.HealthCheckRequest(service=step.get("service", ""))
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=10)
        return {"code": "OK", "status": health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}
    except grpc.RpcError as error:
        return outcome(None, [], error)


def watch(step):
    """Writes a file after the first answer, and goes on until the server ends the stream, or it has heard enough."""
    import pathlib

    from grpc_health.v1 import health_pb2, health_pb2_grpc

    statuses = []
    call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=step.get("service", "")), timeout=30)
    try:
        for answer in call:
            statuses.append(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
            if "marker" in step:
                pathlib.Path(step["marker"]).touch()
            if len(statuses) == step.get("most"):
                call.cancel()
        return {"code": call.code().name, "statuses": statuses}
    except grpc.RpcError as error:
        return {"code": error.code().name, "statuses": statuses}


def by_name(step):
    """The messages are those that reflection describes."""
    from google.protobuf import json_format
    from google.protobuf.message_factory import GetMessageClass

    pool = reflected()[1]
    service, method = step.get("path", f"/latchwork.invoke.v1.Invoke/{step.get('method')}").strip("/").split("/")
    service = pool.FindServiceByName(service)
    method = service.FindMethodByName(method)
    request = json_format.ParseDict(step["request"], GetMessageClass(method.input_type)())
    reader = GetMessageClass(method.output_type).FromString
    path, options = f"/{service.full_name}/{method.name}", {"timeout": step.get("timeout", 20)}
    options["metadata"] = list(step.get("metadata", {}).items())
    answers = []
    try:
        if method.server_streaming:
            call = channel.unary_stream(path, type(request).SerializeToString, reader)(request, **options)
            answers.extend(call)
        else:
            answer, call = channel.unary_unary(path, type(request).SerializeToString, reader).with_call(request, **options)
            answers.append(answer)
        result = outcome(call, [])
    except grpc.RpcError as error:
        result = outcome(None, [], error)
    shown = [json_format.MessageToDict(answer, preserving_proto_field_name=True) for answer in answers]
    return {**result, "answers": shown}


KINDS = {"native": native, "reflection": reflection, "health": health, "watch": watch, "by_name": by_name}
for step in plan["steps"]:
    began = time.monotonic()
    result = KINDS[step["kind"]](step)
    print(json.dumps({**result, "seconds": time.monotonic() - began}), flush=True)
channel.close()
