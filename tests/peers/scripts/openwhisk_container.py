"""An action container of OpenWhisk, for tests: it takes what the platform's own containers take, checks the rest of the
contract, and runs the Python code that it is given. A lie is said on standard error. The standard library only.

Argument: the port. It ends each activation's log with the line that containers end it with.
"""
import base64
import json
import os
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

END = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
main = None


def lie(words):
    print(f"a lie: {words}", file=sys.stderr, flush=True)


def texts(message, names):
    for name in names:
        if not isinstance(message.get(name), str):
            lie(f"`{name}` is {message.get(name)!r}")


class Container(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        if self.headers.get("content-type") != "application/json":
            lie(f"the body is {self.headers.get('content-type')}")
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        {"/init": self.init, "/run": self.run}.get(self.path, lambda _: self.answer(404, {"error": "no"}))(message)

    def init(self, message):
        global main
        value = message["value"]
        texts(value, ["name", "main", "code"])
        if not isinstance(value.get("binary"), bool) or not isinstance(value.get("env"), dict):
            lie(f"`binary` is {value.get('binary')!r}, `env` is {value.get('env')!r}")
        if main is not None:
            lie("it is initialised twice")
            return self.answer(403, {"error": "Cannot initialize the action more than once."})
        os.environ.update(value["env"])
        code = base64.b64decode(value["code"]) if value["binary"] else value["code"]
        scope = {}
        try:
            exec(code, scope)
            main = scope[value["main"]]
        except Exception as error:
            return self.answer(502, {"error": f"Initialization has failed due to: {error}"})
        self.answer(200, {"ok": True})

    def run(self, message):
        texts(message, ["namespace", "action_name", "action_version", "activation_id", "deadline", "api_key"])
        if not re.fullmatch("[0-9a-f]{32}", message["activation_id"]):
            lie(f"the activation's id is {message['activation_id']}")
        if not 0 < int(message["deadline"]) / 1000 - time.time() < 3600:
            lie(f"the deadline is {message['deadline']}")
        if not isinstance(message["value"], dict):
            lie(f"the parameters are {message['value']!r}")
        for name, value in message.items():
            if isinstance(value, str):
                os.environ["__OW_" + name.upper()] = value
        try:
            result = main(message["value"])
        except Exception as error:
            status, result = 502, {"error": f"An error has occurred: {error}"}
        else:
            status = 200 if isinstance(result, dict) else 502
            result = result if status == 200 else {"error": "The action did not return a dictionary."}
        for stream in (sys.stdout, sys.stderr):
            print(END, file=stream, flush=True)
        self.answer(status, result)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Container).serve_forever()
