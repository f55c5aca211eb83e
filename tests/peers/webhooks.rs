//! Webhooks as their senders sign them: with the library of Standard Webhooks, and in GitHub's form.

use crate::{client::Request, fetch, scripts};
use aws_lc_rs::hmac;
use std::{
    fmt::Write as _,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

/// A sender with the library of Standard Webhooks.
#[derive(Debug)]
pub struct Sender {
    python: PathBuf,
    secret: String,
}

impl Sender {
    /// One with a secret; `None` when the peer is skipped on request.
    pub fn new(secret: &str) -> Option<Self> {
        fetch::python("standardwebhooks").map(|python| Self { python, secret: secret.to_owned() })
    }

    /// A signed `POST`, sent `age` seconds ago.
    ///
    /// # Panics
    /// When the library does not sign it.
    pub fn signed(&self, path: &str, id: &str, age: i64, body: &str) -> Request {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
        let at = (i64::try_from(now).expect("a clock of this age") - age).to_string();
        let mut command = Command::new(&self.python);
        command.arg(scripts().join("webhook_sign.py")).args([&self.secret, id, &at]);
        let piped = command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().expect("python starts");
        child.stdin.take().expect("a pipe").write_all(body.as_bytes()).expect("the signer reads");
        let output = child.wait_with_output().expect("the signer ends");
        assert!(output.status.success(), "the signer failed");
        let signature = String::from_utf8(output.stdout).expect("text");
        let request = Request::post(path, body.to_owned()).header("content-type", "application/json");
        let request = request.header("webhook-id", id).header("webhook-timestamp", &at);
        request.header("webhook-signature", signature.trim())
    }
}

/// A `POST` that is signed as GitHub does.
pub fn github(path: &str, secret: &str, body: &str) -> Request {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body.as_bytes());
    let hex = tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let request = Request::post(path, body.to_owned()).header("content-type", "application/json");
    request.header("x-github-event", "push").header("x-hub-signature-256", &format!("sha256={hex}"))
}
