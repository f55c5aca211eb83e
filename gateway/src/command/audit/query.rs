//! `latchwork audit query`: which calls there were, from the logs of one node or of several.

use super::show::{self, Shown};
use crate::{
    audit::{
        record::Kind,
        search::{self, Field, Filter, GROUP_FIELDS_MAX, LIMIT_MAX, Means, Question, SearchError, Statuses, View, time},
    },
    command::{Exit, administer::Place, loaded, tell},
};
use clap::{ValueEnum, builder::PossibleValue};
use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use std::{
    io::{self, Write},
    path::PathBuf,
    thread,
};
use uuid::Uuid;

/// How a call can have ended.
const OUTCOMES: [&str; 8] =
    ["completed", "failed", "timed_out", "abandoned", "revoked", "denied", "refused", "open"];

/// `latchwork audit query`
#[derive(Debug, clap::Args)]
pub struct QueryArgs {
    /// Which calls
    #[command(flatten)]
    pub(crate) given: Given,
    /// A ready-made report instead of the calls
    #[arg(long, value_enum, value_name = "REPORT", conflicts_with_all = ["group_by", "records"])]
    report: Option<Report>,
    /// Count calls by these fields, up to four
    #[arg(long, value_enum, value_name = "FIELD", value_delimiter = ',', conflicts_with = "records")]
    group_by: Vec<Field>,
    /// Show the records as they are in the log, those of no call too
    #[arg(long)]
    records: bool,
    /// Only records of these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',', requires = "records")]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    kind: Vec<String>,
    /// Show at most so many calls or groups
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = limit)]
    limit: usize,
    /// The oldest first, instead of the newest
    #[arg(long)]
    oldest: bool,
    /// Folder of a node's log, or of several nodes, instead of the one that the configuration names
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["config", "admin"])]
    log: Option<PathBuf>,
    /// Read every record; neither use nor make an index
    #[arg(long)]
    no_index: bool,
    /// Where the log is, and how the answer is written
    #[command(flatten)]
    place: Place,
}

/// All that a call must be.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Given {
    /// Begun at this moment or later: `2026-11-28T09:00:00Z`, `2026-11-28` (local), or how long ago, such as `1h` or `7d`
    #[arg(long, value_name = "MOMENT")]
    since: Option<String>,
    /// Begun before this moment
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// Of this caller, such as `corp/ada`. Here and below: `*` is any text, repeat for alternatives
    #[arg(long, value_name = "CALLER")]
    caller: Vec<String>,
    /// Of this function
    #[arg(long, value_name = "FUNCTION")]
    function: Vec<String>,
    /// That ended so
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',')]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(OUTCOMES))]
    outcome: Vec<String>,
    /// Where this policy decided
    #[arg(long, value_name = "POLICY")]
    policy: Vec<String>,
    /// Whose last target has this number
    #[arg(long, value_name = "NUMBER")]
    target: Vec<u16>,
    /// Refused with this audit word, such as `unauthenticated`
    #[arg(long, value_name = "WORD")]
    refusal: Vec<String>,
    /// That policy denied for this reason, such as `forbidden`, also where that was only observed
    #[arg(long, value_name = "REASON")]
    reason: Vec<String>,
    /// With this HTTP status, or `5xx` for all of them
    #[arg(long, value_name = "STATUS")]
    status: Vec<Statuses>,
    /// At this listener
    #[arg(long, value_name = "LISTENER")]
    listener: Vec<String>,
    /// Of this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<String>,
    /// From this address, or what stands for it in the log (see `audit hash`)
    #[arg(long, value_name = "ADDRESS")]
    source: Vec<String>,
    /// Recorded by this node
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// With this id
    #[arg(long, value_name = "CALL-ID")]
    call: Vec<Uuid>,
    /// With this text in a record, as it stands there; repeat for several
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
}

/// A ready-made report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Callers,
    Denials,
    Functions,
}

impl ValueEnum for Report {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Callers, Self::Denials, Self::Functions]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Callers => PossibleValue::new("callers").help("Who calls most, and how that ended"),
            Self::Denials => PossibleValue::new("denials").help("What policy denied: by policy, reason and function"),
            Self::Functions => PossibleValue::new("functions").help("How functions fare: error rate and latency"),
        })
    }
}

impl Report {
    /// What is wanted of which calls.
    pub(crate) fn view(self) -> View {
        match self {
            Self::Callers => View::Callers,
            Self::Denials => View::Denials,
            Self::Functions => View::Functions,
        }
    }
}

fn limit(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().ok().filter(|number| (1..=LIMIT_MAX).contains(number));
    number.ok_or_else(|| format!("it is a number from 1 to {LIMIT_MAX}; `audit export` writes all"))
}

impl Given {
    /// The filter, with moments in the zone of `now`.
    pub(crate) fn filter(&self, now: &ZonedDateTime) -> Result<Filter, String> {
        let moment = |name: &str, text: &Option<String>| -> Result<Option<Timestamp>, String> {
            let parsed = text.as_deref().map(|text| time::parse(text, now));
            parsed.transpose().map_err(|wrong| format!("{name}: {wrong}"))
        };
        if self.text.len() > search::TEXTS_MAX || self.text.iter().any(String::is_empty) {
            return Err(format!("--text: there are up to {} texts, and none is empty", search::TEXTS_MAX));
        }
        Ok(Filter {
            since: moment("--since", &self.since)?,
            until: moment("--until", &self.until)?,
            calls: self.call.clone(),
            callers: self.caller.clone(),
            functions: self.function.clone(),
            outcomes: self.outcome.clone(),
            policies: self.policy.clone(),
            targets: self.target.clone(),
            refusals: self.refusal.clone(),
            reasons: self.reason.clone(),
            statuses: self.status.clone(),
            listeners: self.listener.clone(),
            tenants: self.tenant.clone(),
            sources: self.source.clone(),
            nodes: self.node.clone(),
            texts: self.text.clone(),
        })
    }
}

impl QueryArgs {
    fn view(&self) -> View {
        match self.report {
            Some(report) => report.view(),
            None if self.records => {
                let wanted = |kind: &Kind| self.kind.iter().any(|name| name == kind.as_str());
                View::Records(Kind::ALL.into_iter().filter(wanted).collect())
            }
            None if !self.group_by.is_empty() => View::Groups(self.group_by.clone()),
            None => View::Calls,
        }
    }

    fn question(&self, now: &ZonedDateTime) -> Result<Question, String> {
        if self.group_by.len() > GROUP_FIELDS_MAX {
            return Err(format!("--group-by: there are up to {GROUP_FIELDS_MAX} fields"));
        }
        let filter = self.given.filter(now)?;
        Ok(Question { filter, view: self.view(), limit: self.limit, oldest: self.oldest })
    }
}

/// Runs `audit query`.
pub fn run(args: &QueryArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let zone = TimeZone::system();
    let question = match args.question(&Timestamp::now().to_zoned_datetime(zone.clone())) {
        Ok(question) => question,
        Err(wrong) => {
            tell(talk, format_args!("latchwork: {wrong}"));
            return Exit::Invalid;
        }
    };
    let folder = match &args.log {
        Some(folder) => folder.clone(),
        None => match loaded(&args.place.config, talk) {
            Ok(loaded) => loaded.config.audit.path,
            Err(exit) => return exit,
        },
    };
    let shown = Shown::new(args.place.format, &question.view, zone);
    match read(&folder, &question, !args.no_index, shown, out) {
        Ok(end) => show::ended(&end, args.limit, out, talk),
        Err(SearchError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error @ SearchError::Groups(_)) => {
            tell(talk, format_args!("latchwork: {error}"));
            Exit::Invalid
        }
        Err(error) => {
            tell(talk, format_args!("latchwork: `{}`: {error}", folder.display()));
            Exit::Failed
        }
    }
}

fn read(
    folder: &std::path::Path,
    question: &Question,
    index: bool,
    mut shown: Shown,
    out: &mut dyn Write,
) -> Result<search::End, SearchError> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let means = Means { index, workers, stop: &|| false };
    let nodes = search::nodes(folder)?;
    let end = search::ask(&nodes, question, means, &mut |item| shown.item(&item, out))?;
    shown.end(out)?;
    Ok(end)
}
