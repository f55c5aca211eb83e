"""The provider's own client of Pub/Sub, over REST: publishes a message of its own, and prints all that there are as JSON.

Arguments: the service's address, and the key file of a service account.
"""
import base64
import json
import sys

from google.oauth2 import service_account
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherRestTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberRestTransport

url, account = sys.argv[1:]
credentials = service_account.Credentials.from_service_account_file(
    account, scopes=["https://www.googleapis.com/auth/pubsub"]
)
where = {"host": url.removeprefix("http://"), "url_scheme": "http", "credentials": credentials}
publisher = PublisherClient(transport=PublisherRestTransport(**where))
message = {"data": b"the client's own", "attributes": {"by": "client"}, "ordering_key": "k"}
published = publisher.publish(topic="projects/shop/topics/orders", messages=[message], timeout=20)
assert len(published.message_ids) == 1, published
subscriber = SubscriberClient(transport=SubscriberRestTransport(**where))
pulled = subscriber.pull(subscription="projects/shop/subscriptions/orders-sub", max_messages=100, timeout=20)
print(json.dumps([
    {
        "id": received.message.message_id,
        "data": base64.b64encode(received.message.data).decode(),
        "attributes": dict(received.message.attributes),
        "ordering_key": received.message.ordering_key,
    }
    for received in pulled.received_messages
]))
