"""A function for AWS Lambda, as it is deployed there."""


def handler(event, context):
    return {"cents": 100 * event.get("count", 1), "call": context.aws_request_id}
