"""Makes a stream and a user with one access key in a fresh moto server, which checks signatures from then on."""
import json
import sys

import boto3

url = sys.argv[1]


def client(service):
    keys = {"aws_access_key_id": "setup", "aws_secret_access_key": "setup"}
    return boto3.client(service, region_name="us-east-1", endpoint_url=url, **keys)


policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}]}
iam = client("iam")
iam.create_user(UserName="gateway")
iam.put_user_policy(UserName="gateway", PolicyName="all", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="gateway")["AccessKey"]
kinesis = client("kinesis")
kinesis.create_stream(StreamName="orders", ShardCount=2)
kinesis.describe_stream_summary(StreamName="orders")
print(json.dumps({"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}))
