"""Pub/Sub's REST interface, for tests. Assertions and tokens are verified by the provider's own library (google-auth), requests
are read by the provider's own messages (google-cloud-pubsub), which know no other fields. A lie is refused and said on standard
error.

Argument: a folder that the key files of a service account and of a stranger are written into.
Prints one line of JSON when it listens: {"url"}. GET /counts says how many tokens were issued.
"""
import json
import secrets
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google.protobuf import json_format
from google.pubsub_v1 import types

(FOLDER,) = sys.argv[1:]
ACCOUNT = "shop@project.iam.gserviceaccount.com"
TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/pubsub"
TOPIC = "projects/shop/topics/orders"
SUBSCRIPTION = "projects/shop/subscriptions/orders-sub"
# Topics that fail, and what the service says then.
FAILING = {
    "projects/shop/topics/busy": (429, "RESOURCE_EXHAUSTED"),
    "projects/shop/topics/down": (503, "UNAVAILABLE"),
    "projects/shop/topics/broken": (500, "INTERNAL"),
    "projects/shop/topics/foreign": (403, "PERMISSION_DENIED"),
}
counts = {"tokens": 0}
tokens = set()
messages = []
lock = threading.Lock()


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
stranger_private, _ = pair()


class Refusal(Exception):
    def __init__(self, status, name, why):
        super().__init__(why)
        self.status, self.name = status, name


def need(condition, why, status=400, name="INVALID_ARGUMENT"):
    if not condition:
        raise Refusal(status, name, why)


def issue():
    token = "ya29." + secrets.token_urlsafe(32)
    counts["tokens"] += 1
    tokens.add(token)
    return {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("content-type", "application/json; charset=UTF-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        place = urllib.parse.urlparse(self.path)
        try:
            if place.path == "/counts":
                self.answer(200, counts)
            elif place.path == "/token":
                self.answer(200, self.exchange(dict(urllib.parse.parse_qsl(body.decode()))))
            elif place.path == "/computeMetadata/v1/instance/service-accounts/default/token":
                need(self.headers.get("metadata-flavor") == "Google", "no metadata flavor")
                need(urllib.parse.parse_qs(place.query) == {"scopes": [SCOPE]}, place.query)
                self.answer(200, issue(), [("metadata-flavor", "Google")])
            else:
                self.known()
                name, verb = place.path.removeprefix("/v1/").rsplit(":", 1)
                self.answer(200, getattr(self, verb)(name, body))
        except (Refusal, KeyError, ValueError, AttributeError) as refusal:
            if not isinstance(refusal, Refusal):
                refusal = Refusal(400, "INVALID_ARGUMENT", repr(refusal))
            if refusal.status in (400, 401):
                print(f"{self.path}: {refusal}", file=sys.stderr, flush=True)
            message = f"Resource of project shop: {refusal}"
            self.answer(refusal.status, {"error": {"code": refusal.status, "message": message, "status": refusal.name}})

    do_GET = do_POST = handle_any

    def exchange(self, form):
        need(form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer", "another grant")
        claims = jwt.decode(form["assertion"], certs={"account": account_public}, audience=TOKEN_AUDIENCE)
        need(claims["iss"] == ACCOUNT and claims["exp"] - claims["iat"] == 3600, claims)
        need(claims["scope"] == SCOPE, claims)
        return issue()

    def known(self):
        own = self.headers.get("authorization") or ""
        need(own.startswith("Bearer "), "no token", 401, "UNAUTHENTICATED")
        token = own.removeprefix("Bearer ")
        if token in tokens:
            return
        # The provider's own client proves itself with its assertion.
        try:
            claims = jwt.decode(token, certs={"account": account_public})
        except ValueError as error:
            raise Refusal(401, "UNAUTHENTICATED", repr(error)) from error
        need(claims["iss"] == ACCOUNT, claims, 401, "UNAUTHENTICATED")

    def publish(self, topic, body):
        if topic in FAILING:
            raise Refusal(*FAILING[topic], "it fails")
        if topic == "projects/shop/topics/stuck":
            time.sleep(3600)
        need(topic == TOPIC, f"topic={topic}", 404, "NOT_FOUND")
        need(self.headers.get_content_type() == "application/json", "no JSON")
        need(len(body) <= 10_000_000, "the request is too large")
        request = json_format.Parse(body, types.PublishRequest.pb(types.PublishRequest()))
        need(1 <= len(request.messages) <= 1000, "so many messages")
        for message in request.messages:
            need(message.data or message.attributes, "an empty message")
            need(len(message.attributes) <= 100, "so many attributes")
            need(len(message.ordering_key.encode()) <= 1024, "a long ordering key")
            need(not message.message_id, "the service gives ids")
            for name, value in message.attributes.items():
                need(1 <= len(name.encode()) <= 256 and not name.startswith("goog"), f"an attribute `{name}`")
                need(len(value.encode()) <= 1024, "a long attribute")
        with lock:
            ids = []
            for message in request.messages:
                message.message_id = str(len(messages) + 1)
                messages.append(message)
                ids.append(message.message_id)
        return {"messageIds": ids}

    def pull(self, subscription, body):
        need(subscription == SUBSCRIPTION, subscription, 404, "NOT_FOUND")
        request = json_format.Parse(body, types.PullRequest.pb(types.PullRequest()))
        with lock:
            some, messages[:] = messages[:request.max_messages], messages[request.max_messages:]
        received = [types.ReceivedMessage.pb(types.ReceivedMessage(ack_id=m.message_id)) for m in some]
        for taken, message in zip(received, some):
            taken.message.CopyFrom(message)
        return {"receivedMessages": [json_format.MessageToDict(taken) for taken in received]}


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
server.daemon_threads = True
url = f"http://127.0.0.1:{server.server_port}"
for name, key in (("account", account_private), ("stranger", stranger_private)):
    with open(f"{FOLDER}/{name}.json", "w") as file:
        json.dump(
            {"type": "service_account", "client_email": ACCOUNT, "private_key_id": "account", "private_key": key,
             "token_uri": f"{url}/token"}, file)
print(json.dumps({"url": url}), flush=True)
server.serve_forever()
