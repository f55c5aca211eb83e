//! Refused messages: the clients' own kind of error, with the status that everybody gets.

use super::{
    outcome,
    routed::{BALANCE, V11, V12, message, transfer, wsdl},
};
use serde_json::json;
use std::fs;
use tests::{
    client::Request,
    latchwork::{self, Running},
    project::Project,
    soap::{node_client, zeep},
};

const WORDS: &str = "{urn:latchwork:refusal}";

/// A host that is away. Balances are anybody's; transfers are, up to 1000 cents.
async fn running(project: Project) -> (Project, Running) {
    fs::copy(wsdl(), project.folder().join("host.wsdl")).expect("the folder is ours");
    let http = "http = { url = \"http://127.0.0.1:1/cics/services\" }";
    let operation = |name: &str| format!("soap_action = {{ wsdl = \"host.wsdl\", operation = \"{name}\" }}");
    let project = project
        .function("host.balance", "POST /cics/services", http, &format!("{}\nrequest_bytes_max = 600", operation("balance")))
        .function("host.transfer", "POST /cics/services", http, &operation("transfer"))
        .policy("@id(\"read\")\npermit (principal, action == Action::\"host.balance\", resource);")
        .policy(
            "@id(\"transfer\")\npermit (principal, action == Action::\"host.transfer\", resource)\nwhen { context.input.cents <= 1000 };",
        );
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    (project, gateway)
}

#[tokio::test]
async fn clients_raise_their_own_error_for_a_refusal() {
    let (project, gateway) = running(Project::new().anonymous()).await;
    let url = format!("https://{}/cics/services", gateway.listener("public"));
    let pay =
        |cents: i64| json!({ "operation": "transfer", "input": { "source": "1", "target": "2", "cents": cents } });
    let read = |account: &str| json!({ "operation": "balance", "input": { "account": account } });
    let steps = json!([pay(1001), read("1"), read(&"1".repeat(600))]);
    let place = (url.as_str(), Some(&*project.ca()));
    let expected = [
        ("Client", "Sender", "not_found", "There is no such function"),
        ("Server", "Receiver", "unreachable", "The function can't be reached"),
        ("Client", "Sender", "too_large", "The request body is too large: the limit is 600 bytes"),
    ];
    if let Some(said) = zeep(&wsdl(), place, "", &steps, project.folder()).await {
        assert_eq!(said.len(), expected.len());
        for (said, (code, _, word, words)) in said.iter().zip(expected) {
            assert_eq!((outcome(said), &said["words"]), (json!(word), &json!(words)), "{said}");
            assert!(said["fault"].as_str().is_some_and(|said| said.ends_with(&format!(":{code}"))), "{said}");
            let call = said["detail"][&format!("{WORDS}call_id")].as_str().expect("a call id");
            let explained = latchwork::command(project.folder(), &["explain", call, "-c", "latchwork.toml"]);
            assert!(explained.status.success(), "{explained:?}");
        }
    }
    for version in ["1.1", "1.2"] {
        let Some(said) = node_client(&wsdl(), place, (version, ""), &steps, project.folder()).await else { return };
        assert_eq!(said.len(), expected.len());
        for (said, (old, new, word, words)) in said.iter().zip(expected) {
            let fault = &said["fault"];
            let (code, told, detail) = match version {
                "1.1" => (&fault["faultcode"], &fault["faultstring"], &fault["detail"]),
                _ => (&fault["Code"]["Value"], &fault["Reason"]["Text"]["$value"], &fault["Detail"]),
            };
            let is = if version == "1.1" { old } else { new };
            assert_eq!((code, told), (&json!(format!("soap:{is}")), &json!(words)), "{version}: {said}");
            assert_eq!(detail["refusal"]["word"], word, "{version}: {said}");
            let status = match word {
                "not_found" => 404,
                "too_large" => 413,
                _ => 502,
            };
            assert_eq!(said["status"], status, "{version}: {said}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn only_who_sends_a_message_gets_a_fault_and_nothing_is_learnt_from_it() {
    let keys = "[identity.api_keys.partners]\nfile = \"keys.toml\"";
    let project = Project::new().identify("\"partners\"").tables(keys);
    project.write("keys.toml", "");
    let (_project, gateway) = running(project).await;
    let of = |path: &str, kind: &str, action: bool| {
        let version = if kind.starts_with("application") { V12 } else { V11 };
        let request = Request::post(path, message(version, "", BALANCE)).header("content-type", kind);
        if action { request.header("soapaction", "\"urn:example:host#balance\"") } else { request }
    };
    let v12 = "application/soap+xml; action=\"urn:example:host#balance\"";
    for (kind, action, told) in [
        ("text/xml; charset=utf-8", true, "text/xml; charset=utf-8"),
        (v12, false, "application/soap+xml; charset=utf-8"),
        // Others post XML, too.
        ("text/xml", false, "application/problem+json"),
        ("application/xml", true, "application/problem+json"),
        ("application/json", false, "application/problem+json"),
    ] {
        let mut seen = Vec::new();
        // A place with functions, and one with none.
        for path in ["/cics/services", "/nowhere"] {
            let said = gateway.client().send(of(path, kind, action)).await;
            assert_eq!((said.status, said.header("content-type")), (401, told), "{path} {kind}: {}", said.text());
            assert_eq!(said.header("www-authenticate"), "ApiKey realm=\"latchwork\", header=\"x-api-key\"");
            assert!(said.text().contains(&said.call_id()), "{}", said.text());
            seen.push(said.text().replace(&said.call_id(), ""));
        }
        assert_eq!(seen[0], seen[1], "{kind}");
        if let (true, word) = (told.contains("xml"), "unauthenticated") {
            let version = if kind == v12 { V12 } else { V11 };
            assert!(seen[0].contains(version) && seen[0].contains(&format!(">{word}<")), "{}", seen[0]);
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_message_that_is_none_is_told_so_in_the_version_that_it_announces() {
    let (_project, gateway) = running(Project::new().anonymous()).await;
    for (kind, told) in [("text/xml", "faultstring"), ("application/soap+xml", "Reason")] {
        let spoofed = message(V11, "", &transfer(1));
        for body in [spoofed.as_str(), "<!DOCTYPE x><x/>", "not <xml", "\u{b}"] {
            let request = Request::post("/cics/services", body.to_owned()).header("content-type", kind);
            let said = gateway.client().send(request.header("soapaction", "\"urn:example:host#balance\"")).await;
            assert_eq!(said.status, 400, "{body}: {}", said.text());
            assert!(said.text().contains(told) && said.text().contains(">bad_input<"), "{body}: {}", said.text());
        }
    }
    gateway.stop().await;
}
