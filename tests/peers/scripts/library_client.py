"""A client of grpcio with the compiled messages: does each step of a file (JSON) and prints what came back, one per line."""
import json
import pathlib
import sys

import grpc
from google.protobuf import json_format

folder, url, ca, plan = sys.argv[1:5]
sys.path.insert(0, folder)
import library_pb2 as pb2

credentials = grpc.ssl_channel_credentials(pathlib.Path(ca).read_bytes())
channel = grpc.secure_channel(url.removeprefix("https://"), credentials)
service = pb2.DESCRIPTOR.services_by_name["Library"]


def text(metadata):
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def done(step):
    method = service.methods_by_name[step["method"]]
    request = json_format.ParseDict(step["request"], getattr(pb2, method.input_type.name)())
    output = json_format.MessageToDict
    from google.protobuf.message_factory import GetMessageClass

    reader = GetMessageClass(method.output_type).FromString
    path, answers = f"/{service.full_name}/{method.name}", []
    make = channel.unary_stream if method.server_streaming else channel.unary_unary
    call = make(path, type(request).SerializeToString, reader)
    try:
        if method.server_streaming:
            under_way = call(request, timeout=20)
            answers.extend(under_way)
        else:
            answer, under_way = call.with_call(request, timeout=20)
            answers.append(answer)
        failed = under_way
    except grpc.RpcError as error:
        failed = error
    return {
        "code": failed.code().name,
        "details": failed.details(),
        "answers": [output(answer) for answer in answers],
        "initial": text(failed.initial_metadata()),
    }


for step in json.loads(pathlib.Path(plan).read_text()):
    print(json.dumps(done(step)), flush=True)
channel.close()
