//! Events of an Application Load Balancer, in both of the forms that a target group has.

use super::parts::{self, last, lists};
use crate::invocation::{CallContext, Head};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// What stands for the target group.
const TARGET_GROUP: &str = "arn:aws:elasticloadbalancing:local:000000000000:targetgroup/latchwork/0000000000000000";

/// What the function is given. With `all`, every value of headers and query; without, the last of each name, as target groups
/// have it that were not told otherwise. The query is as it was written, percent-encoded.
pub(super) fn event(head: &Head, context: &CallContext, body: &[u8], all: bool) -> Bytes {
    let headers = parts::headers(head, context, body.len());
    let (body, is_base64_encoded) = parts::body(body);
    let mut event = Map::new();
    event.insert("requestContext".into(), json!({ "elb": { "targetGroupArn": TARGET_GROUP } }));
    event.insert("httpMethod".into(), head.method.as_str().into());
    event.insert("path".into(), (*head.path).into());
    let (query, fields) = match all {
        true => (lists(parts::raw_query(head)), lists(parts::fields(&headers))),
        false => (last(parts::raw_query(head)), last(parts::fields(&headers))),
    };
    let name = |multiple: &str, single: &str| if all { multiple.to_owned() } else { single.to_owned() };
    event.insert(name("multiValueQueryStringParameters", "queryStringParameters"), query.into());
    event.insert(name("multiValueHeaders", "headers"), fields.into());
    event.insert("body".into(), body.unwrap_or_default().into());
    event.insert("isBase64Encoded".into(), is_base64_encoded.into());
    Bytes::from(Value::Object(event).to_string())
}
