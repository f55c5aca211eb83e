//! Messages as they go out, and what each answer means: JSON, faults of either side, and services that fail.

mod passed;

use super::*;
use crate::{
    backend::remote::Remote,
    double::{Double, answer},
    payload::Reply,
    samples::{body, context, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Request;
use serde_json::json;
use std::{collections::BTreeMap, fs, time::Duration};

const WSDL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/soap/tests/orders.wsdl");

fn described(operation: &str, port: &str, url: &str) -> SoapConfig {
    SoapConfig {
        wsdl: Some(WSDL.into()),
        operation: Some(operation.to_owned()),
        port: Some(port.to_owned()),
        url: Some(url.to_owned()),
        connect_timeout: crate::backend::connect_timeout(),
        ..SoapConfig::default()
    }
}

fn written(template: &str, url: &str) -> SoapConfig {
    SoapConfig {
        template: Some(template.to_owned()),
        url: Some(url.to_owned()),
        action: Some("urn:host#say".to_owned()),
        connect_timeout: crate::backend::connect_timeout(),
        ..SoapConfig::default()
    }
}

async fn call(config: &SoapConfig, outbound: Outbound) -> Result<Reply, InvokeError> {
    assert_eq!(config.problems(), []);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("password"), "pass<word\n").unwrap();
    Soap::new(config, folder.path()).unwrap().invoke(outbound).await
}

fn order() -> Value {
    let line = json!([{ "sku": "tea", "count": 2, "price": "12.50" }]);
    json!({ "order": { "@channel": "web", "day": "2026-11-28", "line": line, "card": "1" } })
}

fn enveloped(body: &str) -> String {
    envelope::write(Version::V11, "", body)
}

const PLACED: &str =
    "<p:placed xmlns:p='urn:example:orders'><p:id>7</p:id><p:total>25.00</p:total><p:shipped/></p:placed>";
const XML: &[(&str, &str)] = &[("content-type", "text/xml; charset=utf-8")];

#[tokio::test]
async fn json_becomes_a_message_and_the_answer_json() {
    let double = Double::same(200, XML, enveloped(PLACED)).await;
    let config = SoapConfig {
        user: Some("gateway".to_owned()),
        password: Some("file:password".to_owned()),
        ..described("Place", "Plain", &format!("{}/orders", double.url()))
    };
    let mut outbound = post(order().to_string());
    for (name, value) in [
        ("content-type", "application/json"),
        ("soapaction", "\"urn:theirs\""),
        ("accept-encoding", "gzip"),
        ("if-none-match", "\"1\""),
        ("x-tenant", "7"),
    ] {
        outbound.head.headers.insert(name, HeaderValue::from_static(value));
    }
    outbound.head.query = Some("a=1".into());
    let reply = call(&config, outbound).await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let said: Value = serde_json::from_slice(&body(reply).await.unwrap()).unwrap();
    assert_eq!(said, json!({ "id": 7, "total": "25.00", "shipped": "", "warning": [] }));
    double.golden("soap/described.golden", &[]);
}

#[tokio::test]
async fn a_template_is_filled_with_text() {
    let said = "<r xmlns='urn:host'><line><n a='1'>x</n></line><none/><at>1</at><at>2</at></r>";
    let double = Double::new(move |_| async move {
        answer(200, &[("content-type", "application/soap+xml")], envelope::write(Version::V12, "", said))
    })
    .await;
    let template = "<say xmlns='urn:host' id='{id}'><name>{body.who.name}</name><note>{body.note?}</note><t>{header.x-t}</t></say>";
    let config = SoapConfig {
        version: Some(SoapVersion::V12),
        arrays: vec!["line".to_owned()],
        username_token: Some(UsernameToken {
            user: "gate&way".to_owned(),
            password: "file:password".to_owned(),
            digest: false,
        }),
        ..written(template, &double.url())
    };
    let mut outbound = post(json!({ "who": { "name": "</name><admin/>é" } }).to_string());
    outbound.head.headers.insert("x-t", HeaderValue::from_static("a\"b"));
    let reply = call(&config, outbound).await.unwrap();
    let said: Value = serde_json::from_slice(&body(reply).await.unwrap()).unwrap();
    let line = json!([{ "n": { "@a": "1", "$": "x" } }]);
    assert_eq!(said, json!({ "line": line, "none": "", "at": ["1", "2"] }));
    double.golden("soap/written.golden", &[]);

    let missing = call(&config, post("{}")).await.unwrap_err();
    assert!(matches!(&missing, InvokeError::BadInput(why) if why == "`/who/name` is missing"), "{missing:?}");
    assert_eq!(double.asked().len(), 1, "nothing was sent");
}

#[tokio::test]
async fn a_digest_is_of_nonce_time_and_password() {
    let double = Double::same(200, XML, enveloped(PLACED)).await;
    let token = UsernameToken { user: "u".to_owned(), password: "file:password".to_owned(), digest: true };
    let config = SoapConfig { username_token: Some(token), ..described("Place", "Plain", &double.url()) };
    for _ in 0..2 {
        call(&config, post(order().to_string())).await.unwrap();
    }
    let digests: Vec<String> = double.asked().iter().map(digest).collect();
    assert_ne!(digests[0], digests[1], "never the same twice");
}

/// The digest of a request, which is right.
fn digest(request: &Request<Bytes>) -> String {
    let text = std::str::from_utf8(request.body()).unwrap();
    assert!(!text.contains("pass"), "{text}");
    let document = roxmltree::Document::parse(text).unwrap();
    let said = |name: &str| {
        let node = document.descendants().find(|node| node.tag_name().name() == name).unwrap();
        node.text().unwrap().to_owned()
    };
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(&STANDARD.decode(said("Nonce")).unwrap());
    context.update(said("Created").as_bytes());
    context.update(b"pass<word");
    assert_eq!(STANDARD.encode(context.finish()), said("Password"));
    said("Password")
}

#[tokio::test]
async fn path_and_query_fill_members_once() {
    let said = enveloped("<s:CountResponse xmlns:s='urn:example:stock'><count>3</count></s:CountResponse>");
    let double = Double::same(200, XML, said).await;
    let config = SoapConfig { query: vec!["deep".to_owned()], ..described("Count", "Stock", &double.url()) };
    let asked = async |body: &'static str, query: Option<&str>| {
        let mut outbound = post(body);
        outbound.head.parameters = BTreeMap::from([("sku".into(), "a&b".into()), ("tenant".into(), "t".into())]);
        outbound.head.query = query.map(Into::into);
        call(&config, outbound).await
    };
    asked("", Some("deep=true&other=1")).await.unwrap();
    asked(r#"{"deep":false}"#, None).await.unwrap();
    let bodies: Vec<String> =
        double.asked().iter().map(|request| String::from_utf8_lossy(request.body()).into_owned()).collect();
    assert!(bodies[0].contains("<sku>a&amp;b</sku><deep>true</deep>"), "{bodies:?}");
    assert!(bodies[1].contains("<deep>false</deep>"), "{bodies:?}");
    for (body, query) in
        [(r#"{"sku":"x","deep":true}"#, None), (r#"{"deep":true}"#, Some("deep=false")), ("", Some("deep=1&deep=0"))]
    {
        let refused = asked(body, query).await.unwrap_err();
        assert!(matches!(&refused, InvokeError::BadInput(why) if why.ends_with("is given twice")), "{refused:?}");
    }
    let refused = asked(r#"{"deep":true,"deep":false}"#, None).await.unwrap_err();
    assert!(matches!(&refused, InvokeError::BadInput(why) if why.contains("strict JSON")), "{refused:?}");
}

const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";

fn fault(code: &str, detail: &str) -> String {
    enveloped(&format!(
        "<soap:Fault xmlns:o='urn:example:orders' xmlns:w='{SECURITY}'><faultcode>{code}</faultcode><faultstring>db01: ORA-00942</faultstring><detail>{detail}</detail></soap:Fault>"
    ))
}

fn fault12(code: &str, sub: &str) -> String {
    let sub = if sub.is_empty() {
        String::new()
    } else {
        format!("<soap:Subcode><soap:Value>{sub}</soap:Value></soap:Subcode>")
    };
    let body = format!(
        "<soap:Fault xmlns:o='urn:o'><soap:Code><soap:Value>{code}</soap:Value>{sub}</soap:Code><soap:Reason><soap:Text xml:lang='en'>db01</soap:Text></soap:Reason></soap:Fault>"
    );
    envelope::write(Version::V12, "", &body)
}

#[tokio::test]
async fn a_fault_is_no_answer_whatever_its_status() {
    for (status, body_, expected) in [
        (500, fault("soap:Server", ""), "function failed: a fault: Server"),
        (200, fault("soap:Server.Timeout", ""), "function failed: a fault: Server.Timeout"),
        (500, fault("o:Odd", ""), "function failed: a fault: Odd"),
        (500, fault("w:FailedAuthentication", ""), "refused the call: a fault: FailedAuthentication"),
        (500, fault("soap:MustUnderstand", ""), "refused the call: a fault: MustUnderstand"),
        (500, fault("soap:Client", ""), "400 Client"),
        (200, fault("soap:Client.Amount", "<o:undeclared/>"), "400 Client.Amount"),
        (500, fault("soap:Server", "<o:outOfStock>tea</o:outOfStock>"), "422 outOfStock"),
        (400, fault12("soap:Sender", ""), "400 Sender"),
        (400, fault12("soap:Sender", "o:NoSuchOrder"), "400 NoSuchOrder"),
        (500, fault12("soap:Receiver", "o:Down"), "function failed: a fault: Down"),
        (503, fault("soap:Client", ""), "no more calls"),
    ] {
        let said = body_.clone();
        let double = Double::new(move |_| {
            let said = said.clone();
            async move { answer(status, XML, said) }
        })
        .await;
        let found = match call(&described("Place", "Plain", &double.url()), post(order().to_string())).await {
            Err(error) => error.to_string(),
            Ok(reply) => {
                let status = reply.status().as_u16();
                let problem = body(reply).await.unwrap();
                let text = String::from_utf8_lossy(&problem);
                assert!(!text.contains("db01") && !text.contains("tea"), "{text}");
                let problem: Value = serde_json::from_slice(&problem).unwrap();
                format!("{status} {}", problem["code"].as_str().unwrap())
            }
        };
        assert!(found.contains(expected), "{status} {body_}: {found}");
    }
}

#[tokio::test]
async fn a_service_that_fails_is_told_by_its_status() {
    const HTML: &[(&str, &str)] = &[("content-type", "text/html")];
    const GZIP: &[(&str, &str)] = &[("content-type", "text/xml"), ("content-encoding", "gzip")];
    const MTOM: &[(&str, &str)] = &[("content-type", "multipart/related; type=\"text/xml\"")];
    let nested = format!("{}{}", "<a>".repeat(200), "</a>".repeat(200));
    let v12 = envelope::write(Version::V12, "", PLACED);
    for (status, headers, said, expected) in [
        (401, HTML, "no".to_owned(), "refused the call: 401"),
        (403, HTML, "no".to_owned(), "refused the call: 403"),
        (404, HTML, "no".to_owned(), "refused the call: 404"),
        (413, HTML, "no".to_owned(), "request is larger"),
        (429, HTML, "no".to_owned(), "no more calls"),
        (500, HTML, "no".to_owned(), "function failed: 500"),
        (500, XML, "<broken".to_owned(), "function failed: 500"),
        (500, XML, enveloped(PLACED), "function failed: 500"),
        (504, HTML, "x".repeat(100_000), "did not answer in time"),
        (200, HTML, "no".to_owned(), "malformed: it is no XML"),
        (200, GZIP, "no".to_owned(), "malformed: it is no XML"),
        (200, MTOM, "no".to_owned(), "malformed: it is no XML"),
        (200, XML, String::new(), "malformed: it is empty"),
        (200, XML, format!("<!DOCTYPE x>{}", enveloped(PLACED)), "malformed"),
        (200, XML, enveloped(&nested), "malformed: it is nested deeper"),
        (200, XML, v12, "malformed: it is of another version"),
        (200, XML, enveloped("<other/>"), "malformed: the body has no"),
        (200, XML, enveloped(""), "malformed: the body has no"),
        (200, XML, enveloped(&format!("<a>{}</a>", "x".repeat(200_000))), "larger than 100000 bytes"),
    ] {
        let shown: String = said.chars().take(60).collect();
        let double = Double::same(status, headers, said).await;
        let mut outbound = post(order().to_string());
        outbound.context.response_bytes_max = 100_000;
        let error = call(&described("Place", "Plain", &double.url()), outbound).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{status} {shown}: {error}");
    }
}

#[tokio::test]
async fn one_way_is_accepted_and_silence_ends() {
    let double = Double::same(202, &[], "").await;
    let accepted = call(&described("Notify", "Plain", &double.url()), post(order().to_string())).await.unwrap();
    assert_eq!(accepted.status().as_u16(), 202);
    let silent = Double::new(|_| async { std::future::pending().await }).await;
    let mut outbound = post(order().to_string());
    outbound.context = context(Duration::from_millis(50));
    let late = call(&described("Place", "Plain", &silent.url()), outbound).await.unwrap_err();
    assert!(matches!(late, InvokeError::TimedOut), "{late:?}");
}

#[test]
fn slips_are_said_by_field() {
    let url = "http://127.0.0.1:1/";
    let fields = |config: &SoapConfig| -> Vec<&'static str> { config.problems().iter().map(|p| p.field).collect() };
    let token = |user: &str, password: &str| UsernameToken {
        user: user.to_owned(),
        password: password.to_owned(),
        digest: false,
    };
    let with = |change: fn(&mut SoapConfig)| {
        let mut config = described("Place", "Plain", url);
        change(&mut config);
        config
    };
    for (config, expected) in [
        (with(|c| c.wsdl = None), vec!["wsdl"]),
        (with(|c| c.operation = None), vec!["operation"]),
        (with(|c| c.template = Some("<a/>".to_owned())), vec!["template"]),
        (with(|c| c.action = Some("x".to_owned())), vec!["action"]),
        (with(|c| c.arrays = vec!["x".to_owned()]), vec!["arrays"]),
        (with(|c| c.url = Some("ftp://x/".to_owned())), vec!["url"]),
        (with(|c| c.ca = Some("x".into())), vec!["ca"]),
        (with(|c| c.connect_timeout = "soon".to_owned()), vec!["connect_timeout"]),
        (SoapConfig { username_token: Some(token("", "env:X")), ..with(|_| {}) }, vec!["username_token"]),
        (SoapConfig { username_token: Some(token("u", "plain")), ..with(|_| {}) }, vec!["password"]),
        (
            SoapConfig {
                username_token: Some(token("u", "env:X")),
                ..described("Place", "Plain", "http://host.example/")
            },
            vec!["url"],
        ),
        (SoapConfig { url: None, ..written("<a/>", url) }, vec!["url"]),
        (SoapConfig { action: Some("a b".to_owned()), ..written("<a/>", url) }, vec!["action"]),
        (written("<a>{id</a>", url), vec!["template"]),
        (written("<a>{other.x}</a>", url), vec!["template"]),
        (written("<{id}/>", url), vec!["template"]),
        (written("<a {id}='1'/>", url), vec!["template"]),
        (written("<a/><b/>", url), vec!["template"]),
        (written("text", url), vec!["template"]),
        (written("<!-- {id} --><a>{id}</a>", url), vec![]),
    ] {
        assert_eq!(fields(&config), expected, "{config:?}");
    }
    let config = SoapConfig { operation: Some("Nothing".to_owned()), ..described("", "Plain", url) };
    let error = Soap::new(&config, Path::new("")).unwrap_err();
    assert!(
        error.field == "wsdl" && error.message.ends_with("no operation `Nothing` over SOAP in that service and port")
    );
    let parameters = written("<a b='{id}'>{body.x}{to}</a>", "http://127.0.0.1:1/{place}").parameters();
    assert_eq!(parameters, ["id", "to", "place"]);
}

#[test]
fn a_changed_description_is_another_backend() {
    let folder = tempfile::tempdir().unwrap();
    let original = Path::new(WSDL).parent().unwrap();
    for file in ["orders.wsdl", "types.xsd", "parts.xsd"] {
        fs::copy(original.join(file), folder.path().join(file)).unwrap();
    }
    let config = SoapConfig { wsdl: Some("orders.wsdl".into()), ..described("Place", "Plain", "http://127.0.0.1:1/") };
    let backend = config.build(folder.path()).unwrap();
    assert!(config.made(&backend, folder.path()));
    let types = fs::read_to_string(folder.path().join("types.xsd")).unwrap();
    fs::write(folder.path().join("types.xsd"), types.replace("\"weight\"", "\"mass\"")).unwrap();
    assert!(!config.made(&backend, folder.path()));
}
