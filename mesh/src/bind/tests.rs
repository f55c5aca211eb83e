//! What is strict JSON and what fits a schema.

use super::*;
use http::HeaderValue;
use proptest::prelude::*;
use serde_json::json;

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

fn anything() -> InputSchema {
    InputSchema::compile(&json!(true)).unwrap()
}

fn read(text: &[u8]) -> Result<Arc<Value>, InputError> {
    anything().read(&json_headers(), text)
}

#[test]
fn json_that_two_readers_could_take_differently_is_refused() {
    let deep = format!("{}1{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
    let very_deep = "[".repeat(1_000_000);
    for text in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"[{"b":{"a":1,"a":1}}]"#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#"{"\ud800":1}"#,
        "\u{feff}{}",
        "{} {}",
        "{}x",
        "",
        " ",
        "{a:1}",
        "{'a':1}",
        "[1,]",
        "// a\n1",
        "NaN",
        "Infinity",
        "01",
        "+1",
        "1.",
        ".5",
        "\"a\tb\"",
        "18446744073709551616",
        "-9223372036854775809",
        "123456789012345678901234567890",
        "-0",
        "1e400",
        "1e-400",
        "0.1000000000000000055",
        "12345678901234567.5",
        "1e99999999999999999999",
        &deep,
        &very_deep,
    ] {
        let shown: String = text.chars().take(40).collect();
        assert!(matches!(read(text.as_bytes()), Err(InputError::NotStrictJson(_))), "{shown}");
    }
    for bytes in [&b"\"\xff\""[..], b"{\"a\xc0\xaf\":1}", b"\"\xed\xa0\x80\"", b"\xff\xfe{\0}\0"] {
        assert!(matches!(read(bytes), Err(InputError::NotStrictJson(_))), "{bytes:?}");
    }
}

#[test]
fn strict_json_is_read_as_it_stands() {
    for (text, value) in [
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        (
            r#"{"b":[0.1,-2.50,1e3,1E-7,0.0,-0.0,0e9],"a 1 \" 2":"3\\","c":4}"#,
            json!({
                "b": [0.1, -2.5, 1000.0, 1e-7, 0.0, -0.0, 0.0], "a 1 \" 2": "3\\", "c": 4
            }),
        ),
        ("0.30000000000000004", json!(0.300_000_000_000_000_04)),
        ("123456.789e3", json!(123_456_789.0)),
        (r#""\ud83d\ude00\u0000""#, json!("😀\0")),
        (" null\r\n", json!(null)),
    ] {
        assert_eq!(*read(text.as_bytes()).unwrap(), value, "{text}");
    }
    let deep = format!("{}1{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    read(deep.as_bytes()).unwrap();
}

#[test]
fn content_type_and_encoding_are_what_was_agreed() {
    let with = |name: http::HeaderName, values: &[&'static str]| {
        let mut headers = if name == CONTENT_TYPE { HeaderMap::new() } else { json_headers() };
        for value in values {
            headers.append(&name, HeaderValue::from_static(value));
        }
        anything().read(&headers, b"1")
    };
    for good in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
        "application/vnd.a-b.c+json",
    ] {
        assert!(with(CONTENT_TYPE, &[good]).is_ok(), "{good}");
    }
    let bad: [&[&str]; 13] = [
        &[],
        &[""],
        &["text/json"],
        &["application/jsonx"],
        &["application/+json"],
        &["application/x+xml"],
        &["application/a b+json"],
        &["application/json; charset=utf-16"],
        &["application/json; boundary=x"],
        &["application/json; charset=utf-8; charset=utf-7"],
        &["application/json, text/plain"],
        &["application/json", "application/json"],
        &["application/json;"],
    ];
    for values in bad {
        assert_eq!(with(CONTENT_TYPE, values), Err(InputError::ContentType), "{values:?}");
    }
    assert!(with(CONTENT_ENCODING, &["identity"]).is_ok());
    for values in [&["gzip"][..], &["identity, gzip"], &["identity", "br"], &[""]] {
        assert_eq!(with(CONTENT_ENCODING, values), Err(InputError::ContentEncoding), "{values:?}");
    }
}

#[test]
fn an_error_names_the_place_and_not_the_value() {
    let schema = json!({
        "type": "object",
        "properties": { "a/b": { "type": "array", "items": { "type": "integer", "maximum": 10 } }, "d": { "format": "date" } },
        "additionalProperties": false
    });
    let schema = InputSchema::compile(&schema).unwrap();
    let error = |text: &str| match schema.read(&json_headers(), text.as_bytes()).unwrap_err() {
        InputError::Schema { pointer, message } => (pointer, message),
        other => panic!("{other:?}"),
    };
    let (pointer, message) = error(r#"{"a/b":[1,"a secret"]}"#);
    assert_eq!(pointer, "/a~1b/1");
    assert!(!message.contains("secret") && message.contains("integer"), "{message}");
    assert_eq!(error(r#"{"a/b":[1,11]}"#).0, "/a~1b/1");
    assert_eq!(error(r#"{"d":"2026-13-01"}"#).0, "/d");
    let (_, message) = error(&format!(r#"{{"{}":1}}"#, "x".repeat(10_000)));
    assert!(message.chars().count() <= ERROR_CHARS_MAX + 1);
}

#[test]
fn a_bad_schema_is_told_with_its_place() {
    for (schema, place) in [
        (json!({ "properties": { "a": { "type": "no-such-type" } } }), "/properties/a/type"),
        (json!({ "properties": { "a": { "minimum": "1" } } }), "/properties/a/minimum"),
        (json!({ "pattern": "(" }), "/pattern"),
        (json!({ "pattern": "(?=lookahead)" }), "/pattern"),
        (json!(1), ""),
    ] {
        let error = InputSchema::compile(&schema).unwrap_err();
        assert!(error.to_string().starts_with(&format!("`{place}`")), "{schema}: {error}");
    }
}

#[test]
fn no_schema_is_fetched() {
    for reference in
        ["http://127.0.0.1:1/schema", "https://example.com/s.json", "file:///etc/passwd", "other.json", "#/$defs/x"]
    {
        let error = InputSchema::compile(&json!({ "properties": { "a/b": { "$ref": reference } } })).unwrap_err();
        assert!(error.to_string().starts_with("`/properties/a~1b/$ref`: "), "{error}");
    }
    let local = json!({ "$defs": { "n": { "type": "integer" } }, "properties": { "a": { "$ref": "#/$defs/n" } } });
    assert!(InputSchema::compile(&local).is_ok());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("no number", |f| serde_json::Number::from_f64(f).map(Value::Number)),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(".*", inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn of_two_decimals_equally_near_either_is_exact() {
    for text in ["862448469067846.2", "862448469067846.3"] {
        assert_eq!(read(text.as_bytes()).unwrap().as_f64(), text.parse().ok(), "{text}");
    }
    assert!(read(b"862448469067846.21").is_err());
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:0-9eE.+\\-\\\\u ]{0,60}") {
        let _ = read(&bytes);
        let _ = read(text.as_bytes());
    }

    #[test]
    fn what_is_written_is_read_back(value in value()) {
        let text = serde_json::to_vec(&value).unwrap();
        let read = read(&text).unwrap();
        prop_assert_eq!(&*read, &value);
        prop_assert_eq!(serde_json::to_vec(&*read).unwrap(), text);
    }
}
