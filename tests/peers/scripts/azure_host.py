"""The host of Azure Functions, for tests: it verifies keys and answers for itself as the host's source does. What no gateway should
tell it is said on standard error. The standard library only.

Arguments: the key of the functions, and the app's master key. Prints one line of JSON when it listens: {"url"}.
Functions with an HTTP trigger under /api/; `restock` without one. GET /go lets `stream` go on, GET /started says what was started.
"""
import json
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FUNCTION_KEY, MASTER_KEY = sys.argv[1:]
GO = threading.Event()
started = []


def lie(words):
    print(f"a lie: {words}", file=sys.stderr, flush=True)


class Host(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.place = urllib.parse.urlparse(self.path)
        parts = self.place.path.split("/")[1:]
        # What stands in front of the host sets these of whom it knows.
        for name in ("x-ms-client-principal", "x-ms-client-principal-id", "x-zumo-auth", "x-functions-clientid"):
            if name in self.headers:
                lie(f"{self.path}: {name}")
        if self.path == "/go":
            GO.set()
            self.say(204)
        elif self.path == "/started":
            self.say(200, json.dumps(started).encode(), content_type="application/json")
        elif parts[:2] == ["admin", "functions"]:
            self.admin(parts[2])
        elif parts[0] != "api":
            self.say(404)
        elif self.key() not in (FUNCTION_KEY, MASTER_KEY):
            self.say(401)
        else:
            self.function(parts[1])

    do_GET = do_POST = do_PUT = handle_any

    def key(self):
        """The key in the header counts before the one in the query."""
        keys = self.headers.get_all("x-functions-key", [])
        if len(keys) > 1:
            lie(f"{self.path}: {len(keys)} keys")
        query = urllib.parse.parse_qs(self.place.query)
        return keys[0] if keys else query.get("code", [None])[0]

    def admin(self, name):
        if self.key() != MASTER_KEY:
            return self.say(401)
        if name == "silent":
            threading.Event().wait()
        if name != "restock":
            return self.say(404)
        told = json.loads(self.body)
        if self.command != "POST" or list(told) != ["input"] or not isinstance(told["input"], str):
            lie(f"{self.command} {self.path}: {told}")
        started.append(told["input"])
        self.say(202)

    def function(self, name):
        if name == "orders":
            said = {"method": self.command, "path": self.path, "body": self.body.decode(),
                    "headers": {name.lower(): value for name, value in self.headers.items()}}
            self.say(201, json.dumps(said).encode(), content_type="application/json", x_function="orders")
        elif name == "bytes":
            self.say(200, self.body, content_type=self.headers["content-type"])
        elif name == "fail":
            # Of a function that throws the host says nothing.
            self.say(500)
        elif name == "own":
            self.say(429, b'{"own":true}', content_type="application/json")
        elif name == "busy":
            self.say(429, retry_after="7")
        elif name == "starting":
            self.say(503, b"Function host is not running.")
        elif name == "silent":
            threading.Event().wait()
        elif name == "stream":
            self.stream()
        else:
            self.say(404)

    def stream(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for text in (b"data: 1\n\n", b"data: 2\n\n"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
            if not GO.wait(60):
                lie("nobody saw the first half")
        self.wfile.write(b"0\r\n\r\n")


server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
server.serve_forever()
