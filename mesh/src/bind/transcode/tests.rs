//! Templates that are read, refused, matched and filled in; rules, and what they make of messages and requests.

use super::{request::Request, template::*, *};
use crate::bind::protobuf::Descriptions;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use proptest::prelude::*;
use std::fs;

const PROTO: &str = "syntax = \"proto3\";\npackage shop.v1;\n\
    service Orders { rpc Create(Order) returns (Order); rpc Upload(stream Order) returns (Order); }\n\
    message Order { string name = 1; int64 amount = 2; Order part = 3; repeated string tags = 4; bool paid = 5;\n\
    \x20 oneof by { string card = 6; string cash = 7; } map<string, string> notes = 8; State state = 9; }\n\
    enum State { NEW = 0; SENT = 1; }\n";

fn method(name: &str) -> Method {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("orders.proto"), PROTO).unwrap();
    let described = Descriptions::load(&folder.path().join("orders.proto"), folder.path()).unwrap();
    described.method("shop.v1.Orders", name).unwrap()
}

fn binding(verb: &str, path: &str, body: Option<&str>) -> Binding {
    let method_of = Verb::from_bytes(verb.as_bytes()).ok();
    let rule = Rule { method: method_of, path: path.to_owned(), body: body.map(str::to_owned), response_body: None };
    Binding::new(&method("Create"), rule).unwrap()
}

fn taken(binding: &Binding, path: &str, query: &str, body: &str) -> Result<Bytes, String> {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let body = Bytes::copy_from_slice(body.as_bytes());
    let request = Request { path, query: Some(query), headers: &headers, body: &body };
    binding.message(request).map_err(|error| error.to_string())
}

#[test]
fn templates_are_read_as_their_grammar_says() {
    let shown = |text: &str| Template::parse(text).map(|template| template.to_string()).map_err(|e| e.to_string());
    for (text, expected) in [
        ("/v1/shelves", "/v1/shelves"),
        ("/v1/{name}", "/v1/*"),
        ("/v1/{name=shelves/*}", "/v1/shelves/*"),
        ("/v1/{a.b_c=x/*/y/**}", "/v1/x/*/y/**"),
        ("/v1/{name=**}:verb", "/v1/**:verb"),
        ("/v1/*/**", "/v1/*/**"),
        ("/{a}/{b}/c:do.it", "/*/*/c:do.it"),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
    }
    for (text, part) in [
        ("", "begin"),
        ("v1", "begin"),
        ("/", "empty segment"),
        ("/v1/", "empty segment"),
        ("//v1", "empty segment"),
        ("/v1/{", "no path of fields"),
        ("/v1/{}", "no path of fields"),
        ("/v1/{a..b}", "no path of fields"),
        ("/v1/{1a}", "no path of fields"),
        ("/v1/{a", "not closed"),
        ("/v1/{a=*", "not closed"),
        ("/v1/{a=}", "empty segment"),
        ("/v1/{a=b/{c}}", "inside of another"),
        ("/v1/{a}b", "not expected"),
        ("/v1/a{b}", "not expected"),
        ("/v1/a}", "not expected"),
        ("/v1/{a=**}/b", "not its last"),
        ("/v1/**/{a}", "not its last"),
        ("/v1/{a}/{a}", "twice"),
        ("/v1:", "no segment"),
        ("/v1:a:b", "`:`"),
        ("/v1:a/b", "`/`"),
        ("/v1/..", "no segment"),
        ("/v1/a%20b", "`%`"),
        ("/v1/a*", "`*`"),
        ("/v1/***", "`*`"),
        ("/v1/é", "`é`"),
    ] {
        let said = shown(text).unwrap_err();
        assert!(said.contains(part), "{text}: {said}");
    }
    assert!(shown(&"/a".repeat(600)).unwrap_err().contains("longer"));
    assert!(shown(&"/a".repeat(65)).unwrap_err().contains("segments"));
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "[/a{}=*.:_é%]{0,24}|\\PC{0,24}") {
        if let Ok(template) = Template::parse(&text) {
            // What was read is read again as the same, and takes what it is filled with.
            let again = Template::parse(&template.to_string()).unwrap();
            prop_assert_eq!(again.segments(), template.segments());
            prop_assert_eq!(again.verb(), template.verb());
            let values: Vec<String> = template.variables().iter().map(|_| "x".to_owned()).collect();
            if let Some(path) = template.filled(&values) {
                let path = template.verb().map_or(path.as_str(), |verb| path.strip_suffix(verb).unwrap().strip_suffix(':').unwrap());
                let segments: Vec<&str> = path.split('/').skip(1).collect();
                for variable in template.variables() {
                    prop_assert_eq!(template.captured(variable, &segments).join("/"), "x");
                }
            }
        }
    }

    #[test]
    fn what_is_sent_is_what_would_be_taken(
        name in "[a-z é?#+&%=~:]{1,8}/[a-z/]{1,8}", amount in any::<i64>(), tags in proptest::collection::vec("\\PC{0,6}", 0..4),
        paid in any::<bool>(), card in "\\PC{1,4}", state in 0..3_i32,
    ) {
        let name = name.trim_end_matches('/').to_owned();
        prop_assume!(!name.contains("//") && !name.contains('%'));
        let json = serde_json::json!({
            "name": format!("shelves/{name}"), "amount": amount.to_string(), "tags": tags, "card": card, "state": state,
            "part": { "paid": paid, "amount": "1" }
        });
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let message = method("Create").message(&headers, json.to_string().as_bytes()).unwrap();
        let rules = [("GET", "/v1/{name=shelves/**}", None), ("POST", "/v1/{name=shelves/**}:do", Some("part")),
            ("PUT", "/{amount}/{card}/{state}", Some("*"))];
        for (verb, path, body) in rules {
            let binding = binding(verb, path, body);
            let Ok(sent) = binding.sent(&message) else { continue };
            let body = String::from_utf8(sent.body.to_vec()).unwrap();
            let taken = taken(&binding, &sent.path, sent.query.as_deref().unwrap_or_default(), &body);
            prop_assert_eq!(taken.as_ref(), Ok(&message), "{:?}", sent);
        }
    }
}

#[test]
fn requests_are_taken_field_by_field() {
    let get = binding("GET", "/v1/{name=orders/*}:look", None);
    let message = taken(&get, "/v1/orders/a%20b:look", "amount=7&tags=x&tags=y&part.paid=true", "").unwrap();
    assert_eq!(&message[..], b"\x0a\x0aorders/a b\x10\x07\x1a\x02\x28\x01\x22\x01x\x22\x01y");
    for (query, part) in [
        ("amounts=7", "there is no field `amounts`"),
        ("amount=7&amount=8", "more than once"),
        ("name=x", "given by the path"),
        ("card=a&cash=b", "`card` is given already"),
        ("notes=a", "no place in a query"),
        ("part=a", "no place in a query"),
        ("part.part.amount=x", "part.part.amount"),
        ("paid=1", "`true` or `false`"),
        ("state=LOST", "state"),
        ("amount=%zz", "broken percent-encoding"),
        ("amount=%ff", "UTF-8"),
    ] {
        let said = taken(&get, "/v1/orders/1:look", query, "").unwrap_err();
        assert!(said.contains(part), "{query}: {said}");
    }
    assert!(taken(&get, "/v1/orders/1:look", &"tags=a&".repeat(1001), "").unwrap_err().contains("more than 1000"));
    assert!(
        taken(&get, "/v1/orders/1:look", &format!("{}amount=1", "part.".repeat(40)), "").unwrap_err().contains("deep")
    );
    assert!(taken(&get, "/v1/orders/1:look", "", "{}").unwrap_err().contains("no body"));
    let post = binding("POST", "/v1/{name}", Some("part"));
    assert_eq!(
        &taken(&post, "/v1/a", "amount=1", r#"{"amount":"2"}"#).unwrap()[..],
        b"\x0a\x01a\x10\x01\x1a\x02\x10\x02"
    );
    assert!(taken(&post, "/v1/a", "part.amount=1", "{}").unwrap_err().contains("given by the body"));
    let all = binding("POST", "/v1/{name}", Some("*"));
    assert!(taken(&all, "/v1/a", "", r#"{"name":"b"}"#).unwrap_err().contains("another than in the body"));
    assert!(taken(&all, "/v1/a", "amount=1", "{}").unwrap_err().contains("the whole message"));
    assert_eq!(taken(&all, "/v1/a", "", r#"{"name":"a"}"#).unwrap(), taken(&all, "/v1/a", "", "").unwrap());
}
