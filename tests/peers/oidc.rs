//! npm's `oidc-provider` as an issuer: client credentials, JWT access tokens, keys that rotate while it runs.

use crate::{
    child::Child,
    client::{Client, Request},
    fetch, wait,
};
use serde_json::{Value, json};
use std::{path::Path, process::Command};

/// The audience of tokens when no other resource is asked for.
pub const AUDIENCE: &str = "https://gateway.example";

/// The client that asks for tokens; it is also their subject.
pub const CLIENT: &str = "checkout";

/// The client's secret.
pub const SECRET: &str = "a-secret-of-tests-only";

/// A running issuer.
#[derive(Debug)]
pub struct Issuer {
    /// `iss` of its tokens, and where discovery starts.
    pub url: String,
    control: Client,
    tokens: Client,
    _child: Child,
}

impl Issuer {
    /// Starts one; `None` when the peer is skipped on request.
    pub async fn start(logs: &Path) -> Option<Self> {
        let folder = fetch::node("oidc-provider")?;
        let mut command = Command::new("node");
        command.arg("oidc.mjs").current_dir(folder).env("NODE_NO_WARNINGS", "1");
        let mut child = Child::start("oidc-provider", &command, logs);
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let address = |key: &str| ready[key].as_str().expect("the script says where it listens").to_owned();
        let url = address("issuer");
        Some(Self {
            control: Client::new(&address("control"), None),
            tokens: Client::new(&url, None),
            url,
            _child: child,
        })
    }

    /// An access token by client credentials, for `resource` or the default audience.
    pub async fn token(&self, resource: Option<&str>) -> String {
        let mut form = format!("grant_type=client_credentials&client_id={CLIENT}&client_secret={SECRET}&scope=invoke");
        if let Some(resource) = resource {
            form.push_str(&format!("&resource={resource}"));
        }
        let request = Request::post("/token", form).header("content-type", "application/x-www-form-urlencoded");
        let answer = self.tokens.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        text(&answer.json(), "access_token")
    }

    /// A token of these claims, signed with the issuer's current key.
    pub async fn signed(&self, header: Value, claims: Value) -> String {
        text(&self.control("/sign", json!({ "header": header, "claims": claims })).await, "token")
    }

    /// As [`Issuer::signed`], for claims that no JSON library would write.
    pub async fn signed_text(&self, claims: &str) -> String {
        text(&self.control("/sign-text", json!({ "claims": claims })).await, "token")
    }

    /// The current public key, as PEM.
    pub async fn public_pem(&self) -> String {
        text(&self.control("/state", json!({})).await, "pem")
    }

    /// A new signing key of `alg`; the old public keys stay published if `keep`.
    pub async fn rotate(&self, alg: &str, keep: bool) -> String {
        text(&self.control("/rotate", json!({ "alg": alg, "keep": keep })).await, "kid")
    }

    /// Whether the published keys answer 503.
    pub async fn outage(&self, down: bool) {
        self.control("/outage", json!({ "down": down })).await;
    }

    /// How often the published keys were asked for.
    pub async fn keys_requests(&self) -> u64 {
        self.control("/state", json!({})).await["keys_requests"].as_u64().expect("a count")
    }

    /// The published keys.
    pub async fn keys(&self) -> Value {
        self.tokens.send(Request::get("/jwks")).await.json()
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        let answer = self.control.send(Request::post(path, body.to_string())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {value}")).to_owned()
}
