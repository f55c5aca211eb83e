//! One gateway on IPv4, IPv6 and a Unix socket, called by curl; what is known of a caller without an address.

use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};
use tests::{
    fetch,
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    records, wait,
};

const TABLES: &str = "[listener.six]\naddress = \"[::1]:0\"\nidentify = [\"anonymous\"]\n\n\
    [listener.local]\naddress = \"unix:run/app.sock\"\nsocket = { mode = \"0620\" }\nidentify = [\"anonymous\"]";

/// A project with three listeners and an administrative interface on a Unix socket.
fn project(url: &str) -> Project {
    let project = Project::new()
        .anonymous()
        .http("shop.echo", "POST /echo", url, "")
        .http("shop.local", "POST /local", url, "")
        .tables(TABLES)
        .policy("@id(\"echo\")\npermit (principal, action == Action::\"shop.echo\", resource);")
        .policy(
            "@id(\"local\")\npermit (principal, action == Action::\"shop.local\", resource)\n\
             unless { context.facts.network has source };",
        );
    let config = project.config();
    let text = fs::read_to_string(&config).expect("the configuration");
    let admin = "[admin]\naddress = \"127.0.0.1:0\"";
    assert!(text.contains(admin), "{text}");
    project.write("latchwork.toml", &text.replacen(admin, "[admin]\naddress = \"unix:run/admin.sock\"", 1));
    fs::create_dir(project.folder().join("run")).expect("the folder is ours");
    project
}

/// curl's words: status, version, address of the answer's body.
fn curl(program: &Path, words: &[&str], url: &str) -> (String, String) {
    let output = Command::new(program)
        .args(["-sS", "--max-time", "20", "-w", "\n%{http_code} HTTP/%{http_version}", "--data", "hello"])
        .args(words)
        .arg(url)
        .output()
        .expect("curl starts");
    assert!(output.status.success(), "{words:?} {url}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, said) = text.rsplit_once('\n').expect("the last line is curl's");
    (body.to_owned(), said.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_over_ipv4_ipv6_and_a_unix_socket() {
    let Some(program) = fetch::program_of("curl", "curl") else { return };
    let origin = Origin::start().await;
    let project = project(&origin.url);
    let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
    let (ca, socket) = (project.ca().display().to_string(), project.folder().join("run/app.sock"));
    let mode = fs::metadata(&socket).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o620);
    assert_eq!(gateway.listener("local"), format!("unix:{}", socket.display()));
    let (four, six, path) = (gateway.url.clone(), gateway.listener("six"), socket.display().to_string());
    assert!(six.starts_with("[::1]:"), "{six}");
    let places: [(&[&str], String, Option<&str>); 3] = [
        (&["--cacert", &ca], four, Some("127.0.0.1")),
        (&[], format!("http://{six}"), Some("::1")),
        (&["--unix-socket", &path], "http://localhost".to_owned(), None),
    ];
    for (words, base, address) in &places {
        for (version, spoken) in
            [("--http1.1", "1.1"), (if base.starts_with("https") { "--http2" } else { "--http2-prior-knowledge" }, "2")]
        {
            let words = [*words, &[version, "-H", "x-forwarded-for: 192.0.2.9"]].concat();
            let (body, said) = curl(&program, &words, &format!("{base}/echo"));
            assert_eq!((body.as_str(), said), ("hello", format!("200 HTTP/{spoken}")), "{base}");
            let seen = origin.seen();
            let last = seen.last().expect("a request");
            let told = last.headers.get("x-forwarded-for").map(|value| value.to_str().expect("text"));
            assert_eq!(told, *address, "{base}: what the backend is told");
            let (_, local) = curl(&program, &words, &format!("{base}/local"));
            let expected = if address.is_none() { "200" } else { "404" };
            assert!(local.starts_with(expected), "{base}: {local}, and policy sees no address but over the socket");
        }
    }
    let all = records::read(&project.audit());
    let intents: Vec<_> =
        all.iter().filter(|record| record["kind"] == "intent" && record["function"] == "shop.local").collect();
    assert_eq!(intents.len(), 2, "{intents:#?}");
    for intent in intents {
        let network = &intent["facts"]["network"];
        assert_eq!(network, &json!({ "provenance": "unix", "zone": "other" }), "absent, never a default");
    }
    commands(&project, &path);
    gateway.stop().await;
    assert!(!socket.exists() && !project.folder().join("run/admin.sock").exists(), "removed at a clean stop");
}

/// Commands find the gateway over its sockets.
fn commands(project: &Project, socket: &str) {
    let ran = |words: &[&str]| {
        let output = latchwork::command(project.folder(), words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let config = ["-c", "latchwork.toml"];
    let admin = format!("unix:{}", project.folder().join("run/admin.sock").display());
    assert!(ran(&[&["reload", "--wait"], &config[..]].concat()).starts_with("unchanged"));
    assert!(ran(&["reload", "--dry-run", "--admin", &admin, "-c", "latchwork.toml"]).starts_with("unchanged"));
    let at = format!("unix:{socket}");
    assert!(ran(&["call", "shop.local", "--url", &at, "--data", "hello", "-c", "latchwork.toml"]).contains("hello"));
    let story = ran(&["explain", "--last", "-c", "latchwork.toml"]);
    assert!(story.contains("a unix socket, zone other, in clear text"), "{story}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_of_a_dead_gateway_is_replaced_and_a_live_one_is_not() {
    let origin = Origin::start().await;
    let project = project(&origin.url);
    let config = project.folder().join("latchwork.toml");
    let first = latchwork::run(&config, &project.ca()).await;
    let second = latchwork::command(project.folder(), &["run", "-c", "latchwork.toml"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("listener `local` can't listen on unix:") && said.contains("running process"), "{said}");
    first.kill().await;
    assert!(project.folder().join("run/app.sock").exists(), "a killed gateway leaves its file");
    let third: Running = latchwork::run(&config, &project.ca()).await;
    let answered = wait::until("the socket answers", wait::LONG, || {
        let connected = std::os::unix::net::UnixStream::connect(project.folder().join("run/app.sock")).ok();
        std::future::ready(connected.map(drop))
    });
    answered.await;
    third.stop().await;
}
