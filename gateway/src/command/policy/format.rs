//! `latchwork policy format`: opens and writes the files that are formatted.

use crate::{
    command::{Exit, Format, default_config, findings_told, loaded, tell, written},
    config::{FILE_BYTES_MAX, Text},
};
use policy::{
    bundle::Source,
    command::format::{Formatted, format, text},
};
use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// `latchwork policy format`
#[derive(Debug, clap::Args)]
pub struct FormatArgs {
    /// Files; `-` reads standard input and writes standard output; none means all files of the project
    files: Vec<PathBuf>,
    /// Configuration, if no file is named
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Write nothing; exit with 1 if something is not formatted
    #[arg(long)]
    check: bool,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &FormatArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    if let [only] = args.files.as_slice()
        && only == Path::new("-")
    {
        return written(stream(args, &mut io::stdin().lock(), out, talk));
    }
    let sources = match sources(args, talk) {
        Ok(sources) => sources,
        Err(exit) => return exit,
    };
    let (exit, changed) = match format(sources, args.check, args.format.into(), out) {
        Ok(done) => done,
        Err(_) => return Exit::Failed,
    };
    for Formatted { file, text } in changed {
        if let Err(error) = replace(Path::new(&*file), &text) {
            tell(talk, format_args!("latchwork: `{file}` can't be written: {error}"));
            return Exit::Failed;
        }
    }
    exit.into()
}

/// Puts the whole text there or nothing: a gateway may be watching the folder.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".formatting");
    let fresh = PathBuf::from(fresh);
    let rights = std::fs::metadata(file)?.permissions();
    let done = std::fs::write(&fresh, text)
        .and_then(|()| std::fs::set_permissions(&fresh, rights))
        .and_then(|()| std::fs::rename(&fresh, file));
    if done.is_err() {
        // What was begun is of no use to anybody.
        let _ = std::fs::remove_file(&fresh);
    }
    done
}

fn sources(args: &FormatArgs, talk: &mut dyn Write) -> Result<Vec<Source>, Exit> {
    if args.files.is_empty() {
        let policies = loaded(&args.config, talk)?.policies;
        return Ok(policies.into_iter().filter(|source| source.file.ends_with(".cedar")).collect());
    }
    let mut sources = Vec::new();
    for file in &args.files {
        let Text { file, text, .. } = Text::read(file).map_err(|finding| findings_told(&[finding], talk))?;
        sources.push(Source { file, text });
    }
    Ok(sources)
}

fn stream(args: &FormatArgs, input: &mut dyn Read, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<Exit> {
    let mut given = String::new();
    input.take(FILE_BYTES_MAX + 1).read_to_string(&mut given)?;
    let source = Source { file: "-".into(), text: given.into() };
    match text(&source) {
        Err(findings) => Ok(findings_told(&findings, talk)),
        Ok(text) if args.check => Ok(if text == *source.text { Exit::Ok } else { Exit::Failed }),
        Ok(text) => out.write_all(text.as_bytes()).map(|()| Exit::Ok),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(check: bool) -> FormatArgs {
        FormatArgs { files: vec!["-".into()], config: default_config(), check, format: Format::Human }
    }

    #[test]
    fn standard_input_goes_to_standard_output() {
        let ugly = "@id(\"p\") permit(principal,action,resource);";
        let run = |text: &str, check| {
            let (mut out, mut talk) = (Vec::new(), Vec::new());
            let exit = stream(&args(check), &mut text.as_bytes(), &mut out, &mut talk).unwrap();
            (exit, String::from_utf8(out).unwrap(), String::from_utf8(talk).unwrap())
        };
        let (exit, pretty, talk) = run(ugly, false);
        assert_eq!((exit, talk.as_str()), (Exit::Ok, ""));
        assert_eq!(pretty, "@id(\"p\")\npermit (principal, action, resource);\n");
        assert_eq!(run(&pretty, true).0, Exit::Ok);
        assert_eq!(run(ugly, true), (Exit::Failed, String::new(), String::new()));
        assert_eq!(run("permit", false).0, Exit::Invalid);
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_rights() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.cedar");
        std::fs::write(&file, "old").unwrap();
        replace(&file, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("absent.cedar"), "x").is_err());
    }
}
