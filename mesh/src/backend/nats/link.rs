//! The connection to NATS: made by the first call, shared by all, and made again by the next call when it is lost.

use super::proof::Proof;
use crate::{invocation::InvokeError, nats::Login};
use async_nats::{
    Client, ConnectErrorKind, Event, Message, Request, RequestError, RequestErrorKind, ServerError,
    connection::State as ClientState, error,
};
use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, broadcast, watch},
    time::{Instant, timeout_at},
};

/// How long nobody tries again after a connection failed: who waited for it fails with it.
const PAUSE: Duration = Duration::from_millis(250);

/// Most refusals that a call may be behind in reading.
const REFUSALS_MAX: usize = 64;

/// The connection, if there is one.
#[derive(Debug)]
pub(super) struct Links {
    servers: Vec<String>,
    proof: Proof,
    ca: Option<PathBuf>,
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    link: Option<(Login, Arc<Link>)>,
    failed: Option<(Instant, Failure)>,
}

/// Why there is no connection.
#[derive(Clone, Debug)]
enum Failure {
    /// The server takes our credentials for none.
    Login(String),
    Other(String),
}

/// A connection.
///
/// Of what it was given when it was lost nobody knows whether it arrived, so all who wait are told. The client tries each
/// server once more and ends then, with what it still holds.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    lost: watch::Receiver<bool>,
    refusals: broadcast::Sender<Arc<str>>,
}

impl Links {
    /// Connects to nothing yet.
    pub(super) fn new(servers: Vec<String>, proof: Proof, ca: Option<PathBuf>, timeout: Duration) -> Self {
        Self { servers, proof, ca, timeout, state: Mutex::default() }
    }

    /// The connection, made if need be, until `deadline`. Nothing was sent when there is none.
    pub(super) async fn get(&self, deadline: Instant) -> Result<Arc<Link>, InvokeError> {
        let late = |_| InvokeError::Unreachable("no connection in time".into());
        timeout_at(deadline, self.got()).await.map_err(late)?.map_err(|failure| match failure {
            Failure::Login(words) => InvokeError::NoCredential(words),
            Failure::Other(words) => InvokeError::Unreachable(words.into()),
        })
    }

    async fn got(&self) -> Result<Arc<Link>, Failure> {
        // A changed secret may be another user's: what was connected with the old one is not used on.
        let login = self.proof.login();
        let mut state = self.state.lock().await;
        if let Some((as_whom, link)) = &state.link
            && *as_whom == login
            && !link.is_lost()
        {
            return Ok(link.clone());
        }
        state.link = None;
        if let Some((at, failure)) = state.failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
            tracing::trace!(ago = ?at.elapsed(), "the connection failed just now");
            return Err(failure.clone());
        }
        match self.connect(&login).await {
            Ok(link) => {
                let link = Arc::new(link);
                state.link = Some((login, link.clone()));
                state.failed = None;
                Ok(link)
            }
            Err(failure) => {
                state.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn connect(&self, login: &Login) -> Result<Link, Failure> {
        let (tell, lost) = watch::channel(false);
        let (refusals, _) = broadcast::channel(REFUSALS_MAX);
        let tell = Arc::new(tell);
        let refused = refusals.clone();
        let options = login.options(self.ca.as_deref(), self.timeout, self.servers.len());
        let options = options.map_err(|error| Failure::Login(error.to_string()))?;
        let options = options.reconnect_delay_callback(|_| Duration::ZERO).event_callback(move |event| {
            let (tell, refused) = (tell.clone(), refused.clone());
            async move {
                match event {
                    Event::Disconnected | Event::Closed => {
                        tell.send_replace(true);
                    }
                    // Nobody may be waiting.
                    Event::ServerError(ServerError::Other(words)) => drop(refused.send(words.into())),
                    _ => {}
                }
            }
        });
        let connected = tokio::time::timeout(self.timeout, options.connect(&self.servers)).await;
        let client = connected.map_err(|_| Failure::Other(format!("no connection within {:?}", self.timeout)))?;
        let client = client.map_err(|error| match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                Failure::Login("the server does not take them".to_owned())
            }
            _ => Failure::Other(said(&error)),
        })?;
        Ok(Link { client, lost, refusals })
    }
}

impl Link {
    fn is_lost(&self) -> bool {
        // The client drops events when many come at once, and never its state.
        *self.lost.borrow() || self.client.connection_state() != ClientState::Connected
    }

    /// Sends a message and waits for what comes back.
    pub(super) async fn ask(
        &self,
        subject: String,
        request: Request,
        deadline: Instant,
    ) -> Result<Message, InvokeError> {
        let mut lost = self.lost.clone();
        let refusal = refusal(self.refusals.subscribe(), &subject);
        tokio::select! {
            answered = timeout_at(deadline, self.client.send_request(subject.clone(), request)) => {
                let answered = answered.map_err(|_| InvokeError::TimedOut)?;
                answered.map_err(|error| self.meaning(&error))
            }
            () = refusal => Err(InvokeError::Refused("the gateway may not publish to the subject".to_owned())),
            _ = lost.wait_for(|lost| *lost) => Err(InvokeError::Broken("the connection was lost".into())),
        }
    }

    fn meaning(&self, error: &RequestError) -> InvokeError {
        match error.kind() {
            RequestErrorKind::TimedOut => InvokeError::TimedOut,
            // The server says so: nobody has got it.
            RequestErrorKind::NoResponders => InvokeError::Unreachable("nobody takes the subject".into()),
            RequestErrorKind::InvalidSubject => InvokeError::Unsupported("this subject"),
            RequestErrorKind::MaxPayloadExceeded => {
                InvokeError::RequestTooLarge { bytes_max: u64::try_from(self.client.server_info().max_payload).ok() }
            }
            RequestErrorKind::Other => InvokeError::Broken(said(error).into()),
        }
    }
}

/// Ends when the server says that we may not publish to the subject: it says so beside, and answers nothing.
async fn refusal(mut refusals: broadcast::Receiver<Arc<str>>, subject: &str) {
    let named = format!("publish to \"{subject}\"");
    loop {
        match refusals.recv().await {
            Ok(words) if words.to_ascii_lowercase().contains(&named.to_ascii_lowercase()) => return,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// An error with its cause, for the log.
fn said<K>(error: &error::Error<K>) -> String
where
    K: Clone + std::fmt::Debug + std::fmt::Display + PartialEq,
{
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
