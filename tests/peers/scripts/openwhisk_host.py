"""The host of an OpenWhisk interface, for tests: it takes what the interface's source takes, and refuses the rest. A lie is
said on standard error. The standard library only.

Arguments: the key (uuid:key) and the secret of web actions. Prints one line of JSON when it listens: {"url"}.
Actions: shop/echo (says its parameters), shop/fail (fails), shop/slow (outlives the host's patience), shop/never (never ends),
shop/large (says much), shop/busy (too many run); web describe, bytes (says its body), fail and silent.
"""
import base64
import json
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY, SECRET = sys.argv[1:]
BASIC = "Basic " + base64.b64encode(KEY.encode()).decode()
POLLS_BEFORE_DONE = 2
lock = threading.Lock()
activations, polls = {}, {}


def record(number, result, status="success"):
    return {
        "activationId": f"{number:032x}", "duration": 5, "logs": [],
        "annotations": [{"key": "waitTime", "value": 1}, {"key": "initTime", "value": 30}],
        "response": {"result": result, "status": status, "success": status == "success"},
    }


class Host(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        place = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(place.query))
        parts = [urllib.parse.unquote(part) for part in place.path.split("/")[1:]]
        if parts[:3] == ["api", "v1", "web"]:
            self.web(parts[3:], place.query, body)
        elif self.headers.get("authorization") != BASIC:
            print(f"{self.path}: another key", file=sys.stderr, flush=True)
            self.answer(401, {"error": "The supplied authentication is invalid"})
        elif parts[:4] == ["api", "v1", "namespaces", "_"] and parts[4:5] == ["activations"] and self.command == "GET":
            self.activation(parts[5])
        elif parts[:5] == ["api", "v1", "namespaces", "_", "actions"] and self.command == "POST":
            self.action("/".join(parts[5:]), query, json.loads(body))
        else:
            self.answer(404, {"error": "The requested resource does not exist."})

    do_GET = do_POST = handle_any

    def action(self, name, query, parameters):
        if set(query) != {"blocking"} or not isinstance(parameters, dict):
            print(f"{self.path}: {parameters}", file=sys.stderr, flush=True)
            return self.answer(400, {"error": "malformed"})
        known = {
            "shop/echo": lambda: ({"name": name, "parameters": parameters}, "success"),
            "shop/slow": lambda: ({"late": True}, "success"),
            "shop/never": lambda: ({}, "success"),
            "shop/large": lambda: ({"text": "x" * 200_000}, "success"),
            "shop/fail": lambda: ({"error": "inside"}, "action developer error"),
        }
        if name == "shop/busy":
            return self.answer(429, {"error": "Too many requests in the last minute (count: 61, allowed: 60)."})
        if name not in known:
            return self.answer(404, {"error": "The requested resource does not exist."})
        with lock:
            number = len(activations) + 1
            made = record(number, *known[name]())
            activations[made["activationId"]] = made if name != "shop/never" else None
        headers = [("x-openwhisk-activation-id", made["activationId"])]
        if query["blocking"] == "false" or name in ("shop/slow", "shop/never"):
            return self.answer(202, {"activationId": made["activationId"]}, headers)
        self.answer(200 if made["response"]["success"] else 502, made, headers)

    def activation(self, identity):
        with lock:
            polls[identity] = polls.get(identity, 0) + 1
            done = activations.get(identity) and polls[identity] > POLLS_BEFORE_DONE
        self.answer(200, activations[identity]) if done else self.answer(404, {"error": "The requested resource does not exist."})

    def web(self, parts, query, body):
        if parts[:2] != ["guest", "default"] or parts[2] not in ("describe.http", "bytes.http", "fail.http", "silent.http"):
            return self.answer(404, {"error": "The requested resource does not exist."})
        if self.headers.get("x-require-whisk-auth") != SECRET:
            print(f"{self.path}: another secret", file=sys.stderr, flush=True)
            return self.answer(401, {"error": "Authentication is required"})
        if parts[2] == "fail.http":
            return self.answer(502, {"error": "inside"}, [("x-openwhisk-activation-id", "0" * 32)])
        if parts[2] == "silent.http":
            threading.Event().wait()
        if parts[2] == "bytes.http":
            self.send_response(200)
            self.send_header("content-type", self.headers["content-type"])
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            return self.wfile.write(body)
        said = {"method": self.command.lower(), "path": "/" + "/".join(parts[3:]), "query": query, "body": body.decode()}
        self.answer(201, said, [("x-openwhisk-activation-id", "0" * 32)])


server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
server.serve_forever()
