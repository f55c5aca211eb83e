"""A client of boto3: invokes functions as the file that it is given says (JSON) and prints what came back, one JSON object per call."""
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

with open(sys.argv[1], encoding="utf-8") as file:
    plan = json.load(file)
certificate = (plan["certificate"], plan["key"]) if plan["certificate"] else None
client = boto3.client(
    "lambda",
    region_name=plan.get("region", "us-east-1"),
    endpoint_url=plan["url"],
    verify=plan["ca"],
    aws_access_key_id="AKIDOFTHESDK",
    aws_secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    config=Config(client_cert=certificate, retries={"total_max_attempts": 1}),
)
for function, event, *how in plan["calls"]:
    try:
        if how == ["stream"]:
            answer = client.invoke_with_response_stream(FunctionName=function, Payload=json.dumps(event).encode())
            said = {"status": answer["StatusCode"], "chunks": [], "end": None}
            for part in answer["EventStream"]:
                if "PayloadChunk" in part:
                    said["chunks"].append(part["PayloadChunk"]["Payload"].decode("latin-1"))
                else:
                    said["end"] = part["InvokeComplete"]
            print(json.dumps(said), flush=True)
            continue
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        said = {"status": answer["StatusCode"], "payload": json.loads(answer["Payload"].read())}
    except ClientError as error:
        metadata = error.response["ResponseMetadata"]
        said = {"status": metadata["HTTPStatusCode"], "raised": str(error), "headers": metadata["HTTPHeaders"]}
    print(json.dumps(said), flush=True)
