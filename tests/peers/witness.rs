//! A witness (C2SP tlog-witness): checks every checkpoint that it is given as the specification asks, and signs it.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use gateway::audit::{
    checkpoint::Head,
    note::{Note, Role, SignatureLine, VerifierKey},
    tree::{Hash, extends},
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// The running witness.
#[derive(Debug)]
pub struct Witness {
    /// Where it takes checkpoints.
    pub url: String,
    /// What its signatures are checked with.
    pub key: String,
    /// Its name.
    pub name: String,
    seen: Arc<Mutex<Seen>>,
    server: JoinHandle<()>,
}

/// What it has signed, by origin.
type Seen = BTreeMap<String, (u64, Hash)>;

impl Witness {
    /// Starts one that takes any log.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).expect("there is randomness");
        let pair = Arc::new(Ed25519KeyPair::from_seed_unchecked(&seed).expect("any seed is one"));
        let public = pair.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes");
        let name = "witness.test/w1".to_owned();
        let key = VerifierKey::new(&name, Role::Cosigner, public).expect("the name is sound");
        let seen = Arc::new(Mutex::new(Seen::new()));
        let (shown, remembered) = (key.to_string(), seen.clone());
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (pair, key, seen) = (pair.clone(), key.clone(), remembered.clone());
                let service = service_fn(move |request| answer(pair.clone(), key.clone(), seen.clone(), request));
                tokio::spawn(async move {
                    drop(http1::Builder::new().serve_connection(TokioIo::new(socket), service).await);
                });
            }
        });
        Self { url: format!("http://{address}/w1"), key: shown, name, seen, server }
    }

    /// How many records the largest checkpoint covers that it signed.
    pub fn signed(&self) -> u64 {
        self.seen.lock().expect("no reader panics").values().map(|(size, _)| *size).max().unwrap_or(0)
    }

    /// It does not answer any more.
    pub fn stop(&self) {
        self.server.abort();
    }
}

async fn answer(
    pair: Arc<Ed25519KeyPair>,
    key: VerifierKey,
    seen: Arc<Mutex<Seen>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/w1/add-checkpoint"));
    let body = request.into_body().collect().await.expect("the request is whole").to_bytes();
    let (status, text) = add(&pair, &key, &mut seen.lock().expect("no reader panics"), &String::from_utf8_lossy(&body));
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    Ok(response)
}

fn add(pair: &Ed25519KeyPair, key: &VerifierKey, seen: &mut Seen, body: &str) -> (StatusCode, String) {
    let (lines, checkpoint) = body.split_once("\n\n").expect("an empty line before the checkpoint");
    let mut lines = lines.split('\n');
    let old = lines.next().and_then(|line| line.strip_prefix("old ")).expect("the old size comes first");
    let old: u64 = old.parse().expect("a size");
    let proof: Vec<Hash> = lines.map(|line| Hash::parse(line).expect("a hash")).collect();
    assert!(proof.len() <= 63, "too many hashes: {}", proof.len());
    let note = Note::parse(checkpoint).expect("a signed note");
    let head = Head::parse(&note.text).expect("a checkpoint");
    assert!(!note.signatures.is_empty() && old <= head.size);
    let (size, root) = seen.get(&head.origin).copied().unwrap_or((0, Hash::of_nothing()));
    if old != size {
        return (StatusCode::CONFLICT, format!("{size}\n"));
    }
    assert!(extends(old, &root, head.size, &head.root, &proof), "inconsistent: {body}");
    seen.insert(head.origin, (head.size, head.root));
    let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs();
    let signed = pair.sign(format!("cosignature/v1\ntime {time}\n{}", note.text).as_bytes());
    let line = SignatureLine::new(key, [&time.to_be_bytes()[..], signed.as_ref()].concat());
    // A line of a key that nobody knows is to be ignored.
    let unknown = format!("\u{2014} witness.test/other {}", BASE64_STANDARD.encode([7; 76]));
    (StatusCode::OK, format!("{unknown}\n{line}\n"))
}
