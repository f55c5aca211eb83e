//! Who administers is known, asked of policy and recorded, and nobody can lock out the gateway's own user.

use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};
use tests::{
    client::Request,
    fetch,
    latchwork::{self, Running},
    oidc::{AUDIENCE, Issuer},
    origin::Origin,
    project::Project,
    records,
};

const POLICIES: &str = r#"
@id("open")
permit (principal, action in Action::"call", resource);
@id("release")
permit (principal in Group::"corp/release", action in
  [Action::"bundle.activate", Action::"emergency.forbid", Action::"gateway.read", Action::"gateway.reload"], resource);
@id("board")
permit (principal in Group::"corp/board", action == Action::"bundle.approve", resource);
@id("audit")
permit (principal in Group::"corp/audit", action in [Action::"audit.hold", Action::"audit.erase_subject"], resource);
@id("two")
forbid (principal, action == Action::"bundle.activate", resource) unless { context.facts has approval &&
  context.facts.approval.count >= 1 && !(principal is User && context.facts.approval.by.contains(principal)) };
@id("mallory")
forbid (principal == User::"corp/mallory", action in Action::"administer", resource);
"#;

/// A gateway with a signed bundle whose administrators have tokens.
struct World {
    issuer: Issuer,
    project: Project,
    gateway: Running,
    _origin: Origin,
}

impl World {
    async fn start() -> Option<Self> {
        let project = Project::new();
        let issuer = Issuer::start(project.folder()).await?;
        let origin = Origin::start().await;
        let table = format!(
            "[identity.issuer.corp]\nissuer = \"{}\"\naudiences = [\"{AUDIENCE}\"]\nprincipal = \"User\"\n\
             groups = {{ claim = \"groups\", declared = [\"release\", \"board\", \"audit\"] }}",
            issuer.url
        );
        let project =
            project.anonymous().http("shop.stock", "GET /stock/{sku}", &origin.url, "").tables(&table).policy(POLICIES);
        let config = fs::read_to_string(project.config()).expect("a configuration");
        let signed = "[policy]\nbundle = \"current.bundle\"\nkeys = \"trust.toml\"\nthreshold = 1\n";
        let config = config.replace("[policy]\n", signed).replace("[admin]\n", "[admin]\nidentify = [\"corp\"]\n");
        project.write("latchwork.toml", &config);
        project.write("trust.toml", &run(&project, "policy key new alice.pem --person alice", 0));
        run(&project, "policy sign current.bundle --key file:alice.pem", 0);
        fs::copy(project.folder().join("current.bundle"), project.folder().join("old.bundle")).expect("ours");
        run(&project, "policy sign next.bundle --key file:alice.pem --number 2", 0);
        let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
        Some(Self { issuer, project, gateway, _origin: origin })
    }

    /// Writes somebody's token to a file of that name.
    async fn person(&self, name: &str, groups: &[&str]) {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({ "iss": self.issuer.url, "aud": AUDIENCE, "sub": name, "groups": groups,
            "iat": now, "exp": now + 600 });
        self.project.write(name, &self.issuer.signed(json!({}), claims).await);
    }

    fn admin(&self, line: &str, who: &str, expected: i32) -> String {
        let named = if who.is_empty() { String::new() } else { format!(" --token-file {who}") };
        run(&self.project, &format!("{line}{named}"), expected)
    }

    fn records(&self) -> Vec<Value> {
        let all = records::read(&self.project.audit()).into_iter();
        all.filter(|record| record["kind"] == "admin" && record["authority"].is_object()).collect()
    }
}

fn run(project: &Project, line: &str, expected: i32) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = tokio::task::block_in_place(|| latchwork::command(project.folder(), &words));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "`{line}`: {said}");
    said
}

/// What records say of every decision: verb, who, ruling, policies.
fn told(records: &[Value]) -> Vec<String> {
    let one = |record: &Value| {
        let authority = &record["authority"];
        let by = authority["determining"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let by: Vec<_> = by.collect();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!("{} {} {} {}", text(&record["verb"]), text(&record["who"]), text(&authority["ruling"]), by.join(","))
    };
    records.iter().map(|record| one(record).trim_end().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_publishes_another_approves_and_both_are_recorded() {
    let Some(world) = World::start().await else { return };
    world.person("rita", &["release"]).await;
    world.person("carl", &["board"]).await;
    world.person("mallory", &["release"]).await;

    let said = world.admin("policy publish next.bundle", "", 2);
    assert!(said.contains("a credential is needed: a token of `corp`"), "{said}");
    let said = world.admin("policy publish next.bundle", "rita", 2);
    assert!(
        said.contains("policy does not let User::\"corp/rita\" do `bundle.activate`: it is forbidden by `two`"),
        "{said}"
    );
    let said = world.admin("policy approve next.bundle", "rita", 2);
    assert!(said.contains("no permit is satisfied"), "{said}");
    let said = world.admin("policy approve next.bundle", "carl", 0);
    assert!(said.starts_with("approved by corp/carl: version 2 sha256:"), "{said}");
    // Whatever became of the file of approvals, it stops nobody but those who need one.
    let kept = world.project.folder().join(".latchwork/approvals.json");
    let approvals = fs::read_to_string(&kept).expect("what was approved");
    fs::write(&kept, "[").expect("ours");
    assert!(world.admin("policy publish next.bundle", "rita", 2).contains("by `two`"));
    fs::write(&kept, approvals).expect("ours");
    world.admin("policy publish next.bundle", "carl", 2);
    assert!(world.admin("policy publish next.bundle", "mallory", 2).contains("by `mallory`"));
    assert!(world.admin("policy publish next.bundle", "rita", 0).starts_with("in force: version 2"));
    // What is permitted and can't be done is recorded, too.
    world.admin("policy approve old.bundle", "carl", 3);

    assert!(
        world.admin("policy emergency forbid --function shop.stock --reason leaks", "rita", 0).contains("by User::")
    );
    assert!(world.admin("policy emergency lift 1 --reason mended", "rita", 2).contains("`emergency.lift`"));
    world.admin("policy emergency list", "mallory", 2);
    world.admin("reload", "", 2);
    world.admin("reload --dry-run", "rita", 0);
    assert!(run(&world.project, "policy history", 0).contains("by User::\"corp/rita\""));

    let expected = [
        "bundle.activate admin unidentified",
        "bundle.activate User::\"corp/rita\" denied two",
        "bundle.approve User::\"corp/rita\" denied",
        "bundle.approve User::\"corp/carl\" permitted board",
        "bundle.activate User::\"corp/rita\" denied two",
        "bundle.activate User::\"corp/carl\" denied two",
        "bundle.activate User::\"corp/mallory\" denied mallory",
        "reload User::\"corp/rita\" permitted release",
        "bundle.activate User::\"corp/rita\" permitted release",
        "bundle.approve User::\"corp/carl\" permitted board",
        "bundle.approve User::\"corp/carl\" permitted board",
        "emergency.forbid User::\"corp/rita\" permitted release",
        "emergency.lift User::\"corp/rita\" denied",
        "gateway.read User::\"corp/mallory\" denied mallory",
        "gateway.reload admin unidentified",
    ];
    let records = world.records();
    assert_eq!(told(&records), expected);
    let activated = &records[8]["authority"];
    assert_eq!(activated["facts"]["approval"]["by"], json!(["corp/carl"]), "{activated}");
    assert_eq!(activated["principal"]["id"], "corp/rita");
    assert!(records[10]["detail"].as_str().is_some_and(|detail| detail.starts_with("not done: ")), "{}", records[10]);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_held_erased_and_revealed_by_whom_policy_lets() {
    let Some(world) = World::start().await else { return };
    world.person("rita", &["release"]).await;
    world.person("nora", &["audit"]).await;
    run(&world.project, "audit key auditor auditor.key", 0);
    let reveal = "audit reveal 0191e0a4-7b1c-7e52-b3ce-0c6c1b7c9a50 --key auditor.key --reason x";
    for (line, who, verb) in [
        ("audit hold set corp/ada --reason x", "rita", "audit.hold"),
        ("audit hold lift corp/ada --reason x", "nora", "audit.hold_lift"),
        ("audit hold list", "rita", "audit.hold"),
        ("audit erase corp/ada --reason x", "rita", "audit.erase_subject"),
        (reveal, "nora", "audit.reveal"),
    ] {
        let said = world.admin(line, who, 2);
        assert!(said.contains(&format!("do `{verb}`: no permit is satisfied")), "{line}: {said}");
    }
    assert!(world.admin(reveal, "", 2).contains("a credential is needed"));
    let said = world.admin("audit hold set corp/ada --reason trial", "nora", 0);
    assert!(said.contains("by User::\"corp/nora\": trial"), "{said}");
    world.admin("audit hold list", "nora", 0);
    assert!(world.admin("audit erase corp/ada --reason asked", "nora", 1).contains("on legal hold"));
    world.admin("audit erase corp/bob --reason asked", "nora", 0);

    let records = world.records();
    let expected = [
        "audit.hold User::\"corp/rita\" denied",
        "audit.hold_lift User::\"corp/nora\" denied",
        "audit.hold User::\"corp/rita\" denied",
        "audit.erase_subject User::\"corp/rita\" denied",
        "audit.reveal User::\"corp/nora\" denied",
        "audit.reveal admin unidentified",
        "audit.hold User::\"corp/nora\" permitted audit",
        "audit.erase_subject User::\"corp/nora\" permitted audit",
        "audit.erase_subject User::\"corp/nora\" permitted audit",
    ];
    assert_eq!(told(&records), expected);
    let details: Vec<_> = records[6..].iter().map(|record| record["detail"].as_str().unwrap_or_default()).collect();
    assert!(details[1].starts_with("not done: `corp/ada` is on legal hold"), "{details:?}");
    assert_eq!([details[0], details[2]], ["`corp/ada`: trial", "`corp/bob`: asked"]);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_shown_rightly_is_a_401_and_pages_get_nowhere() {
    let Some(world) = World::start().await else { return };
    world.person("rita", &["release"]).await;
    let rita = fs::read_to_string(world.project.folder().join("rita")).expect("her token");
    let admin = world.gateway.admin();
    let functions = || Request::get("/latchwork/v1/functions");
    assert_eq!(admin.send(functions().bearer(&rita)).await.status, 200);

    let now = jiff::Timestamp::now().as_second();
    let mut claims = json!({ "iss": "https://elsewhere.example", "aud": AUDIENCE, "sub": "rita", "groups": ["release"],
        "iat": now, "exp": now + 600 });
    let strange = world.issuer.signed(json!({}), claims.clone()).await;
    claims["iss"] = world.issuer.url.as_str().into();
    claims["exp"] = (now - 600).into();
    let expired = world.issuer.signed(json!({}), claims).await;
    for (request, error) in [
        (functions(), None),
        (functions().bearer(&strange), Some("the issuer is not accepted here")),
        (functions().bearer(&expired), Some("the token has expired")),
        (functions().bearer("no.token.atall"), Some("error_description")),
        (functions().header("authorization", "Basic YTpi"), None),
    ] {
        let answer = admin.send(request).await;
        assert_eq!(answer.status, 401, "{}", answer.text());
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with("Bearer realm=\"latchwork\""), "{challenge}");
        assert!(error.is_none_or(|error| challenge.contains(error)), "{challenge}");
    }
    let denied = admin.send(
        Request::new(http::Method::DELETE, "/latchwork/v1/emergency/1", "{}")
            .bearer(&rita)
            .header("latchwork-admin", "1"),
    );
    let denied = denied.await;
    assert_eq!((denied.status, &denied.json()["verb"]), (403, &json!("emergency.lift")), "{}", denied.text());
    assert_eq!(denied.json()["reason"], "not_permitted");

    for (header, value, status) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("host", "evil.example", 421),
    ] {
        let answer = admin.send(functions().bearer(&rita).header(header, value)).await;
        assert_eq!(answer.status, status, "{header}: {value}: {}", answer.text());
    }
    // Health and, unless configured, metrics are for whoever reaches the interface; details are not.
    assert_eq!(admin.send(Request::get("/live")).await.status, 200);
    assert_eq!(admin.send(Request::get("/ready")).await.json(), json!({ "ready": true }));
    assert!(admin.send(Request::get("/ready").bearer(&rita)).await.json()["bundle"].is_string());
    assert_eq!(admin.send(Request::get("/metrics")).await.status, 200);
    let config = fs::read_to_string(world.project.folder().join("latchwork.toml")).expect("a configuration");
    world.project.write("latchwork.toml", &config.replace("[admin]\n", "[admin]\nmetrics = \"policy\"\n"));
    world.admin("reload", "rita", 0);
    assert_eq!(admin.send(Request::get("/metrics")).await.status, 401);
    assert_eq!(admin.send(Request::get("/metrics").bearer(&rita)).await.status, 403);
    world.gateway.stop().await;
}

/// A gateway whose interface is a Unix socket that everybody may write to.
async fn over_a_socket(url: &str, identify: &str, policies: &str) -> (Project, Running) {
    let project = Project::new().anonymous().http("shop.stock", "GET /stock/{sku}", url, "").policy(policies);
    let config = project.config();
    let text = fs::read_to_string(&config).expect("the configuration");
    let socket = format!("[admin]\naddress = \"unix:run/admin.sock\"\nsocket = {{ mode = \"0666\" }}\n{identify}");
    project.write("latchwork.toml", &text.replacen("[admin]\naddress = \"127.0.0.1:0\"", &socket, 1));
    fs::create_dir(project.folder().join("run")).expect("the folder is ours");
    fs::set_permissions(project.folder(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    let gateway = latchwork::run(&config, &project.ca()).await;
    (project, gateway)
}

/// What another user is answered over the socket; `None` where no other user can be had.
fn as_nobody(curl: &Path, project: &Project, words: &[&str]) -> Option<(u16, String)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let socket = project.folder().join("run/admin.sock");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups"])
        .arg(curl)
        .args(["-sS", "--max-time", "20", "-w", "\n%{http_code}", "--unix-socket"])
        .arg(socket)
        .args(words)
        .output()
        .expect("setpriv starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').expect("the last line is curl's");
    Some((status.parse().expect("a status"), body.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateways_own_user_is_never_locked_out() {
    let Some(curl) = fetch::program_of("curl", "curl") else { return };
    let origin = Origin::start().await;
    let policies = "@id(\"open\")\npermit (principal, action in Action::\"call\", resource);\n\
        @id(\"reader\")\npermit (principal == User::\"unix/65534\", action == Action::\"gateway.read\", resource);\n\
        @id(\"none\")\nforbid (principal, action == Action::\"emergency.lift\", resource);";
    let (project, gateway) = over_a_socket(&origin.url, "identify = [\"unix\"]", policies).await;
    run(&project, "policy emergency forbid --function shop.stock --reason leaks", 0);
    run(&project, "policy emergency lift 1 --reason mended", 0);
    project.write("nonsense", "no.token.atall");
    let said = run(&project, "policy emergency list --token-file nonsense", 2);
    assert!(!said.contains("emergency forbid"), "what is shown counts, and is bad: {said}");
    let all = records::read(&project.audit());
    let all: Vec<Value> = all.into_iter().filter(|record| record["authority"].is_object()).collect();
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(
        told(&all)[..2],
        [
            format!("emergency.forbid User::\"unix/{uid}\" break_glass"),
            format!("emergency.lift User::\"unix/{uid}\" break_glass none"),
        ]
    );

    let forbid =
        ["-XPOST", "-Hlatchwork-admin: 1", "-d{\"function\":\"shop.stock\",\"reason\":\"x\"}", "http://x/emergency"];
    if let Some((status, body)) = as_nobody(&curl, &project, &forbid) {
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("User::\\\"unix/65534\\\""), "{body}");
        assert_eq!(as_nobody(&curl, &project, &["http://x/functions"]).expect("again").0, 200);
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_identify_whoever_reaches_it_may_do_all_and_is_told_so() {
    let Some(curl) = fetch::program_of("curl", "curl") else { return };
    let origin = Origin::start().await;
    let (project, gateway) = over_a_socket(&origin.url, "", "").await;
    run(&project, "reload", 0);
    if let Some((status, body)) = as_nobody(&curl, &project, &["-XPOST", "-Hlatchwork-admin: 1", "http://x/reload"]) {
        assert_eq!(status, 200, "{body}");
    }
    run(&project, "policy approve latchwork.toml", 1);
    gateway.stop().await;
    let over_tcp = Project::new().anonymous().http("shop.stock", "GET /stock/{sku}", &origin.url, "");
    let gateway = latchwork::run(&over_tcp.config(), &over_tcp.ca()).await;
    let logged = gateway.stop().await;
    assert!(logged.contains("whoever reaches the administrative interface may do everything"), "{logged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_production_nobody_unknown_is_let_in() {
    let Some(curl) = fetch::program_of("curl", "curl") else { return };
    let origin = Origin::start().await;
    let project = Project::new().anonymous().http("shop.stock", "GET /stock/{sku}", &origin.url, "");
    let text = fs::read_to_string(project.config()).expect("a configuration");
    let text = text
        .replace("[node]\n", "[node]\nproduction = true\n")
        .replace("[policy]\n", "[policy]\nbundle = \"current.bundle\"\nkeys = \"trust.toml\"\nthreshold = 1\n")
        .replace("[audit]\n", "[audit]\ncheckpoint_key = \"file:log.key\"\n");
    run(&project, "audit key new --file log.key", 0);
    project.write("latchwork.toml", &text.replace("production = true\n", ""));
    project.write("trust.toml", &run(&project, "policy key new alice.pem --person alice", 0));
    run(&project, "policy sign current.bundle --key file:alice.pem", 0);
    project.write("latchwork.toml", &text);
    let said = run(&project, "check", 3);
    assert!(said.contains("[admin_unidentified]") && said.contains("not ok: 1 error"), "{said}");

    let socket = "[admin]\naddress = \"unix:run/admin.sock\"\nsocket = { mode = \"0666\" }";
    project.write("latchwork.toml", &text.replacen("[admin]\naddress = \"127.0.0.1:0\"", socket, 1));
    fs::create_dir(project.folder().join("run")).expect("the folder is ours");
    fs::set_permissions(project.folder(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
    run(&project, "reload", 0);
    if let Some((status, body)) = as_nobody(&curl, &project, &["http://x/functions"]) {
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("only the gateway's own user"), "{body}");
        assert_eq!(as_nobody(&curl, &project, &["http://x/ready"]).expect("again").1, "{\"ready\":true}");
    }
    gateway.stop().await;
}
