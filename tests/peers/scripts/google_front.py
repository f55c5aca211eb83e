"""What stands in front of functions at Google Cloud, for tests: whatever must be proved is verified by the provider's own
library (google-auth). A lie is answered 401 and said on standard error.

Arguments: the function's URL, and a folder that the key files of a service account and of federation are written into.
Prints one line of JSON when it listens: {"url"}. GET /counts says how many tokens were issued.
"""
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

FUNCTION, FOLDER = sys.argv[1:]
ACCOUNT = "shop@project.iam.gserviceaccount.com"
TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"
PASSED = ("content-type", "traceparent", "latchwork-caller", "ce-id", "ce-type", "ce-source", "ce-specversion", "ce-time")
counts = {"tokens": 0, "functions": 0}


def pair():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    return private, public


account_private, account_public = pair()
issuer_private, issuer_public = pair()
signer = crypt.RSASigner.from_string(issuer_private, key_id="issuer")


def id_token(audience):
    counts["tokens"] += 1
    now = int(time.time())
    claims = {"iss": "https://accounts.google.com", "aud": audience, "sub": "1", "email": ACCOUNT, "iat": now, "exp": now + 3600}
    return jwt.encode(signer, claims).decode()


class Lie(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Lie(why)


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def json(self, value):
        self.answer(200, json.dumps(value).encode(), {"content-type": "application/json"})

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        place = urllib.parse.urlparse(self.path)
        try:
            if place.path == "/counts":
                self.json(counts)
            elif place.path == "/token":
                self.exchange(dict(urllib.parse.parse_qsl(body.decode())))
            elif place.path == "/computeMetadata/v1/instance/service-accounts/default/identity":
                need(self.headers.get("metadata-flavor") == "Google", "no metadata flavor")
                audience = dict(urllib.parse.parse_qsl(place.query))["audience"]
                self.answer(200, id_token(audience).encode(), {"metadata-flavor": "Google", "content-type": "text/html"})
            else:
                self.function(body)
        except (Lie, KeyError, ValueError) as lie:
            print(f"{self.path}: {lie!r}", file=sys.stderr, flush=True)
            page = b"<html><title>401 Unauthorized</title>Your client does not have permission</html>"
            self.answer(401, page, {"content-type": "text/html", "www-authenticate": 'Bearer error="invalid_token"'})

    do_GET = do_POST = handle_any

    def exchange(self, form):
        need(form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer", "another grant")
        claims = jwt.decode(form["assertion"], certs={"account": account_public}, audience=TOKEN_AUDIENCE)
        need(claims["iss"] == ACCOUNT and claims["exp"] - claims["iat"] == 3600, claims)
        self.json({"id_token": id_token(claims["target_audience"])})

    def function(self, body):
        own = self.headers.get("x-serverless-authorization") or self.headers.get("authorization") or ""
        need(own.startswith("Bearer "), "no token")
        claims = jwt.decode(own.removeprefix("Bearer "), certs={"issuer": issuer_public}, audience=url)
        need(claims["email"] == ACCOUNT, claims)
        counts["functions"] += 1
        headers = {name: self.headers[name] for name in PASSED if name in self.headers}
        if self.path.startswith("/throttled"):
            self.answer(429, b"Rate exceeded.", {"content-type": "text/html", "retry-after": "7"})
            return
        asked = urllib.request.Request(FUNCTION + self.path, data=body, headers=headers, method=self.command)
        try:
            said = urllib.request.urlopen(asked)
        except urllib.error.HTTPError as error:
            said = error
        passed = {name: said.headers[name] for name in ("content-type", "x-google-status") if name in said.headers}
        if "content-length" in said.headers:
            return self.answer(said.status, said.read(), passed)
        # Passed on as it comes.
        self.send_response(said.status)
        for name, value in {**passed, "transfer-encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        while piece := said.read1(65536):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
url = f"http://127.0.0.1:{server.server_port}"
with open(f"{FOLDER}/account.json", "w") as file:
    json.dump(
        {"type": "service_account", "client_email": ACCOUNT, "private_key_id": "account", "private_key": account_private,
         "token_uri": f"{url}/token"}, file)
with open(f"{FOLDER}/stranger.json", "w") as file:
    json.dump(
        {"type": "service_account", "client_email": ACCOUNT, "private_key_id": "account", "private_key": issuer_private,
         "token_uri": f"{url}/token"}, file)
print(json.dumps({"url": url}), flush=True)
server.serve_forever()
