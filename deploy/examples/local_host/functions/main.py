"""A function for Google Cloud, as it is deployed there."""
import functions_framework


@functions_framework.http
def hello(request):
    name = (request.get_json(silent=True) or {}).get("name", "nobody")
    return {"hello": name}
