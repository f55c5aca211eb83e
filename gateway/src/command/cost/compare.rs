//! What the same calls would have cost on each target of their function, by today's configuration.

use super::{Exit, Format, amount};
use crate::{audit::charges::Charge, command::audit::show, config::Config};
use mesh::{
    cost::{Price, Usage},
    report::Report,
};
use policy::question::FunctionName;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

/// Estimates of several functions.
pub(super) struct Comparison {
    functions: BTreeMap<FunctionName, Estimates>,
}

/// Estimates of one function's calls.
struct Estimates {
    /// Calls, without attempts that failed.
    calls: u64,
    /// What they are estimated to have cost where they ran.
    pico: u128,
    targets: Vec<Target>,
}

/// What they would have cost on one target.
struct Target {
    provider: &'static str,
    region: Option<Arc<str>>,
    price: Option<Arc<Price>>,
    memory_mib: Option<u32>,
    pico: u128,
    /// Calls of which it can't be said.
    unknown: u64,
}

/// A line of the answer.
#[derive(Serialize)]
struct Line<'a> {
    function: &'a FunctionName,
    calls: u64,
    target: usize,
    provider: &'a str,
    region: Option<&'a str>,
    price: Option<&'a str>,
    currency: Option<&'a str>,
    as_it_was: f64,
    estimate: f64,
    unknown: u64,
}

impl Comparison {
    pub(super) fn new(config: &Config) -> Self {
        let target = |target: &crate::config::Target| Target {
            provider: target.backend.kind(),
            region: target.region.clone(),
            price: target.price.clone(),
            memory_mib: target.memory_mib,
            pico: 0,
            unknown: 0,
        };
        let estimates = |function: &crate::config::Function| {
            let targets = function.targets.iter().map(target).collect();
            (function.declared.name.clone(), Estimates { calls: 0, pico: 0, targets })
        };
        Self { functions: config.functions.iter().map(estimates).collect() }
    }

    /// One call more.
    pub(super) fn add(&mut self, charge: &Charge) {
        let Some((took_us, bytes_in)) = charge.call else { return };
        let Some(known) = self.functions.get_mut(&charge.function) else { return };
        known.calls += 1;
        known.pico += charge.run.cost.as_ref().map_or(0, |spent| u128::from(spent.pico));
        for (place, target) in known.targets.iter_mut().enumerate() {
            let here = place == usize::from(charge.run.target.0);
            let usage = usage(charge, here, target.memory_mib, took_us, bytes_in);
            match target.price.as_ref().and_then(|price| price.estimate(&usage)) {
                Some(pico) => target.pico += u128::from(pico),
                None => target.unknown += 1,
            }
        }
    }

    pub(super) fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<Exit> {
        let mut table = vec![
            ["FUNCTION", "TARGET", "PROVIDER", "PRICE", "CALLS", "UNKNOWN", "AS IT WAS", "THERE"]
                .map(ToOwned::to_owned)
                .to_vec(),
        ];
        for (function, known) in self.functions.iter().filter(|(_, known)| known.calls > 0) {
            for (place, target) in known.targets.iter().enumerate() {
                let price = target.price.as_ref();
                let line = Line {
                    function,
                    calls: known.calls,
                    target: place,
                    provider: target.provider,
                    region: target.region.as_deref(),
                    price: price.map(|price| &*price.name),
                    currency: price.map(|price| &*price.currency),
                    as_it_was: amount(known.pico),
                    estimate: amount(target.pico),
                    unknown: target.unknown,
                };
                match format {
                    Format::Json => writeln!(out, "{}", serde_json::to_string(&line)?)?,
                    Format::Human => table.push(row(&line)),
                }
            }
        }
        match format {
            Format::Json => {}
            Format::Human if table.len() == 1 => writeln!(out, "no call in the log told how it ran, or has a price")?,
            Format::Human => show::columns(&table, 4, out)?,
        }
        Ok(Exit::Ok)
    }
}

/// How a call would have run: of another provider's bill only the function's own time is taken over.
fn usage(charge: &Charge, here: bool, memory_mib: Option<u32>, took_us: u64, bytes_in: u64) -> Usage {
    let run = &charge.run;
    let micros = |time: Option<u64>| time.map(Duration::from_micros);
    let report = Report {
        init: micros(run.init_us).filter(|_| here),
        ran: micros(run.ran_us.or(run.billed_us)),
        billed: micros(run.billed_us).filter(|_| here),
        memory_mib: run.memory_mib.filter(|_| here),
        ..Report::default()
    };
    Usage { report, took: Duration::from_micros(took_us), memory_mib: memory_mib.or(run.memory_mib), bytes_in }
}

fn row(line: &Line<'_>) -> Vec<String> {
    let place = match line.region {
        Some(region) => format!("{} in {region}", line.target),
        None => line.target.to_string(),
    };
    let money = |amount: f64| format!("{amount:.6} {}", line.currency.unwrap_or_default());
    let known = line.currency.is_some() && line.unknown < line.calls;
    vec![
        line.function.to_string(),
        place,
        line.provider.to_owned(),
        line.price.unwrap_or("-").to_owned(),
        line.calls.to_string(),
        line.unknown.to_string(),
        money(line.as_it_was),
        if known { money(line.estimate) } else { "?".to_owned() },
    ]
}
