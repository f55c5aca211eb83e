//! Operations of SOAP services behind JSON, and messages of SOAP clients routed by their action.

use serde_json::{Value, json};
use std::{fs, path::Path};
use tests::{
    client::{Answer, Request},
    latchwork::{self, Running},
    project::Project,
    root,
    soap::{PASSWORD, Service},
};

mod example;
mod faults;
mod passed;
mod routed;

/// The inside of a `soap` target, with the gateway's user at the service.
fn target(url: &str, more: &str) -> String {
    format!("soap = {{ url = \"{url}\", user = \"gateway\", password = \"file:password\", {more} }}")
}

async fn send(gateway: &Running, path: &str, body: &Value) -> Answer {
    gateway.client().send(Request::json(path, body)).await
}

/// Functions before a service of `spyne` that validates, by the WSDL that it gives of itself.
async fn before_spyne(version: &str) {
    let project = Project::new().anonymous();
    let Some(service) = Service::spyne(project.folder(), version).await else { return };
    project.write("shop.wsdl", &service.wsdl("/shop").await);
    let described = |operation: &str| format!("wsdl = \"shop.wsdl\", operation = \"{operation}\"");
    let url = service.url("/shop");
    let project = project
        .function("shop.echo", "POST /echo", &target(&url, &described("echo")), "request_bytes_max = 4000000")
        .function("shop.say", "POST /say/{name}", &target(&url, &described("say")), "response_bytes_max = 50000")
        .function(
            "shop.ask",
            "GET /say/{name}",
            &target(&url, &format!("{}, query = [\"times\"]", described("say"))),
            "",
        )
        .function("shop.late", "POST /late/{name}", &target(&url, &described("say")), "timeout = \"300ms\"")
        .function("shop.wrong", "POST /wrong", &target(&url, &described("say")).replace(":password", ":wrong"), "")
        .permit_all();
    project.write("password", PASSWORD);
    project.write("wrong", "another-password");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;

    let order = json!({
        "@channel": "ä<\"&'>",
        "customer": "Zoë & \u{1f600}\r\n\t]]>",
        "lines": { "Line": [{ "sku": "tea", "count": 2, "gift": true }, { "sku": "", "count": -3, "gift": null }] },
        "tags": ["a", "b"],
        "price": "12.5000000000000000000000001",
        "due": "2026-11-28T10:20:30Z",
        "drawing": "AP8BAg=="
    });
    let echoed = send(&gateway, "/echo", &json!({ "order": order })).await;
    assert_eq!(echoed.status, 200, "{}\n{}", echoed.text(), gateway.stderr());
    let mut said = echoed.json()["echoResult"].clone();
    let due = said["due"].take();
    assert!(due.as_str().is_some_and(|due| due.starts_with("2026-11-28T10:20:30")), "{due}");
    let mut expected = order.clone();
    expected["due"] = Value::Null;
    // What is nil is left out by this service.
    expected["lines"]["Line"][1].as_object_mut().expect("an object").remove("gift");
    said["lines"]["Line"][1].as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    assert_eq!(said, expected, "every sign and digit came back");

    let asked = gateway.client().send(Request::get("/say/%C3%A4%20%3Cb%3E?times=3&other=1")).await;
    assert_eq!((asked.status, asked.json()), (200, json!({ "sayResult": "hi ä <b> x3" })), "{}", asked.text());
    for (path, body, status, code) in [
        ("/say/x", json!({ "times": -1 }), 400, Some("Client.Negative")),
        ("/say/fail", json!({}), 502, None),
        ("/say/long", json!({ "times": 60_000 }), 502, None),
        ("/late/slow", json!({ "times": 5 }), 504, None),
        ("/wrong", json!({}), 502, None),
        ("/say/x", json!({ "times": "two" }), 400, None),
        ("/say/x", json!({ "name": "y" }), 400, None),
        ("/say/x", json!({ "unknown": 1 }), 400, None),
        ("/echo", json!({ "order": { "customer": "x".repeat(5_000_000) } }), 413, None),
    ] {
        let said = send(&gateway, path, &body).await;
        assert_eq!(said.status, status, "{path}: {}\n{}", said.text(), gateway.stderr());
        for word in ["db01", "hunter2", "Traceback", PASSWORD] {
            assert!(!said.text().contains(word), "what the service says stays with it: {}", said.text());
        }
        assert!(said.headers.get("www-authenticate").is_none(), "{:?}", said.headers);
        if let Some(code) = code {
            let told = code.trim_start_matches(if version == "1.2" { "Client." } else { "" });
            assert!(said.json()["code"].as_str().is_some_and(|said| said == code || said == told), "{}", said.text());
        }
    }
    let told = send(&gateway, "/say/x", &json!({ "times": "two" })).await;
    assert!(told.text().contains("`/times` is no integer"), "{}", told.text());
    let log = gateway.stop().await;
    assert!(!log.contains(PASSWORD) && !log.contains("another-password") && !log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn json_in_front_of_a_service_that_validates() {
    before_spyne("1.1").await;
}

#[tokio::test]
async fn the_same_with_soap_1_2() {
    before_spyne("1.2").await;
}

/// Functions before npm's `soap`, which goes by the example's WSDL and asks for a user in the message.
async fn before_node(version: &str, digest: bool) {
    let project = Project::new().anonymous();
    let wsdl = root().join("deploy/examples/soap/orders.wsdl");
    let Some(service) = Service::node(project.folder(), &wsdl, version, true).await else { return };
    fs::copy(&wsdl, project.folder().join("orders.wsdl")).expect("the folder is ours");
    let token = |password: &str| {
        format!("username_token = {{ user = \"gateway\", password = \"file:{password}\", digest = {digest} }}")
    };
    let url = service.url("/orders");
    let place = match version {
        "1.1" => "wsdl = \"orders.wsdl\", operation = \"PlaceOrder\"".to_owned(),
        // The WSDL has no port of this version: what is sent is written out.
        _ => {
            let body = "<PlaceOrder xmlns='urn:example:orders'><customer>{body.customer}</customer><line><sku>{body.line.sku}</sku><count>{body.line.count}</count></line></PlaceOrder>";
            let action = "action = \"urn:example:orders#PlaceOrder\", version = \"1.2\", arrays = [\"note\"]";
            format!("template = \"{body}\", {action}")
        }
    };
    let of = |password: &str| format!("soap = {{ url = \"{url}\", {place}, {} }}", token(password));
    let project = project
        .function("shop.place", "POST /orders", &of("password"), "")
        .function("shop.wrong", "POST /wrong", &of("wrong"), "")
        .permit_all();
    project.write("password", PASSWORD);
    project.write("wrong", "another-password");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let order = |sku: &str| {
        let line = json!({ "sku": sku, "count": 2 });
        let line = if version == "1.1" { json!([line, { "sku": "cup", "count": 1, "gift": true }]) } else { line };
        json!({ "customer": "Zoë <&>", "line": line })
    };
    let placed = send(&gateway, "/orders", &order("tea")).await;
    assert_eq!(placed.status, 200, "{}\n{}", placed.text(), gateway.stderr());
    let expected = match version {
        "1.1" => json!({
            "id": 9_007_199_254_740_993_i64,
            "total": "12.50",
            "note": ["Zoë <&>", "undefined", "tea 2 undefined, cup 1 true"]
        }),
        _ => json!({ "id": "9007199254740993", "total": "12.50", "note": ["Zoë <&>", "undefined", "tea 2 undefined"] }),
    };
    assert_eq!(placed.json(), expected);
    // A fault is one although this server answers it with 200; one that the WSDL describes has a code of its own.
    let nothing = send(&gateway, "/orders", &order("nothing")).await;
    match version {
        "1.1" => assert_eq!((nothing.status, &nothing.json()["code"]), (422, &json!("OutOfStock"))),
        _ => assert_eq!(nothing.status, 502, "{}", nothing.text()),
    }
    for (path, sku) in [("/orders", "broken"), ("/wrong", "tea")] {
        let said = send(&gateway, path, &order(sku)).await;
        assert_eq!(said.status, 502, "{path}: {}", said.text());
        assert!(!said.text().contains("db01") && !said.text().contains("hunter2"), "{}", said.text());
    }
    let log = gateway.stop().await;
    assert!(!log.contains(PASSWORD) && !log.contains("another-password"), "{log}");
}

#[tokio::test]
async fn a_described_service_that_asks_for_a_password_in_the_message() {
    before_node("1.1", false).await;
}

#[tokio::test]
async fn a_template_for_soap_1_2_with_a_digest() {
    before_node("1.2", true).await;
}

#[tokio::test]
async fn a_wsdl_that_does_not_fit_is_found_before_anything_runs() {
    let described = "soap = { wsdl = \"orders.wsdl\", operation = \"CancelOrder\" }";
    let project = Project::new().anonymous().function("shop.cancel", "POST /cancel", described, "").permit_all();
    fs::copy(root().join("deploy/examples/soap/orders.wsdl"), project.folder().join("orders.wsdl")).expect("ours");
    let config = project.config();
    let output = latchwork::command(project.folder(), &["check", "-c", &shown(&config)]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("it has no operation `CancelOrder` over SOAP"), "{said}");
}

/// What a client of `zeep` made of an answer: the answer, or the word of the gateway's fault.
fn outcome(said: &Value) -> Value {
    let word = &said["detail"]["{urn:latchwork:refusal}word"];
    if word.is_null() { said.clone() } else { word.clone() }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
