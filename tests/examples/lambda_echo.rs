//! An unchanged Rust function of the crate `lambda_runtime`: echoes its event, fails when told to, or answers as it goes.

use lambda_runtime::{
    Error, FunctionResponse, LambdaEvent, run, service_fn,
    streaming::{Body, Response, channel},
};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(echo)).await
}

async fn echo(event: LambdaEvent<Value>) -> Result<FunctionResponse<Value, Body>, Error> {
    let LambdaEvent { payload, context } = event;
    // An event that is a request says it in its body.
    let told = payload["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
    let told: Value = told.unwrap_or_else(|| payload.clone());
    match told["tell"].as_str() {
        Some("fail") => Err("told to fail".into()),
        Some("stream") => Ok(FunctionResponse::StreamingResponse(streamed(told))),
        _ => {
            let said = json!({ "event": payload, "request": context.request_id, "deadline_ms": context.deadline });
            Ok(FunctionResponse::BufferedResponse(said))
        }
    }
}

/// Two pieces, the second once the file that the event names is there; or an end that says that it failed.
fn streamed(event: Value) -> Response<Body> {
    let (mut sender, body) = channel();
    tokio::spawn(async move {
        let Ok(()) = sender.send_data("first, ".into()).await else { return };
        let gate = PathBuf::from(event["gate"].as_str().unwrap_or_default());
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while !gate.exists() {
            looks.tick().await;
        }
        if event["break"] == true {
            return sender.abort();
        }
        // Whoever does not read on has gone.
        let _ = sender.send_data((&b"\0\xff"[..]).into()).await;
    });
    body.into()
}
