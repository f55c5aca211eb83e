"""A function for Fn and Oracle Cloud, as it is deployed there."""
import json

from fdk import response


async def handler(ctx, data=None):
    order = json.loads(data.getvalue() or "{}")
    said = {"order": order, "method": ctx.Method(), "url": ctx.RequestURL()}
    return response.Response(
        ctx, response_data=json.dumps(said), headers={"Content-Type": "application/json"}, status_code=201
    )
