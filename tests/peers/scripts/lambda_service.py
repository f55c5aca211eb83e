"""Stands for AWS Lambda, its function URLs and the token service. Every signature is computed anew with botocore, the provider's
own library; whoever lies is answered as the provider does, and named on standard error. Prints where it listens (JSON)."""
import base64
import binascii
import datetime
import hashlib
import json
import struct
import sys
import threading
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION = "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/shop-gateway"
EXTERNAL_ID = "shop-7"
WEB_TOKEN = "header.web-identity.signature"
# Keys by their ids: secret, and session token.
KEYS = {
    "AKIDOFTHEGATEWAY": ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None),
    "AKIDOFTHESDK": ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None),
    "ASIAOFTHEROLE": ("role+secret/", "role-token=="),
    "ASIAOFTHEWEB": ("web+secret/", "web-token=="),
}
REPORT = "START RequestId: {id} Version: 7\nREPORT RequestId: {id}\tDuration: 2.95 ms\tBilled Duration: 180 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 176.43 ms\t\n"
# A stream stops in the middle until somebody says that it has seen the first half.
SEEN = threading.Event()


class Refused(Exception):
    def __init__(self, status, kind, headers=(), **body):
        super().__init__(kind)
        self.status, self.kind, self.headers, self.body = status, kind, dict(headers), body


def lie(words):
    print(f"a lie: {words}", file=sys.stderr, flush=True)


def frame(kind, name, payload):
    """One message of the event stream, after the published description of its bytes."""
    headers = b""
    for key, value in ((":message-type", kind), (f":{kind}-type", name), (":content-type", "application/octet-stream")):
        headers += struct.pack("!B", len(key)) + key.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", binascii.crc32(message))


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.address = urllib.parse.urlsplit(self.path)
        try:
            self.route()
        except Refused as refused:
            body = json.dumps({"Message": f"secret words on {refused.kind}", **refused.body}).encode()
            self.say(refused.status, body, {"x-amzn-ErrorType": f"{refused.kind}:http://internal.amazonaws.com/", **refused.headers})

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def route(self):
        path = self.address.path
        if path == "/seen":
            SEEN.set()
            return self.say(204, b"")
        if path == "/keys":
            return self.container()
        if path == "/" and self.command == "POST":
            return self.token_service()
        self.key = self.verify("lambda")
        parts = path.split("/")
        if path.startswith("/url/"):
            return self.function_url(parts[2])
        if len(parts) != 5 or parts[2] != "functions":
            lie(f"{path} is no address")
            raise Refused(404, "UnknownOperationException")
        name = urllib.parse.unquote(parts[3]).split(":")
        name = name[6] if name[0] == "arn" else name[0]
        self.id = str(uuid.uuid4())
        if (parts[1], parts[4]) == ("2021-11-15", "response-streaming-invocations"):
            return self.stream(name)
        if (parts[1], parts[4]) != ("2015-03-31", "invocations"):
            lie(f"{path} is no address")
        return self.invoke(name)

    def verify(self, service):
        """Computes the signature anew, as the provider's library would have made it."""
        given = self.headers.get("authorization", "")
        if not given.startswith("AWS4-HMAC-SHA256 "):
            raise Refused(403, "MissingAuthenticationTokenException")
        parts = dict(part.strip().split("=", 1) for part in given.split(" ", 1)[1].split(","))
        key, day, region, said, _ = parts["Credential"].split("/")
        secret, token = KEYS.get(key, (None, None))
        if secret is None:
            raise Refused(403, "UnrecognizedClientException")
        signed = parts["SignedHeaders"].split(";")
        sent = self.headers["x-amz-date"]
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.strptime(sent + "+0000", "%Y%m%dT%H%M%SZ%z")
        unsigned = [name.lower() for name in self.headers if name.lower().startswith("x-amz-") and name.lower() not in signed]
        if unsigned or "host" not in signed or self.headers.get("x-amz-security-token") != token or abs(age.total_seconds()) > 300:
            lie(f"unsigned {unsigned}, token, host or date of {self.path}")
            raise Refused(403, "InvalidSignatureException")
        if self.headers.get("x-amz-content-sha256", "") not in ("", hashlib.sha256(self.body).hexdigest()):
            lie(f"the body of {self.path} is another")
        url = f"http://{self.headers['host']}{self.path}"
        request = AWSRequest(self.command, url, data=self.body, headers={name: self.headers[name] for name in signed})
        request.context["timestamp"] = sent
        auth = SigV4Auth(Credentials(key, secret, token), service, region)
        right = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        if (right, day, region, said) != (parts["Signature"], sent[:8], REGION, service):
            raise Refused(403, "InvalidSignatureException")
        return key

    def token_service(self):
        form = dict(urllib.parse.parse_qsl(self.body.decode()))
        action, role = form.get("Action"), form.get("RoleArn")
        if action == "AssumeRole":
            self.verify("sts")
            granted, key = role == ROLE and form.get("ExternalId") == EXTERNAL_ID, "ASIAOFTHEROLE"
        else:
            granted, key = form.get("WebIdentityToken") == WEB_TOKEN, "ASIAOFTHEWEB"
        if form.get("Version") != "2011-06-15" or not form.get("RoleSessionName"):
            lie(f"the form {form}")
        if not granted:
            xml = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>secret words</Message></Error></ErrorResponse>"
            return self.say(403, xml.encode(), {"content-type": "text/xml"})
        secret, token = KEYS[key]
        end = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        xml = f"""<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>
            <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>
            <Expiration>{end}</Expiration></Credentials></{action}Result></{action}Response>"""
        print(json.dumps({"assumed": key}), flush=True)
        return self.say(200, xml.encode(), {"content-type": "text/xml"})

    def container(self):
        if self.headers.get("authorization") != "container-token":
            lie("the container's token")
        secret, token = KEYS["ASIAOFTHEROLE"]
        end = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
        keys = {"AccessKeyId": "ASIAOFTHEROLE", "SecretAccessKey": secret, "Token": token, "Expiration": end}
        return self.say(200, json.dumps(keys).encode())

    def invoke(self, name):
        kind = self.headers.get("x-amz-invocation-type", "RequestResponse")
        self.refuse(name)
        print(json.dumps({"ran": name, "kind": kind, "key": self.key, "event": json.loads(self.body)}), flush=True)
        if kind == "DryRun":
            return self.say(204, b"")
        if kind == "Event":
            return self.say(202, b"")
        headers = {"x-amzn-RequestId": self.id, "X-Amz-Executed-Version": "7"}
        if self.headers.get("x-amz-log-type") == "Tail":
            headers["X-Amz-Log-Result"] = base64.b64encode(REPORT.format(id=self.id).encode()).decode()
        if name == "fail":
            headers["X-Amz-Function-Error"] = "Unhandled"
            return self.say(200, b'{"errorType":"ValueError","errorMessage":"secret words"}', headers)
        said = {"statusCode": 201, "headers": {"content-type": "application/json"}, "body": json.dumps({"ran": name})}
        if name == "binary":
            said = {"statusCode": 200, "body": base64.b64encode(bytes(range(256))).decode(), "isBase64Encoded": True}
        if name == "large":
            said["body"] = "x" * 300_000
        return self.say(200, json.dumps(said).encode(), headers)

    def refuse(self, name):
        if name == "silent":
            threading.Event().wait()
        if name == "absent":
            raise Refused(404, "ResourceNotFoundException")
        if name == "throttled":
            reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
            raise Refused(429, "TooManyRequestsException", {"Retry-After": "7"}, Reason=reason)
        if name == "cold":
            raise Refused(502, "EC2ThrottledException")

    def stream(self, name):
        self.refuse(name)
        log = base64.b64encode(REPORT.format(id=self.id).encode()).decode()
        failed = {"ErrorCode": "Unhandled", "ErrorDetails": '{"errorMessage":"secret words"}', "LogResult": log}
        frames = {
            "early": [frame("event", "InvokeComplete", json.dumps(failed).encode())],
            "broken": [frame("event", "PayloadChunk", b"first half"), frame("event", "InvokeComplete", json.dumps(failed).encode())],
            "cut": [frame("event", "PayloadChunk", b"first half")],
            "whole": [frame("event", "PayloadChunk", b'{"statusCode":418,"body":"whole"}'), frame("event", "InvokeComplete", b"{}")],
        }
        head = b'{"statusCode":202,"headers":{"x-function":"stream"},"cookies":["a=b; Path=/"]}' + bytes(8)
        both = [frame("event", "PayloadChunk", head), frame("event", "PayloadChunk", b"first half, "), None,
                frame("event", "PayloadChunk", b"second half \x00\xff"), frame("event", "InvokeComplete", json.dumps({"LogResult": log}).encode())]
        self.send_response(200)
        self.send_header("content-type", "application/vnd.amazon.eventstream")
        self.send_header("x-amzn-RequestId", self.id)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in frames.get(name, both):
            if piece is None:
                if not SEEN.wait(60):
                    lie("nobody saw the first half")
                continue
            # Cut in the middle: a reader must not count on frames that come whole.
            for part in (piece[:7], piece[7:]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def function_url(self, name):
        if name == "throttled":
            raise Refused(429, "TooManyRequestsException", {"Retry-After": "7"})
        if name == "fail":
            return self.say(502, b"Internal Server Error")
        if name == "silent":
            threading.Event().wait()
        if name == "pieces":
            return self.pieces()
        said = {"method": self.command, "path": self.path, "key": self.key, "body": self.body.decode("latin-1"),
                "headers": {key.lower(): value for key, value in self.headers.items()}}
        return self.say(404 if name == "absent" else 200, json.dumps(said).encode(), {"x-amzn-RequestId": "1", "x-function": "url"})

    def pieces(self):
        """A function that streams at its own URL."""
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for text in (b"first, ", b"last\x00\xff"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
            if not SEEN.wait(60):
                lie("nobody saw the first piece")
        self.wfile.write(b"0\r\n\r\n")

    def say(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
server.serve_forever()
