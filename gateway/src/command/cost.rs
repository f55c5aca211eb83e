//! `latchwork cost`: what runs are estimated to have cost, and what the same would have cost elsewhere.

mod compare;

use super::{Exit, Format, audit::show, loaded, tell, written};
use crate::audit::{
    charges::{Charge, Charges},
    query,
    search::time,
};
use clap::ValueEnum;
use compare::Comparison;
use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use mesh::cost::PICO;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Most problems of a log that are told one by one.
const PROBLEMS_MAX: usize = 10;
/// Most groups; what would be more is refused, so that memory is bounded.
const GROUPS_MAX: usize = 100_000;

/// `latchwork cost`
#[derive(Clone, Debug, clap::Args)]
pub struct CostArgs {
    /// Add up by these
    #[arg(long, value_enum, value_name = "FIELD", value_delimiter = ',', default_values = ["function", "provider"])]
    by: Vec<By>,
    /// Of calls that ended at this moment or later: `2026-11-28T09:00:00Z`, `2026-11-28` (local), or how long ago: `7d`
    #[arg(long, value_name = "MOMENT")]
    since: Option<String>,
    /// Of calls that ended before this moment
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// Of this function; repeat for alternatives
    #[arg(long, value_name = "FUNCTION")]
    function: Vec<String>,
    /// Of this caller; repeat for alternatives
    #[arg(long, value_name = "CALLER")]
    caller: Vec<String>,
    /// Say for each function what the same calls would have cost on each of its targets, by today's configuration
    #[arg(long, conflicts_with = "by")]
    compare: bool,
    /// Folder of a node's log, instead of the one that the configuration names
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    /// Configuration that names the log, targets and prices
    #[arg(short, long, value_name = "FILE", default_value = "latchwork.toml")]
    config: PathBuf,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What costs are added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// The function
    Function,
    /// Who called
    Caller,
    /// The kind of the target
    Provider,
    /// The target's place in the function's list
    Target,
    /// The day (UTC)
    Day,
}

/// A sum.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Sum {
    /// Runs, each attempt counted.
    runs: u64,
    /// Of which started an instance.
    cold: u64,
    /// How long providers say that they bill, in microseconds.
    billed_us: u64,
    /// What they are estimated to have cost, in millionths of a millionth of the currency.
    pico: u128,
    /// Runs of which that is not known.
    unpriced: u64,
    /// The currency; empty where nothing is known.
    currency: String,
}

/// A line of the answer.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    key: BTreeMap<&'static str, &'a str>,
    #[serde(flatten)]
    sum: &'a Sum,
    cost: f64,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Caller => "caller",
            Self::Provider => "provider",
            Self::Target => "target",
            Self::Day => "day",
        }
    }

    fn of(self, charge: &Charge) -> String {
        match self {
            Self::Function => charge.function.to_string(),
            Self::Caller => charge.caller.to_string(),
            Self::Provider => charge.run.provider.to_string(),
            Self::Target => charge.run.target.0.to_string(),
            Self::Day => TimeZone::UTC.to_datetime(charge.at).date().to_string(),
        }
    }
}

impl Sum {
    fn add(&mut self, charge: &Charge) {
        self.runs += 1;
        self.cold += u64::from(charge.run.start.as_deref() == Some("cold"));
        self.billed_us = self.billed_us.saturating_add(charge.run.billed_us.unwrap_or(0));
        match &charge.run.cost {
            Some(spent) => {
                self.pico += u128::from(spent.pico);
                if self.currency.is_empty() {
                    self.currency = spent.currency.to_string();
                }
            }
            None => self.unpriced += 1,
        }
    }

    fn cost(&self) -> f64 {
        amount(self.pico)
    }
}

/// Adds up what the log says, and writes it.
pub fn run(args: &CostArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let loaded = match loaded(&args.config, talk) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let now = Timestamp::now().to_zoned_datetime(TimeZone::system());
    let asked = match Asked::of(args, &now) {
        Ok(asked) => asked,
        Err(error) => {
            tell(talk, format_args!("error: {error}"));
            return Exit::Invalid;
        }
    };
    let folder = args.log.clone().unwrap_or_else(|| loaded.config.audit.path.join(&*loaded.config.node.id));
    if args.compare {
        let mut comparison = Comparison::new(&loaded.config);
        return match read(&folder, &asked, talk, |charge| comparison.add(charge)) {
            Ok(()) => written(comparison.write(args.format, out)),
            Err(error) => unreadable(&folder, &error, talk),
        };
    }
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    let mut too_many = false;
    let added = read(&folder, &asked, talk, |charge| {
        let mut key: Vec<String> = args.by.iter().map(|by| by.of(charge)).collect();
        // Amounts of different currencies are never added.
        key.extend(charge.run.cost.as_ref().map(|spent| spent.currency.to_string()));
        too_many |= sums.len() >= GROUPS_MAX && !sums.contains_key(&key);
        if !too_many {
            sums.entry(key).or_default().add(charge);
        }
    });
    match added {
        Err(error) => unreadable(&folder, &error, talk),
        Ok(()) if too_many => {
            tell(talk, format_args!("error: more than {GROUPS_MAX} groups; group by less, or ask for less"));
            Exit::Failed
        }
        Ok(()) => written(write(args, &sums, out)),
    }
}

fn unreadable(folder: &Path, error: &io::Error, talk: &mut dyn Write) -> Exit {
    tell(talk, format_args!("error: the audit log in `{}` can't be read: {error}", folder.display()));
    Exit::Failed
}

/// Which runs.
struct Asked<'a> {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    args: &'a CostArgs,
}

impl<'a> Asked<'a> {
    fn of(args: &'a CostArgs, now: &ZonedDateTime) -> Result<Self, String> {
        let moment = |text: &Option<String>| text.as_ref().map(|text| time::parse(text, now)).transpose();
        Ok(Self { since: moment(&args.since)?, until: moment(&args.until)?, args })
    }

    fn takes(&self, charge: &Charge) -> bool {
        let among = |list: &[String], name: &str| list.is_empty() || list.iter().any(|one| one == name);
        self.since.is_none_or(|since| charge.at >= since)
            && self.until.is_none_or(|until| charge.at < until)
            && among(&self.args.function, charge.function.as_str())
            && among(&self.args.caller, &charge.caller)
    }
}

/// Gives every run of a log that is asked for to `add`.
fn read(folder: &Path, asked: &Asked<'_>, talk: &mut dyn Write, mut add: impl FnMut(&Charge)) -> io::Result<()> {
    let (mut charges, mut problems) = (Charges::default(), 0);
    for found in query::Records::of_node(folder)? {
        match found.and_then(|line| charges.take(&line)) {
            Ok(Some(charge)) if asked.takes(&charge) => add(&charge),
            Ok(_) => {}
            Err(problem) => {
                problems += 1;
                if problems <= PROBLEMS_MAX {
                    tell(talk, format_args!("warning: {problem}"));
                }
            }
        }
    }
    if problems > PROBLEMS_MAX {
        tell(talk, format_args!("warning: {} more problems of the log", problems - PROBLEMS_MAX));
    }
    Ok(())
}

fn write(args: &CostArgs, sums: &BTreeMap<Vec<String>, Sum>, out: &mut dyn Write) -> io::Result<Exit> {
    let mut lines: Vec<_> = sums.iter().collect();
    lines.sort_by(|a, b| b.1.pico.cmp(&a.1.pico).then_with(|| a.0.cmp(b.0)));
    if args.format == Format::Json {
        for (key, sum) in lines {
            let key = args.by.iter().map(|by| by.name()).zip(key.iter().map(String::as_str)).collect();
            writeln!(out, "{}", serde_json::to_string(&Line { key, sum, cost: sum.cost() })?)?;
        }
        return Ok(Exit::Ok);
    }
    if lines.is_empty() {
        writeln!(out, "no run in the log has a price, or told how it ran")?;
        return Ok(Exit::Ok);
    }
    let heads = args.by.iter().map(|by| by.name().to_uppercase());
    let numbers = ["RUNS", "COLD", "BILLED s", "COST", ""].map(ToOwned::to_owned);
    let mut table = vec![heads.chain(numbers).collect::<Vec<_>>()];
    for (key, sum) in lines {
        let texts = key.iter().take(args.by.len()).map(|text| super::audit::line::printable(text).to_string());
        let cost = if sum.currency.is_empty() { "?".to_owned() } else { format!("{:.6}", sum.cost()) };
        let numbers = [sum.runs.to_string(), sum.cold.to_string(), seconds(sum.billed_us), cost, sum.currency.clone()];
        table.push(texts.chain(numbers).collect());
    }
    show::columns(&table, args.by.len(), out)?;
    Ok(Exit::Ok)
}

fn seconds(micros: u64) -> String {
    format!("{}.{:03}", micros / 1_000_000, micros % 1_000_000 / 1_000)
}

#[expect(clippy::cast_precision_loss, reason = "shown to people")]
fn amount(pico: u128) -> f64 {
    pico as f64 / PICO
}
