//! JSON to messages and back, the one input object, and what is said of files that describe nothing.

use super::*;
use http::{HeaderValue, header::CONTENT_TYPE};
use serde_json::json;
use std::{fs, path::Path};

const ORDERS: &str = "syntax = \"proto3\";\npackage shop.v1;\nimport \"shop/v1/money.proto\";\n\
    service Orders {\n  rpc Create(Order) returns (Order);\n  rpc Upload(stream Order) returns (Order);\n}\n\
    message Order {\n  string sku = 1;\n  int64 unit_count = 2;\n  Money price = 3;\n  repeated Order parts = 4;\n\
    \x20 oneof by { string card = 5; string cash = 6; }\n  State state = 7;\n}\nenum State { NEW = 0; PAID = 1; }\n";
const MONEY: &str = "syntax = \"proto3\";\npackage shop.v1;\nmessage Money { int64 cents = 1; }\n";

fn folder(orders: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("api/shop/v1");
    fs::create_dir_all(&inside).unwrap();
    fs::write(inside.join("orders.proto"), orders).unwrap();
    fs::write(inside.join("money.proto"), MONEY).unwrap();
    folder
}

fn load(folder: &tempfile::TempDir) -> Result<Descriptions, DescriptionsError> {
    Descriptions::load(&folder.path().join("api/shop/v1/orders.proto"), folder.path())
}

fn create() -> Method {
    load(&folder(ORDERS)).unwrap().method("shop.v1.Orders", "Create").unwrap()
}

fn headers() -> HeaderMap {
    [(CONTENT_TYPE, HeaderValue::from_static("application/json"))].into_iter().collect()
}

fn schema(json: &Value) -> InputSchema {
    InputSchema::compile(json).unwrap()
}

#[test]
fn json_becomes_the_message_and_comes_back() {
    let method = create();
    let json = r#"{"sku":"tea","unit_count":"7","price":{"cents":250},"parts":[{"sku":"cup"}],"state":"PAID"}"#;
    let message = method.message(&headers(), json.as_bytes()).unwrap();
    assert_eq!(&message[..5], b"\x0a\x03tea");
    let told: Value = serde_json::from_str(&method.told(&message, 1000).unwrap()).unwrap();
    assert_eq!(told["unitCount"], "7", "as clients of other languages expect it: {told}");
    assert_eq!((&told["price"]["cents"], &told["parts"][0]["sku"]), (&json!("250"), &json!("cup")));
    assert_eq!(method.told(&message, 10), Err(Untold));
    assert_eq!(method.told(&[255], 1000), Err(Untold));
}

#[test]
fn json_that_is_not_the_message_is_refused() {
    let method = create();
    for (json, part) in [
        (r#"{"sky":"tea"}"#, "sky"),
        (r#"{"sku":7}"#, "a string"),
        (r#"{"unitCount":1.5}"#, "integer"),
        (r#"{"sku":"a","sku":"b"}"#, "twice"),
        (r#"{"card":"a","cash":"b"}"#, "oneof"),
        (r#"{"state":"LOST"}"#, "LOST"),
        (r#"[]"#, "map"),
        ("{", "EOF"),
    ] {
        let refused = method.message(&headers(), json.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(part), "{json}: {refused}");
    }
    let secret = method.message(&headers(), br#"{"unitCount":"s3cret"}"#).unwrap_err().to_string();
    assert!(!secret.contains("s3cret"), "{secret}");
    assert_eq!(method.message(&HeaderMap::new(), b"{}"), Err(InputError::ContentType));
}

#[test]
fn one_input_whatever_form_it_came_in() {
    let method = create();
    let schema = schema(&json!({
        "type": "object",
        "required": ["sku", "unitCount"],
        "properties": { "unitCount": { "type": "integer", "maximum": 9 } }
    }));
    let inputs: Vec<Value> =
        [r#"{"sku":"tea","unit_count":0}"#, r#"{"unitCount":"0","sku":"tea"}"#, r#"{"sku":"tea"}"#]
            .iter()
            .map(|json| {
                let message = method.message(&headers(), json.as_bytes()).unwrap();
                Value::clone(&method.input(&message, &schema).unwrap())
            })
            .collect();
    assert_eq!(inputs[0], json!({ "sku": "tea", "unitCount": 0, "parts": [], "state": "NEW" }));
    assert!(inputs.iter().all(|input| *input == inputs[0]), "{inputs:?}");
    let many = method.message(&headers(), br#"{"unitCount":10}"#).unwrap();
    assert!(matches!(method.input(&many, &schema), Err(InputError::Schema { .. })));
    // Field 15, and a part with it: nobody described it.
    for unknown in [&[0x78, 1][..], &[0x22, 2, 0x78, 1]] {
        assert!(method.input(unknown, &schema).unwrap_err().to_string().contains("not described"));
    }
    assert!(method.input(&[255], &schema).unwrap_err().to_string().contains("can't be read"));
    // Two bytes each become dozens.
    let parts = [0x22, 0].repeat(300_000);
    assert!(method.input(&parts, &schema).unwrap_err().to_string().contains("too large"));
}

#[test]
fn a_set_says_the_same_as_its_source() {
    let folder = folder(ORDERS);
    let source = load(&folder).unwrap();
    let file = folder.path().join("orders.binpb");
    fs::write(&file, source.encoded()).unwrap();
    let set = Descriptions::load(&file, folder.path()).unwrap();
    assert_eq!(set.methods(), source.methods());
    assert_eq!(source.files().len(), 2, "{source:?}");
    let upload = set.method("shop.v1.Orders", "Upload").unwrap();
    assert!(upload.takes_stream() && !upload.answers_stream());
    assert!(set.method("shop.v1.Orders", "Delete").is_none() && set.method("shop.v1.Stock", "Create").is_none());
    assert_eq!(load(&folder).unwrap(), source);
    fs::write(folder.path().join("api/shop/v1/money.proto"), MONEY.replace("cents", "pence")).unwrap();
    assert_ne!(load(&folder).unwrap(), source, "an import is part of it");
}

#[test]
fn what_describes_nothing_is_told_with_its_place() {
    for (from, to, line, part) in [
        ("int64", "int46", 10, "int46"),
        ("string sku = 1;", "string sku = ;", 9, "expected"),
        ("money.proto", "monet.proto", 3, "monet.proto"),
    ] {
        let error = load(&folder(&ORDERS.replacen(from, to, 1))).unwrap_err();
        assert!(error.file.ends_with("api/shop/v1/orders.proto") && error.line == line, "{error:?}");
        assert!(error.message.contains(part), "{error:?}");
    }
    let folder = folder(ORDERS);
    for file in ["absent.proto", "absent.binpb"] {
        let error = Descriptions::load(&folder.path().join(file), folder.path()).unwrap_err();
        assert_eq!((error.file.as_path(), error.line), (&*folder.path().join(file), 0), "{error:?}");
    }
    let text = folder.path().join("text.binpb");
    fs::write(&text, "syntax").unwrap();
    assert!(Descriptions::load(&text, Path::new("/")).unwrap_err().message.contains("no whole set"));
}

#[test]
fn the_schema_of_a_message_takes_what_the_message_is_seen_as() {
    let method = create();
    let schema = method.schema();
    let order = &schema["$defs"]["shop.v1.Order"];
    assert_eq!(order["required"], json!(["sku", "unitCount", "parts", "state"]), "{schema:#}");
    assert_eq!(order["properties"]["price"], json!({ "$ref": "#/$defs/shop.v1.Money" }));
    assert_eq!(order["properties"]["state"], json!({ "enum": ["NEW", "PAID"] }));
    let compiled = InputSchema::compile(&schema).unwrap();
    let empty = method.input(b"", &compiled).unwrap();
    assert_eq!(empty["unitCount"], 0, "what the wire leaves out is there: {empty}");
    let full =
        r#"{"sku":"tea","unitCount":"7","price":{"cents":250},"parts":[{"sku":"cup"}],"cash":"EUR","state":"PAID"}"#;
    let message = method.message(&headers(), full.as_bytes()).unwrap();
    let seen = method.input(&message, &compiled).unwrap();
    assert_eq!((&seen["price"]["cents"], &seen["cash"]), (&json!(250), &json!("EUR")));
    // State 9, which has no name that a policy could know.
    assert!(matches!(method.input(b"\x38\x09", &compiled), Err(InputError::Schema { .. })));
}

#[test]
fn well_known_messages_are_seen_as_json_has_them() {
    let proto = "syntax = \"proto3\";\npackage shop.v1;\nimport \"google/protobuf/timestamp.proto\";\n\
        import \"google/protobuf/wrappers.proto\";\nservice Orders { rpc Create(Order) returns (Order); }\n\
        message Order { google.protobuf.Timestamp placed_at = 1; google.protobuf.Int64Value limit = 2;\n\
        map<string, string> labels = 3; bytes seal = 4; double weight = 5; }\n";
    let method = load(&folder(proto)).unwrap().method("shop.v1.Orders", "Create").unwrap();
    let schema = method.schema();
    let properties = &schema["$defs"]["shop.v1.Order"]["properties"];
    assert_eq!(properties["placedAt"], json!({ "type": "string", "format": "date-time" }));
    assert_eq!(properties["limit"], json!({ "type": "integer" }));
    let json = r#"{"placedAt":"2026-11-27T12:00:00Z","limit":"9","labels":{"a":"b"},"seal":"AAE=","weight":1.5}"#;
    let message = method.message(&headers(), json.as_bytes()).unwrap();
    let seen = method.input(&message, &InputSchema::compile(&schema).unwrap()).unwrap();
    assert_eq!((&seen["placedAt"], &seen["limit"]), (&json!("2026-11-27T12:00:00Z"), &json!(9)));
}
