//! An unchanged Rust function of the crate `lambda_runtime`: echoes its event, or fails when told to.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(echo)).await
}

async fn echo(event: LambdaEvent<Value>) -> Result<Value, Error> {
    if event.payload["tell"] == "fail" {
        return Err("told to fail".into());
    }
    Ok(json!({ "event": event.payload, "request": event.context.request_id, "deadline_ms": event.context.deadline }))
}
