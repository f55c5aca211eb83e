//! Connections as calls: who may, what is recorded, and how they end, with a real protocol inside.

use crate::certificates::{showing, svid, table::authority};
use async_nats::{ConnectOptions, jetstream::stream};
use rcgen::{CertifiedIssuer, KeyPair};
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tests::{
    client::Client,
    latchwork::{self, Running},
    nats::Nats,
    project::Project,
    raw::Raw,
    records, wait,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

mod example;
mod failover;

/// From the save of a policy to the end of a connection that it does not permit.
const IN_FORCE: Duration = Duration::from_secs(2);

/// Only this workload may connect.
const POLICY: &str = "@id(\"events\")\npermit (principal == Workload::\"spiffe://prod.test/app\", action == Action::\"shop.events\", resource);";

/// A service that says what it hears, and how often somebody connected.
struct Echo {
    port: u16,
    connected: Arc<AtomicUsize>,
}

impl Echo {
    /// With `audit`, what that folder holds must speak of the call before anybody connects.
    async fn start(audit: Option<PathBuf>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let connected = Arc::new(AtomicUsize::new(0));
        let count = connected.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if let Some(audit) = &audit {
                    let records = records::read(audit);
                    assert!(records::kinds(&records).contains(&"intent"), "no intent before the connection");
                }
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut bytes = [0; 1024];
                    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                        if stream.write_all(&bytes[..read]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, connected }
    }

    fn connected(&self) -> usize {
        self.connected.load(Ordering::SeqCst)
    }
}

struct Front {
    project: Project,
    gateway: Running,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// A project whose listener takes connections for `shop.events` at this port; `tcp` is further TOML of the listener's.
fn project(port: u16, tcp: &str) -> (Project, CertifiedIssuer<'static, KeyPair>) {
    project_of(&[format!("tcp://127.0.0.1:{port}")], "", tcp)
}

/// The same with several targets; `more` is further TOML of the function's.
fn project_of(urls: &[String], more: &str, tcp: &str) -> (Project, CertifiedIssuer<'static, KeyPair>) {
    let authority = authority("clients");
    let project = Project::new();
    project.write("clients.pem", &authority.pem());
    let targets: Vec<_> = urls.iter().map(|url| format!("{{ tcp = {{ url = \"{url}\" }} }}")).collect();
    let function = format!(
        "[function.\"shop.events\"]\napp = \"shop\"\ntimeout = \"3s\"\ntargets = [{}]\n{more}\n",
        targets.join(", ")
    );
    let project = project
        .client_ca("clients.pem", "")
        .identify("\"workloads\"")
        .tables("[identity.mtls.workloads]\ntrust_domain = \"prod.test\"")
        .tables(&function)
        .listener(&format!("tcp = {{ {tcp} }}"))
        .policy(POLICY);
    (project, authority)
}

async fn front(port: u16, tcp: &str) -> Front {
    let (project, authority) = project(port, tcp);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    Front { project, gateway, authority }
}

impl Front {
    fn client(&self, workload: &str) -> Client {
        let (chain, key) = svid(workload, &self.authority);
        showing(&self.gateway, &chain, &key).opaque()
    }

    /// The records of the last call, once it is over.
    async fn closed(&self) -> Vec<Value> {
        wait::until("the end of the call", wait::LONG, async || {
            let all = records::read(&self.project.audit());
            let last = all.iter().rev().find_map(|record| record["call"].as_str())?;
            let of: Vec<Value> = all.iter().filter(|record| record["call"] == *last).cloned().collect();
            records::kinds(&of).last().is_some_and(|kind| matches!(*kind, "closed" | "refused")).then_some(of)
        })
        .await
    }
}

/// Says something and hears it.
async fn talks(raw: &mut Raw) {
    assert!(raw.send(b"\0hello").await);
    let heard = raw.hear(|bytes| bytes.len() >= 6).await;
    assert_eq!((heard.bytes.as_slice(), heard.closed), (&b"\0hello"[..], false));
}

/// Hears nothing but the end.
async fn ends(raw: &mut Raw) {
    let heard = raw.hear(|_| false).await;
    assert!(heard.closed && heard.bytes.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn a_client_of_a_real_protocol_talks_through_policy() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(nats) = Nats::start(folder.path()).await else { return };
    let front = front(nats.port, "function = \"shop.events\"").await;
    let (chain, key) = svid("app", &front.authority);
    let (certificate, private) = (folder.path().join("app.pem"), folder.path().join("app.key"));
    fs::write(&certificate, pem(chain[0].as_ref())).expect("the folder is ours");
    fs::write(&private, key.serialize_pem()).expect("the folder is ours");
    let port = front.gateway.listener("public").rsplit(':').next().expect("a port").to_owned();
    let options = ConnectOptions::new()
        .tls_first()
        .require_tls(true)
        .add_root_certificates(front.project.ca())
        .add_client_certificate(certificate, private);
    let client = options.connect(format!("tls://localhost:{port}")).await.expect("the client is let in");
    let jetstream = async_nats::jetstream::new(client.clone());
    let config = stream::Config { name: "EVENTS".into(), subjects: vec!["events.>".into()], ..Default::default() };
    jetstream.create_stream(config).await.expect("a stream");
    for number in 0..50_u32 {
        let body = vec![number as u8; 1_000].into();
        jetstream.publish("events.a", body).await.expect("published").await.expect("acknowledged");
    }
    client.drain().await.expect("an end");
    drop((client, jetstream));
    let closed = front.closed().await;
    assert_eq!(records::kinds(&closed), ["intent", "answered", "closed"], "{closed:?}");
    assert_eq!(closed[0]["principal"]["id"], "spiffe://prod.test/app", "{closed:?}");
    let end = &closed[2];
    assert!(end["bytes_in"].as_u64() > Some(50_000) && end["bytes_out"].as_u64() > Some(1_000), "{end}");
    front.gateway.stop().await;
}

fn pem(der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[tokio::test]
async fn nobody_else_reaches_the_service() {
    let echo = Echo::start(None).await;
    let front = front(echo.port, "function = \"shop.events\"").await;
    let mut other = Raw::connect(&front.client("other")).await.expect("a handshake");
    ends(&mut other).await;
    let refused = front.closed().await;
    assert_eq!(
        (records::kinds(&refused).as_slice(), &refused[0]["refusal"]),
        (&["refused"][..], &"denied_unseen".into())
    );
    assert_eq!(refused[0]["principal"]["id"], "spiffe://prod.test/other");
    // Without a certificate, or with one of somebody else's, there is no connection at all.
    let (chain, key) = svid("app", &authority("others"));
    for stranger in [front.gateway.client(), showing(&front.gateway, &chain, &key)] {
        if let Ok(mut raw) = Raw::connect(&stranger.opaque()).await {
            ends(&mut raw).await;
        }
    }
    assert_eq!(echo.connected(), 0, "nobody was let in");
    let mut app = Raw::connect(&front.client("app")).await.expect("a handshake");
    talks(&mut app).await;
    assert_eq!(echo.connected(), 1);
    front.gateway.stop().await;
}

#[tokio::test]
async fn the_intent_is_in_the_log_before_the_service_is_reached() {
    let (project, authority) = project(0, "function = \"shop.events\"");
    let echo = Echo::start(Some(project.audit())).await;
    let config = project.config();
    let text = fs::read_to_string(&config).expect("the configuration");
    fs::write(&config, text.replace("127.0.0.1:0\" } }]", &format!("127.0.0.1:{}\" }} }}]", echo.port))).expect("ours");
    let gateway = latchwork::run(&config, &project.ca()).await;
    let front = Front { project, gateway, authority };
    let mut app = Raw::connect(&front.client("app")).await.expect("a handshake");
    talks(&mut app).await;
    drop(app);
    let closed = front.closed().await;
    let end = closed.last().expect("a record");
    assert_eq!(
        (&end["outcome"], &end["bytes_in"], &end["bytes_out"]),
        (&"abandoned".into(), &6.into(), &6.into()),
        "{end}"
    );
    assert_eq!(closed[0]["request"]["version"], "TCP");
    front.gateway.stop().await;
}

#[tokio::test]
async fn a_connection_ends_when_policy_no_longer_permits_it() {
    let echo = Echo::start(None).await;
    let front = front(echo.port, "function = \"shop.events\"").await;
    let mut app = Raw::connect(&front.client("app")).await.expect("a handshake");
    talks(&mut app).await;
    front.project.write_policies(&POLICY.replace("/app", "/another"));
    let words = ["reload", "--wait", "--accept-removals", "-c", "latchwork.toml"];
    let output = latchwork::command(front.project.folder(), &words);
    assert!(output.status.success(), "{output:?}");
    let saved = Instant::now();
    ends(&mut app).await;
    assert!(saved.elapsed() < wait::LONG.min(IN_FORCE * 5), "{:?}", saved.elapsed());
    let closed = front.closed().await;
    assert_eq!(closed.last().expect("a record")["outcome"], "revoked", "{closed:?}");
    front.gateway.stop().await;
}

#[tokio::test]
async fn silence_and_length_have_limits() {
    let echo = Echo::start(None).await;
    let front = front(echo.port, "function = \"shop.events\", idle = \"200ms\", bytes_max = 100").await;
    let mut silent = Raw::connect(&front.client("app")).await.expect("a handshake");
    ends(&mut silent).await;
    assert_eq!(front.closed().await.last().expect("a record")["outcome"], "timed_out");
    let mut long = Raw::connect(&front.client("app")).await.expect("a handshake");
    assert!(long.send(&[b'x'; 90]).await);
    // Ninety there and at most ten back.
    let heard = long.hear(|_| false).await;
    assert!(heard.closed && heard.bytes.len() <= 10, "{heard:?}");
    let closed = front.closed().await;
    assert_eq!(closed.last().expect("a record")["outcome"], "failed", "{closed:?}");
    front.gateway.stop().await;
}

#[tokio::test]
async fn a_service_that_is_away_is_told_by_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let front = front(port, "function = \"shop.events\"").await;
    let mut app = Raw::connect(&front.client("app")).await.expect("a handshake");
    ends(&mut app).await;
    let closed = front.closed().await;
    let end = closed.last().expect("a record");
    assert_eq!((&end["outcome"], &end["error"]), (&"failed".into(), &"unreachable".into()), "{closed:?}");
    front.gateway.stop().await;
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_names_the_function() {
    let echo = Echo::start(None).await;
    let front = front(echo.port, "names = { \"localhost\" = \"shop.events\" }").await;
    let port = front.gateway.listener("public").rsplit(':').next().expect("a port").to_owned();
    let (chain, key) = svid("app", &front.authority);
    let key = || rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let asking = |host: &str| {
        Client::new(&format!("https://{host}:{port}"), Some(&front.project.ca()))
            .with_certificate(chain.clone(), key())
            .opaque()
    };
    let mut named = Raw::connect(&asking("localhost")).await.expect("a handshake");
    talks(&mut named).await;
    // An address is no name.
    let mut unnamed = Raw::connect(&asking("127.0.0.1")).await.expect("a handshake");
    ends(&mut unnamed).await;
    assert_eq!(front.closed().await.last().expect("a record")["refusal"], "misdirected");
    assert_eq!(echo.connected(), 1);
    front.gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_stops_lets_connections_end() {
    let echo = Echo::start(None).await;
    let front = front(echo.port, "function = \"shop.events\"").await;
    let mut app = Raw::connect(&front.client("app")).await.expect("a handshake");
    talks(&mut app).await;
    front.gateway.signal(rustix::process::Signal::TERM);
    wait::until("no new connections", wait::LONG, async || {
        Raw::connect(&front.client("app")).await.is_err().then_some(())
    })
    .await;
    talks(&mut app).await;
    drop(app);
    let closed = front.closed().await;
    assert_eq!(closed.last().expect("a record")["outcome"], "abandoned", "the caller ended it: {closed:?}");
    front.gateway.stopped().await;
}

#[test]
fn slips_are_said_where_they_are() {
    let checked = |project: &Project| {
        let output = latchwork::command(project.folder(), &["check", "-c", &project.config().display().to_string()]);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let function = "function = \"shop.events\"";
    for (tcp, change, said) in [
        ("", None, "the listener has no function"),
        ("function = \"shop.event\"", None, "`shop.event`"),
        ("function = \"shop.other\"", None, "runs on targets that take no connection"),
        (function, Some("identify = [\"workloads\", \"anonymous\"]"), "by a client certificate alone"),
        (function, Some("route = \"POST /events\""), "a `tcp` target takes connections"),
        (function, Some("hosts = [\"api.example\"]"), "names no host"),
    ] {
        let (project, _) = project(1, tcp);
        let project = project.http("shop.other", "GET /other", "http://127.0.0.1:1/", "");
        let project = match change {
            Some(change) if change.starts_with("identify") => project.anonymous(),
            Some(change) if change.starts_with("hosts") => project.listener(change),
            _ => project,
        };
        let config = project.config();
        if let Some(route) = change.filter(|change| change.starts_with("route")) {
            let text = fs::read_to_string(&config).expect("the configuration");
            fs::write(&config, text.replace("timeout = \"3s\"", route)).expect("ours");
            let output = latchwork::command(project.folder(), &["check", "-c", "latchwork.toml"]);
            let found = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(found.contains(said), "{route}: {found}");
            continue;
        }
        let found = checked(&project);
        assert!(found.contains(said), "{tcp} {change:?}: {found}");
    }
}
