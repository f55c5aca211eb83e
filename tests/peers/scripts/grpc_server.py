"""An unchanged gRPC service with methods of all four shapes; says what it was given, and remembers who left."""
import concurrent.futures
import json
import os
import threading

import grpc

left = []


def told(context):
    metadata = [[key, value if isinstance(value, str) else value.hex()] for key, value in context.invocation_metadata()]
    return json.dumps({"metadata": metadata, "remaining": context.time_remaining()}).encode()


def create(request, context):
    context.send_initial_metadata((("x-initial", "1"), ("x-initial-bin", b"\x00\xff")))
    context.set_trailing_metadata((("x-trailing", "2"), ("x-trailing-bin", b"\xff\x00")))
    return told(context) if request == b"tell" else request


def listed(request, context):
    for index in range(3):
        yield request + str(index).encode()
    context.set_trailing_metadata((("x-trailing", "listed"),))


def upload(requests, context):
    return b"".join(requests)


def chat(requests, context):
    for request in requests:
        yield b"re: " + request


def each(request, context):
    for _ in range(3):
        yield request


def fail(request, context):
    # `google.rpc.Status` with code 8 and a text, as bytes.
    context.set_trailing_metadata((("grpc-status-details-bin", b"\x08\x08\x12\x05quota"), ("x-why", "quota")))
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "quota: 100 % used")


def wait(request, context):
    over = threading.Event()

    def ended():
        left.append(request.decode())
        over.set()

    context.add_callback(ended)
    yield b"waiting"
    over.wait()


def who_left(request, context):
    return json.dumps(left).encode()


METHODS = {
    "/shop.v1.Orders/Create": grpc.unary_unary_rpc_method_handler(create),
    "/shop.v1.Orders/Plain": grpc.unary_unary_rpc_method_handler(create),
    "/shop.v1.Orders/Torn": grpc.unary_unary_rpc_method_handler(lambda request, context: b"\xff"),
    "/shop.v1.Orders/Each": grpc.unary_stream_rpc_method_handler(each),
    "/shop.v1.Orders/List": grpc.unary_stream_rpc_method_handler(listed),
    "/shop.v1.Orders/Upload": grpc.stream_unary_rpc_method_handler(upload),
    "/shop.v1.Orders/Chat": grpc.stream_stream_rpc_method_handler(chat),
    "/shop.v1.Orders/Fail": grpc.unary_unary_rpc_method_handler(fail),
    "/shop.v1.Orders/Leave": grpc.unary_unary_rpc_method_handler(lambda request, context: os._exit(7)),
    "/shop.v1.Orders/Wait": grpc.unary_stream_rpc_method_handler(wait),
    "/shop.v1.Orders/Short": grpc.unary_stream_rpc_method_handler(wait),
    "/shop.v1.Orders/WhoLeft": grpc.unary_unary_rpc_method_handler(who_left),
}


class Orders(grpc.GenericRpcHandler):
    def service(self, details):
        return METHODS.get(details.method)


server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((Orders(),))
# Told its port by whoever starts it, or telling it.
port = server.add_insecure_port(f"127.0.0.1:{os.environ.get('PORT', 0)}")
server.start()
print(json.dumps({"port": port}), flush=True)
server.wait_for_termination()
