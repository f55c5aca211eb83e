//! Seven weeks of a company's calls, seeded: people with hours, homes and holidays, services, jobs, policies that change,
//! people who come, who move and who travel. Nothing of it is an anomaly.

use super::{
    chance::Chance,
    play::{Call, Did, Event},
};
use crate::audit::detect::scene::{DAY, HOUR, SECOND};
use jiff::{civil, tz::TimeZone};
use policy::question::PrincipalKind;
use std::{net::IpAddr, sync::Arc};
use uuid::Uuid;

pub(super) const MINUTE: i64 = 60 * SECOND;
/// How long the company is looked at.
pub(super) const WEEKS: i64 = 7;
/// Where it is. Summer time begins in the fourth week.
pub(super) const ZONE: &str = "Europe/Vienna";

pub(super) type Name = Arc<str>;

/// A caller.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) kind: PrincipalKind,
    pub(super) name: Name,
    pub(super) groups: Vec<Name>,
    pub(super) team: usize,
    /// First hour of work, on the clock of the wall.
    pub(super) starts: i64,
    pub(super) weekends: bool,
    pub(super) calls: i64,
    pub(super) home: IpAddr,
    pub(super) from_day: i64,
    /// Travels.
    pub(super) moves: bool,
    pub(super) vacation: i64,
}

/// The company.
pub(super) struct Company {
    pub(super) chance: Chance,
    pub(super) people: Vec<Arc<Person>>,
    pub(super) services: Vec<Arc<Person>>,
    /// What each team uses, the usual first.
    pub(super) functions: Vec<Vec<Name>>,
    pub(super) shared: Vec<Name>,
    pub(super) events: Vec<Event>,
    holidays: Vec<i64>,
    zone: TimeZone,
    bundles: u32,
}

pub(super) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Company {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let functions: Vec<Vec<Name>> = (0..6)
            .map(|team| (0..chance.among(5..8)).map(|n| Name::from(format!("team{team}.f{n}"))).collect())
            .collect();
        let shared = ["staff.directory", "staff.expenses", "staff.search"].map(Name::from).to_vec();
        let holidays = vec![chance.among(14..49), chance.among(28..49)];
        let zone = TimeZone::get(ZONE).unwrap();
        let mut company = Self {
            chance,
            people: Vec::new(),
            services: Vec::new(),
            functions,
            shared,
            events: Vec::new(),
            holidays,
            zone,
            bundles: 0,
        };
        for team in 0..6 {
            for _ in 0..company.chance.among(6..10) {
                company.hire(team, 0);
            }
        }
        for n in 0..6 {
            company.serve(n, 0);
        }
        company
    }

    /// Everything that happens, in order of time.
    pub(super) fn live(mut self) -> Self {
        self.change(0, "process");
        self.careers();
        for person in self.people.clone() {
            self.work(&person);
        }
        for (n, service) in self.services.clone().iter().enumerate() {
            self.run(service, n);
        }
        self.policies();
        for week in 1..WEEKS {
            let day = week * 7 + self.chance.among(0..5);
            let at = self.at(day, 22, 15);
            self.events.push(Event { at, did: Did::Restart(false) });
        }
        self
    }

    fn hire(&mut self, team: usize, from_day: i64) -> Arc<Person> {
        let n = self.people.len();
        let chance = &mut self.chance;
        let late = chance.happens(0.06);
        let person = Person {
            kind: PrincipalKind::User,
            name: format!("corp/u{n}").into(),
            groups: vec!["corp/staff".into(), format!("corp/team{team}").into()],
            team,
            starts: if late { 14 } else { chance.among(7..10) },
            weekends: chance.happens(0.06),
            calls: chance.among(10..28),
            // Three providers have all of the town.
            home: address(&format!(
                "84.{}.{}.{}",
                100 + chance.among(0..3),
                chance.among(0..255),
                chance.among(1..255)
            )),
            from_day,
            moves: chance.happens(0.03),
            vacation: chance.among(0..9),
        };
        let person = Arc::new(person);
        self.people.push(person.clone());
        person
    }

    fn serve(&mut self, n: i64, from_day: i64) {
        let team = self.chance.among(0..6) as usize;
        let service = Person {
            kind: if n == 5 { PrincipalKind::Client } else { PrincipalKind::Workload },
            name: if n == 5 { "partners/acme".into() } else { format!("spiffe://corp.example/svc{n}").into() },
            groups: Vec::new(),
            team,
            starts: 0,
            weekends: true,
            calls: self.chance.among(4..10),
            home: address(&format!("10.20.{n}.7")),
            from_day,
            moves: false,
            vacation: -1,
        };
        self.services.push(Arc::new(service));
    }

    /// Some come, some change their team.
    fn careers(&mut self) {
        for _ in 0..self.chance.among(2..5) {
            let (team, day) = (self.chance.among(0..6) as usize, self.chance.among(15..42));
            self.hire(team, day);
        }
        let day = self.chance.among(22..40);
        self.serve(9, day);
        for _ in 0..2 {
            let n = self.chance.among(0..30) as usize;
            let day = self.chance.among(22..40);
            let before = self.people[n].clone();
            let team = (before.team + 1) % 6;
            let groups = vec!["corp/staff".into(), format!("corp/team{team}").into()];
            let after = Person { team, groups, from_day: day, ..(*before).clone() };
            // Until that day the one, then the other: see `work`.
            self.people.push(Arc::new(after));
        }
    }

    /// The instant of an hour and minute of a day, on the clock of the wall.
    pub(super) fn at(&mut self, day: i64, hour: i64, minute: i64) -> i64 {
        let date = civil::date(2026, 3, 2).saturating_add(jiff::Span::new().days(day + hour / 24));
        let wall = date.at((hour % 24) as i8, (minute % 60) as i8, self.chance.among(0..60) as i8, 0);
        self.zone.to_timestamp(wall).unwrap().as_microsecond() + self.chance.among(0..SECOND)
    }

    pub(super) fn is_business(&self, day: i64) -> bool {
        day % 7 < 5 && !self.holidays.contains(&day)
    }

    pub(super) fn is_at_work(&self, person: &Person, day: i64) -> bool {
        let moved = |other: &Arc<Person>| other.name == person.name && other.from_day > person.from_day;
        let until = self.people.iter().find(|other| moved(other)).map_or(i64::MAX, |other| other.from_day);
        let days = if person.weekends && day % 7 == 5 { true } else { self.is_business(day) };
        days && (person.from_day..until).contains(&day) && day / 7 != person.vacation
    }

    fn work(&mut self, person: &Arc<Person>) {
        let mut home = person.home;
        for day in 0..WEEKS * 7 {
            let works = self.is_at_work(person, day);
            // Providers give new addresses of theirs; who travels is anywhere, for some days.
            if day % 7 == 0 || self.chance.happens(0.1) {
                let IpAddr::V4(v4) = person.home else { unreachable!() };
                let [a, b, ..] = v4.octets();
                home = address(&format!("{a}.{b}.{}.{}", self.chance.among(0..255), self.chance.among(1..255)));
            }
            if person.moves && self.chance.happens(0.02) {
                home = address(&format!("91.{}.{}.9", self.chance.among(1..250), self.chance.among(1..250)));
            }
            if !works {
                continue;
            }
            let source = match self.chance.part() {
                part if part < 0.6 => address(&format!("10.1.{}.{}", person.team / 2, self.chance.among(2..250))),
                part if part < 0.9 => home,
                // A phone: everybody has the same carrier.
                _ => address(&format!("178.1.1.{}", self.chance.among(2..250))),
            };
            // Sometimes it gets late.
            let hours = if self.chance.happens(0.06) { 11 } else { 8 };
            let growth = 1.0 + 0.02 * (day / 7) as f64;
            let calls = (person.calls as f64 * growth * (0.5 + self.chance.part())) as i64;
            for _ in 0..calls {
                let (hour, minute) = (person.starts + self.chance.among(0..hours), self.chance.among(0..60));
                let at = self.at(day, hour, minute);
                let function = self.usual(person);
                if self.chance.happens(0.004) {
                    // Somebody is where they may not be, and tries again.
                    for again in 0..self.chance.among(1..7) {
                        let elsewhere = self.functions[(person.team + 3) % 6][0].clone();
                        self.deny(at + again * 9 * SECOND, person, &elsewhere, source);
                    }
                }
                self.call(at, person, &function, None, source);
            }
        }
    }

    /// A function as a caller uses it on any day.
    pub(super) fn usual(&mut self, person: &Person) -> Name {
        if self.chance.happens(0.2) && person.kind == PrincipalKind::User {
            return self.chance.zipf(&self.shared.clone()).clone();
        }
        let own = self.functions[person.team].clone();
        self.chance.zipf(&own).clone()
    }

    fn run(&mut self, service: &Arc<Person>, n: usize) {
        let own = self.functions[service.team].clone();
        for day in service.from_day..WEEKS * 7 {
            // Every other one is a job at night, one of them a weekly one; some nights it starts late.
            if n % 2 == 1 {
                if n != 3 || day % 7 == 6 {
                    let late = if self.chance.happens(0.08) { 2 } else { 0 };
                    for _ in 0..100 + service.calls * 20 {
                        let at = self.at(day, 2 + late, 0) + self.chance.among(0..40 * MINUTE);
                        self.call(at, service, &own[n % own.len()], None, service.home);
                    }
                }
                continue;
            }
            for hour in 0..24 {
                let busy = if self.is_business(day) && (8..18).contains(&hour) { 2.0 } else { 0.5 };
                for _ in 0..(service.calls as f64 * busy * (0.5 + self.chance.part())) as i64 {
                    let minute = self.chance.among(0..60);
                    let at = self.at(day, hour, minute);
                    // One in a hundred is denied, and always was.
                    match self.chance.happens(0.01) {
                        true => self.deny(at, service, &own[0], service.home),
                        false => drop(self.call(at, service, &own[hour as usize % 2], None, service.home)),
                    }
                }
            }
        }
    }

    /// Policies change; now and then a team may use what is another's, or something new.
    fn policies(&mut self) {
        for day in (3..WEEKS * 7).step_by(3) {
            if !self.is_business(day) {
                continue;
            }
            let (hour, minute) = (self.chance.among(9..17), self.chance.among(0..60));
            let at = self.at(day, hour, minute);
            self.change(at, "corp/admin");
            if day < 21 || !self.chance.happens(0.4) {
                continue;
            }
            let team = self.chance.among(0..6) as usize;
            let (function, permit): (Name, Name) = match self.chance.among(0..3) {
                0 => (format!("team{team}.new{day}").into(), format!("team{team}.new{day}.permit").into()),
                1 => {
                    let function = self.functions[(team + 2) % 6][0].clone();
                    let permit = format!("{function}.also-team{team}").into();
                    (function, permit)
                }
                // The permit that was there is wider now.
                _ => {
                    let function = self.functions[(team + 2) % 6][1].clone();
                    let permit = permit_of(&function);
                    (function, permit)
                }
            };
            for person in self.people.clone().iter().filter(|person| person.team == team) {
                if !self.chance.happens(0.7) {
                    continue;
                }
                // They hear of it, and come round to it.
                let first = at + (self.chance.waits(1.5) * DAY as f64) as i64;
                for again in 0..self.chance.among(1..6) {
                    let day = (first - self.at(0, 0, 0)) / DAY + again;
                    if !self.is_at_work(person, day) || day >= WEEKS * 7 {
                        continue;
                    }
                    let (hour, minute) = (person.starts + self.chance.among(0..8), self.chance.among(0..60));
                    let when = self.at(day, hour, minute);
                    if when >= first {
                        self.call(when, person, &function, Some(permit.clone()), person.home);
                    }
                }
            }
        }
    }

    /// Puts a new bundle in force.
    pub(super) fn change(&mut self, at: i64, who: &'static str) {
        self.bundles += 1;
        let at = if at == 0 { self.at(0, 0, 0) } else { at };
        self.events.push(Event { at, did: Did::Policy(format!("sha256:{:04}", self.bundles), who) });
    }

    /// A call and its end; answers its id.
    pub(super) fn call(
        &mut self,
        at: i64,
        who: &Arc<Person>,
        function: &Name,
        permit: Option<Name>,
        source: IpAddr,
    ) -> Uuid {
        let id = self.begin(at, who, function, permit, source);
        // Some are streams, which take as long as they like.
        let took = if self.chance.happens(0.003) {
            self.events.push(Event { at: at + SECOND, did: Did::Answer(id) });
            self.chance.among(0..3 * HOUR)
        } else {
            ((self.chance.waits(0.4) * SECOND as f64) as i64).min(30 * SECOND)
        };
        self.events.push(Event { at: at + took, did: Did::Close(id, took) });
        id
    }

    /// A call that has no end yet.
    pub(super) fn begin(
        &mut self,
        at: i64,
        who: &Arc<Person>,
        function: &Name,
        permit: Option<Name>,
        source: IpAddr,
    ) -> Uuid {
        let id = self.id();
        let permit = permit.unwrap_or_else(|| permit_of(function));
        let call = Call { id, who: who.clone(), function: function.clone(), permit, source };
        self.events.push(Event { at, did: Did::Use(call) });
        id
    }

    pub(super) fn deny(&mut self, at: i64, who: &Arc<Person>, function: &Name, source: IpAddr) {
        let call =
            Call { id: self.id(), who: who.clone(), function: function.clone(), permit: permit_of(function), source };
        self.events.push(Event { at, did: Did::Deny(call) });
    }

    pub(super) fn id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.chance.next(), self.chance.next())
    }
}

/// The permit under which a function's own team uses it.
pub(super) fn permit_of(function: &str) -> Name {
    format!("{function}.permit").into()
}
