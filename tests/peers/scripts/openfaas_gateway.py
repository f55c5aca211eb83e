"""The gateway of OpenFaaS and what stands before each function, for tests: they do as their source does. A lie is said on
standard error. The standard library only.

Arguments: the function's URL, user and password. Prints one line of JSON when it listens: {"url"}.
Functions: `orders.shop` runs, `echo` says what it was sent, `dead` can't be reached, `stuck` never starts, `late` runs into its
time limit, `busy` takes no more calls, `stream` sends parts, others do not exist.
"""
import base64
import http.client
import json
import re
import sys
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UPSTREAM, USER, PASSWORD = sys.argv[1:]
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
QUEUED_BYTES_MAX = 1024 * 1024
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "date", "server"}
RAN = ("X-Duration-Seconds", "0.012345")


def lie(text):
    print(text, file=sys.stderr, flush=True)


def call(url, method, path, headers, body):
    place = urllib.parse.urlparse(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    said = answer.status, [(n, v) for n, v in answer.getheaders() if n.lower() not in HOP], answer.read()
    connection.close()
    return said


class Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        served = [("X-Start-Time", str(time.time_ns())), ("X-Served-By", "openfaas-ce/0.27.12")]
        for name, text in [*headers, *served]:
            self.send_header(name, text)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def text(self, status, text, *headers):
        self.answer(status, [("content-type", "text/plain; charset=utf-8"), *headers], text.encode())

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.check()
        if self.headers["authorization"] != BASIC:
            return self.text(401, "invalid credentials", ("WWW-Authenticate", 'Basic realm="Restricted"'))
        place, _, rest = self.path.partition("?")[0].lstrip("/").partition("/")
        name, _, path = rest.partition("/")
        query = self.path.partition("?")[2]
        target = f"/{path}" + (f"?{query}" if query else "")
        if place == "function":
            self.run(name, target, body)
        elif place == "async-function" and self.command == "POST":
            self.queue(name, target, body)
        else:
            self.text(404, "404 page not found", ("x-content-type-options", "nosniff"))

    do_GET = do_POST = do_PUT = handle_any

    def check(self):
        """What no client of this gateway says, or what only a client would."""
        try:
            uuid.UUID(self.headers["x-call-id"])
        except (TypeError, ValueError):
            lie(f"x-call-id: {self.headers['x-call-id']}")
        if self.headers["x-call-id"] != self.headers["latchwork-call-id"]:
            lie("another call's id")
        names = [name.lower().replace("_", "-") for name in self.headers]
        odd = [n for n in names if n == "x-start-time" or n.startswith("x-function-")]
        timeouts = self.headers.get_all("x-timeout", [])
        if len(timeouts) != self.path.startswith("/function/") or not all(re.fullmatch("[0-9]{4,5}ms", t) for t in timeouts):
            lie(f"x-timeout: {timeouts}")
        if odd or len(self.headers.get_all("x-callback-url", [])) > 1:
            lie(f"only the platform says {odd}")

    def forwarded(self):
        return {n: v for n, v in self.headers.items() if n.lower() not in HOP | {"host", "authorization"}}

    def run(self, name, target, body):
        if name == "orders.shop":
            status, headers, said = call(UPSTREAM, self.command, target, self.forwarded(), body)
            self.answer(status, [*headers, RAN], said)
        elif name == "echo":
            self.answer(200, [("content-type", self.headers["content-type"]), RAN], body)
        elif name == "dead":
            self.answer(502)
        elif name == "stuck":
            self.answer(200)
        elif name == "late":
            self.answer(504, [RAN, ("X-OpenFaaS-Internal", "of-watchdog")])
        elif name == "busy":
            self.text(429, "Concurrent request limit exceeded. Max concurrent requests: 1", ("retry-after", "4"))
        elif name == "stream":
            self.stream()
        else:
            self.text(404, f"error finding function {name}.openfaas-fn: not found")

    def stream(self):
        self.send_response(200)
        for field in [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]:
            self.send_header(*field)
        self.end_headers()
        for part in [b"data: 1\n\n", b"data: 2\n\n", b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()

    def queue(self, name, target, body):
        if len(body) > QUEUED_BYTES_MAX:
            return self.text(413, "request body too large")
        callback, call_id = self.headers["x-callback-url"], self.headers["x-call-id"]
        self.answer(202, [("X-Call-Id", call_id)])
        method, headers = self.command, self.forwarded()

        def work():
            status, _, said = call(UPSTREAM, method, target, headers, body)
            result = {"X-Call-Id": call_id, "X-Function-Status": str(status), "X-Function-Name": name, RAN[0]: RAN[1]}
            if callback:
                call(callback, "POST", urllib.parse.urlparse(callback).path, result, said)

        threading.Thread(target=work).start()


server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
server.daemon_threads = True
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
server.serve_forever()
