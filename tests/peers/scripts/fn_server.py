"""An Fn server in front of a function's kit, or Oracle Cloud in front of that, for tests: they take what the server's source
and the provider's own library take, and refuse the rest. A lie is said on standard error.

Arguments: the kit's socket, and either `fn TOKEN`, or `oracle FOLDER`, where it puts `key.pem`, a user's, and `stranger.pem`;
requests are then verified by the provider's own library. Prints one line of JSON when it listens: {"url"}.
Functions by id: `function` runs, `busy` and `limited` take no more calls, others do not exist.
"""
import base64
import datetime
import email.utils
import hashlib
import http.client
import json
import re
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SOCKET, MODE, SECRET = sys.argv[1:]
ORACLE = MODE == "oracle"
KEY_ID = "ocid1.tenancy.oc1..bbb/ocid1.user.oc1..aaa/20:3b:97"
PREFIX, SUFFIX = ("/20260325/functions/ocid1.fnfunc.oc1.iad.", "/actions/invoke") if ORACLE else ("/invoke/", "")
REQUEST_BYTES_MAX = 6 * 1024 * 1024
ANSWER_BYTES_MAX = 1024 * 1024
KIT_SECONDS_MAX = 60
SLOW_SECONDS_MAX = 1
SKEW_SECONDS_MAX = 300
SIGNED = "date (request-target) host content-length content-type x-content-sha256"
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"}

if ORACLE:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from oci._vendor import httpsig_cffi as httpsig

    PEM = serialization.Encoding.PEM
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
    forms = [serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8]
    for key, form, file in zip(keys, forms, ["key.pem", "stranger.pem"]):
        with open(f"{SECRET}/{file}", "wb") as out:
            out.write(key.private_bytes(PEM, form, serialization.NoEncryption()))
    PUBLIC = keys[0].public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class Kit(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def run(headers, body):
    """What the server makes of the kit's answer: status, headers, body."""
    kit = Kit("localhost", timeout=SLOW_SECONDS_MAX if body == b"slow" else KIT_SECONDS_MAX)
    try:
        kit.request("POST", "/call", body, headers)
        answer = kit.getresponse()
        said = answer.read()
    except TimeoutError:
        return 504, [], "Timed out"
    finally:
        kit.close()
    if answer.status == 504:
        return 504, [], "Timed out"
    if answer.status != 200:
        return 502, [], "function failed" if answer.status == 502 else "invalid function response"
    if len(said) > ANSWER_BYTES_MAX:
        return 502, [], "function response body too large"
    return 200, [(n, v) for n, v in answer.getheaders() if n.lower() not in HOP], said


def lie(text):
    print(text, file=sys.stderr, flush=True)


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        if isinstance(body, str):
            code = {401: "NotAuthenticated", 404: "NotAuthorizedOrNotFound"}.get(status, "FunctionInvokeExecutionFailed")
            body = json.dumps({"code": code, "message": body} if ORACLE else {"message": body}).encode()
            headers = [*headers, ("content-type", "application/json")]
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("fn-call-id", "01D9FV3CCRNG8G00GZJ0000CALL")
        if ORACLE:
            self.send_header("opc-request-id", f"{self.headers.get('opc-request-id')}/A/B")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def proven(self, body):
        said = self.headers.get("authorization", "")
        if not ORACLE:
            return said == f"Bearer {SECRET}"
        hashed = base64.b64encode(hashlib.sha256(body).digest()).decode()
        parts = dict(re.findall(r'(\w+)="([^"]*)"', said))
        if (parts.get("headers"), parts.get("keyId"), parts.get("version")) != (SIGNED, KEY_ID, "1"):
            lie(f"not what is to be signed: {parts}")
        if self.headers["x-content-sha256"] != hashed:
            lie("another body's hash")
        then = email.utils.parsedate_to_datetime(self.headers["date"])
        if abs((datetime.datetime.now(datetime.timezone.utc) - then).total_seconds()) > SKEW_SECONDS_MAX:
            lie(f"another time: {self.headers['date']}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        verifier = httpsig.HeaderVerifier(headers, PUBLIC, required_headers=SIGNED.split(), method="POST", path=self.path)
        return verifier.verify()

    def do_POST(self):
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if not self.proven(body):
            return self.answer(401, "who are you")
        if not (self.path.startswith(PREFIX) and self.path.endswith(SUFFIX)):
            return self.answer(404, "no such page")
        name = self.path[len(PREFIX):len(self.path) - len(SUFFIX)]
        self.check()
        if length > REQUEST_BYTES_MAX:
            return self.answer(413, "Request content too large")
        if name == "busy":
            return self.answer(503, "Timed out - server too busy", [("Retry-After", "15")])
        if name == "limited":
            return self.answer(429, "Too many requests submitted")
        if name != "function":
            return self.answer(404, "Fn not found")
        known = ("fn-", "content-type") if ORACLE else ("",)
        headers = {n: v for n, v in self.headers.items() if n.lower().startswith(known) and n.lower() not in HOP}
        headers.pop("authorization", None)
        headers["Fn-Call-Id"] = "01D9FV3CCRNG8G00GZJ0000CALL"
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=30)
        headers["Fn-Deadline"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        if self.headers["fn-invoke-type"] == "detached":
            self.answer(202)
            threading.Thread(target=run, args=(headers, body)).start()
        else:
            status, headers, said = run(headers, body)
            self.answer(status, said, headers)

    def check(self):
        """What no client of this interface says."""
        names = [name.lower() for name in self.headers]
        if self.headers["fn-invoke-type"] not in ("sync", "detached"):
            lie(f"fn-invoke-type: {self.headers['fn-invoke-type']}")
        if any(name.startswith("fn-http-h-fn-") or "_" in name for name in names):
            lie(f"headers: {names}")
        wrapped = [n for n in ("fn-http-method", "fn-http-request-url") if n in names]
        if len(wrapped) != (2 if self.headers.get("fn-intent") == "httprequest" else 0):
            lie(f"an intent without what belongs to it: {names}")
        known = {"accept", "authorization", "content-length", "content-type", "date", "host", "user-agent",
                 "opc-request-id", "x-content-sha256"}
        if ORACLE and (unknown := [n for n in names if n not in known and not n.startswith("fn-")]):
            lie(f"unknown headers: {unknown}")
        if ORACLE and not re.fullmatch("[0-9A-F]{32}", self.headers["opc-request-id"]):
            lie(f"opc-request-id: {self.headers['opc-request-id']}")


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
server.daemon_threads = True
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
server.serve_forever()
