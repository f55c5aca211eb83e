//! Clients of SOAP in front of `soap` targets: the service sees their messages, and they its answers and faults.

use super::{outcome, routed, target};
use serde_json::json;
use std::fs;
use tests::{
    latchwork,
    project::Project,
    root,
    soap::{PASSWORD, Service, node_client, zeep},
};

#[tokio::test]
async fn a_client_and_a_service_that_validates_understand_each_other() {
    let project = Project::new().anonymous();
    let Some(service) = Service::spyne(project.folder(), "1.1").await else { return };
    project.write("shop.wsdl", &service.wsdl("/shop").await);
    project.write("password", PASSWORD);
    let described = |operation: &str| format!("wsdl = \"shop.wsdl\", operation = \"{operation}\"");
    let url = service.url("/shop");
    let of = |operation: &str| target(&url, &described(operation));
    let action = |operation: &str| format!("soap_action = {{ {} }}", described(operation));
    let host = target(&service.url("/cics/services"), "wsdl = \"host.wsdl\", operation = \"transfer\"");
    fs::copy(routed::wsdl(), project.folder().join("host.wsdl")).expect("the folder is ours");
    let project = project
        .function("shop.echo", "POST /shop", &of("echo"), &action("echo"))
        .function("shop.say", "POST /shop", &of("say"), &action("say"))
        .function("host.transfer", "POST /host", &host, "soap_action = { wsdl = \"host.wsdl\", operation = \"transfer\" }")
        .policy("@id(\"shop\")\npermit (principal, action in [Action::\"shop.echo\", Action::\"shop.say\"], resource);")
        .policy(
            "@id(\"transfer\")\npermit (principal, action == Action::\"host.transfer\", resource)\nwhen { context.input.cents <= 1000 };",
        );
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let front = |path: &str| format!("https://{}{path}", gateway.listener("public"));
    let ca = project.ca();
    let say = |name: &str, times: i64| json!({ "operation": "say", "input": { "name": name, "times": times } });
    let (url, steps) = (front("/shop"), json!([say("ä <b>", 3), say("x", -1), say("fail", 1)]));
    let wsdl = project.folder().join("shop.wsdl");
    let Some(said) = zeep(&wsdl, (&url, Some(&*ca)), "", &steps, project.folder()).await else { return };
    assert_eq!(said[0], json!({ "answer": "hi ä <b> x3" }), "{}", gateway.stderr());
    let (fault, words) = (said[1]["fault"].as_str().expect("a fault"), &said[1]["words"]);
    assert!(fault.ends_with(":Client.Negative") && *words == "db01: times is negative", "its own fault: {}", said[1]);
    assert_eq!(outcome(&said[2]), "function_failed", "{}", said[2]);
    assert!(!said[2].to_string().contains("hunter2"), "{}", said[2]);

    let pay =
        |cents: i64| json!({ "operation": "transfer", "input": { "source": "1", "target": "2", "cents": cents } });
    let (url, steps) = (front("/host"), json!([pay(999), pay(1001)]));
    let said = zeep(&routed::wsdl(), (&url, Some(&*ca)), "", &steps, project.folder()).await;
    let said: Vec<_> = said.unwrap_or_default().iter().map(outcome).collect();
    assert_eq!(said, [json!({ "answer": "999 to 2" }), json!("not_found")], "{}", gateway.stderr());
    assert!(!service.stdout().contains("1001"), "{}", service.stdout());
    gateway.stop().await;
}

#[tokio::test]
async fn the_service_knows_the_gateway_by_the_token_in_the_message() {
    let project = Project::new().anonymous();
    let wsdl = root().join("deploy/examples/soap/orders.wsdl");
    let Some(service) = Service::node(project.folder(), &wsdl, "1.1", true).await else { return };
    fs::copy(&wsdl, project.folder().join("orders.wsdl")).expect("the folder is ours");
    project.write("password", PASSWORD);
    project.write("wrong", "another-password");
    let described = "wsdl = \"orders.wsdl\", operation = \"PlaceOrder\"";
    let of = |password: &str, digest: bool| {
        format!(
            "soap = {{ url = \"{}\", {described}, username_token = {{ user = \"gateway\", password = \"file:{password}\", digest = {digest} }} }}",
            service.url("/orders")
        )
    };
    let action = format!("soap_action = {{ {described} }}");
    let project = project
        .function("shop.text", "POST /text", &of("password", false), &action)
        .function("shop.digest", "POST /digest", &of("password", true), &action)
        .function("shop.wrong", "POST /wrong", &of("wrong", false), &action)
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let order = |sku: &str| {
        let line = json!([{ "sku": sku, "count": 2 }]);
        json!({ "operation": "PlaceOrder", "input": { "customer": "Zoë <&>", "line": line } })
    };
    let steps = json!([order("tea"), order("nothing"), order("broken")]);
    let front = |path: &str| format!("https://{}{path}", gateway.listener("public"));
    for path in ["/text", "/digest"] {
        let url = front(path);
        let place = (url.as_str(), Some(&*project.ca()));
        // The client has a user of its own, whom the service does not know.
        let Some(said) = node_client(&wsdl, place, ("1.1", "theirs"), &steps, project.folder()).await else { return };
        assert_eq!(said[0]["answer"]["total"], 12.5, "{}\n{}", said[0], gateway.stderr());
        assert_eq!(said[1]["fault"]["detail"]["OutOfStock"], "nothing", "{}", said[1]);
        assert_eq!(said[2]["fault"]["detail"]["refusal"]["word"], "function_failed", "{}", said[2]);
    }
    let url = front("/wrong");
    let Some(said) =
        node_client(&wsdl, (&url, Some(&*project.ca())), ("1.1", ""), &json!([order("tea")]), project.folder()).await
    else {
        return;
    };
    // This service does not say by a code of its own that it is the token.
    assert_eq!(said[0]["fault"]["detail"]["refusal"]["word"], "function_failed", "{}\n{}", said[0], gateway.stderr());
    let log = gateway.stop().await;
    assert!(!log.contains(PASSWORD) && !log.contains("another-password"), "{log}");
}

#[test]
fn a_target_of_another_operation_or_a_template_is_said_before_anything_runs() {
    let action = "soap_action = { wsdl = \"host.wsdl\", operation = \"balance\" }";
    for (soap, said) in [
        ("wsdl = \"host.wsdl\", operation = \"transfer\"", "takes another element than the route"),
        ("url = \"http://127.0.0.1:1/\", template = \"<a/>\"", "makes messages of JSON"),
        ("wsdl = \"host.wsdl\", operation = \"balance\", query = [\"account\"]", "the message says it"),
    ] {
        let project = routed::project();
        let project = project.function("host.x", "POST /x", &format!("soap = {{ {soap} }}"), action).permit_all();
        assert!(routed::checked(&project).contains(said), "{soap}: {}", routed::checked(&project));
    }
}
