//! Asks a witness (C2SP tlog-witness) to sign checkpoints, too, on a thread of its own: it may be slow, wrong or dead.

use super::Shared;
use crate::{
    audit::{
        checkpoint::Head,
        note::{Note, Role, SignatureLine, VerifierKey},
        prove,
        query::Parts,
        tree::{self, Frontier},
    },
    config,
};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{
    fmt::Write,
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};
use uuid::Uuid;

/// Longest time that a witness may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest time that it may take when the log ends.
const LAST_TIME_MAX: Duration = Duration::from_secs(2);
/// How often one that failed is asked again.
const AGAIN_EVERY: Duration = Duration::from_secs(10);
/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The notary's end of it.
#[derive(Debug)]
pub(super) struct Witness {
    asker: Option<Asker>,
    offers: Arc<Offers>,
    thread: Option<JoinHandle<()>>,
}

/// The newest checkpoint that the witness has not seen.
#[derive(Debug, Default)]
pub(super) struct Offers {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    offer: Option<(Note, Frontier)>,
    stop: bool,
}

#[derive(Debug)]
struct Asker {
    shared: Arc<Shared>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    key: VerifierKey,
    incarnation: Uuid,
    directory: PathBuf,
    /// The size of the checkpoint that it signed last, as far as is known.
    seen: u64,
}

/// Why a witness did not sign.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("no answer in time")]
    Late,
    #[error("it can't be asked: {0}")]
    Transport(String),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("it has seen {seen} records, and the log has {size}")]
    Ahead { seen: u64, size: u64 },
    #[error("its answer has no signature of its key over the checkpoint")]
    Unsigned,
    #[error("the log can't be read for the proof: {0}")]
    Log(String),
}

impl Offers {
    pub(super) fn put(&self, note: Note, tree: Frontier) {
        self.lock().offer = Some((note, tree));
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness {
    pub(super) fn new(
        config: &config::Witness,
        (incarnation, directory): (Uuid, PathBuf),
        shared: Arc<Shared>,
    ) -> Result<Self, String> {
        let roots = roots(config)?;
        let tls = ClientConfig::builder_with_provider(crate::tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(ANSWER_TIME_MAX));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(https.wrap_connector(tcp));
        let url = format!("{}/add-checkpoint", config.url.as_str().trim_end_matches('/'));
        let asker = Asker { shared, client, url, key: config.key.clone(), incarnation, directory, seen: 0 };
        Ok(Self { asker: Some(asker), offers: Arc::default(), thread: None })
    }

    pub(super) fn start(&mut self) -> io::Result<()> {
        let Some(asker) = self.asker.take() else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let offers = Arc::clone(&self.offers);
        let run = move || asker.run(&offers, &runtime);
        self.thread = Some(thread::Builder::new().name("audit-witness".into()).spawn(run)?);
        Ok(())
    }

    pub(super) fn offers(&self) -> Arc<Offers> {
        Arc::clone(&self.offers)
    }

    pub(super) fn offer(&self, note: Note, tree: Frontier) {
        self.offers.put(note, tree);
    }

    pub(super) fn finish(mut self) {
        self.offers.lock().stop = true;
        self.offers.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that asks the witness of the audit log failed");
        }
    }
}

impl Asker {
    fn run(mut self, offers: &Offers, runtime: &tokio::runtime::Runtime) {
        let mut failed: Option<(Note, Frontier)> = None;
        let mut told = false;
        loop {
            let (offer, stop) = wait(offers, failed.is_some());
            let Some((note, tree)) = offer.or(failed.take()) else {
                if stop {
                    return;
                }
                continue;
            };
            let longest = if stop { LAST_TIME_MAX } else { ANSWER_TIME_MAX };
            let asked = runtime.block_on(async {
                tokio::time::timeout(longest, self.cosigned(&note, tree.size())).await.unwrap_or(Err(AskError::Late))
            });
            let kept = asked.map_err(|error| error.to_string()).and_then(|cosigned| {
                self.seen = tree.size();
                self.shared.shelf().keep_cosigned(&cosigned, tree.size()).map_err(|error| error.to_string())
            });
            match kept {
                Ok(()) => {
                    told = false;
                    self.shared.progress.witnessed.store(tree.size(), Ordering::Relaxed);
                }
                Err(error) => {
                    if !told {
                        tracing::warn!(error, url = self.url, "the witness did not sign the audit log");
                    }
                    told = true;
                    failed = Some((note, tree));
                }
            }
            if stop {
                return;
            }
        }
    }

    /// The checkpoint with the witness's signatures.
    async fn cosigned(&self, note: &Note, size: u64) -> Result<Note, AskError> {
        let (mut status, mut body) = self.ask(note, self.seen, size).await?;
        if status == StatusCode::CONFLICT {
            let seen = body.strip_suffix('\n').and_then(|seen| seen.parse().ok()).ok_or(AskError::Status(status))?;
            if seen > size {
                return Err(AskError::Ahead { seen, size });
            }
            (status, body) = self.ask(note, seen, size).await?;
        }
        if status != StatusCode::OK {
            return Err(AskError::Status(status));
        }
        // Lines of unknown keys are ignored, and what claims to be of the known one must be.
        let lines = body.lines().filter_map(SignatureLine::parse);
        let signed = Note { text: note.text.clone(), signatures: lines.collect() };
        let keys = std::slice::from_ref(&self.key);
        let ours = signed.signed_by(keys).map_err(|_| AskError::Unsigned)?;
        if !ours.iter().any(|(key, time)| key.role() == Role::Cosigner && time.is_some_and(|time| time > 0)) {
            return Err(AskError::Unsigned);
        }
        let mut cosigned = note.clone();
        cosigned.signatures.extend(signed.signatures.into_iter().filter(|line| line.is_of(&self.key)));
        Ok(cosigned)
    }

    async fn ask(&self, note: &Note, old: u64, size: u64) -> Result<(StatusCode, String), AskError> {
        let transport = |error: &dyn std::error::Error| AskError::Transport(error.to_string());
        let mut body = format!("old {old}\n");
        for hash in self.proof(note, old, size)? {
            // Writing to memory can't fail.
            let _ = writeln!(body, "{hash}");
        }
        let _ = write!(body, "\n{note}");
        let request = Request::post(&self.url)
            .header(header::USER_AGENT, "latchwork")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| transport(&e))?;
        let response = self.client.request(request).await.map_err(|e| transport(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|e| transport(&*e))?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    fn proof(&self, note: &Note, old: u64, size: u64) -> Result<Vec<tree::Hash>, AskError> {
        let Some(ranges) = tree::consistency(old, size).filter(|ranges| !ranges.is_empty()) else {
            return Ok(Vec::new());
        };
        let log = |error: &dyn std::fmt::Display| AskError::Log(error.to_string());
        let parts = Parts::of_incarnation(self.incarnation, &self.directory).map_err(|e| log(&e))?;
        let (mut proofs, tree) = prove::hash(parts, size, &[ranges]).map_err(|e| log(&e))?;
        let signed = Head::parse(&note.text).is_some_and(|head| head.root == tree.root());
        if !signed {
            return Err(AskError::Log("its records are not those that were signed".to_owned()));
        }
        Ok(proofs.pop().unwrap_or_default())
    }
}

fn wait(offers: &Offers, again: bool) -> (Option<(Note, Frontier)>, bool) {
    let mut state = offers.lock();
    if state.offer.is_none() && !state.stop {
        state = if again {
            offers.wake.wait_timeout(state, AGAIN_EVERY).unwrap_or_else(PoisonError::into_inner).0
        } else {
            offers.wake.wait(state).unwrap_or_else(PoisonError::into_inner)
        };
    }
    (state.offer.take(), state.stop)
}

fn roots(config: &config::Witness) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match &config.ca {
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path).map_err(|e| e.to_string())? {
                roots.add(certificate.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
            }
        }
        None if config.url.scheme() == "http" => {}
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}
