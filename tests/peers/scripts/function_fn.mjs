// An unchanged function for Fn's kit for Node: it says what it was given, or fails when told to.
import fdk from "@fnproject/fdk";

fdk.handle((input, context) => {
  if (input === "fail") throw new Error("inside");
  if (input === "slow") return new Promise((resolve) => setTimeout(resolve, 60_000));
  const gateway = context.httpGateway;
  gateway.statusCode = 201;
  gateway.setResponseHeader("X-Mine", "1");
  context.responseContentType = "application/json";
  return {
    method: gateway.method, url: gateway.requestURL, headers: gateway.headers, call: context.callID,
    deadline: context.deadline, memory: context.memory, body: input, process: process.pid,
  };
});
