"""What stands in front of functions of Knative, for tests: an ingress that routes by host and starts the function with the
first call, and a broker that reads events with the project's own library. A lie is said on standard error.

Argument: the token that the broker takes. Prints one line of JSON when it listens: {"url"}.
Hosts: `orders.shop.example.com` is the function, `busy.…` has a full queue, `late.…` is given up, others do not exist. Brokers:
`/shop/default` delivers to the function, `/shop/limited` takes no more, `/shop/silent` says nothing, others do not exist. `/counts`
says what was done.
"""
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.core.bindings import http as events

TOKEN = sys.argv[1]
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "date", "server"}
lock = threading.Lock()
counts = {"starts": 0, "delivered": []}
function = port = None


def lie(text):
    print(text, file=sys.stderr, flush=True)


def started():
    """Starts the function from nothing, once."""
    global function, port
    with lock:
        while function is None or function.poll() is not None:
            # It can't take port 0, and another program may take the port that was free: then it ends.
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            script = pathlib.Path(__file__).with_name("function_knative.py")
            environment = {**os.environ, "LISTEN_ADDRESS": f"127.0.0.1:{port}"}
            function = subprocess.Popen([sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL)
            counts["starts"] = 1
            while function.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    return
                except OSError:
                    time.sleep(0.02)


def call(method, path, headers, body):
    started()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    said = answer.status, [(n, v) for n, v in answer.getheaders() if n.lower() not in HOP], answer.read()
    connection.close()
    return said


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def terse(self, status, text):
        self.answer(status, [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")], text)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        host = self.headers["host"]
        if self.path == "/counts":
            return self.answer(200, (), json.dumps(counts).encode())
        own = [n for n in self.headers if n.lower().replace("_", "-").startswith(("k-", "knative-"))]
        if own:
            lie(f"only the platform says {own}")
        if host.startswith("127.0.0.1"):
            self.broker(body)
        elif host == "orders.shop.example.com":
            headers = {n: v for n, v in self.headers.items() if n.lower() not in HOP}
            self.answer(*call(self.command, self.path, headers, body))
        elif host == "busy.shop.example.com":
            self.terse(503, b"pending request queue full")
        elif host == "late.shop.example.com":
            self.answer(504, [("content-type", "text/plain")], b"request timeout")
        else:
            self.answer(404)

    do_GET = do_POST = handle_any

    def broker(self, body):
        if self.headers["authorization"] != f"Bearer {TOKEN}":
            return self.answer(401)
        if self.path == "/shop/limited":
            return self.answer(429, [("retry-after", "9")])
        if self.path == "/shop/silent":
            threading.Event().wait()
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            event = events.from_http_event(events.HTTPMessage(headers=headers, body=body))
        except Exception as error:  # whatever the library does not take is no event
            lie(f"no event: {error}")
            return self.answer(400)
        if self.path != "/shop/default":
            return self.answer(404)
        if self.command != "POST" or event.get_id() != headers.get("latchwork-call-id"):
            lie(f"{self.command} {headers}")
        self.answer(202, [("allow", "POST, OPTIONS")])
        threading.Thread(target=self.deliver, args=(event,)).start()

    def deliver(self, event):
        message = events.to_binary_event(event)
        status, _, _ = call("POST", "/", message.headers, message.body)
        with lock:
            counts["delivered"].append([event.get_id(), event.get_type(), status])


server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
server.daemon_threads = True
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
server.serve_forever()
