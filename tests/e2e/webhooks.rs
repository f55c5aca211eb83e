//! Signed webhooks: taken once and unchanged, refused when anything about them is not right.

use serde_json::json;
use tests::{
    client::Request,
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    webhooks::{Sender, github},
};

const STANDARD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const FORMER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const GITHUB: &str = "a secret between two machines";

const TABLES: &str = "[identity.webhook.billing]\nform = \"standard\"\nclient = \"billing\"\n\
    secret = \"file:standard.secret\"\nformer_secret = \"file:former.secret\"\n\
    [identity.webhook.code]\nform = \"github\"\nclient = \"github\"\nsecret = \"file:github.secret\"";

/// The input is read by policy, so that what was verified, what was judged and what arrives must be the same bytes.
const POLICY: &str = "@id(\"hooks\")\npermit (principal, action == Action::\"shop.hook\", resource)\n\
    when { context.input.paid && (principal == Client::\"billing/billing\" ||\n\
    principal == Client::\"code/github\") };";

async fn start() -> (Project, Origin, Running) {
    let origin = Origin::start().await;
    let schema = json!({
        "type": "object",
        "properties": { "paid": { "type": "boolean" }, "note": { "type": "string" } },
        "required": ["paid"],
        "additionalProperties": false,
    });
    let project = Project::new()
        .tables(TABLES)
        .identify("\"billing\"")
        .identify("\"code\"")
        .schema("hook.json", &schema)
        .http("shop.hook", "POST /hook", &origin.url, "input = \"schemas/hook.json\"\nrequest_bytes_max = 4096")
        .policy(POLICY);
    let secrets = [("standard.secret", STANDARD), ("former.secret", FORMER), ("github.secret", GITHUB)];
    for (name, secret) in secrets {
        project.write(name, &format!("{secret}\n"));
        let output = std::process::Command::new("chmod").arg("600").arg(project.folder().join(name)).status();
        assert!(output.expect("chmod").success());
    }
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    (project, origin, gateway)
}

#[tokio::test]
async fn what_a_library_signed_is_taken_once_and_arrives_as_it_was() {
    let (Some(sender), Some(former)) = (Sender::new(STANDARD), Sender::new(FORMER)) else { return };
    let stranger = Sender::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").expect("the same peer");
    let (_project, origin, gateway) = start().await;
    let body = "{ \"paid\" : true,\n  \"note\": \"spaces \u{e4}nd \u{fc}mlauts stay\" }";
    let good = sender.signed("/hook", "msg_1", 0, body);
    let answer = gateway.client().send(good.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = origin.seen();
    assert_eq!(
        (&*seen[0].body, &seen[0].headers["latchwork-caller"]),
        (body.as_bytes(), &"billing/billing".parse().unwrap())
    );
    let mut changed = sender.signed("/hook", "msg_2", 0, body);
    changed.body = body.replace("true", "1").into();
    let mut renamed = sender.signed("/hook", "msg_3", 0, body);
    renamed.headers.insert("webhook-id", "msg_4".parse().unwrap());
    let mut elsewhere = stranger.signed("/no/such/function", "msg_5", 0, body);
    elsewhere.path = "/no/such/function".to_owned();
    let long = format!("{{\"paid\":true,\"note\":\"{}\"}}", "a".repeat(5000));
    let cases = [
        ("once more", good, 401, "delivered before"),
        ("a changed body", changed, 401, "no signature"),
        ("another id", renamed, 401, "no signature"),
        ("of a stranger", stranger.signed("/hook", "msg_6", 0, body), 401, "no signature"),
        ("of a stranger, for nobody", elsewhere, 401, "no signature"),
        ("for nobody", sender.signed("/no/such/function", "msg_7", 0, body), 404, ""),
        ("too old", sender.signed("/hook", "msg_8", 301, body), 401, "five minutes"),
        ("from the future", sender.signed("/hook", "msg_9", -305, body), 401, "five minutes"),
        ("too large", sender.signed("/hook", "msg_10", 0, &long), 413, "4096"),
        ("not what policy allows", sender.signed("/hook", "msg_11", 0, "{\"paid\":false}"), 404, ""),
        ("unsigned", Request::json("/hook", &json!({ "paid": true })), 401, ""),
    ];
    for (what, request, status, words) in cases {
        let answer = gateway.client().send(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert!(answer.text().contains(words), "{what}: {}", answer.text());
        if status == 401 {
            assert!(answer.header("www-authenticate").starts_with("Webhook realm=\"latchwork\""), "{what}");
        }
    }
    assert_eq!(origin.seen().len(), 1, "a refused call reached the backend");
    let again = gateway.client().send(sender.signed("/hook", "msg_1", 5, body)).await;
    assert_eq!(again.status, 200, "its sender may send a message again: {}", again.text());
    let before = gateway.client().http2().send(former.signed("/hook", "msg_12", 10, body)).await;
    assert_eq!(before.status, 200, "the former secret counts too: {}", before.text());
    gateway.stop().await;
}

#[tokio::test]
async fn the_form_of_github_is_taken_once() {
    let (project, origin, gateway) = start().await;
    let good = github("/hook", GITHUB, "{\"paid\":true}");
    let answer = gateway.client().send(good.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(origin.seen()[0].headers["latchwork-caller"], "code/github");
    for (what, request) in [("again", good), ("of a stranger", github("/hook", "another secret", "{\"paid\":true}"))] {
        assert_eq!(gateway.client().send(request).await.status, 401, "{what}");
    }
    let log = String::from_utf8(tests::records::bytes(&project.audit())).unwrap();
    assert!(!log.contains(GITHUB) && !gateway.stderr().contains(GITHUB));
    gateway.stop().await;
}
