"""A SOAP service of `spyne`, whose messages lxml validates. It goes by the element in the body, whatever the action says."""

import base64
import json
import sys
import time
from wsgiref.simple_server import WSGIRequestHandler, make_server

from spyne import (Application, Array, Boolean, ByteArray, ComplexModel, DateTime, Decimal, Fault, Integer, Long, ServiceBase,
                   Unicode, XmlAttribute, rpc)
from spyne.protocol.soap import Soap11, Soap12
from spyne.server.wsgi import WsgiApplication

VERSION, PASSWORD = sys.argv[1], sys.argv[2]
HOST, SHOP = "urn:example:host", "urn:example:shop"


class Line(ComplexModel):
    __namespace__ = SHOP
    sku = Unicode(min_occurs=1)
    count = Integer(min_occurs=1)
    gift = Boolean


class Order(ComplexModel):
    __namespace__ = SHOP
    channel = XmlAttribute(Unicode)
    customer = Unicode(min_occurs=1)
    lines = Array(Line)
    tags = Unicode(max_occurs="unbounded")
    price = Decimal
    due = DateTime
    drawing = ByteArray


class Shop(ServiceBase):
    @rpc(Order, _returns=Order)
    def echo(ctx, order):
        return order

    @rpc(Unicode, Long, _returns=Unicode)
    def say(ctx, name, times):
        if name == "slow":
            time.sleep(times)
        if name == "fail":
            raise RuntimeError("db01: password=hunter2")
        if name == "long":
            return "x" * times
        if times is not None and times < 0:
            raise Fault("Client.Negative", "db01: times is negative")
        return "hi %s x%s" % (name, times)


class Host(ServiceBase):
    @rpc(Unicode(min_occurs=1), _returns=Long)
    def balance(ctx, account):
        return 12345

    @rpc(Unicode(min_occurs=1), Unicode(min_occurs=1), Long(min_occurs=1), _returns=Unicode)
    def transfer(ctx, source, target, cents):
        print(json.dumps({"transferred": cents}), flush=True)
        return "%s to %s" % (cents, target)


if VERSION == "1.1":
    taken, given = Soap11(validator="lxml"), Soap11()
else:
    taken, given = Soap12(validator="lxml"), Soap12()
shop = WsgiApplication(Application([Shop], SHOP, in_protocol=taken, out_protocol=given))
host = WsgiApplication(Application([Host], HOST, in_protocol=Soap11(validator="lxml"), out_protocol=Soap11()))


def served(environ, start_response):
    of_host = environ["PATH_INFO"].startswith("/cics")
    expected = "Basic " + base64.b64encode(b"gateway:" + PASSWORD.encode()).decode()
    if environ["REQUEST_METHOD"] == "POST" and environ.get("HTTP_AUTHORIZATION") != expected:
        start_response("401 Unauthorized", [("WWW-Authenticate", "Basic realm=legacy"), ("Content-Type", "text/plain")])
        return [b"db01 does not know you"]
    return (host if of_host else shop)(environ, start_response)


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


server = make_server("127.0.0.1", 0, served, handler_class=Quiet)
print(json.dumps({"port": server.server_port}), flush=True)
server.serve_forever()
