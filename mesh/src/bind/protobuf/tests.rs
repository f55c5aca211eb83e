//! Which messages policy can see, and what their bytes say.

use super::*;
use crate::bind::InputSchema;
use prost_reflect::prost::Message as _;

const PROTO: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
service Orders {
  rpc Create(Order) returns (Order);
  rpc Upload(stream Order) returns (Order);
}
enum Currency { CURRENCY_UNSPECIFIED = 0; EUR = 1; CHF = 2; }
message Line { string sku = 1; uint32 pieces = 2; }
message Order {
  int64 amount_cents = 1;
  Currency currency = 2;
  optional string note = 3;
  repeated Line lines = 4;
  google.protobuf.Timestamp placed_at = 5;
  google.protobuf.Int64Value limit = 6;
  map<string, string> labels = 7;
  double weight = 8;
  bytes seal = 9;
  oneof pay { string card = 10; bool invoice = 11; }
  Order replaces = 12;
}
"#;

fn method(name: &str) -> Method {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.proto"), PROTO).unwrap();
    let set = protox::compile(["shop.proto"], [folder.path()]).unwrap();
    Method { descriptors: set.encode_to_vec().into(), method: name.into() }
}

fn framed(message: &DynamicMessage) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [vec![0], length.to_vec(), bytes].concat()
}

fn order() -> DynamicMessage {
    let Message(descriptor) = method("shop.v1.Orders/Create").find().unwrap();
    DynamicMessage::new(descriptor)
}

fn read(message: &DynamicMessage) -> Result<Value, InputError> {
    let schema = InputSchema::message(&method("shop.v1.Orders/Create")).unwrap();
    schema.read(&HeaderMap::new(), &framed(message)).map(|value| (*value).clone())
}

#[test]
fn the_schema_types_what_can_be_typed() {
    let schema = method("shop.v1.Orders/Create").schema().unwrap();
    let order = &schema["$defs"]["shop.v1.Order"];
    assert_eq!(order["required"], json!(["amount_cents", "currency", "lines", "weight", "seal"]));
    assert_eq!(order["properties"]["currency"], json!({ "enum": ["CURRENCY_UNSPECIFIED", "EUR", "CHF"] }));
    assert_eq!(order["properties"]["placed_at"]["format"], "date-time");
    assert_eq!(order["properties"]["limit"]["type"], "integer");
    assert_eq!(schema["$defs"]["shop.v1.Line"]["properties"]["pieces"]["type"], "integer");
}

#[test]
fn a_message_is_read_with_its_defaults_and_without_what_policy_cannot_see() {
    let empty = read(&order()).unwrap();
    assert_eq!(empty, json!({ "amount_cents": 0, "currency": "CURRENCY_UNSPECIFIED", "lines": [] }));
    let mut full = order();
    full.set_field_by_name("amount_cents", Field::I64(5));
    full.set_field_by_name("currency", Field::EnumNumber(2));
    full.set_field_by_name("note", Field::String(String::new()));
    full.set_field_by_name("weight", Field::F64(1.5));
    full.set_field_by_name("invoice", Field::Bool(false));
    let pool = full.descriptor().parent_pool().clone();
    let mut at = DynamicMessage::new(pool.get_message_by_name("google.protobuf.Timestamp").unwrap());
    at.set_field_by_name("seconds", Field::I64(1_764_000_000));
    full.set_field_by_name("placed_at", Field::Message(at));
    let mut limit = DynamicMessage::new(pool.get_message_by_name("google.protobuf.Int64Value").unwrap());
    limit.set_field_by_name("value", Field::I64(7));
    full.set_field_by_name("limit", Field::Message(limit));
    let mut line = DynamicMessage::new(pool.get_message_by_name("shop.v1.Line").unwrap());
    line.set_field_by_name("sku", Field::String("a-1".into()));
    full.set_field_by_name("lines", Field::List(vec![Field::Message(line)]));
    let expected = json!({ "amount_cents": 5, "currency": "CHF", "note": "", "invoice": false, "limit": 7,
        "placed_at": "2025-11-24T16:00:00Z", "lines": [{ "sku": "a-1", "pieces": 0 }] });
    assert_eq!(read(&full).unwrap(), expected);
}

#[test]
fn what_is_not_one_plain_message_is_refused() {
    let schema = InputSchema::message(&method("shop.v1.Orders/Create")).unwrap();
    let refused = |body: &[u8]| schema.read(&HeaderMap::new(), body).unwrap_err();
    let one = framed(&order());
    assert_eq!(refused(&[1, 0, 0, 0, 0]), InputError::ContentEncoding);
    for body in [vec![], vec![0, 0, 0, 0], vec![0, 0, 0, 0, 1], [one.clone(), one].concat(), vec![0, 0, 0, 0, 1, 0xff]]
    {
        assert!(matches!(refused(&body), InputError::NotTheMessage(_)), "{body:?}");
    }
    let mut unknown = order();
    unknown.set_field_by_name("currency", Field::EnumNumber(9));
    assert_eq!(
        read(&unknown).unwrap_err().to_string(),
        "the body is not the method's message: 9 is no value of `shop.v1.Currency`"
    );
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-encoding"), "gzip".parse().unwrap())]);
    assert_eq!(schema.read(&headers, &framed(&order())).unwrap_err(), InputError::ContentEncoding);
}

#[test]
fn methods_that_have_no_input_say_why() {
    assert_eq!(
        method("shop.v1.Orders/Upload").schema().unwrap_err(),
        MethodError::Streams("shop.v1.Orders/Upload".into())
    );
    for name in ["shop.v1.Orders/Creat", "shop.v1.Order/Create", "x"] {
        assert_eq!(method(name).schema().unwrap_err(), MethodError::Unknown(name.into()));
    }
    let broken = Method { descriptors: Arc::from(*b"no"), method: "a.B/C".into() };
    assert!(matches!(broken.schema().unwrap_err(), MethodError::NotDescriptors(_)));
}
