//! `deploy/examples/sidecar`: two applications call each other through two gateways that know each other by SVID.

use crate::examples::{copy, replace, succeeds};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tests::{
    client::{Client, Request},
    fetch,
    latchwork::{self, Running},
    origin::Origin,
    records, root, wait,
};

/// From the save of a new certificate to the first call that shows it.
const IN_FORCE: Duration = Duration::from_secs(1);

/// The example, running, and an application at either end.
struct Pair {
    folder: PathBuf,
    curl: PathBuf,
    apps: [Origin; 2],
    gateways: [Running; 2],
    _parent: tempfile::TempDir,
}

impl Pair {
    async fn start() -> Option<Self> {
        let curl = fetch::program_of("curl", "curl")?;
        fetch::program_of("openssl", "openssl")?;
        let parent = tempfile::tempdir().expect("a temporary folder");
        let folder = parent.path().join("sidecar");
        copy(&root().join("deploy/examples/sidecar"), &folder);
        certificates(&folder, &[]);
        let (a, b) = (wait::free_port().to_string(), wait::free_port().to_string());
        for side in ["a", "b"] {
            replace(&folder.join(side).join("latchwork.toml"), &[("8441", &a), ("8442", &b)]);
            succeeds(&folder.join(side), &["check"]);
            succeeds(&folder.join(side), &["policy", "test"]);
        }
        let app = |side: &str| folder.join(side).join("run/app.sock");
        let apps = [Origin::start_unix(&app("a")).await, Origin::start_unix(&app("b")).await];
        let ca = folder.join("tls/ca.pem");
        let run = |side: &str| folder.join(side).join("latchwork.toml");
        let gateways = [latchwork::run(&run("a"), &ca).await, latchwork::run(&run("b"), &ca).await];
        Some(Self { folder, curl, apps, gateways, _parent: parent })
    }

    /// The application of `side` calls: status and call id.
    fn calls(&self, side: &str, path: &str, words: &[&str]) -> (u16, String) {
        let output = Command::new(&self.curl)
            .args(["-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code} %header{latchwork-call-id}"])
            .arg("--unix-socket")
            .arg(self.folder.join(side).join("run/out.sock"))
            .args(words)
            .arg(format!("http://localhost{path}"))
            .output()
            .expect("curl starts");
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (status, call) = said.split_once(' ').expect("a status and an id");
        (status.parse().expect("a status"), call.to_owned())
    }

    /// The client of `b`'s inbound listener that shows a certificate.
    fn showing(&self, name: &str) -> Client {
        use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let file = |suffix: &str| self.folder.join(format!("tls/{name}.{suffix}"));
        let chain = CertificateDer::pem_file_iter(file("pem")).expect("PEM").collect::<Result<_, _>>().expect("PEM");
        self.gateways[1].client().with_certificate(chain, PrivateKeyDer::from_pem_file(file("key")).expect("PEM"))
    }

    fn records(&self, side: &str) -> Vec<Value> {
        records::read(&self.folder.join(side).join("audit"))
    }

    async fn stop(self) {
        for gateway in self.gateways {
            gateway.stop().await;
        }
    }
}

/// Runs the example's script.
fn certificates(folder: &Path, words: &[&str]) {
    let output = Command::new("sh").arg(folder.join("certificates.sh")).args(words).output().expect("sh starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_applications_call_each_other_over_mtls() {
    let Some(pair) = Pair::start().await else { return };
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("traceparent: 00-{trace}-b7ad6b7169203331-01");
    for (index, (from, to, path)) in [("a", "b", "/prices/pear"), ("b", "a", "/orders/7")].into_iter().enumerate() {
        let (status, call) = pair.calls(from, path, &["-H", &parent]);
        assert_eq!(
            status,
            200,
            "{from} calls {to}: {:?}",
            records::of_call(&pair.folder.join(from).join("audit"), &call)
        );
        let seen = pair.apps[1 - index].seen();
        let request = seen.last().expect("the other application was called");
        let caller = request.headers.get("latchwork-caller").and_then(|value| value.to_str().ok());
        assert_eq!((request.path.as_str(), caller), (path, Some(format!("spiffe://sidecar.example/{from}").as_str())));
        let traced = |side: &str| {
            let all = pair.records(side).into_iter();
            all.filter(|record| record["trace"] == trace && record["kind"] == "intent").collect::<Vec<_>>()
        };
        let (out, inward) = (traced(from), traced(to));
        let (out, inward) = (&out[index], &inward[index]);
        assert_eq!(out["principal"]["kind"], "Anonymous", "{out:#}");
        assert_eq!(out["facts"]["network"]["provenance"], "unix");
        assert_eq!(inward["principal"]["id"], format!("spiffe://sidecar.example/{from}"), "{inward:#}");
        assert_eq!(inward["facts"]["transport"]["mtls"], true);
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_named_is_refused() {
    let Some(pair) = Pair::start().await else { return };
    certificates(&pair.folder, &["c", "spiffe://sidecar.example/c"]);
    certificates(&pair.folder, &["elsewhere", "spiffe://elsewhere.example/a"]);
    let get = || Request::get("/prices/pear");
    assert_eq!(pair.showing("a").send(get()).await.status, 200);
    assert_eq!(pair.showing("c").send(get()).await.status, 404, "policy names another workload");
    let wrong = pair.showing("elsewhere").send(get()).await;
    assert_eq!(wrong.status, 401, "{}", wrong.text());
    assert!(pair.gateways[1].client().try_send(get()).await.is_err(), "without a certificate there is no connection");
    assert_eq!(pair.showing("a").send(Request::get("/orders/7")).await.status, 404, "the other side's are not shown");
    assert_eq!(pair.apps[1].seen().len(), 1);

    // The other end must be who it is said to be, whatever address it has.
    let config = pair.folder.join("a/latchwork.toml");
    replace(&config, &[("server_id = \"spiffe://sidecar.example/b\"", "server_id = \"spiffe://sidecar.example/c\"")]);
    succeeds(&pair.folder.join("a"), &["reload", "--wait"]);
    assert_eq!(pair.calls("a", "/prices/pear", &[]).0, 502, "the server is another workload");
    assert_eq!(pair.apps[1].seen().len(), 1);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_within_a_second() {
    let Some(pair) = Pair::start().await else { return };
    assert_eq!(pair.calls("a", "/prices/pear", &[]).0, 200);
    certificates(&pair.folder, &["c", "spiffe://sidecar.example/c"]);
    for file in ["key", "pem"] {
        // In one step each, as issuers of certificates do.
        let (from, to) = (pair.folder.join(format!("tls/c.{file}")), pair.folder.join(format!("tls/a.{file}")));
        fs::rename(from, to).expect("the folder is ours");
    }
    let status = wait::until("the new certificate is shown", IN_FORCE, || {
        let (status, _) = pair.calls("a", "/prices/pear", &[]);
        std::future::ready((status != 200).then_some(status))
    });
    assert_eq!(status.await, 404, "c is who it says it is, and may not");
    let last = pair.records("b").into_iter().rfind(|record| record["kind"] == "refused").expect("a refusal");
    assert_eq!(last["principal"]["id"], "spiffe://sidecar.example/c", "{last:#}");
    pair.stop().await;
}
