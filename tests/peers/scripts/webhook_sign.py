"""Signs a webhook with the library of Standard Webhooks: secret, id and seconds as arguments, the body on stdin."""
import sys
from datetime import datetime, timezone

from standardwebhooks.webhooks import Webhook

secret, message, seconds = sys.argv[1:]
at = datetime.fromtimestamp(int(seconds), tz=timezone.utc)
print(Webhook(secret).sign(message, at, sys.stdin.buffer.read().decode()))
