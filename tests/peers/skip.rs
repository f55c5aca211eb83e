//! Peers that the person who runs the tests has said to skip. Nothing else is ever skipped.

use std::{fmt::Write as _, io::Write as _};

/// The environment variable: names separated by commas, or `all`.
pub const VARIABLE: &str = "LATCHWORK_SKIP_PEERS";

/// Every peer, by the name that the variable takes, and what is not proved without it.
pub const PEERS: [(&str, &str); 34] = [
    ("oidc-provider", "tokens of an issuer that we did not write"),
    ("awslambdaric", "an unchanged Python function under the process host"),
    ("lambda_runtime", "an unchanged Rust function under the process host"),
    ("aws-sam-cli", "a function under the provider's own runtime emulator"),
    ("serverless-offline", "functions behind the Invoke API, their failures included"),
    ("moto", "signatures that somebody else verifies, and records of a stream"),
    ("functions-framework", "an unchanged HTTP function"),
    ("functions-framework-node", "an unchanged HTTP function for Node"),
    ("fdk", "an unchanged function of Fn"),
    ("fdk-node", "an unchanged function of Fn for Node"),
    ("func-python", "an unchanged function of Knative, which takes and answers events"),
    ("oci", "a signature that the provider's own library verifies"),
    ("google-auth", "tokens and assertions that the provider's own library verifies"),
    ("google-cloud-pubsub", "messages that the provider's own client reads"),
    ("grpcio", "gRPC with a client and a server that we did not write"),
    ("grpcio-tools", "plain HTTP for methods of gRPC, as Google's own clients make it of annotations"),
    ("spyne", "operations of a SOAP service that validates messages"),
    ("zeep", "a SOAP client that knows nothing of us"),
    ("soap", "SOAP 1.1 and 1.2 by a server that goes by a WSDL, and passwords in messages that it checks"),
    ("standardwebhooks", "webhooks that a library we did not write has signed"),
    ("ocsf-json-schema", "exports of the audit log as OCSF and as CloudEvents"),
    ("duckdb", "an export in Parquet that somebody else reads"),
    ("cyclonedx-python-lib", "a valid bill of materials"),
    ("systemd-analyze", "a unit that may do little"),
    ("chromium", "pages of other origins in a real browser"),
    ("boto3", "an AWS SDK as a client"),
    ("strace", "no answer before its sync returned"),
    ("cc", "a disk whose syncs are slow or fail"),
    ("cvc5", "what a change of policies grants, proved"),
    ("nats-server", "records in a stream that a real server keeps, and functions that answer over it"),
    ("tansu", "records in a topic that a real broker keeps and somebody else reads"),
    ("python3", "functions and actions of hosts that verify their callers"),
    ("curl", "shell functions and pasted calls"),
    ("openssl", "the script of an example that makes certificates"),
];

/// Whether the peer is skipped on request.
pub fn skipped(peer: &str) -> bool {
    assert!(PEERS.iter().any(|(name, _)| *name == peer), "`{peer}` is not a peer that this harness knows");
    named().iter().any(|name| name == "all" || name == peer)
}

/// Names in the variable that are no peer's.
pub fn unknown() -> Vec<String> {
    let known = |name: &String| name == "all" || PEERS.iter().any(|(peer, _)| peer == name);
    named().into_iter().filter(|name| !known(name)).collect()
}

/// What was skipped, in words; empty when nothing was.
pub fn summary() -> String {
    let mut text = String::new();
    for (peer, unproved) in PEERS.iter().filter(|(peer, _)| skipped(peer)) {
        let _ = writeln!(text, "  {peer}: not proved: {unproved}");
    }
    if text.is_empty() { text } else { format!("\nskipped because {VARIABLE} names them:\n{text}") }
}

/// Writes past the capture of the test runner, so that it is seen when everything passes.
pub fn say(text: &str) {
    // Nobody listens when standard error is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn named() -> Vec<String> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
