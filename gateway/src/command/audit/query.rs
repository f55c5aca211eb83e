//! `latchwork audit query`: which calls there were, from the logs of one node or of several, or from a running gateway.

use super::show::{self, Shown};
use crate::{
    audit::{
        record::Kind,
        search::{
            self, Call, End, Field, Group, Means, Question, SearchError, View,
            asked::{self, OUTCOMES, Pair, REPORTS},
        },
    },
    command::{Exit, administer::Place, loaded, tell},
};
use clap::builder::PossibleValuesParser;
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
};

/// `latchwork audit query`
#[derive(Debug, clap::Args)]
pub struct QueryArgs {
    /// Which calls
    #[command(flatten)]
    given: Given,
    /// A ready-made report instead of the calls: who calls most; what policy denied; error rate and latency by function
    #[arg(long, value_name = "REPORT", value_parser = PossibleValuesParser::new(REPORTS))]
    #[arg(conflicts_with_all = ["group_by", "records"])]
    report: Option<String>,
    /// Count calls by these fields, up to four
    #[arg(long, value_enum, value_name = "FIELD", value_delimiter = ',', conflicts_with = "records")]
    group_by: Vec<Field>,
    /// Show the records as they are in the log, those of no call too
    #[arg(long)]
    records: bool,
    /// Only records of these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',', requires = "records")]
    #[arg(value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    kind: Vec<String>,
    /// Show at most so many calls or groups
    #[arg(short = 'n', long, value_name = "N", default_value_t = asked::LIMIT, value_parser = asked::limit)]
    limit: usize,
    /// The oldest first, instead of the newest
    #[arg(long)]
    oldest: bool,
    /// Folder of a node's log, or of several nodes, instead of the one that the configuration names
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["config", "admin", "gateway"])]
    log: Option<PathBuf>,
    /// Read every record; neither use nor make an index
    #[arg(long, conflicts_with_all = ["admin", "gateway"])]
    no_index: bool,
    /// Ask the running gateway, which records who asked, instead of reading the log; `--admin` does so, too
    #[arg(long)]
    gateway: bool,
    /// Where the log or the gateway is, and how the answer is written
    #[command(flatten)]
    place: Place,
}

/// All that a call must be.
#[derive(Clone, Debug, Default, clap::Args)]
struct Given {
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
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',', value_parser = PossibleValuesParser::new(OUTCOMES))]
    outcome: Vec<String>,
    /// Where this policy decided
    #[arg(long, value_name = "POLICY")]
    policy: Vec<String>,
    /// Whose last target has this number
    #[arg(long, value_name = "NUMBER")]
    target: Vec<String>,
    /// Refused with this audit word, such as `unauthenticated`
    #[arg(long, value_name = "WORD")]
    refusal: Vec<String>,
    /// That policy denied for this reason, such as `forbidden`, also where that was only observed
    #[arg(long, value_name = "REASON")]
    reason: Vec<String>,
    /// With this HTTP status, or `5xx` for all of them
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
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
    call: Vec<String>,
    /// With this text in a record, as it stands there; repeat for several
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
}

impl QueryArgs {
    fn pairs(&self) -> Vec<Pair> {
        let given = &self.given;
        let moments = [("since", &given.since), ("until", &given.until), ("report", &self.report)];
        let mut pairs: Vec<_> =
            moments.iter().flat_map(|(name, value)| value.iter().map(|value| (*name, value.clone()))).collect();
        let fields = self.group_by.iter().map(|field| field.as_str().to_owned()).collect();
        let lists = [
            ("caller", &given.caller),
            ("function", &given.function),
            ("outcome", &given.outcome),
            ("policy", &given.policy),
            ("target", &given.target),
            ("refusal", &given.refusal),
            ("reason", &given.reason),
            ("status", &given.status),
            ("listener", &given.listener),
            ("tenant", &given.tenant),
            ("source", &given.source),
            ("node", &given.node),
            ("call", &given.call),
            ("text", &given.text),
            ("kind", &self.kind),
            ("group_by", &fields),
        ];
        pairs.extend(lists.iter().flat_map(|(name, values)| values.iter().map(|value| (*name, value.clone()))));
        let flags = [("records", self.records), ("oldest", self.oldest)];
        pairs.extend(flags.iter().filter(|(_, set)| *set).map(|(name, _)| (*name, "true".to_owned())));
        pairs.push(("limit", self.limit.to_string()));
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Runs `audit query`.
pub fn run(args: &QueryArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let now = Timestamp::now().to_zoned_datetime(TimeZone::system());
    let pairs = args.pairs();
    let question = match asked::question(&pairs, &now) {
        Ok(question) => question,
        Err(wrong) => {
            tell(talk, format_args!("latchwork: {wrong}"));
            return Exit::Invalid;
        }
    };
    let shown = Shown::new(args.place.format, &question.view, now.time_zone().clone());
    if args.gateway || args.place.admin.is_some() {
        return from_gateway(args, pairs, &question, shown, (out, talk));
    }
    let folder = match &args.log {
        Some(folder) => folder.clone(),
        None => match loaded(&args.place.config, talk) {
            Ok(loaded) => loaded.config.audit.path,
            Err(exit) => return exit,
        },
    };
    let done = read(&folder, &question, !args.no_index, shown, out);
    match done {
        Ok(end) => show::ended(&end, &question, out, talk),
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
    folder: &Path,
    question: &Question,
    index: bool,
    mut shown: Shown,
    out: &mut dyn Write,
) -> Result<End, SearchError> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let means = Means { index, workers, stop: &|| false };
    let nodes = search::nodes(folder)?;
    let end = search::ask(&nodes, question, means, &mut |item| match &item {
        search::Item::Call(call) => shown.call(call, out),
        search::Item::Record(line) => show::record(&line.bytes, out),
        search::Item::Group(group) => shown.group(group, out),
    })?;
    shown.end(out)?;
    Ok(end)
}

/// The last line of a gateway's answer.
#[derive(Deserialize)]
struct Last {
    end: End,
}

fn from_gateway(
    args: &QueryArgs,
    mut pairs: Vec<Pair>,
    question: &Question,
    shown: Shown,
    (out, talk): (&mut dyn Write, &mut dyn Write),
) -> Exit {
    // What is local here need not be there.
    for (name, moment) in [("since", question.filter.since), ("until", question.filter.until)] {
        let said = pairs.iter_mut().find(|(given, _)| given == name).zip(moment);
        if let Some(((_, value), moment)) = said {
            *value = moment.to_string();
        }
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
    let (status, body) = match args.place.fetch(&format!("audit/query?{query}"), talk) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    if status != http::StatusCode::OK {
        return args.place.refused(status, &body, out, talk);
    }
    match relayed(&body, &question.view, shown, out) {
        Ok(Some(end)) => show::ended(&end, question, out, talk),
        Ok(None) => {
            tell(talk, format_args!("latchwork: the answer broke off: the gateway gives up what takes it too long"));
            Exit::Failed
        }
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            tell(talk, format_args!("latchwork: the answer is not understood: {error}"));
            Exit::Failed
        }
    }
}

/// Shows the lines of a gateway's answer; how it ended, if it did.
fn relayed(body: &[u8], view: &View, mut shown: Shown, out: &mut dyn Write) -> io::Result<Option<End>> {
    let mut end = None;
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if line.starts_with(b"{\"end\":") {
            end = Some(serde_json::from_slice::<Last>(line)?.end);
        } else if matches!(view, View::Records(_)) {
            show::record(line, out)?;
        } else if *view == View::Calls {
            shown.call(&serde_json::from_slice::<Call>(line)?, out)?;
        } else {
            shown.group(&serde_json::from_slice::<Group>(line)?, out)?;
        }
    }
    shown.end(out)?;
    Ok(end)
}
