"""The service of library.proto, compiled here: says what it was given, and fails as it is told."""
import concurrent.futures
import http.server
import importlib
import json
import pathlib
import sys
import threading
import urllib.parse

import google.api.annotations_pb2
import google.rpc.error_details_pb2 as details
import grpc
from google.protobuf import any_pb2, json_format
from google.rpc import status_pb2
from grpc_status import rpc_status
from grpc_tools import protoc

# A folder for what is compiled; the descriptors are left there.
folder = pathlib.Path(sys.argv[1])
source = pathlib.Path(__file__).with_name("library.proto")
# The annotations are beside their compiled form; those of Google's own types are with the compiler.
known = pathlib.Path(google.api.annotations_pb2.__file__).parents[2]
own = pathlib.Path(protoc.__file__).with_name("_proto")
written = [f"--python_out={folder}", f"--grpc_python_out={folder}", f"--descriptor_set_out={folder / 'library.binpb'}"]
paths = [f"-I{source.parent}", f"-I{known}", f"-I{own}"]
assert protoc.main(["protoc", *paths, *written, "--include_imports", source.name]) == 0
sys.path.insert(0, str(folder))
pb2 = importlib.import_module("library_pb2")
pb2_grpc = importlib.import_module("library_pb2_grpc")


def heard(method, request, context):
    metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
    everything = request if isinstance(request, pb2.Everything) else None
    context.send_initial_metadata((("x-shelf", "7"), ("etag", '"7"')))
    context.set_trailing_metadata((("x-trailing", "2"), ("x-shelf", "8")))
    return pb2.Heard(
        method=method,
        message=request.SerializeToString(deterministic=True),
        metadata=metadata,
        everything=everything,
        json=json_format.MessageToJson(request, indent=None, sort_keys=True),
    )


def echo(method):
    return lambda self, request, context: heard(method, request, context)


def end(context, code, message, texts=()):
    packed = []
    for text in texts:
        if text == "retry":
            message_ = details.RetryInfo()
            message_.retry_delay.FromMilliseconds(1500)
        elif text == "debug":
            message_ = details.DebugInfo(stack_entries=["secret.py:1"], detail="secret")
        else:
            message_ = details.ErrorInfo(reason=text, domain="library", metadata={"shelf": "7"})
        any_ = any_pb2.Any()
        any_.Pack(message_)
        packed.append(any_)
    context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=code, message=message, details=packed)))


class Library(pb2_grpc.LibraryServicer):
    CreateBook = echo("CreateBook")
    UpdateBook = echo("UpdateBook")
    ReplaceBook = echo("ReplaceBook")
    Anything = echo("Anything")

    def GetBook(self, request, context):
        if request.name.endswith("/silent"):
            threading.Event().wait()
        return heard("GetBook", request, context)

    def DeleteBook(self, request, context):
        from google.protobuf import empty_pb2

        return empty_pb2.Empty()

    def Titles(self, request, context):
        return pb2.TitleList(titles=request.fields)

    def Upload(self, request, context):
        from google.api import httpbody_pb2

        kind = request.cover.content_type
        return httpbody_pb2.HttpBody(content_type=kind, data=request.cover.data + request.note.encode())

    def Watch(self, request, context):
        for number in range(request.count):
            yield pb2.Book(name=request.name, pages=number)
        if request.code:
            end(context, request.code, "the shelf fell", ["fallen"])

    def Download(self, request, context):
        from google.api import httpbody_pb2

        for number in range(request.count):
            yield httpbody_pb2.HttpBody(content_type="image/x-cover", data=bytes([number, 255]))
        if request.code:
            end(context, request.code, "the shelf fell")

    def Fail(self, request, context):
        end(context, request.code, request.message, request.details)

    def Chat(self, requests, context):
        yield from requests


class Functions(http.server.BaseHTTPRequestHandler):
    """The same service for callers of HTTP: JSON by its annotations, messages as they are, lines, events and lists."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, kind, body, chunks=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("X-Shelf", "7")
        if chunks is None:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in [body] if chunks is None else chunks:
            self.wfile.write(chunk if chunks is None else b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if chunks is not None:
            self.wfile.write(b"0\r\n\r\n")

    def message(self, message):
        self.answer(200, "application/json", json_format.MessageToJson(message).encode())

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.headers.get("Content-Type", "")
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/library.v1.Library/Anything":
            if kind == "application/protobuf":
                request = pb2.Everything.FromString(body)
            else:
                request = json_format.Parse(body, pb2.Everything())
            heard = pb2.Heard(everything=request, message=request.SerializeToString(deterministic=True))
            if kind == "application/protobuf":
                return self.answer(200, kind, heard.SerializeToString())
            return self.message(heard)
        if url.path.startswith("/v1/fail/"):
            code = int(url.path.rsplit("/", 1)[1])
            if query.get("message") == "page":
                return self.answer(code, "text/html", b"<h1>secret.py line 1</h1>")
            error = {"code": code, "message": query.get("message", ""), "status": ",".join(query.get("details", "").split())}
            return self.answer(code, "application/json", json.dumps({"error": error}).encode())
        if url.path.startswith("/v1/covers/") and self.command == "POST":
            return self.answer(200, kind, body + query.get("note", "").encode())
        if url.path.endswith(":watch"):
            return self.watch(url.path.split("/")[3], int(query.get("count", 0)), int(query.get("code", 0)))
        if url.path.endswith("/silent"):
            threading.Event().wait()
        metadata = {key.lower(): value for key, value in self.headers.items()}
        self.message(pb2.Heard(method=f"{self.command} {self.path}", json=body.decode(), metadata=metadata))

    def watch(self, form, count, code):
        books = [json.dumps({"name": form, "pages": str(number), "added": "later"}).encode() for number in range(count)]
        error = json.dumps({"error": {"code": code, "message": "the shelf fell", "status": "NOT_FOUND"}}).encode()
        if form == "list:watch":
            return self.answer(200, "application/json", b"[" + b",".join(books) + b"]")
        if form == "events:watch":
            chunks = [b": hello\n\n"] + [b"data: " + book + b"\n\n" for book in books]
            return self.answer(200, "text/event-stream", b"", chunks + ([b"event: error\ndata: " + error + b"\n\n"] if code else []))
        # Divided where no line ends.
        lines = b"\n".join(books + ([error] if code else []))
        self.answer(200, "application/x-ndjson", b"", [lines[:7], lines[7:]] if lines[7:] else [])

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any


server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
pb2_grpc.add_LibraryServicer_to_server(Library(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
functions = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Functions)
threading.Thread(target=functions.serve_forever, daemon=True).start()
print(json.dumps({"port": port, "http": functions.server_address[1]}), flush=True)
server.wait_for_termination()
