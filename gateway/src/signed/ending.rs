//! Says in the log when a signed bundle is about to end, and when it has: nobody looks at a gateway that serves.

use super::Signed;
use crate::{generation::Generation, server::Gateway};
use jiff::{SignedDuration, Timestamp};
use policy::bundle::validity::{BUNDLE_ENDS_SOON_DAYS, Standing};
use std::{sync::Arc, time::Duration};

/// How often the bundle in force is looked at, at least.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long after a bundle's end it is looked at.
const AFTER: Duration = Duration::from_millis(10);

/// What was said last, and of which generation.
#[derive(Debug, Default)]
struct Said {
    generation: u64,
    message: Option<String>,
}

/// Looks at the bundle in force for as long as the gateway runs.
pub(crate) async fn watch(gateway: Arc<Gateway>) {
    let mut said = Said::default();
    loop {
        let (generation, now) = (gateway.generation(), Timestamp::now());
        said.say(&generation, now);
        let next = next(&generation, now);
        drop(generation);
        tokio::time::sleep(next).await;
    }
}

impl Said {
    fn say(&mut self, generation: &Generation, now: Timestamp) {
        let signed = generation.signed.as_deref().zip(generation.config.policy.signed.as_ref());
        let note = signed.and_then(|(signed, wanted)| signed.notes(wanted, now));
        let message = note.map(|note| note.message);
        // What a bundle was put in force with was said then.
        let news = generation.number == self.generation && message != self.message;
        if let (true, Some(message)) = (news, &message) {
            let bundle = generation.signed.as_deref().map(|signed: &Signed| signed.digest.to_string());
            match generation.policy.validity().standing(now) {
                Standing::Ended => tracing::error!(bundle, "{message}"),
                Standing::Valid | Standing::EndsSoon(_) | Standing::Kept => tracing::warn!(bundle, "{message}"),
            }
        }
        *self = Self { generation: generation.number, message };
    }
}

/// When there may be something to say next.
fn next(generation: &Generation, now: Timestamp) -> Duration {
    let Some(until) = generation.policy.validity().until() else { return LOOK_EVERY };
    let soon = SignedDuration::from_hours(24 * BUNDLE_ENDS_SOON_DAYS);
    let left = [until.duration_since(now), until.duration_since(now) - soon];
    let left = left.into_iter().filter_map(|left| Duration::try_from(left).ok()).filter(|left| !left.is_zero());
    left.map(|left| left + AFTER).min().unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
}
