//! Who asks, and whether policy lets them: the first step of everything that administrators do.
//!
//! Without `[admin] identify` nobody is asked, and in production that is for the gateway's own user alone. With it every
//! verb needs a permit, but policies must not lock out those who mend them: the gateway's own user over the Unix socket
//! keeps what is needed for that.

use super::{Interface, error, json_answer, peer::Peer};
use crate::{
    ask,
    audit::{
        log::Log,
        record::{Actor, Admin, Authority, Ruling},
    },
    call,
    config::Credential,
    generation::Generation,
    identify::{Identity, pass::refuse},
    refusal::Refusal,
};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::Full;
use jiff::{Timestamp, tz::TimeZone};
use policy::{
    permit::DenialReason,
    question::{
        Approval, CallKind, Facts, FunctionName, Principal, PrincipalKind, Provenance, Question, Transport, Verb,
    },
};
use serde_json::json;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// What the gateway's own user may do over the Unix socket, whatever policies say.
const BREAKS_GLASS: [&str; 6] =
    ["bundle.activate", "bundle.rollback", "emergency.forbid", "emergency.lift", "gateway.read", "gateway.reload"];

/// One request's maker.
#[derive(Debug)]
pub(super) struct Asker<'a> {
    interface: &'a Interface,
    generation: Arc<Generation>,
    peer: Peer,
    source: Option<IpAddr>,
    at: Timestamp,
    known: Known,
}

#[derive(Debug)]
enum Known {
    /// Nobody is asked.
    Unasked,
    /// By a credential, or as the kernel says.
    As(Arc<Identity>),
    /// Not at all, as nothing was shown.
    Nobody(Refusal),
    /// Not at all, as what was shown is bad.
    Refused(Refusal),
}

impl<'a> Asker<'a> {
    /// Verifies what came with a request.
    pub(super) async fn of(
        interface: &'a Interface,
        (peer, source): (Peer, Option<IpAddr>),
        headers: &HeaderMap,
    ) -> Self {
        let (generation, at) = (interface.gateway.generation(), Timestamp::now());
        let known = match &generation.config.admin.identify {
            None => Known::Unasked,
            Some(accepted) => {
                let no = |error| refuse(error, &generation.identify, accepted);
                match (generation.identify.administrator(accepted, headers, at).await, peer) {
                    (Ok(Some(identity)), _) => Known::As(identity),
                    (Ok(None), Peer::User(uid)) if generation.config.admin.takes(&Credential::Unix) => {
                        Known::As(Arc::new(Identity::of_unix(uid)))
                    }
                    (Ok(None), _) => Known::Nobody(no(crate::identify::CredentialError::Missing)),
                    (Err(error), _) => Known::Refused(no(error)),
                }
            }
        };
        Self { interface, generation, peer, source, at, known }
    }

    /// The moment's state that decides.
    pub(super) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Where it is recorded.
    pub(super) fn log(&self) -> &Log {
        &self.interface.gateway.log
    }

    /// The user who asks, where that is one.
    pub(super) fn user(&self) -> Option<&Arc<str>> {
        match &self.known {
            Known::As(identity) if identity.principal.kind == PrincipalKind::User => Some(&identity.principal.id),
            Known::As(_) | Known::Unasked | Known::Nobody(_) | Known::Refused(_) => None,
        }
    }

    /// Whether it could be let do any of these, so that more of the request is worth reading.
    pub(super) fn could(&self, verbs: &[&'static str]) -> bool {
        let permitted = |verb: &&str| match &self.known {
            Known::As(identity) => FunctionName::parse(verb)
                .is_ok_and(|v| self.generation.policy.could_administer(&v, &identity.principal)),
            Known::Unasked | Known::Nobody(_) | Known::Refused(_) => false,
        };
        match &self.known {
            Known::Refused(_) => false,
            Known::Unasked => self.unasked(),
            Known::As(_) | Known::Nobody(_) => {
                verbs.iter().any(|verb| permitted(verb) || self.breaks_glass(verb).is_some())
            }
        }
    }

    /// Whether it may see something, without a word in the log.
    pub(super) fn sees(&self, verb: &'static str) -> bool {
        match self.rule(verb, None) {
            Some(authority) => matches!(authority.ruling, Ruling::Permitted | Ruling::BreakGlass),
            None => self.unasked(),
        }
    }

    /// In whose name something is done, or the refusal, which is recorded.
    pub(super) async fn may(
        &self,
        verb: &'static str,
        approval: Option<Approval>,
    ) -> Result<Actor, Response<Full<Bytes>>> {
        let Some(authority) = self.rule(verb, approval) else {
            let actor = Actor::named(self.peer.who());
            if self.unasked() {
                return Ok(actor);
            }
            self.refused(verb, &actor, StatusCode::FORBIDDEN, true).await;
            return Err(error(StatusCode::FORBIDDEN, "in production only the gateway's own user is let in unasked"));
        };
        let who = match &authority.principal {
            Some(principal) => named(principal),
            None => self.peer.who(),
        };
        let refused = match authority.ruling {
            Ruling::Permitted => None,
            Ruling::BreakGlass => {
                tracing::warn!(who, verb, "not permitted, and done: it is the gateway's own user");
                None
            }
            Ruling::Denied => Some(denied(&who, verb, &authority)),
            Ruling::Unidentified => Some(match &self.known {
                Known::Nobody(refusal) | Known::Refused(refusal) => self.unidentified(refusal),
                Known::Unasked | Known::As(_) => error(StatusCode::UNAUTHORIZED, "nobody knows who asks"),
            }),
        };
        let unidentified = authority.ruling == Ruling::Unidentified;
        let actor = Actor { who, authority: Some(Box::new(authority)) };
        let Some(refused) = refused else { return Ok(actor) };
        self.refused(verb, &actor, refused.status(), unidentified).await;
        Err(refused)
    }

    /// Says and records a refusal.
    async fn refused(&self, verb: &'static str, actor: &Actor, status: StatusCode, stranger: bool) {
        tracing::warn!(who = actor.who, verb, status = status.as_u16(), "administrative request refused");
        // Anybody on this machine could fill the log with them.
        if !stranger || self.interface.strangers.take(self.at) {
            self.record(Admin { detail: Some("refused".to_owned()), ..Admin::by(actor, verb) }).await;
        }
    }

    /// Records what somebody known was permitted and could not do.
    pub(super) async fn not_done(&self, verb: &'static str, actor: &Actor, why: &str) {
        if actor.authority.is_some() {
            self.record(Admin { detail: Some(format!("not done: {why}")), ..Admin::by(actor, verb) }).await;
        }
    }

    /// Nothing is done, so it stands even when the log can't take it.
    async fn record(&self, record: Admin) {
        if let Err(error) = self.interface.gateway.log.admin(&record).await {
            tracing::error!(%error, verb = &*record.verb, "an administrative refusal is not in the audit log");
        }
    }

    /// Where nobody is asked: whether it may all the same.
    fn unasked(&self) -> bool {
        !self.generation.config.node.production || self.peer.owns(self.interface.own)
    }

    /// What policy says; `None` where nobody is asked.
    fn rule(&self, verb: &'static str, approval: Option<Approval>) -> Option<Authority> {
        let (identity, error) = match &self.known {
            Known::Unasked => return None,
            Known::As(identity) => (Some(identity), None),
            Known::Nobody(refusal) | Known::Refused(refusal) => (None, refusal.detail().or(Some(word(refusal)))),
        };
        let Some(identity) = identity else {
            let glass = matches!(self.known, Known::Nobody(_)).then(|| self.breaks_glass(verb)).flatten();
            let ruling = glass.unwrap_or(Ruling::Unidentified);
            return Some(Authority { errors: error.into_iter().collect(), ..Authority::new(verb, ruling) });
        };
        let mut authority = Authority::new(verb, Ruling::Denied);
        authority.principal = Some(identity.principal.clone());
        let Ok(verb_name) = FunctionName::parse(verb) else { return Some(authority) };
        let question = self.question(identity, verb_name, approval);
        authority.facts = Some(question.facts.clone());
        authority.bundle = Some(self.generation.policy.id().clone());
        match self.generation.policy.decide(question) {
            Ok(permit) => {
                authority.ruling = Ruling::Permitted;
                authority.determining = permit.terms().determining().clone();
            }
            Err(denial) => {
                authority.ruling = self.breaks_glass(verb).unwrap_or(Ruling::Denied);
                authority.reason = Some(denial.reason);
                authority.determining = denial.determining.clone();
                authority.errors = denial.errors;
            }
        }
        Some(authority)
    }

    /// Whether it is the gateway's own user with the kernel's word alone, and the verb one that it keeps.
    fn breaks_glass(&self, verb: &str) -> Option<Ruling> {
        let shown = match &self.known {
            Known::As(identity) => **identity != self.peer_identity()?,
            Known::Nobody(_) => false,
            Known::Unasked | Known::Refused(_) => true,
        };
        let owns = self.peer.owns(self.interface.own);
        (!shown && owns && BREAKS_GLASS.contains(&verb)).then_some(Ruling::BreakGlass)
    }

    fn peer_identity(&self) -> Option<Identity> {
        match self.peer {
            Peer::User(uid) => Some(Identity::of_unix(uid)),
            Peer::Loopback => None,
        }
    }

    fn question(&self, identity: &Identity, verb: FunctionName, approval: Option<Approval>) -> Question {
        let provenance = if self.source.is_some() { Provenance::Socket } else { Provenance::Unix };
        let peer = call::Peer { source: self.source, provenance, tls: 0, certificate: None };
        Question {
            principal: Principal::clone(&identity.principal),
            verb: Verb::Call,
            function: verb,
            facts: Facts {
                call: CallKind::Sync,
                network: ask::network(&self.generation.config.zones, &peer),
                transport: Transport { mtls: false, tls: 0, sealed: false },
                token: identity.token.clone(),
                clock: ask::clock(self.at, &TimeZone::UTC, None),
                via: identity.via.clone(),
                approval,
            },
            path: BTreeMap::new(),
            query: BTreeMap::new(),
            input: None,
        }
    }

    fn unidentified(&self, refusal: &Refusal) -> Response<Full<Bytes>> {
        let row = refusal.public();
        let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::UNAUTHORIZED);
        let accepted = self.generation.config.admin.identify.iter().flatten().flat_map(Credential::parts);
        let wanted: Vec<String> = accepted.filter_map(wanted).collect();
        let title = match (refusal, refusal.detail()) {
            (Refusal::Unauthenticated(_), Some(fault)) => fault,
            (Refusal::Unauthenticated(_), None) => format!("a credential is needed: {}", wanted.join(", or ")),
            _ => row.title.to_lowercase(),
        };
        let mut response = error(status, &title);
        if let Refusal::Unauthenticated(challenge) = refusal {
            for value in challenge.headers() {
                response.headers_mut().append(header::WWW_AUTHENTICATE, value);
            }
        }
        response
    }
}

/// What would count, as whoever administers can show it.
fn wanted(credential: &Credential) -> Option<String> {
    match credential {
        Credential::Issuer(alias) => Some(format!("a token of `{alias}` (LATCHWORK_ADMIN_TOKEN or --token-file)")),
        Credential::ApiKeys(alias) => Some(format!("an API key of `{alias}` (LATCHWORK_ADMIN_TOKEN or --token-file)")),
        Credential::Unix => Some("the unix socket".to_owned()),
        Credential::Anonymous | Credential::Mtls(_) | Credential::Webhook(_) | Credential::All { .. } => None,
    }
}

/// A caller as policies write it.
fn named(principal: &Principal) -> String {
    format!("{}::\"{}\"", principal.kind.as_str(), principal.id)
}

fn word(refusal: &Refusal) -> String {
    match refusal {
        Refusal::UndeclaredGroup(group) => format!("the credential names the group `{group}`, which is not declared"),
        refusal => refusal.row().word.to_owned(),
    }
}

fn denied(who: &str, verb: &'static str, authority: &Authority) -> Response<Full<Bytes>> {
    let why = match authority.reason {
        Some(DenialReason::Forbidden) => "it is forbidden",
        Some(DenialReason::PolicyError) => "a policy can't be evaluated",
        Some(DenialReason::AbsentEntity) => "it names something that nobody vouches for",
        Some(DenialReason::BundleExpired) => "the time of its policies is over",
        Some(DenialReason::NotPermitted | DenialReason::NoTarget) | None => "no permit is satisfied",
    };
    let by: Vec<_> = authority.determining.iter().map(|name| format!("`{name}`")).collect();
    let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
    let title = format!("policy does not let {who} do `{verb}`: {why}{by}");
    let (reason, determining) = (authority.reason, &authority.determining);
    let status = StatusCode::FORBIDDEN;
    json_answer(
        status,
        &json!({
            "type": "about:blank", "title": title, "status": status.as_u16(),
            "verb": verb, "reason": reason, "determining": determining,
        }),
    )
}
