//! One URL for many operations: a function for each, by its action, and nothing that says two of them.

use super::{outcome, shown};
use serde_json::json;
use std::{fs, path::PathBuf};
use tests::{
    client::{Answer, Request},
    latchwork::{self, Running},
    project::Project,
    records, root,
    soap::{PASSWORD, Service, zeep},
};

pub(super) const V11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub(super) const V12: &str = "http://www.w3.org/2003/05/soap-envelope";
pub(super) const BALANCE: &str = "<balance xmlns='urn:example:host'><account>1</account></balance>";

pub(super) fn wsdl() -> PathBuf {
    root().join("deploy/examples/mainframe/host.wsdl")
}

pub(super) fn transfer(cents: i64) -> String {
    format!("<transfer xmlns='urn:example:host'><source>1</source><target>2</target><cents>{cents}</cents></transfer>")
}

pub(super) fn message(version: &str, header: &str, body: &str) -> String {
    format!("<s:Envelope xmlns:s='{version}'><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>")
}

fn post(action: Option<&str>, message: String) -> Request {
    let request = Request::post("/cics/services", message).header("content-type", "text/xml; charset=utf-8");
    match action {
        Some(action) => request.header("soapaction", action),
        None => request,
    }
}

/// A host at one URL. Balances are anybody's; transfers are, up to 1000 cents.
pub(super) fn project() -> Project {
    let project = Project::new().anonymous();
    fs::copy(wsdl(), project.folder().join("host.wsdl")).expect("the folder is ours");
    project.write("password", PASSWORD);
    project
}

async fn running(project: Project, url: &str) -> (Project, Running) {
    let http = format!("http = {{ url = \"{url}\", user = \"gateway\", password = \"file:password\" }}");
    let named = "soap_action = { action = \"urn:example:host#balance\", element = \"{urn:example:host}balance\" }";
    let described = "soap_action = { wsdl = \"host.wsdl\", operation = \"transfer\" }";
    let project = project
        .function("host.balance", "POST /cics/services", &http, named)
        .function("host.transfer", "POST /cics/services", &http, described)
        .policy("@id(\"read\")\npermit (principal, action == Action::\"host.balance\", resource);")
        .policy(
            "@id(\"transfer\")\npermit (principal, action == Action::\"host.transfer\", resource)\nwhen { context.input.cents <= 1000 };",
        );
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    (project, gateway)
}

#[tokio::test]
async fn a_client_of_soap_reaches_each_operation_through_its_own_policy() {
    let project = project();
    let Some(host) = Service::spyne(project.folder(), "1.1").await else { return };
    let (project, gateway) = running(project, &host.url("/cics/services")).await;
    let url = format!("https://{}/cics/services", gateway.listener("public"));
    let pay =
        |cents: i64| json!({ "operation": "transfer", "input": { "source": "1", "target": "2", "cents": cents } });
    let steps = json!([{ "operation": "balance", "input": { "account": "1" } }, pay(999), pay(1001)]);
    let place = (url.as_str(), Some(&*project.ca()));
    let Some(said) = zeep(&wsdl(), place, "", &steps, project.folder()).await else { return };
    let said: Vec<_> = said.iter().map(outcome).collect();
    let expected = [json!({ "answer": 12_345 }), json!({ "answer": "999 to 2" }), json!("not_found")];
    assert_eq!(said, expected, "{}", gateway.stderr());
    assert!(!host.stdout().contains("1001"), "{}", host.stdout());
    let records = records::read(&project.audit());
    let functions: Vec<_> = records.iter().filter_map(|record| record["function"].as_str()).collect();
    assert!(functions.contains(&"host.balance") && functions.contains(&"host.transfer"), "{functions:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_message_that_says_two_operations_reaches_neither() {
    let project = project();
    let Some(host) = Service::spyne(project.folder(), "1.1").await else { return };
    let (_project, gateway) = running(project, &host.url("/cics/services")).await;
    let send = async |request: Request| -> Answer { gateway.client().send(request).await };
    let read = Some("\"urn:example:host#balance\"");
    let good = send(post(read, message(V11, "", BALANCE))).await;
    assert_eq!(good.status, 200, "{}\n{}", good.text(), gateway.stderr());
    assert!(good.text().contains("12345"), "{}", good.text());

    // The host goes by the element in the body: these would have been transfers under a reader's rights.
    let spoofed = transfer(1_000_000);
    let addressed = "<a:Action xmlns:a='http://www.w3.org/2005/08/addressing'>urn:example:host#transfer</a:Action>";
    for (name, request, status) in [
        ("another element", post(read, message(V11, "", &spoofed)), 400),
        ("two elements", post(read, message(V11, "", &format!("{BALANCE}{spoofed}"))), 400),
        (
            "two bodies",
            post(read, message(V11, "", BALANCE).replace("</s:Body>", &format!("</s:Body><s:Body>{spoofed}</s:Body>"))),
            400,
        ),
        ("an address", post(read, message(V11, addressed, BALANCE)), 400),
        ("an entity", post(read, format!("<!DOCTYPE x [<!ENTITY e 'x'>]>{}", message(V11, "", BALANCE))), 400),
        ("another version", post(read, message(V12, "", BALANCE)), 400),
        (
            "a second header",
            post(read, message(V11, "", BALANCE)).header("soapaction", "urn:example:host#transfer"),
            400,
        ),
        ("a list", post(Some("urn:example:host#balance, urn:example:host#transfer"), message(V11, "", BALANCE)), 400),
        ("an unknown action", post(Some("urn:example:host#erase"), message(V11, "", BALANCE)), 404),
        ("no message", Request::json("/cics/services", &json!({})), 415),
        ("no XML", post(read, "nothing".to_owned()), 400),
        ("no action, another element", post(None, message(V11, "", "<erase xmlns='urn:example:host'/>")), 404),
        ("no action, no XML", post(None, "nothing".to_owned()), 400),
        ("compressed", post(read, message(V11, "", BALANCE)).header("content-encoding", "gzip"), 415),
    ] {
        let said = send(request).await;
        assert_eq!(said.status, status, "{name}: {}\n{}", said.text(), gateway.stderr());
    }
    // Policy looks into the message, and the message is all that there is.
    let pay = Some("\"urn:example:host#transfer\"");
    for (name, body, status) in [
        ("more than allowed", transfer(1_000_001), 404),
        ("a second amount", transfer(1).replace("</transfer>", "<cents>1000000</cents></transfer>"), 400),
        ("a hidden amount", transfer(1).replace("<cents>1<", "<cents>1<!-- -->000000<"), 400),
        ("something else", transfer(1).replace("</transfer>", "<also/></transfer>"), 400),
        ("no amount", transfer(1).replace("<cents>1</cents>", ""), 400),
    ] {
        let said = send(post(pay, message(V11, "", &body))).await;
        assert_eq!(said.status, status, "{name}: {}\n{}", said.text(), gateway.stderr());
    }
    assert_eq!(host.stdout().matches("transferred").count(), 0, "{}", host.stdout());

    // Without an action the element decides, and policy is that element's.
    for action in [None, Some("\"\"")] {
        let said = send(post(action, message(V11, "", BALANCE))).await;
        assert_eq!(said.status, 200, "{}\n{}", said.text(), gateway.stderr());
    }
    assert_eq!(send(post(None, message(V11, "", &spoofed))).await.status, 404, "too much is too much");
    assert_eq!(send(post(None, message(V11, "", &transfer(7)))).await.status, 200);
    assert_eq!(host.stdout().matches("transferred").count(), 1, "{}", host.stdout());
    gateway.stop().await;
}

#[test]
fn slips_in_an_action_are_said_where_they_are() {
    let http = "http = { url = \"http://127.0.0.1:1/\" }";
    for (route, soap, said) in [
        ("GET /x", "{ action = \"urn:a\", element = \"a\" }", "messages of SOAP are posted"),
        ("/x", "{ action = \"urn:a\", element = \"a\" }", "messages of SOAP are posted"),
        ("POST /x", "{ action = \"urn:a\" }", "an operation is known by its action and by the element"),
        ("POST /x", "{ action = \"a b\", element = \"a\" }", "`a b` is no URI"),
        ("POST /x", "{ action = \"urn:a\", element = \"{a\" }", "`{a` is no element"),
        ("POST /x", "{ wsdl = \"host.wsdl\" }", "which operation of the WSDL this is"),
        ("POST /x", "{ wsdl = \"host.wsdl\", operation = \"gone\" }", "it has no operation `gone`"),
        (
            "POST /x",
            "{ wsdl = \"host.wsdl\", action = \"urn:gone\" }",
            "it has no operation with the action `urn:gone`",
        ),
        ("POST /x", "{ wsdl = \"gone.wsdl\", operation = \"balance\" }", "can't be read"),
        (
            "POST /x",
            "{ wsdl = \"host.wsdl\", operation = \"balance\", element = \"{urn:x}y\" }",
            "takes another element",
        ),
    ] {
        let project = project().function("host.x", route, http, &format!("soap_action = {soap}")).permit_all();
        assert!(checked(&project).contains(said), "{soap}: {}", checked(&project));
    }
    let one = "soap_action = { action = \"urn:a\", element = \"a\" }";
    let same = project().function("host.a", "POST /x", http, one).function("host.b", "POST /x", http, one).permit_all();
    assert!(checked(&same).contains("the same route"), "{}", checked(&same));
    let beside =
        project().function("host.a", "POST /x", http, one).function("host.b", "POST /x", http, "").permit_all();
    assert!(checked(&beside).contains("the same route"), "{}", checked(&beside));
}

pub(super) fn checked(project: &Project) -> String {
    let output = latchwork::command(project.folder(), &["check", "-c", &shown(&project.config())]);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
