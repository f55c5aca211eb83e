//! Headless Chromium: opens one page of another origin and says what its script wrote down.

use crate::{certificates::Certificates, child::Child, client::Io, fetch};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{KeyPair, PublicKeyData};
use serde_json::Value;
use std::{convert::Infallible, fs, path::Path, process::Command, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};

/// Longest time from the start of the browser to its end.
const END: Duration = Duration::from_secs(90);

/// No window, no sandbox (there is no user but root), nothing of its own on the network.
const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    // Time stands still while a request is under way, so that this bounds what the page does, not the machine.
    "--virtual-time-budget=20000",
    "--dump-dom",
];

/// A page at an origin of its own.
#[derive(Debug)]
pub struct Page {
    /// Its origin, as browsers write it.
    pub origin: String,
    html: tokio::sync::watch::Sender<String>,
    server: JoinHandle<()>,
}

impl Page {
    /// Serves one, over TLS: browsers keep `__Host-` cookies of nothing else.
    pub async fn start(certificates: &Certificates) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let origin = format!("https://localhost:{}", listener.local_addr().expect("it is bound").port());
        let (html, shown) = tokio::sync::watch::channel(String::new());
        let acceptor = certificates.acceptor();
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, shown) = (acceptor.clone(), shown.clone());
                tokio::spawn(async move {
                    // Browsers open connections that they do not use.
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    let stream: Box<dyn Io> = Box::new(stream);
                    let service = service_fn(move |_: Request<Incoming>| {
                        let page = Bytes::from(shown.borrow().clone());
                        async {
                            let page = Response::builder().header("content-type", "text/html").body(Full::new(page));
                            Ok::<_, Infallible>(page.expect("a response"))
                        }
                    });
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { origin, html, server }
    }

    /// Opens it in a browser that trusts the key in `folder`; `script` is the body of an async function whose result is
    /// answered. `None` when the browser is skipped on request.
    ///
    /// # Panics
    /// With what the browser said, when there is no result.
    pub async fn open(&self, script: &str, folder: &Path) -> Option<Value> {
        let browser = fetch::program("chromium")?;
        self.html.send_replace(format!(
            "<!doctype html><meta charset=utf-8><pre id=out></pre><script>\
             (async () => {{ {script} }})().catch(e => ({{ failed: String(e) }}))\
             .then(out => {{ document.getElementById('out').textContent = JSON.stringify(out) }})</script>"
        ));
        let profile = tempfile::Builder::new().prefix("latchwork-browser-").tempdir().expect("a temporary folder");
        let mut command = Command::new(browser);
        command.args(FLAGS).arg(format!("--user-data-dir={}", profile.path().display()));
        command.arg(format!("--ignore-certificate-errors-spki-list={}", fingerprint(folder)));
        command.arg(format!("{}/", self.origin)).env("HOME", profile.path());
        let mut child = Child::start("chromium", &command, profile.path());
        let status = child.exit(END).await;
        let dom = child.stdout();
        let out =
            dom.split_once("<pre id=\"out\">").and_then(|(_, rest)| rest.split_once("</pre>")).map(|(out, _)| out);
        let text = out.unwrap_or_default().replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let result = serde_json::from_str(&text);
        Some(result.unwrap_or_else(|e| panic!("no result of the page ({e}, {status}): {dom}\n{}", child.stderr())))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// SHA-256 of the public key of `server.key`, as the browser takes it.
fn fingerprint(folder: &Path) -> String {
    let pem = fs::read_to_string(folder.join("server.key")).expect("the project has a key");
    let key = KeyPair::from_pem(&pem).expect("a key");
    STANDARD.encode(digest(&SHA256, &key.subject_public_key_info()))
}
