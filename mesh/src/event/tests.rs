//! Every form of request, made again from the provider's published examples of it, says what the example says.

use super::*;
use crate::{invocation::Outbound, samples};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::Command};

/// The published examples, in the source of the crate `lambda_http` that the tests are built with.
fn published(file: &str) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "lambda_http").unwrap();
    let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
    let text = fs::read_to_string(manifest.with_file_name("tests").join("data").join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// All values of an example's member that has one value or several for each name.
fn pairs(example: &Value, all: &str, single: &str) -> Vec<(String, String)> {
    let object = |name: &str| example[name].as_object().filter(|object| !object.is_empty());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let values =
        |value: &Value| value.as_array().map_or_else(|| vec![text(value)], |all| all.iter().map(text).collect());
    let object = object(all).or_else(|| object(single)).into_iter().flatten();
    object.flat_map(|(name, value)| values(value).into_iter().map(move |value| (name.clone(), value))).collect()
}

/// The call that an example is of.
fn call(example: &Value) -> Outbound {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let http = &example["requestContext"]["http"];
    let mut outbound = samples::post("");
    let head = &mut outbound.head;
    let method = text(&example["httpMethod"]).or_else(|| text(&http["method"])).unwrap();
    head.method = Method::from_bytes(method.as_bytes()).unwrap();
    head.path = text(&example["path"]).or_else(|| text(&example["rawPath"])).unwrap().into();
    let route = text(&example["resource"]).or_else(|| text(&example["routeKey"])).unwrap_or_default();
    head.pattern = route.rsplit(' ').next().unwrap().into();
    head.parameters = pairs(example, "", "pathParameters").into_iter().map(|(n, v)| (n.into(), v.into())).collect();
    let query = pairs(example, "multiValueQueryStringParameters", "queryStringParameters");
    let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    head.query =
        text(&example["rawQueryString"]).or_else(|| Some(query.join("&"))).filter(|q| !q.is_empty()).map(Into::into);
    head.headers = HeaderMap::new();
    for (name, value) in pairs(example, "multiValueHeaders", "headers") {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        if name == "host" {
            head.host = value.as_str().into();
        }
        head.headers.append(name, HeaderValue::try_from(value).unwrap());
    }
    if let Some(cookies) = example["cookies"].as_array().filter(|cookies| !cookies.is_empty()) {
        let cookies: Vec<&str> = cookies.iter().map(|cookie| cookie.as_str().unwrap()).collect();
        head.headers.insert("cookie", HeaderValue::try_from(cookies.join("; ")).unwrap());
    }
    outbound
}

/// What the gateway says itself, whatever the caller sent, or leaves to what follows.
const OURS: [&str; 4] = ["x-forwarded-for", "x-forwarded-proto", "host", "via"];

/// Headers of an example by name in lower case, without those that the gateway says itself.
fn lower(headers: &Value) -> Value {
    let named = headers.as_object().unwrap().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    Value::Object(named.filter(|(name, _)| !OURS.contains(&name.as_str())).collect())
}

fn check(file: &str, form: &EventForm, members: &[&str]) {
    let example = published(file);
    let Outbound { head, context, .. } = call(&example);
    let body = Bytes::from(example["body"].as_str().unwrap_or_default().to_owned());
    let event = form.event(&head, &context, body).unwrap();
    let event: Value = serde_json::from_slice(&event).unwrap();
    for member in members {
        assert_eq!(event[member], example[member], "{file}: `{member}` of {event:#}");
    }
    for member in ["headers", "multiValueHeaders"].into_iter().filter(|name| event.get(name).is_some()) {
        if example.get(member).is_none() {
            continue;
        }
        let ours = lower(&event[member]);
        for (name, value) in lower(&example[member]).as_object().unwrap() {
            assert_eq!(ours[name], *value, "{file}: `{member}.{name}`");
        }
    }
    assert_eq!(event["isBase64Encoded"], false, "{file}");
}

#[test]
fn published_requests_are_made_again() {
    let v1 = &["resource", "path", "httpMethod", "queryStringParameters", "pathParameters"][..];
    check("apigw_proxy_request.json", &EventForm::ApiGatewayV1, v1);
    let all = [v1, &["multiValueQueryStringParameters", "body"]].concat();
    check("apigw_multi_value_proxy_request.json", &EventForm::ApiGatewayV1, &all);
    let url = ["version", "routeKey", "rawPath", "rawQueryString", "cookies"];
    check("lambda_function_url_request.json", &EventForm::FunctionUrl, &url);
    let v2 = ["version", "rawPath", "rawQueryString", "cookies", "queryStringParameters", "pathParameters", "body"];
    check("apigw_v2_proxy_request.json", &EventForm::ApiGatewayV2, &v2);
    check("apigw_v2_proxy_request_minimal.json", &EventForm::FunctionUrl, &["version", "routeKey", "rawPath"]);
    let alb = ["httpMethod", "path", "body"];
    let single = [&alb[..], &["queryStringParameters"]].concat();
    let multiple = [&alb[..], &["multiValueQueryStringParameters"]].concat();
    for (file, form, members) in [
        ("alb_request.json", EventForm::Alb, &single),
        ("alb_health_check.json", EventForm::Alb, &single),
        ("alb_request_encoded_query_parameters.json", EventForm::Alb, &single),
        ("alb_multi_value_request.json", EventForm::AlbMultiValue, &multiple),
        ("alb_multi_value_request_encoded_query_parameters.json", EventForm::AlbMultiValue, &multiple),
    ] {
        check(file, &form, members);
    }
}

/// A call that has everything twice, and a body that is no text.
fn twice(form: &EventForm) -> Value {
    let mut outbound = samples::post("");
    outbound.head.query = Some("a=1&b=x%20y&a=2".into());
    for (name, value) in [("x-multi", "1"), ("x-multi", "2"), ("cookie", "a=b; c=d"), ("cookie", "e=f")] {
        outbound.head.headers.append(name, HeaderValue::from_static(value));
    }
    let event = form.event(&outbound.head, &outbound.context, Bytes::from_static(b"\xff\0")).unwrap();
    serde_json::from_slice(&event).unwrap()
}

#[test]
fn no_value_is_lost_and_no_byte_is_changed() {
    let v1 = twice(&EventForm::ApiGatewayV1);
    assert_eq!(v1["multiValueHeaders"]["x-multi"], json!(["1", "2"]));
    assert_eq!((&v1["headers"]["x-multi"], &v1["headers"]["cookie"]), (&json!("2"), &json!("e=f")));
    assert_eq!(v1["multiValueHeaders"]["cookie"], json!(["a=b; c=d", "e=f"]));
    assert_eq!(v1["multiValueQueryStringParameters"], json!({ "a": ["1", "2"], "b": ["x y"] }));
    assert_eq!(v1["pathParameters"], json!({ "id": "7" }));
    assert_eq!(v1["requestContext"]["authorizer"]["principalId"], "corp/ada");
    let alb = twice(&EventForm::AlbMultiValue);
    assert_eq!(alb["multiValueHeaders"]["x-multi"], json!(["1", "2"]));
    assert_eq!(alb["multiValueQueryStringParameters"], json!({ "a": ["1", "2"], "b": ["x%20y"] }), "as it was written");
    assert_eq!((alb.get("headers"), alb.get("queryStringParameters")), (None, None));
    assert_eq!(
        alb["multiValueHeaders"]["latchwork-caller"],
        json!(["corp/ada"]),
        "whose call it is has no other place"
    );
    assert_eq!(twice(&EventForm::Alb)["headers"]["x-multi"], "2", "as a target group that was not told otherwise");
    let url = twice(&EventForm::FunctionUrl);
    assert_eq!((&url["cookies"], &url["headers"]["cookie"]), (&json!(["a=b", "c=d", "e=f"]), &json!("a=b; c=d; e=f")));
    assert_eq!((&url["routeKey"], url.get("pathParameters")), (&json!("$default"), None));
    assert_eq!(url["requestContext"]["stage"], "$default");
    for form in [
        EventForm::ApiGatewayV1,
        EventForm::ApiGatewayV2,
        EventForm::Alb,
        EventForm::AlbMultiValue,
        EventForm::FunctionUrl,
    ] {
        let event = twice(&form);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/wA="), &json!(true)), "{form:?}");
    }
}

#[test]
fn what_is_absent_is_written_as_each_form_writes_it() {
    let outbound = samples::get("/a%20b");
    let event = |form: EventForm| -> Value {
        serde_json::from_slice(&form.event(&outbound.head, &outbound.context, Bytes::new()).unwrap()).unwrap()
    };
    let v1 = event(EventForm::ApiGatewayV1);
    for member in ["body", "queryStringParameters", "multiValueQueryStringParameters", "stageVariables"] {
        assert_eq!(v1.get(member), Some(&Value::Null), "{member}");
    }
    assert_eq!(v1["path"], "/a b");
    let alb = event(EventForm::Alb);
    assert_eq!((&alb["body"], &alb["queryStringParameters"], &alb["path"]), (&json!(""), &json!({}), &json!("/a%20b")));
    let url = event(EventForm::FunctionUrl);
    assert_eq!((url.get("body"), url.get("cookies"), &url["rawQueryString"]), (None, None, &json!("")));
}

#[test]
fn an_event_of_cloud_events_has_the_body_as_its_data() {
    let form = CloudEventForm { kind: "shop.ordered".into(), source: "/shop".into(), subject: None };
    let form = EventForm::CloudEvent(Box::new(form));
    assert_eq!(form.problems(), []);
    let mut outbound = samples::post("");
    outbound.head.headers.insert("content-type", HeaderValue::from_static("application/json"));
    let event = form.event(&outbound.head, &outbound.context, Bytes::from("{\"sku\":1e2}")).unwrap();
    assert!(event.ends_with(b",\"data\":{\"sku\":1e2}}"), "to the last digit: {event:?}");
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(
        (&event["type"], &event["source"], &event["specversion"]),
        (&json!("shop.ordered"), &json!("/shop"), &json!("1.0"))
    );
    assert_eq!(event["id"], outbound.context.call_id.to_string());
    let odd =
        EventForm::CloudEvent(Box::new(CloudEventForm { kind: String::new(), source: "/".into(), subject: None }));
    assert_eq!(odd.problems().iter().map(|problem| problem.field).collect::<Vec<_>>(), ["type"]);
}

#[test]
fn a_form_is_a_word_or_a_table() {
    let read = |value: Value| serde_json::from_value::<EventForm>(value);
    let words = ["api_gateway_v2", "api_gateway_v1", "alb", "alb_multi_value", "function_url", "body"];
    for word in words {
        let form = read(json!(word)).unwrap();
        assert_eq!(serde_json::to_value(&form).unwrap(), word);
    }
    let table = json!({ "type": "a", "source": "/b", "subject": null });
    assert_eq!(serde_json::to_value(read(table.clone()).unwrap()).unwrap(), table);
    for (wrong, words) in [
        (json!("api_gateway"), "unknown variant `api_gateway`, expected one of `api_gateway_v2`"),
        (json!({ "type": "a" }), "missing field `source`"),
        (json!({ "type": "a", "source": "b", "mode": "binary" }), "unknown field `mode`"),
        (json!(1), "expected a word"),
    ] {
        let problem = read(wrong).unwrap_err().to_string();
        assert!(problem.contains(words), "{problem}");
    }
}
