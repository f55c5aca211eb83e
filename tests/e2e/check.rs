//! `latchwork check` finds each slip where it was made: file, line, and a message that names it.

use serde_json::{Value, json};
use std::{fs, path::Path};
use tests::{latchwork, project::Project};

/// A change to a good project: file, what is replaced, by what, and the text that the finding must point at.
type Slip = (&'static str, &'static str, &'static str, &'static str);

const CONFIG: &str = "latchwork.toml";
const POLICY: &str = "policies/test.cedar";
const SCHEMA: &str = "schemas/order.json";

const SLIPS: [Slip; 46] = [
    // Syntax and keys.
    (CONFIG, "[node]", "[node", "[node"),
    (CONFIG, "id = \"test\"", "id = test", "id = test"),
    (CONFIG, "id = \"test\"", "id = \"test\"\nid = \"again\"", "id = \"again\""),
    (CONFIG, "id = \"test\"", "id = \"test\"\nproductoin = true", "productoin"),
    (CONFIG, "[admin]", "[admim]", "admim"),
    (CONFIG, "id = \"test\"", "id = 7", "id = 7"),
    (CONFIG, "id = \"test\"", "id = \"a/b\"", "a/b"),
    (CONFIG, "id = \"test\"", "id = \"\"", "id = \"\""),
    // Listener.
    (CONFIG, "[listener.public]\naddress = \"127.0.0.1:0\"", "[listener.public]\naddress = \"nowhere\"", "nowhere"),
    (
        CONFIG,
        "[listener.public]\naddress = \"127.0.0.1:0\"",
        "[listener.public]\naddress = \"127.0.0.1:99999\"",
        "99999",
    ),
    (CONFIG, "identify = [\"anonymous\", \"corp\"]", "identify = [\"anonymous\", \"crop\"]", "crop"),
    (CONFIG, "identify = [\"anonymous\", \"corp\"]", "identify = []", "identify = []"),
    (CONFIG, "certificate = \"server.pem\"", "certificate = \"sever.pem\"", "sever.pem"),
    (CONFIG, "certificate = \"server.pem\"", "certificate = \"ca.txt\"", "ca.txt"),
    (CONFIG, "key = \"file:server.key\"", "key = \"server.key\"", "key = \"server.key\""),
    (CONFIG, "key = \"file:server.key\"", "key = \"file:ca.pem\"", "file:ca.pem"),
    // Issuer.
    (CONFIG, "issuer = \"https://issuer.example/\"", "issuer = \"http://issuer.example/\"", "http://issuer.example/"),
    (CONFIG, "issuer = \"https://issuer.example/\"", "issuer = \"not a url\"", "not a url"),
    (CONFIG, "audiences = [\"https://gateway.example\"]", "audiences = []", "audiences = []"),
    (CONFIG, "principal = \"Client\"", "principal = \"Robot\"", "Robot"),
    (CONFIG, "leeway = \"10s\"", "leeway = \"ten\"", "ten"),
    (CONFIG, "leeway = \"10s\"", "leeway = \"10\"", "leeway = \"10\""),
    (CONFIG, "leeway = \"10s\"", "algorithms = [\"HS256\"]", "HS256"),
    (CONFIG, "leeway = \"10s\"", "algorithms = [\"none\"]", "none"),
    // Functions.
    (CONFIG, "[function.\"shop.order\"]", "[function.\"order\"]", "order"),
    (CONFIG, "[function.\"shop.order\"]", "[function.\"Shop.Order\"]", "Shop.Order"),
    (CONFIG, "app = \"shop\"\nroute = \"POST /orders\"", "app = \"shup\"\nroute = \"POST /orders\"", "shup"),
    (CONFIG, "route = \"POST /orders\"", "route = \"PSOT /orders\"", "PSOT"),
    (CONFIG, "route = \"POST /orders\"", "route = \"POST orders\"", "POST orders"),
    (CONFIG, "route = \"POST /orders\"", "route = \"POST /orders/{id\"", "{id"),
    (CONFIG, "route = \"POST /orders\"", "route = \"GET /stock/{item}\"", "GET /stock/{sku}"),
    (CONFIG, "input = \"schemas/order.json\"", "input = \"schemas/ordre.json\"", "ordre.json"),
    (CONFIG, "url = \"http://127.0.0.1:9\"", "url = \"ftp://127.0.0.1:9\"", "ftp://"),
    (CONFIG, "url = \"http://127.0.0.1:9\"", "url = \"http://127.0.0.1:9/{sku}\"", "{sku}"),
    (CONFIG, "url = \"http://127.0.0.1:9\"", "url = \"http://root:secret@127.0.0.1:9\"", "root"),
    (CONFIG, "input = \"schemas/order.json\"", "input = \"schemas/order.json\"\ntimeout = \"0s\"", "0s"),
    (CONFIG, "input = \"schemas/order.json\"", "input = \"schemas/order.json\"\nclass = 9", "class = 9"),
    (CONFIG, "input = \"schemas/order.json\"", "input = \"schemas/order.json\"\nrequest_bytes_max = -1", "-1"),
    // JSON Schema.
    (SCHEMA, "\"integer\"", "\"integre\"", "integre"),
    (SCHEMA, "\"type\": \"object\",", "\"type\": \"object\"", "\"additionalProperties\""),
    // Cedar.
    (
        POLICY,
        "permit (principal, action == Action::\"shop.order\"",
        "permti (principal, action == Action::\"shop.order\"",
        "permti",
    ),
    (POLICY, "Action::\"shop.order\"", "Action::\"shop.ordre\"", "shop.ordre"),
    (POLICY, "context.input.quantity", "context.input.quantiti", "quantiti"),
    (POLICY, "context.input.quantity", "context.imput.quantity", "imput"),
    (POLICY, "< 10", "< \"ten\"", "\"ten\""),
    (
        POLICY,
        "@id(\"order\")",
        "@id(\"run-on.default\")",
        "@id(\"run-on.default\")\npermit (principal, action == Action::\"shop.order\"",
    ),
];

#[test]
fn a_good_project_passes() {
    let project = good();
    let (code, report) = check(project.folder());
    assert_eq!((code, &report["ok"]), (0, &json!(true)), "{report:#}");
}

#[test]
fn every_slip_is_found_where_it_was_made() {
    let mut wrong = Vec::new();
    for (file, old, new, at) in SLIPS {
        let project = good();
        let path = project.folder().join(file);
        let text = fs::read_to_string(&path).unwrap();
        let start = text.find(old).unwrap_or_else(|| panic!("the good `{file}` has no `{old}`:\n{text}"));
        let text = text.replacen(old, new, 1);
        fs::write(&path, &text).unwrap();
        let offset = new.find(at).map(|within| start + within).or_else(|| text.find(at));
        let offset = offset.unwrap_or_else(|| panic!("`{at}` is not in the changed `{file}`"));
        let line = text[..offset].matches('\n').count() + 1;
        let (code, report) = check(project.folder());
        assert!(!report.to_string().contains(":secret@"), "a password is repeated: {report:#}");
        let found = report["findings"].as_array().into_iter().flatten().any(|finding| {
            finding["severity"] == "error"
                && finding["file"].as_str().is_some_and(|name| name.ends_with(file))
                && finding["line"].as_u64() == Some(line as u64)
                && finding["column"].as_u64() >= Some(1)
        });
        if code != 3 || !found {
            wrong.push(format!("`{new}` in `{file}`, line {line}: exit code {code}, {report:#}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SLIPS.len(), wrong.join("\n"));
}

#[test]
fn a_misspelt_name_gets_a_suggestion() {
    for (file, old, new, meant) in [
        (CONFIG, "id = \"test\"", "id = \"test\"\nproductoin = true", "production"),
        (CONFIG, "app = \"shop\"\nroute = \"POST /orders\"", "app = \"shup\"\nroute = \"POST /orders\"", "shop"),
        (CONFIG, "identify = [\"anonymous\", \"corp\"]", "identify = [\"anonymous\", \"crop\"]", "corp"),
        (POLICY, "Action::\"shop.order\"", "Action::\"shop.ordre\"", "shop.order"),
        (POLICY, "context.input.quantity", "context.input.quantiti", "quantity"),
    ] {
        let project = good();
        let text = fs::read_to_string(project.folder().join(file)).unwrap();
        project.write(file, &text.replacen(old, new, 1));
        let (_, report) = check(project.folder());
        let helps = report["findings"].as_array().into_iter().flatten().filter_map(|finding| finding["help"].as_str());
        let helps: Vec<&str> = helps.collect();
        assert!(helps.iter().any(|help| help.contains(meant)), "`{new}`: {helps:?} does not say `{meant}`");
    }
}

#[test]
fn files_that_are_no_text_or_are_not_there_are_named() {
    for (file, bytes) in
        [(CONFIG, &b"\xff\xfe\0n\0o\0d\0e"[..]), (POLICY, b"permit\xff"), (SCHEMA, b"\xef\xbb\xbf{"), (SCHEMA, b"")]
    {
        let project = good();
        fs::write(project.folder().join(file), bytes).unwrap();
        names(&project, file);
    }
    for file in [CONFIG, SCHEMA, "server.pem", "server.key"] {
        let project = good();
        fs::remove_file(project.folder().join(file)).unwrap();
        names(&project, file);
    }
    let project = good();
    fs::remove_dir_all(project.folder().join("policies")).unwrap();
    names(&project, "policies");
}

fn names(project: &Project, file: &str) {
    let (code, report) = check(project.folder());
    assert_eq!(code, 3, "`{file}`: {report:#}");
    assert!(report.to_string().contains(file), "`{file}` is not named: {report:#}");
}

fn check(folder: &Path) -> (i32, Value) {
    let output = latchwork::command(folder, &["check", "-c", CONFIG, "--format", "json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    (output.status.code().expect("it ended by itself"), report)
}

/// A project without a slip, with one of everything that the slips need.
fn good() -> Project {
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["quantity"],
        "properties": { "quantity": { "type": "integer" } }, "x-end": true,
    });
    let project = Project::new()
        .anonymous()
        .issuer("corp", "https://issuer.example/", "leeway = \"10s\"")
        .schema("order.json", &schema)
        .http("shop.order", "POST /orders", "http://127.0.0.1:9", "input = \"schemas/order.json\"")
        .http("shop.stock", "GET /stock/{sku}", "http://127.0.0.1:9", "")
        .policy(
            "@id(\"order\")\npermit (principal, action == Action::\"shop.order\", resource)\n\
             when { context.input.quantity < 10 };",
        )
        .policy("@id(\"stock\")\npermit (principal, action == Action::\"shop.stock\", resource);");
    project.write("ca.txt", "no certificate\n");
    project.config();
    project
}
