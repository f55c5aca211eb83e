//! An unchanged Rust function of the crate `lambda_http`: says what it understood of its request, whatever sent it.

use lambda_http::{Body, Error, Request, RequestExt, Response, run, service_fn};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(echo)).await
}

async fn echo(request: Request) -> Result<Response<Body>, Error> {
    let query = request.query_string_parameters();
    let all = |name: &str| query.all(name).unwrap_or_default().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let header = |name: &str| -> Vec<String> {
        request.headers().get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into()).collect()
    };
    let said = json!({
        "method": request.method().as_str(),
        "path": request.raw_http_path(),
        "query": { "tag": all("tag"), "q": all("q") },
        "parameter": request.path_parameters().first("id"),
        "multi": header("x-multi"),
        "cookie": header("cookie"),
        "caller": header("latchwork-caller"),
        "bytes": request.body().to_vec(),
    });
    let binary = header("x-answer") == ["binary"];
    let body = if binary { Body::Binary((0..=255).collect()) } else { Body::Text(said.to_string()) };
    let response = Response::builder()
        .status(203)
        .header("content-type", if binary { "application/octet-stream" } else { "application/json" })
        .header("x-multi", "1")
        .header("x-multi", "2")
        .header("set-cookie", "a=b; Path=/; Secure")
        .header("set-cookie", "c=d; Expires=Wed, 21 Oct 2026 07:28:00 GMT")
        .body(body)?;
    Ok(response)
}
