"""Makes a user with one access key and one function in a fresh moto server, which checks signatures from then on."""
import io
import json
import sys
import urllib.request
import zipfile

import boto3

url = sys.argv[1]
settings = json.dumps({"lambda": {"use_docker": False}}).encode()
request = urllib.request.Request(f"{url}/moto-api/config", settings, {"Content-Type": "application/json"}, method="POST")
urllib.request.urlopen(request, timeout=10).read()


def client(service):
    keys = {"aws_access_key_id": "setup", "aws_secret_access_key": "setup"}
    return boto3.client(service, region_name="us-east-1", endpoint_url=url, **keys)


def document(**statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


iam = client("iam")
trust = document(Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole")
role = iam.create_role(RoleName="role", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
iam.put_role_policy(RoleName="role", PolicyName="all", PolicyDocument=document(Action="lambda:*", Resource="*"))
iam.create_user(UserName="gateway")
allowed = document(Action=["lambda:*", "sts:AssumeRole"], Resource="*")
iam.put_user_policy(UserName="gateway", PolicyName="all", PolicyDocument=allowed)
key = iam.create_access_key(UserName="gateway")["AccessKey"]
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as code:
    code.writestr("app.py", "def handler(event, context): return event")
client("lambda").create_function(
    FunctionName="order", Runtime="python3.11", Role=role, Handler="app.handler", Code={"ZipFile": archive.getvalue()}
)
print(json.dumps({"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}))
