"""A client of `zeep`: reads a WSDL, does the steps that it is given at an address, and says what came of each."""

import json
import sys

import requests
from zeep import Client
from zeep.exceptions import Fault, TransportError
from zeep.transports import Transport

wsdl, url, token, steps = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
session = requests.Session()
session.trust_env = False
if token:
    session.headers["Authorization"] = "Bearer " + token
if len(sys.argv) > 5:
    session.verify = sys.argv[5]
client = Client(wsdl, transport=Transport(session=session, timeout=30))
name = client.service._binding.name.text
service = client.create_service(name, url)
for step in steps:
    try:
        answer = getattr(service, step["operation"])(**step["input"])
        print(json.dumps({"answer": answer}), flush=True)
    except Fault as fault:
        said = {"fault": str(fault.code), "subcodes": [str(code) for code in fault.subcodes or []], "words": fault.message}
        if fault.detail is not None:
            said["detail"] = {str(node.tag): node.text for node in fault.detail.iter() if node.text}
        print(json.dumps(said), flush=True)
    except TransportError as error:
        print(json.dumps({"status": error.status_code}), flush=True)
