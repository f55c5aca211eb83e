//! Anomalies put into a company's calls, each with the label that a finding must fit.

use super::{
    play::{Did, Event},
    traffic::{Company, MINUTE, Name, Person, WEEKS, address, permit_of},
};
use crate::audit::detect::{
    finding::{Detector, Finding},
    scene::{HOUR, SECOND},
};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};
use uuid::Uuid;

/// The first day on which there is one.
const FIRST_DAY: i64 = 23;
/// How many of each shape.
const EACH: usize = 3;
/// How long a lost call is awaited, and a while until the next record.
const OVERDUE: i64 = 30 * MINUTE;

/// What must be found: by this detector, of exactly this subject, at a record of this time.
#[derive(Clone, Debug)]
pub(super) struct Anomaly {
    pub(super) detector: Detector,
    pub(super) shape: &'static str,
    caller: Option<Name>,
    function: Option<Name>,
    network: Option<String>,
    call: Option<Uuid>,
    from: i64,
    to: i64,
}

impl Anomaly {
    /// Whether a finding that was told at an instant is this one.
    pub(super) fn fits(&self, at: i64, finding: &Finding) -> bool {
        let same = |wanted: Option<&str>, found: &Option<String>| wanted.is_none() || wanted == found.as_deref();
        self.detector == finding.detector
            && (self.from..=self.to).contains(&at)
            && (self.call.is_some() || self.caller.as_deref() == finding.caller.as_deref())
            && same(self.function.as_deref(), &finding.function)
            && same(self.network.as_deref(), &finding.network)
            && (self.call.is_none() || self.call == finding.of_call)
    }
}

/// Puts anomalies in; no caller has two of them.
pub(super) fn inject(company: &mut Company) -> Vec<Anomaly> {
    let mut victims = victims(company);
    let mut anomalies = Vec::new();
    for _ in 0..EACH {
        for inject in [elsewhere, probing, flood, at_night, on_sunday, from_abroad, granted, widened] {
            let victim = victims.pop().expect("there are enough people");
            inject(company, &victim, &mut anomalies);
        }
        for inject in [spraying, crowd, service, stolen, lost, forged, killed] {
            inject(company, &mut anomalies);
        }
    }
    anomalies
}

/// People of whom it is known how they are: here from the start, in one team, at home in one place.
fn victims(company: &mut Company) -> Vec<Arc<Person>> {
    let mut names = BTreeSet::new();
    let twice: BTreeSet<Name> =
        company.people.iter().filter(|p| !names.insert(p.name.clone())).map(|p| p.name.clone()).collect();
    let plain = |person: &&Arc<Person>| {
        let settled = person.from_day == 0 && !twice.contains(&person.name);
        settled && !person.moves && !person.weekends && person.starts < 12
    };
    let mut people: Vec<_> = company.people.iter().filter(plain).cloned().collect();
    people.sort_by_cached_key(|_| company.chance.next());
    people
}

fn anomaly(detector: Detector, shape: &'static str, caller: Option<&Name>, (from, to): (i64, i64)) -> Anomaly {
    Anomaly { detector, shape, caller: caller.cloned(), function: None, network: None, call: None, from, to }
}

/// A day on which somebody is at work.
fn day(company: &mut Company, person: &Person) -> i64 {
    loop {
        let day = company.chance.among(FIRST_DAY..WEEKS * 7 - 1);
        if company.is_at_work(person, day) {
            return day;
        }
    }
}

/// An instant at which somebody works, with an hour or two left.
fn hour(company: &mut Company, person: &Person) -> i64 {
    let (day, hour) = (day(company, person), person.starts + company.chance.among(1..6));
    let minute = company.chance.among(0..60);
    company.at(day, hour, minute)
}

fn office(person: &Person) -> IpAddr {
    address(&format!("10.1.{}.77", person.team / 2))
}

/// A function that is another team's.
fn foreign(company: &mut Company, person: &Person) -> Name {
    let team = (person.team + 3) % 6;
    let place = company.chance.among(1..company.functions[team].len() as i64);
    company.functions[team][place as usize].clone()
}

/// A stolen credential, or curiosity: what is another team's is used.
fn elsewhere(company: &mut Company, who: &Arc<Person>, found: &mut Vec<Anomaly>) {
    let (at, function) = (hour(company, who), foreign(company, who));
    for again in 0..company.chance.among(1..5) {
        company.call(at + again * MINUTE, who, &function, None, office(who));
    }
    let label = anomaly(Detector::FirstSeen, "elsewhere", Some(&who.name), (at, at + 5 * MINUTE));
    found.push(Anomaly { function: Some(function), ..label });
}

/// A service's credential is used for what the service never does.
fn stolen(company: &mut Company, found: &mut Vec<Anomaly>) {
    let n = company.chance.among(0..5) as usize;
    let service = company.services[n].clone();
    let function = loop {
        let function = foreign(company, &service);
        // Not twice the same.
        if !found.iter().any(|a| a.caller.as_ref() == Some(&service.name) && a.function.as_ref() == Some(&function)) {
            break function;
        }
    };
    let (day, hour, minute) = (day(company, &service), company.chance.among(0..24), company.chance.among(0..60));
    let at = company.at(day, hour, minute);
    company.call(at, &service, &function, None, service.home);
    let label = anomaly(Detector::FirstSeen, "stolen", Some(&service.name), (at, at + MINUTE));
    found.push(Anomaly { function: Some(function), ..label });
}

/// One caller tries what it may not.
fn probing(company: &mut Company, who: &Arc<Person>, found: &mut Vec<Anomaly>) {
    let (at, many) = (hour(company, who), company.chance.among(25..80));
    let lasts = company.chance.among(1..5) * MINUTE;
    for n in 0..many {
        let function = foreign(company, who);
        company.deny(at + lasts * n / many, who, &function, office(who));
    }
    found.push(anomaly(Detector::Denials, "probing", Some(&who.name), (at, at + lasts)));
}

/// Bad credentials from one address.
fn spraying(company: &mut Company, found: &mut Vec<Anomaly>) {
    let (day, hour) = (company.chance.among(FIRST_DAY..WEEKS * 7 - 1), company.chance.among(0..24));
    let (at, many) = (company.at(day, hour, 20), company.chance.among(75..250));
    let text = format!("45.9.{}.{}", company.chance.among(0..255), company.chance.among(1..255));
    let lasts = company.chance.among(1..5) * MINUTE;
    for n in 0..many {
        company.events.push(Event { at: at + lasts * n / many, did: Did::Stranger(address(&text)) });
    }
    let label = anomaly(Detector::Denials, "spraying", None, (at, at + lasts));
    found.push(Anomaly { network: Some(text), ..label });
}

/// One caller takes all that it can get.
fn flood(company: &mut Company, who: &Arc<Person>, found: &mut Vec<Anomaly>) {
    let (at, many, function) = (hour(company, who), company.chance.among(140..600), company.usual(who));
    let lasts = company.chance.among(15..50) * MINUTE;
    for n in 0..many {
        company.call(at + lasts * n / many, who, &function, None, office(who));
    }
    found.push(anomaly(Detector::Volume, "flood", Some(&who.name), (at, at + lasts)));
}

/// A service does much more than it ever did.
fn service(company: &mut Company, found: &mut Vec<Anomaly>) {
    // Each once: some are here all day, one is a job at night.
    let n = found.iter().filter(|anomaly| anomaly.shape == "service").count();
    let service = company.services[n].clone();
    let function = company.functions[service.team][n % 2].clone();
    let most = if n == 1 { 100 + service.calls * 20 } else { 40 };
    let many = most * company.chance.among(5..9);
    let day = company.chance.among(FIRST_DAY..WEEKS * 7 - 1);
    let at = company.at(day, 13, 10);
    for n in 0..many {
        company.call(at + 40 * MINUTE * n / many, &service, &function, None, service.home);
    }
    found.push(anomaly(Detector::Volume, "service", Some(&service.name), (at, at + 40 * MINUTE)));
}

/// Many callers, none of them much, all at one function.
fn crowd(company: &mut Company, found: &mut Vec<Anomaly>) {
    let n = found.iter().filter(|anomaly| anomaly.shape == "crowd").count();
    let function = company.shared[n].clone();
    let (day, who) = loop {
        let day = company.chance.among(FIRST_DAY..WEEKS * 7 - 1);
        let at_work = |person: &&Arc<Person>| company.is_at_work(person, day) && person.starts < 12;
        let who: Vec<_> = company.people.iter().filter(at_work).take(14).cloned().collect();
        if who.len() == 14 {
            break (day, who);
        }
    };
    let at = company.at(day, 11, 5);
    for person in &who {
        for again in 0..company.chance.among(16..26) {
            company.call(at + again * 100 * SECOND, person, &function, None, office(person));
        }
    }
    let label = anomaly(Detector::Volume, "crowd", None, (at, at + HOUR));
    found.push(Anomaly { function: Some(function), ..label });
}

/// Somebody who sleeps calls.
fn at_night(company: &mut Company, who: &Arc<Person>, found: &mut Vec<Anomaly>) {
    let (day, hour) = (day(company, who), company.chance.among(1..4));
    night(company, who, (day, hour), "at_night", found);
}

/// Somebody who never works on Sundays calls on one.
fn on_sunday(company: &mut Company, who: &Arc<Person>, found: &mut Vec<Anomaly>) {
    let (week, hour) = (company.chance.among(4..WEEKS - 1), company.chance.among(9..20));
    night(company, who, (week * 7 + 6, hour), "on_sunday", found);
}

fn night(
    company: &mut Company,
    who: &Arc<Person>,
    (day, hour): (i64, i64),
    shape: &'static str,
    found: &mut Vec<Anomaly>,
) {
    let at = company.at(day, hour, 30);
    for again in 0..company.chance.among(1..9) {
        let function = company.usual(who);
        company.call(at + again * 5 * MINUTE, who, &function, None, office(who));
    }
    found.push(anomaly(Detector::OffHours, shape, Some(&who.name), (at, at + HOUR)));
}

/// A credential is used where its owner never was.
fn from_abroad(company: &mut Company, who: &Arc<Person>, found: &mut Vec<Anomaly>) {
    let (at, first) = (hour(company, who), company.chance.among(192..220));
    let second = company.chance.among(1..250);
    let source = address(&format!("{first}.{second}.7.{}", company.chance.among(1..250)));
    for again in 0..company.chance.among(1..5) {
        let function = company.usual(who);
        company.call(at + again * MINUTE, who, &function, None, source);
    }
    let label = anomaly(Detector::NewNetwork, "from_abroad", Some(&who.name), (at, at + 5 * MINUTE));
    found.push(Anomaly { network: Some(format!("{first}.{second}.0.0/16")), ..label });
}

/// Somebody is granted something, and uses it at once.
fn granted(company: &mut Company, who: &Arc<Person>, found: &mut Vec<Anomaly>) {
    let (at, function) = (hour(company, who), foreign(company, who));
    company.change(at, "corp/mallory");
    let used = at + company.chance.among(30..25 * 60) * SECOND;
    let permit = format!("{function}.also-{}", who.name).into();
    company.call(used, who, &function, Some(permit), office(who));
    let label = anomaly(Detector::PolicyChange, "granted", Some(&who.name), (used, used));
    found.push(Anomaly { function: Some(function), ..label });
}

/// Somebody is denied, a permit becomes wider, and it is used at once: what is another team's, so it is unusual, too.
fn widened(company: &mut Company, who: &Arc<Person>, found: &mut Vec<Anomaly>) {
    let (at, function) = (hour(company, who), foreign(company, who));
    let denied = at - company.chance.among(10..50) * MINUTE;
    company.deny(denied, who, &function, office(who));
    company.change(at, "corp/mallory");
    let used = at + company.chance.among(30..25 * 60) * SECOND;
    company.call(used, who, &function, Some(permit_of(&function)), office(who));
    for detector in [Detector::PolicyChange, Detector::FirstSeen] {
        let label = anomaly(detector, "widened", Some(&who.name), (used, used));
        found.push(Anomaly { function: Some(function.clone()), ..label });
    }
}

/// A call has no end.
fn lost(company: &mut Company, found: &mut Vec<Anomaly>) {
    let (day, hour) = (company.chance.among(FIRST_DAY..WEEKS * 7 - 1), company.chance.among(9..15));
    let at = company.at(day, hour, 3);
    let service = company.services[0].clone();
    let function = company.functions[service.team][0].clone();
    let call = company.begin(at, &service, &function, None, service.home);
    let label = anomaly(Detector::Outcomes, "lost", None, (at, at + OVERDUE + HOUR));
    found.push(Anomaly { call: Some(call), ..label });
}

/// An end has no call.
fn forged(company: &mut Company, found: &mut Vec<Anomaly>) {
    let (day, hour) = (company.chance.among(FIRST_DAY..WEEKS * 7 - 1), company.chance.among(0..24));
    let (at, call) = (company.at(day, hour, 40), company.id());
    company.events.push(Event { at, did: Did::Forge(call, 2 * SECOND) });
    let label = anomaly(Detector::Outcomes, "forged", None, (at, at));
    found.push(Anomaly { call: Some(call), ..label });
}

/// A gateway is killed while calls are open.
fn killed(company: &mut Company, found: &mut Vec<Anomaly>) {
    let day = company.chance.among(FIRST_DAY..WEEKS * 7 - 1);
    let at = company.at(day, 17, 30);
    let service = company.services[0].clone();
    for _ in 0..3 {
        let function = company.functions[service.team][0].clone();
        company.begin(at, &service, &function, None, service.home);
    }
    let at = at + 5 * SECOND;
    company.events.push(Event { at, did: Did::Restart(true) });
    found.push(anomaly(Detector::Outcomes, "killed", None, (at, at)));
}
