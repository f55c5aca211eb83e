"""Prints what the stream `orders` holds, shard by shard, as the provider's own library reads it.

Arguments: the service's address, and id and secret of an access key.
"""
import base64
import json
import sys

import boto3

url, key, secret = sys.argv[1:]
client = boto3.client(
    "kinesis", region_name="us-east-1", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret
)
records = []
for shard in client.list_shards(StreamName="orders")["Shards"]:
    start = client.get_shard_iterator(
        StreamName="orders", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    for record in client.get_records(ShardIterator=start)["Records"]:
        records.append({
            "shard": shard["ShardId"],
            "sequence": record["SequenceNumber"],
            "key": record["PartitionKey"],
            "data": base64.b64encode(record["Data"]).decode(),
        })
print(json.dumps(records))
