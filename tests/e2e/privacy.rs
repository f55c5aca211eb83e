//! What of a call the log shows: modes by field, the auditor's way to what is encrypted, erasure, and legal hold.

use crate::keys::key;
use serde_json::{Value, json};
use std::{fs, path::Path};
use tests::{
    client::{Answer, Request},
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    records, wait,
};

mod canaries;

const IBAN: &str = "DE89370400440532013000";
const STREET: &str = "12 Grimmauld Place";
const UNREAD: &str = "nobody-asked-for-this";

/// Reads every field but `more`, which only the shadow looks at.
const POLICY: &str = r#"@id("small")
permit (principal is Client, action == Action::"shop.order", resource)
when { context.input.amount <= 100 && context.input.iban like "DE*" && context.input.address.street != "" };
@id("told") permit (principal, action == Action::"describe", resource);
@id("beside") @mode("shadow") forbid (principal, action == Action::"shop.order", resource)
when { context.input.more like "nobody-*" };"#;

const FIELDS: &str = r#"hash_key = "file:audit.hash"
auditor = "AUDITOR"
[audit.fields]
"/input/iban" = "hmac"
"/input/address" = "encrypted"
"/facts/network/source" = "drop"
"#;

struct Shop {
    project: Project,
    _origin: Origin,
    gateway: Running,
    key: String,
}

impl Shop {
    async fn start() -> Self {
        let origin = Origin::start().await;
        let text = json!({ "type": "string" });
        let schema = json!({
            "type": "object", "required": ["amount", "iban", "address", "more"], "additionalProperties": false,
            "properties": {
                "amount": { "type": "integer" }, "iban": text, "more": text,
                "address": { "type": "object", "required": ["street"], "properties": { "street": text } },
            },
        });
        let project = Project::new();
        let auditor = run(&project, "audit key auditor auditor.key", 0);
        let project = project
            .schema("order.json", &schema)
            .audited(&FIELDS.replace("AUDITOR", auditor.trim()))
            .tables("[identity.api_keys.partners]\nfile = \"keys.toml\"")
            .identify("\"partners\"")
            .http("shop.order", "POST /orders", &origin.url, "input = \"schemas/order.json\"")
            .policy(POLICY);
        project.config();
        let key = key(&project, "acme");
        run(&project, "audit key hash", 0);
        let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
        Self { project, _origin: origin, gateway, key }
    }

    async fn order(&self, amount: u64) -> Answer {
        let input = json!({ "amount": amount, "iban": IBAN, "address": { "street": STREET }, "more": UNREAD });
        self.gateway.client().send(Request::json("/orders", &input).header("x-api-key", &self.key)).await
    }

    fn run(&self, line: &str, expected: i32) -> String {
        run(&self.project, line, expected)
    }

    /// The shadow's record of a call, which nobody waits for.
    async fn beside(&self, answer: &Answer) -> Value {
        let call = answer.call_id();
        let found = || async {
            records::of_call(&self.project.audit(), &call).into_iter().find(|record| record["kind"] == "shadow")
        };
        wait::until("the shadow's record", wait::LONG, found).await
    }

    fn verbs(&self) -> Vec<String> {
        let admin = |record: &Value| {
            record["kind"] == "admin" && record["verb"].as_str().is_some_and(|v| v.starts_with("audit."))
        };
        let said = |record: Value| format!("{} {}", record["verb"], record["detail"]).replace('"', "");
        records::read(&self.project.audit()).into_iter().filter(admin).map(said).collect()
    }
}

/// What a command prints. It runs beside the gateway, which must not wait for it.
fn run(project: &Project, line: &str, expected: i32) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = tokio::task::block_in_place(|| latchwork::command(project.folder(), &words));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(expected), "`{line}`: {said}");
    said
}

fn everything(folder: &Path, found: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => everything(&entry.path(), found),
            false => found.extend(fs::read(entry.path()).unwrap_or_default()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_is_recorded_in_its_mode_and_nobody_guesses_it() {
    let shop = Shop::start().await;
    let (allowed, denied) = (shop.order(7).await, shop.order(700).await);
    assert_eq!((allowed.status, denied.status), (200, 403), "{}", allowed.text());
    for answer in [&allowed, &denied] {
        let beside = shop.beside(answer).await;
        assert_eq!((&beside["determining"], beside.get("input")), (&json!(["beside"]), None), "{beside}");
        let records = records::of_call(&shop.project.audit(), &answer.call_id());
        let record = records.iter().find(|record| record["kind"] != "shadow").expect("a record");
        let hash = shop.run(&format!("audit hash {IBAN}"), 0);
        assert_eq!(record["protected"]["/input/iban"], hash.trim());
        assert!(record["protected"]["/input/address"].as_str().is_some_and(|value| value.starts_with("encrypted:")));
        assert_eq!(record["protected"]["/facts/network/source"], "dropped");
        assert_eq!(record["input"], json!({ "amount": if answer.status == 200 { 7 } else { 700 } }));
        assert_eq!(record["input_read"], json!(["/address/street", "/amount", "/iban"]));
    }
    let mut log = Vec::new();
    everything(&shop.project.audit(), &mut log);
    let log = String::from_utf8_lossy(&log).into_owned() + &shop.gateway.stderr();
    for hidden in [IBAN, STREET, UNREAD, "127.0.0.1"] {
        assert!(!log.contains(hidden), "`{hidden}` was written down");
    }

    let told = shop.run(&format!("explain {}", denied.call_id()), 0);
    for part in [
        "concealed  /facts/network/source is dropped",
        "concealed  /input/address is encrypted",
        "recorded   of the input only what policy looked at: /address/street, /amount, /iban",
        "from       (concealed), zone",
        "context.input.amount is 700",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = shop.run(&format!("explain {}", allowed.call_id()), 0);
    assert!(told.contains("context.input.iban is not known (concealed, redacted or left open)"), "{told}");
    let tail = shop.run("audit tail", 0);
    assert!(tail.contains("partners/acme → shop.order"), "{tail}");

    let replayed = |policies: &str, expected: i32| {
        shop.project.write("other/policies/test.cedar", policies);
        shop.run("policy replay other/policies", expected)
    };
    let told = |policies: &str| {
        format!(
            "{policies}\n@id(\"told\") permit (principal, action == Action::\"describe\", resource);\n@id(\"run\") permit (principal, action == Action::\"run_on\", resource);"
        )
    };
    let guard = |condition: &str| {
        told(&format!(
            "@id(\"small\") permit (principal is Client, action == Action::\"shop.order\", resource) when {{ {condition} }};"
        ))
    };
    let said = replayed(&guard("context.input.amount <= 100"), 0);
    assert!(said.contains("2 decisions replayed, 2 as before") && !said.contains("not replayed"), "{said}");
    // What only the shadow read is in no record, so it can't be asked again.
    let beside = POLICY.split_once("@id(\"beside\")").expect("it is there").1;
    replayed(&format!("{}\n@id(\"beside\") {beside}", guard("context.input.amount <= 100")), 0);
    let said = shop.run("policy replay --shadow other/policies", 0);
    assert!(said.contains("not replayed: 2 decisions") && said.contains("did not look at then"), "{said}");
    for (condition, why) in [
        ("context.input.iban like \"DE*\"", "only a hash in the record"),
        ("context.input.address.street != \"\"", "encrypted in the record"),
        (
            "context.facts.network has source && context.facts.network.source.isLoopback()",
            "configured not to be recorded",
        ),
        ("context.input.more != \"\"", "did not look at then"),
    ] {
        let said = replayed(&guard(condition), 0);
        assert!(said.contains("not replayed: 2 decisions") && said.contains(why), "{condition}: {said}");
    }
    let Shop { gateway, .. } = shop;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_encrypted_is_revealed_to_the_auditor_until_it_is_erased() {
    let shop = Shop::start().await;
    let call = shop.order(7).await.call_id();
    let reveal = format!("audit reveal {call} --key auditor.key --reason case-7");
    let said = shop.run(&reveal, 0);
    assert!(said.contains("/input/address = {\"street\":\"12 Grimmauld Place\"}"), "{said}");
    let json: Value = serde_json::from_str(&shop.run(&format!("{reveal} --format json"), 0)).expect("JSON");
    assert_eq!(json["records"][0]["fields"]["/input/address"]["value"]["street"], STREET);
    run(&shop.project, "audit key auditor other.key", 0);
    let said = shop.run(&format!("audit reveal {call} --key other.key --reason x"), 1);
    assert!(said.contains("wrapped to another auditor's key") && !said.contains(STREET), "{said}");
    let said = shop.run("audit reveal 0191e0a4-7b1c-7e52-b3ce-0c6c1b7c9a50 --key auditor.key --reason x", 1);
    assert!(said.contains("no record of call"), "{said}");

    let erase = "audit erase partners/acme --reason asked-for";
    for held in ["partners/acme", "--all"] {
        shop.run(&format!("audit hold set {held} --reason trial"), 0);
        assert!(shop.run(erase, 1).contains("on legal hold"), "{held}");
        assert!(shop.run("audit hold list", 0).contains("by admin: trial"));
        shop.run(&format!("audit hold lift {held} --reason over"), 0);
    }
    assert!(shop.run("audit hold lift --all --reason over", 3).contains("is not on hold"));
    assert!(shop.run("audit hold list", 0).contains("nothing is on hold"));
    shop.run(&reveal, 0);
    assert!(shop.run(erase, 0).contains("1 keys are destroyed"));
    let said = shop.run(&reveal, 1);
    assert!(said.contains("its key was erased") && !said.contains(STREET), "{said}");
    assert!(shop.run(erase, 0).contains("0 keys are destroyed"), "it can be done again");
    // What comes later has a key of its own.
    let later = shop.order(8).await.call_id();
    let said = shop.run(&format!("audit reveal {later} --key auditor.key --reason case-8"), 0);
    assert!(said.contains(STREET), "{said}");

    let verbs = shop.verbs();
    let said =
        |verb: &str, detail: &str| verbs.iter().filter(|said| said.starts_with(&format!("{verb} {detail}"))).count();
    assert_eq!(said("audit.reveal", &format!("call {call}: case-7")), 4, "{verbs:#?}");
    assert_eq!(said("audit.erase_subject", "`partners/acme`: asked-for"), 2, "what is held is not begun: {verbs:#?}");
    assert_eq!(said("audit.hold", "`partners/acme`: trial") + said("audit.hold", "everything: trial"), 2);
    assert_eq!(said("audit.hold_lift", ""), 2);
    let page = Request::post("/latchwork/v1/audit/erasures", "{\"subject\":\"partners/acme\",\"reason\":\"x\"}");
    assert_eq!(shop.gateway.admin().send(page).await.status, 403, "a change is meant, and says so");
    let Shop { project, _origin, gateway, key } = shop;
    gateway.stop().await;
    let said = run(&project, "audit verify audit --key audit/test/vkey", 0);
    assert!(said.contains("ok: "), "{said}");
    drop(key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_a_crash_cut_short_is_finished_at_the_next_start() {
    let shop = Shop::start().await;
    let call = shop.order(7).await.call_id();
    let Shop { project, _origin, gateway, key } = shop;
    gateway.kill().await;
    // As it is left between the note and the end.
    let subject = "partners/acme";
    let name = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, subject.as_bytes());
    let name: String = name.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    project.write(&format!("audit/test/subjects/erasing/{name}"), subject);
    let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
    let shop = Shop { project, _origin, gateway, key };
    assert_eq!(shop.verbs(), ["audit.erase_subject `partners/acme`: begun before this start"]);
    let said = shop.run(&format!("audit reveal {call} --key auditor.key --reason x"), 1);
    assert!(said.contains("its key was erased"), "{said}");
    assert!(shop.gateway.stderr().contains("an erasure that was cut short is finished"));
    assert_eq!(fs::read_dir(shop.project.audit().join("test/subjects/erasing")).expect("it is there").count(), 0);
    let Shop { project, gateway, .. } = shop;
    gateway.stop().await;
    run(&project, "audit verify audit --key audit/test/vkey", 0);
}
