//! Makes the calls that keep functions warm when they are due, and records what they are worth.

use super::{Due, Warmer};
use crate::{
    audit::{
        query,
        record::{Body, Kind, System, Warming},
    },
    door::{self, Request},
    generation::{Generation, Served},
    identify::Identity,
    server::Gateway,
};
use futures_util::future::join_all;
use http::StatusCode;
use http_body_util::BodyExt;
use jiff::Timestamp;
use policy::{
    permit::TargetIndex,
    question::{FunctionName, Principal},
};
use std::{
    collections::BTreeMap,
    io, iter,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How long what did not fit into the log waits.
const AGAIN: Duration = Duration::from_secs(10);
/// The longest time between two looks.
const LOOK: Duration = Duration::from_secs(3600);

/// Keeps functions warm until it is aborted; its calls end with it.
pub(crate) async fn keep(gateway: Arc<Gateway>) {
    let identity = Arc::new(Identity::of(Principal::warmer(), None));
    let mut generations = gateway.generations();
    let mut calls = JoinSet::new();
    recall(&gateway).await;
    loop {
        let generation = generations.borrow_and_update().clone();
        let now = Instant::now();
        let mut next = now + LOOK;
        for (served, warmer) in warmed(&generation) {
            if !record(&gateway, warmer) {
                next = next.min(now + AGAIN);
            }
            for due in warmer.take_due(now) {
                let (gateway, generation) = (gateway.clone(), generation.clone());
                calls.spawn(round(gateway, generation, served.clone(), warmer.clone(), identity.clone(), due));
            }
            next = next.min(warmer.look_again(now));
        }
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            () = gateway.bell.notified() => {}
            // What is due next depends on when it ended.
            Some(_) = calls.join_next() => {}
            changed = generations.changed() => if changed.is_err() { return },
        }
    }
}

/// Takes up what the log says of the functions as they were.
async fn recall(gateway: &Gateway) {
    let generation = gateway.generation();
    if warmed(&generation).next().is_none() {
        return;
    }
    let audit = &generation.config.audit;
    let folder = audit.path.join(&*generation.config.node.id);
    let now = Timestamp::now();
    let told = match tokio::task::spawn_blocking(move || told(&folder)).await {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => {
            return tracing::error!(%error, "the log can't be read: what keeps functions warm begins anew");
        }
        Err(_) => return,
    };
    for (_, warmer) in warmed(&generation) {
        for (at, told) in told.values().filter(|(_, told)| told.function == warmer.function) {
            let ago = Duration::try_from(now.duration_since(*at)).unwrap_or_default();
            warmer.recall(told, Instant::now(), ago);
        }
    }
}

/// The last that the log says of each target.
fn told(folder: &Path) -> io::Result<BTreeMap<(FunctionName, TargetIndex), (Timestamp, Warming)>> {
    let mut told = BTreeMap::new();
    for line in query::Records::of_node(folder)?.flatten() {
        if line.head.kind == Kind::System
            && let Ok(Body::System(System::Warming(warming))) = line.body()
        {
            told.insert((warming.function.clone(), warming.target), (line.head.at, warming));
        }
    }
    Ok(told)
}

/// Records what is known, for the next start.
pub(crate) fn keep_known(gateway: &Gateway) {
    for (_, warmer) in warmed(&gateway.generation()) {
        for known in warmer.known() {
            if gateway.log.found(&known).is_err() {
                let function = warmer.function.as_str();
                tracing::warn!(function, "what is known of keeping it warm is not in the audit log");
            }
        }
    }
}

fn warmed(generation: &Generation) -> impl Iterator<Item = (&Arc<Served>, &Arc<Warmer>)> {
    let served = generation.served.values().filter(|served| served.quarantine.is_none());
    served.filter_map(|served| Some((served, served.warmer.as_ref()?)))
}

/// Records what is new; `false` if the log has no room for it now.
fn record(gateway: &Gateway, warmer: &Warmer) -> bool {
    let mut all = warmer.take_news().into_iter();
    while let Some(news) = all.next() {
        if gateway.log.found(&news).is_err() {
            warmer.put_back(iter::once(news).chain(all));
            return false;
        }
        let function = warmer.function.as_str();
        tracing::info!(function, news = ?news, "whether keeping it warm helps is known");
    }
    true
}

/// The calls of one that was due: as many at once as instances are to stay.
async fn round(
    gateway: Arc<Gateway>,
    generation: Arc<Generation>,
    served: Arc<Served>,
    warmer: Arc<Warmer>,
    identity: Arc<Identity>,
    due: Due,
) {
    let config = warmer.config();
    let call = || async {
        let request = Request {
            identity: identity.clone(),
            function: served.clone(),
            target: match due {
                Due::Any => None,
                Due::Target(target) => Some(target),
            },
            path: config.path.clone(),
            query: config.query.clone(),
            headers: config.headers.clone(),
            body: config.body.clone(),
        };
        let (parts, mut body) = door::call(&gateway, generation.clone(), request).await.into_parts();
        // Its end is the call's; nobody reads what it says, and nobody waits for one without an end.
        let end = async {
            while let Some(frame) = body.frame().await {
                frame.ok()?;
            }
            Some(())
        };
        tokio::time::timeout(served.function.timeout, end).await.ok().flatten().map(|()| parts.status)
    };
    let statuses = join_all((0..config.instances).map(|_| call())).await;
    let good = |status: &Option<StatusCode>| status.is_some_and(|s| !s.is_client_error() && !s.is_server_error());
    let failed: Vec<_> = statuses.iter().filter(|status| !good(status)).collect();
    if warmer.done(due, (statuses.len() - failed.len(), failed.len()), Instant::now()) {
        let status = failed.iter().find_map(|status| status.map(|status| status.as_u16()));
        let function = warmer.function.as_str();
        tracing::warn!(function, status, "a call to keep it warm failed; the audit log says why");
    }
}
