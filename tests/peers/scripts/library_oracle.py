"""Random messages, made into requests of HTTP by Google's own client library, and sent through the gateway: the service
must be given equal messages, and its answers must come back equal. Prints how many of each rule."""
import collections
import http.client
import json
import math
import pathlib
import random
import ssl
import struct
import sys
import urllib.parse

from google.api import annotations_pb2
from google.api_core import path_template, rest_helpers
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.message_factory import GetMessageClass

folder, url, ca, seed, count = sys.argv[1:6]
sys.path.insert(0, folder)
import library_pb2 as pb2

chance = random.Random(int(seed))
service = pb2.DESCRIPTOR.services_by_name["Library"]
target = urllib.parse.urlsplit(url)
connection = http.client.HTTPSConnection(target.hostname, target.port, context=ssl.create_default_context(cafile=ca))

# Neither what no path may have here (a slash, backslash or semicolon in a segment), nor what begins a verb.
LETTERS = "abcXYZ019-._~!$&'()*+,=@ éß漢\N{GRINNING FACE}?#[]{}|^`<>\""
ANY = LETTERS + "/\\;:%\n\t\0"


def text(letters, least=0):
    while True:
        made = "".join(chance.choice(letters) for _ in range(chance.randint(least, 12)))
        if made not in (".", "..") and len(made) >= least:
            return made


def number(bits, signed):
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return chance.choice([0, 1, least, most, chance.randint(least, most), chance.randint(max(least, -99), 99)])


def real(single):
    made = chance.choice([0.0, 1.5, -2.25, 1e300, 5e-324, math.inf, -math.inf, chance.random(), chance.gauss(0, 1e9)])
    if single:
        try:
            made = struct.unpack("f", struct.pack("f", made))[0]
        except OverflowError:
            made = 0.0
    return made


def single(field):
    kinds = {
        F.TYPE_STRING: lambda: text(ANY),
        F.TYPE_BYTES: lambda: chance.randbytes(chance.randint(0, 9)),
        F.TYPE_BOOL: lambda: chance.random() < 0.5,
        F.TYPE_FLOAT: lambda: real(True),
        F.TYPE_DOUBLE: lambda: real(False),
        F.TYPE_ENUM: lambda: chance.choice(field.enum_type.values).number,
    }
    for kind in (F.TYPE_INT32, F.TYPE_SINT32, F.TYPE_SFIXED32):
        kinds[kind] = lambda: number(32, True)
    for kind in (F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64):
        kinds[kind] = lambda: number(64, True)
    for kind in (F.TYPE_UINT32, F.TYPE_FIXED32):
        kinds[kind] = lambda: number(32, False)
    for kind in (F.TYPE_UINT64, F.TYPE_FIXED64):
        kinds[kind] = lambda: number(64, False)
    return kinds[field.type]()


def free(depth):
    kinds = [None, True, 1.5, text(ANY)] + ([[free(depth - 1)], {text("ab"): free(depth - 1)}] if depth else [])
    return chance.choice(kinds)


def fill(message, flat, depth=2):
    """Fills some fields; `flat` leaves out what a query can't hold."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < 0.6 or (field.containing_oneof and message.WhichOneof(field.containing_oneof.name)):
            continue
        name, kind = field.full_name, field.message_type and field.message_type.full_name
        value = getattr(message, field.name)
        if kind == "google.protobuf.Timestamp":
            value.FromNanoseconds(chance.randint(-(10**18), 10**18))
        elif kind == "google.protobuf.Duration":
            value.FromNanoseconds(chance.randint(-(10**17), 10**17))
        elif kind == "google.protobuf.FieldMask":
            value.paths.extend(chance.choice(["title", "book.page_count", "a_b.c_d"]) for _ in range(chance.randint(1, 3)))
        elif kind in ("google.protobuf.Struct", "google.protobuf.Value"):
            if not flat:
                json_format.ParseDict({"a": free(2)} if kind.endswith("Struct") else free(2), value)
        elif kind == "google.api.HttpBody":
            value.content_type, value.data = "image/x-cover", chance.randbytes(9)
        elif kind and kind.startswith("google.protobuf."):
            value.value = single(value.DESCRIPTOR.fields[0])
            value.SetInParent()
        elif field.message_type and field.message_type.GetOptions().map_entry:
            if not flat:
                value[text(ANY)] = number(32, True)
        elif field.message_type and field.is_repeated:
            if not flat and depth:
                fill(value.add(), flat, depth - 1)
        elif field.message_type:
            if depth:
                fill(value, flat, depth - 1)
                # A message without fields has no place in a query.
                if not flat:
                    value.SetInParent()
                elif not value.ListFields():
                    message.ClearField(field.name)
        elif field.is_repeated:
            value.extend(single(field) for _ in range(chance.randint(1, 3)))
        else:
            setattr(message, field.name, single(field))


def rules(method):
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    for one in [rule, *rule.additional_bindings]:
        kind = one.WhichOneof("pattern")
        verb, path = (chance.choice(["post", "get"]), one.custom.path) if kind == "custom" else (kind, getattr(one, kind))
        made = {"method": verb, "uri": path}
        yield {**made, "body": one.body} if one.body else made


def place(message, rule):
    """Puts texts into the fields of the path that fit its template."""
    for name, template in path_template_variables(rule["uri"]):
        *outer, leaf = name.split(".")
        inner = message
        for part in outer:
            inner = getattr(inner, part)
        field = inner.DESCRIPTOR.fields_by_name[leaf]
        if field.type != F.TYPE_STRING:
            setattr(inner, leaf, single(field))
            continue
        parts = [text(LETTERS, 1) if part == "*" else part for part in template.replace("**", "*/*/*").split("/")]
        setattr(inner, leaf, "/".join(parts))


def path_template_variables(uri):
    for variable in uri.split("{")[1:]:
        name, _, template = variable.split("}")[0].partition("=")
        yield name, template or "*"


def send(rule, method, message):
    made = path_template.transcode([rule], message)
    query, headers, body = made["query_params"], {}, None
    query = json_format.MessageToDict(query, use_integers_for_enums=chance.random() < 0.3)
    query = urllib.parse.urlencode(rest_helpers.flatten_query_params(query, strict=True))
    if "body" in rule and method.name == "Upload":
        body, headers["content-type"] = made["body"].data, made["body"].content_type
    elif "body" in rule:
        body, headers["content-type"] = json_format.MessageToJson(made["body"]), "application/json"
    path = made["uri"]
    connection.request(made["method"].upper(), f"{path}?{query}" if query else path, body, headers)
    answer = connection.getresponse()
    return path, query, body, answer, answer.read()


sent = collections.Counter()
METHODS = ["GetBook", "CreateBook", "UpdateBook", "ReplaceBook", "Anything", "Upload"]
while sum(sent.values()) < int(count):
    method = service.methods_by_name[chance.choice(METHODS)]
    rule = chance.choice(list(rules(method)))
    message = GetMessageClass(method.input_type)()
    fill(message, flat=rule.get("body") != "*")
    place(message, rule)
    if "body" not in rule or rule["body"] == "*":
        pass
    elif not message.HasField(rule["body"]):
        getattr(message, rule["body"]).SetInParent()
    path, query, body, answer, read = send(rule, method, message)
    shown = f"{rule['method']} {path}?{query} {body}\n{answer.status} {read}"
    assert answer.status == 200, shown
    if method.name == "Upload":
        assert read == message.cover.data + message.note.encode(), shown
        assert answer.headers["content-type"] == (message.cover.content_type or "application/octet-stream"), shown
    else:
        heard = json_format.Parse(read, pb2.Heard())
        assert heard.message == message.SerializeToString(deterministic=True), f"{shown}\n{message}"
        if method.name == "Anything":
            assert heard.everything.SerializeToString(deterministic=True) == heard.message, shown
    sent[f"{method.name} {rule['uri']}"] += 1
print(json.dumps(sent))
