//! A signed bundle that ends while it is in force: it is told before and then, and denies or goes on as configured.

use jiff::{SignedDuration, Timestamp};
use policy::bundle::{
    manifest::{Bundle, Draft},
    sign::{Ed25519, Signer},
};
use tests::{client::Request, latchwork, origin::Origin, project::Project, records, wait};

/// From the start of a test to the end of its bundle: long enough to start a gateway and to ask it once.
const LASTS: SignedDuration = SignedDuration::from_secs(12);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_bundle_denies_every_call() {
    let (project, origin, until) = project("expired = \"deny\"").await;
    let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
    let status = async || gateway.client().send(Request::get("/stock/7")).await;
    assert_eq!(status().await.status, 200);
    assert!(gateway.stderr().contains(&format!("bundle 1 ends at {until}")), "{}", gateway.stderr());
    let ends = format!("latchwork_bundle_ends_timestamp_seconds {}", until.as_second());
    assert!(gateway.metrics().await.lines().any(|line| line == ends), "{ends}");
    let denied = wait::until("the end of the bundle", wait::LONG, async || {
        Some(status().await).filter(|answer| answer.status != 200)
    })
    .await;
    assert!(Timestamp::now() >= until);
    assert_eq!(denied.status, 404, "who may know of a function is no longer known either");
    assert_eq!(records::of_call(&project.audit(), &denied.call_id())[0]["reason"], "bundle_expired");
    let said = format!("bundle 1 ended at {until}, so every call is denied");
    wait::until("a line in the log", wait::LONG, async || gateway.stderr().contains(&said).then_some(())).await;
    gateway.stop().await;
    assert!(checked(&project).contains(&said));
    assert!(!origin.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_bundle_is_kept_loudly_if_that_is_configured() {
    let (project, _origin, until) = project("expired = \"keep\"").await;
    let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
    let said = format!("bundle 1 ended at {until} and goes on deciding, as configured");
    wait::until("a line in the log", wait::LONG, async || gateway.stderr().contains(&said).then_some(())).await;
    assert!(Timestamp::now() >= until);
    assert_eq!(gateway.client().send(Request::get("/stock/7")).await.status, 200);
    assert_eq!(gateway.client().send(Request::get("/other")).await.status, 404, "it goes on denying, too");
    let log = gateway.stop().await;
    let lines: Vec<_> = log.lines().filter(|line| line.contains(&said)).collect();
    assert!(lines.len() == 1 && lines[0].contains("WARN"), "{lines:?}");
    assert!(checked(&project).contains(&said));
}

/// A project whose bundle ends soon.
async fn project(expired: &str) -> (Project, Origin, Timestamp) {
    let origin = Origin::start().await;
    let project = Project::new()
        .anonymous()
        .http("shop.stock", "GET /stock/{sku}", &origin.url, "")
        .http("shop.other", "GET /other", &origin.url, "")
        .policy("@id(\"open\")\npermit (principal, action == Action::\"shop.stock\", resource);");
    let path = project.config();
    let config = std::fs::read_to_string(&path).expect("a configuration");
    let signed = format!("[policy]\nbundle = \"current.bundle\"\nkeys = \"trust.toml\"\nthreshold = 1\n{expired}\n");
    project.write("latchwork.toml", &config.replace("[policy]\n", &signed));
    let signer = Ed25519::from_pkcs8(&Ed25519::generate().expect("randomness")).expect("a key");
    project.write("trust.toml", &format!("[key.test]\npublic = \"{}\"\nperson = \"alice\"\n", signer.public()));
    // What the command signs is of this catalog; how long a bundle lasts it says in days.
    let key = tokio::task::block_in_place(|| {
        latchwork::command(project.folder(), &["policy", "key", "new", "a.pem", "--person", "a"])
    });
    assert!(key.status.success(), "{key:?}");
    let sign = ["policy", "sign", "days.bundle", "--key", "file:a.pem"];
    let made = tokio::task::block_in_place(|| latchwork::command(project.folder(), &sign));
    assert!(made.status.success(), "{made:?}");
    let text = std::fs::read_to_string(project.folder().join("days.bundle")).expect("a bundle");
    let (bundle, manifest) = Bundle::open(&text).expect("it is whole");
    let created = Timestamp::from_second(Timestamp::now().as_second()).expect("a time");
    let draft = Draft {
        version: 1,
        created,
        lasts: LASTS,
        rolls_back_to: None,
        note: None,
        declared: manifest.declared,
        policies: bundle.sources(),
        attachments: Vec::new(),
    };
    let mut short = Bundle::new(draft).expect("a bundle");
    short.sign(&signer).expect("a signature");
    project.write("current.bundle", &short.text());
    (project, origin, created + LASTS)
}

fn checked(project: &Project) -> String {
    let output = tokio::task::block_in_place(|| latchwork::command(project.folder(), &["check"]));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
