"""Quotes and stock. What it needs for that takes a while to make, so a caller who meets its start waits."""
import http.server
import json
import sys

PRICES = {f"sku-{number}": number * 7 % 997 for number in range(50_000)}


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        # By this it knows the gateway's own calls, and does nothing for them. No caller can set it.
        warm = self.headers.get("latchwork-caller-kind") == "System"
        sku = self.path.rsplit("/", 1)[-1]
        body = json.dumps({"warm": True} if warm else {"sku": sku, "price": PRICES.get(sku, 5)}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *words):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
