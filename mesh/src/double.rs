//! A server that stands for a provider: it remembers what it was asked, and answers as the test says.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    fmt::Write as _,
    fs,
    future::Future,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

/// A running double.
#[derive(Clone, Debug)]
pub(crate) struct Double {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Double {
    /// One that answers so, each request in a task of its own.
    pub(crate) async fn new<A>(answer: impl Fn(Request<Bytes>) -> A + Clone + Send + Sync + 'static) -> Self
    where
        A: Future<Output = Response<Bytes>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let double = Self { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let asked = double.asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, answer) = (asked.clone(), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (asked, answer) = (asked.clone(), answer.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        let request = Request::from_parts(head, body.collect().await.unwrap().to_bytes());
                        asked.lock().unwrap().push(request.clone());
                        Ok::<_, Infallible>(answer(request).await.map(Full::new))
                    }
                });
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    // Whoever hangs up is the test's own affair.
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        double
    }

    /// One that always answers the same.
    pub(crate) async fn same(status: u16, headers: &'static [(&str, &str)], body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self::new(move |_| {
            let body = body.clone();
            async move { answer(status, headers, body) }
        })
        .await
    }

    /// Its address in clear text.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Request<Bytes>> {
        self.asked.lock().unwrap().clone()
    }

    /// The only request, as it came over the wire: headers by name, and what differs by run under a name.
    pub(crate) fn golden(&self, file: &str, differs: &[(&str, &str)]) {
        let asked = self.asked();
        let texts: Vec<String> = asked.iter().map(|request| written(request, differs)).collect();
        golden(file, &texts.join("\n---\n").replace(&self.address.to_string(), "HOST"));
    }
}

/// Compares with a golden file beside the backends, or writes it when told to.
pub(crate) fn golden(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend").join(file);
    if std::env::var_os("LATCHWORK_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{file} (`LATCHWORK_BLESS=1` accepts it), now:\n{text}");
}

/// An answer.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

fn written(request: &Request<Bytes>, differs: &[(&str, &str)]) -> String {
    let mut text = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in request.headers() {
        let value = match differs.iter().find(|(differing, _)| differing == name) {
            Some((_, stands)) => (*stands).to_owned(),
            None if name == "latchwork-call-id" => "ID".to_owned(),
            None => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        lines.push(format!("{name}: {value}\n"));
    }
    lines.sort_unstable();
    text.extend(lines);
    let body = request.body();
    let _ = match std::str::from_utf8(body).ok().filter(|text| !text.contains('\0')) {
        Some(body) => write!(text, "\n{body}"),
        None => write!(text, "\n{}", body.escape_ascii()),
    };
    text
}
