//! `latchwork policy new`: writes two new files, and never over one that is there.

use crate::command::{Exit, Format, default_config, findings_told, loaded, tell, written};
use jiff::Timestamp;
use policy::{
    command::new::{Draft, Wished, draft},
    engine::Effect,
};
use std::{
    fs::OpenOptions,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// `latchwork policy new`
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// The function
    function: String,
    /// Forbid instead of permit
    #[arg(long)]
    forbid: bool,
    /// Its `@id`; made from function and group if absent
    #[arg(long)]
    id: Option<String>,
    /// Its `@owner`; the function's or its app's if absent
    #[arg(long)]
    owner: Option<String>,
    /// The group that it is for, `<issuer>/<group>`; the owner's if absent
    #[arg(long)]
    group: Option<String>,
    /// The last day of a permit, such as 2027-03-31; in 90 days if absent
    #[arg(long, conflicts_with = "forbid")]
    expires: Option<String>,
    /// The folder that gets the files; the folder of policies if absent
    #[arg(long)]
    into: Option<PathBuf>,
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &NewArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let loaded = match loaded(&args.config, talk) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let wished = Wished {
        function: args.function.clone(),
        effect: if args.forbid { Effect::Forbid } else { Effect::Permit },
        id: args.id.clone(),
        owner: args.owner.clone(),
        group: args.group.clone(),
        expires: args.expires.clone(),
    };
    let declared = Arc::new(loaded.config.declared());
    let draft = match draft(&wished, &declared, &loaded.policies, Timestamp::now()) {
        Ok(draft) => draft,
        Err(findings) => return findings_told(&findings, talk),
    };
    let folder = args.into.clone().unwrap_or(loaded.config.policy.path);
    match files(&folder, &draft) {
        Ok(paths) => written(told(args, &paths, &draft, out)),
        Err((path, error)) => {
            let why = match error.kind() {
                ErrorKind::AlreadyExists => "is there already and stays as it is".to_owned(),
                _ => format!("can't be written: {error}"),
            };
            tell(talk, format_args!("latchwork: `{}` {why}", path.display()));
            Exit::Failed
        }
    }
}

/// Both files, or none.
fn files(folder: &Path, draft: &Draft) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut paths = Vec::new();
    for (name, text) in [(&draft.policies_file, &draft.policies), (&draft.cases_file, &draft.cases)] {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let done = file.and_then(|mut file| {
            paths.push(path.clone());
            file.write_all(text.as_bytes())
        });
        if let Err(error) = done {
            // Only what was made here is taken away.
            paths.iter().for_each(|path| drop(std::fs::remove_file(path)));
            return Err((path, error));
        }
    }
    Ok(paths)
}

fn told(args: &NewArgs, paths: &[PathBuf], draft: &Draft, out: &mut dyn Write) -> io::Result<Exit> {
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::json!({ "written": paths, "findings": draft.findings }))?,
        Format::Human => {
            for path in paths {
                writeln!(out, "written: {}", path.display())?;
            }
            for finding in &draft.findings {
                writeln!(out, "{finding}")?;
            }
        }
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            policies_file: "a.cedar".to_owned(),
            policies: "p".to_owned(),
            cases_file: "a.cases.toml".to_owned(),
            cases: "c".to_owned(),
            findings: Vec::new(),
        }
    }

    #[test]
    fn both_files_are_written_or_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(files(folder.path(), &draft()).unwrap().len(), 2);
        let other = Draft { policies_file: "b.cedar".to_owned(), ..draft() };
        let (path, error) = files(folder.path(), &other).unwrap_err();
        assert_eq!((path, error.kind()), (folder.path().join("a.cases.toml"), ErrorKind::AlreadyExists));
        assert!(!folder.path().join("b.cedar").exists());
        assert_eq!(std::fs::read_to_string(folder.path().join("a.cases.toml")).unwrap(), "c");
    }
}
