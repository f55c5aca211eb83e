// Unchanged functions for Google's functions-framework for Node: they say what they were given, or fail when told to.
import functions from "@google-cloud/functions-framework";

functions.http("describe", (request, response) => {
  if (request.query.fail) throw new Error("told to fail");
  response.json({
    method: request.method,
    path: request.path,
    query: request.query,
    caller: request.get("latchwork-caller"),
    traceparent: request.get("traceparent"),
    deadline: request.get("latchwork-deadline"),
    process: process.pid,
    body: request.body,
  });
});

functions.cloudEvent("receive", (event) => {
  if (event.data.fail) throw new Error("told to fail");
  console.log(JSON.stringify({ type: event.type, source: event.source, id: event.id, data: event.data }));
});
