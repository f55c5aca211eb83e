//! `latchwork policy decide`: opens the files and standard input; the answers are the policy crate's.

use crate::command::{Exit, findings_told, written};
use jiff::Timestamp;
use policy::{
    bundle::Source,
    command::decide::{Given, decide},
    finding::Finding,
};
use std::{
    fs,
    io::{self, BufRead, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Largest file of policies, schema or entities, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Deepest that folders of policies are nested.
const FOLDERS_MAX: usize = 16;

/// `latchwork policy decide`
#[derive(Debug, clap::Args)]
pub struct DecideArgs {
    /// A file of policies, or a folder of `.cedar` and `.json` files, read in lexical order
    #[arg(long, value_name = "FILE|FOLDER")]
    policies: PathBuf,
    /// A Cedar schema, in Cedar's syntax or JSON; it types contexts and brings the hierarchy of actions
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Entities in Cedar's JSON format
    #[arg(long, value_name = "FILE")]
    entities: Option<PathBuf>,
    /// By the gateway's rules: `@id` is required, `@expires` counts, errors and absent entities deny
    #[arg(long)]
    gateway: bool,
    /// Output; there is only this one
    #[arg(long, default_value = "json", value_parser = ["json"])]
    format: String,
}

/// Answers the requests of standard input.
pub fn run(args: &DecideArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    answer(args, &mut io::stdin().lock(), out, talk)
}

pub(super) fn answer(args: &DecideArgs, requests: &mut dyn BufRead, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let given = match given(args) {
        Ok(given) => given,
        Err(finding) => return findings_told(&[finding], talk),
    };
    let mut out = BufWriter::new(out);
    written(decide(&given, Timestamp::now(), requests, &mut out, talk).map(Exit::from))
}

fn given(args: &DecideArgs) -> Result<Given, Finding> {
    let mut paths = Vec::new();
    walk(&args.policies, 0, &mut paths)?;
    let policies: Result<Vec<_>, _> = paths.iter().map(|path| read(path)).collect();
    let schema = args.schema.as_deref().map(read).transpose()?;
    let entities = args.entities.as_deref().map(read).transpose()?;
    Ok(Given { policies: policies?, schema, entities, gateway: args.gateway })
}

/// A file as it is; of a folder the files of policies, without hidden entries.
fn walk(path: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), Finding> {
    if !path.is_dir() {
        if depth == 0 || path.extension().is_some_and(|extension| extension == "cedar" || extension == "json") {
            paths.push(path.to_owned());
        }
        return Ok(());
    }
    if depth == FOLDERS_MAX {
        let message = format!("folders of policies are at most {FOLDERS_MAX} deep");
        return Err(Finding::error("too_deep", path.display().to_string(), message));
    }
    let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let shown = |path: &PathBuf| !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.');
    entries.iter().filter(|path| shown(path)).try_for_each(|path| walk(path, depth + 1, paths))
}

fn read(path: &Path) -> Result<Source, Finding> {
    let length = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if length > FILE_BYTES_MAX {
        let message = format!("the file has more than {FILE_BYTES_MAX} bytes");
        return Err(Finding::error("file_too_large", path.display().to_string(), message));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    Ok(Source { file: path.to_string_lossy().into(), text: text.into() })
}

fn unreadable(path: &Path, error: &io::Error) -> Finding {
    Finding::error("unreadable_file", path.display().to_string(), format!("it can't be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(folder: &Path) -> DecideArgs {
        DecideArgs {
            policies: folder.to_owned(),
            schema: None,
            entities: None,
            gateway: false,
            format: "json".to_owned(),
        }
    }

    fn ask(args: &DecideArgs) -> (String, String, Exit) {
        let line = r#"{"principal":"U::\"a\"","action":"Action::\"r\"","resource":"D::\"d\""}"#;
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let exit = answer(args, &mut line.as_bytes(), &mut out, &mut talk);
        (String::from_utf8(out).unwrap(), String::from_utf8(talk).unwrap(), exit)
    }

    #[test]
    fn a_folder_is_read_in_lexical_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("b.cedar", "permit(principal, action, resource);");
        write("a/z.cedar", "permit(principal == U::\"b\", action, resource);");
        write(".hidden/x.cedar", "forbid(principal, action, resource);");
        write("notes.txt", "not a policy");
        let (out, _, exit) = ask(&args(folder.path()));
        assert_eq!(out, "{\"decision\":\"allow\",\"reason\":[\"policy1\"],\"errors\":[]}\n");
        assert_eq!(exit, Exit::Ok);
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (_, talk, exit) = ask(&args(&folder.path().join("gone.cedar")));
        assert!(talk.contains("gone.cedar"), "{talk}");
        assert_eq!(exit, Exit::Invalid);
    }
}
