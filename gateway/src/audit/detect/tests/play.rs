//! What happens, and the records that it would be.

use super::traffic::{Name, Person};
use crate::audit::detect::sight::{Place, Refusal, Seen, Sight, Source, Text, Used, Who};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};
use uuid::Uuid;

/// One record to be.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: i64,
    pub(super) did: Did,
}

#[derive(Clone, Debug)]
pub(super) enum Did {
    Use(Call),
    Answer(Uuid),
    Close(Uuid, i64),
    /// An end of a call that never began.
    Forge(Uuid, i64),
    Deny(Call),
    /// A credential was bad.
    Stranger(IpAddr),
    Policy(String, &'static str),
    /// A gateway ends in order, or is killed, and the next begins.
    Restart(bool),
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: Uuid,
    pub(super) who: Arc<Person>,
    pub(super) function: Name,
    pub(super) permit: Name,
    pub(super) source: IpAddr,
}

/// Shows every event to `see`, in order, as the records that it would be.
pub(super) fn play(events: &mut [Event], mut see: impl FnMut(&Sight<'_>)) {
    events.sort_by_key(|event| event.at);
    let (mut incarnation, mut seq, mut bundle) = (1_u128, 0, "sha256:0000".to_owned());
    let mut open = BTreeMap::new();
    for event in events.iter() {
        let mut record = |incarnation: u128, seen: Seen<'_>| {
            seq += 1;
            let place = Place { incarnation: Uuid::from_u128(incarnation), seq };
            see(&Sight { at: event.at, place, seen });
        };
        match &event.did {
            Did::Use(call) => {
                open.insert(call.id, event.at);
                let used = Used {
                    call: call.id,
                    who: who(&call.who),
                    function: (&*call.function).into(),
                    source: Source::Address(call.source),
                    bundle: bundle.as_str().into(),
                    permits: vec![(&*call.permit).into()],
                };
                record(incarnation, Seen::Used(used));
            }
            Did::Answer(call) => record(incarnation, Seen::Answered(*call)),
            // What was open when its gateway ended has no end in the next.
            Did::Close(call, _) if open.remove(call).is_none() => {}
            Did::Close(call, took) | Did::Forge(call, took) => {
                record(incarnation, Seen::Closed { call: *call, took: *took });
            }
            Did::Deny(call) => {
                let refused = Refusal {
                    call: call.id,
                    who: Some(who(&call.who)),
                    function: Some((&*call.function).into()),
                    source: Source::Address(call.source),
                    bundle: Some(bundle.as_str().into()),
                    denied: true,
                };
                record(incarnation, Seen::Refused(refused));
            }
            Did::Stranger(source) => {
                let source = Source::Address(*source);
                let call = Uuid::from_u128(0);
                let refused = Refusal { call, who: None, function: None, source, bundle: None, denied: true };
                record(incarnation, Seen::Refused(refused));
            }
            Did::Policy(id, who) => {
                bundle.clone_from(id);
                record(incarnation, Seen::Policy { bundle: id.as_str().into(), who: (*who).into() });
            }
            Did::Restart(killed) => {
                let left = std::mem::take(&mut open);
                if !killed {
                    for (call, at) in left {
                        record(incarnation, Seen::Closed { call, took: event.at - at });
                    }
                    record(incarnation, Seen::Stopped);
                }
                incarnation += 1;
                record(incarnation, Seen::Started { ended: vec![Uuid::from_u128(incarnation - 1)] });
            }
        }
    }
}

fn who(person: &Person) -> Who<'_> {
    let groups = person.groups.iter().map(|group| Text((&**group).into())).collect();
    Who { kind: person.kind, id: (&*person.name).into(), groups, cut: false }
}
