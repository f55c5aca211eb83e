//! `latchwork man`: manual pages, made from the same definitions as the command line.

use super::{Cli, Exit, tell};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

/// `latchwork man`
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Folder for one page per command; without it, the first page goes to standard output
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// A page: its file's name and its text.
type Page = (String, Vec<u8>);

/// Writes the pages.
///
/// # Errors
/// When `out` can't be written.
pub fn run(args: &ManArgs, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<Exit> {
    let pages = pages()?;
    let Some(directory) = &args.directory else {
        if let Some((_, text)) = pages.first() {
            out.write_all(text)?;
        }
        out.flush()?;
        return Ok(Exit::Ok);
    };
    let failed = |talk: &mut dyn Write, path: &PathBuf, error: &io::Error| {
        tell(talk, format_args!("latchwork: `{}` can't be written: {error}", path.display()));
        Ok(Exit::Failed)
    };
    if let Err(error) = fs::create_dir_all(directory) {
        return failed(talk, directory, &error);
    }
    for (name, text) in pages {
        let path = directory.join(name);
        if let Err(error) = fs::write(&path, text) {
            return failed(talk, &path, &error);
        }
        writeln!(out, "{}", path.display())?;
    }
    Ok(Exit::Ok)
}

/// A page for each command, the first for all of them.
fn pages() -> io::Result<Vec<Page>> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    add(&command, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    // The words that are typed, joined.
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    pages.push((format!("{name}.1"), text));
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        add(inner, pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands whose output has a form of its own, and commands that only hold others.
    const WITHOUT_FORMAT: [&str; 2] = ["latchwork completions", "latchwork man"];

    fn leaves(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
        if !command.has_subcommands() {
            found.push((path.to_owned(), command.clone()));
        }
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            leaves(inner, &format!("{path} {}", inner.get_name()), found);
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "latchwork", &mut found);
        let pages = pages().unwrap();
        assert!(found.len() > 10 && pages.len() > found.len(), "{} commands, {} pages", found.len(), pages.len());
        for (path, command) in found {
            let name = format!("{}.1", path.replace(' ', "-"));
            let (_, text) = pages.iter().find(|(page, _)| *page == name).unwrap_or_else(|| panic!("no page {name}"));
            let text = String::from_utf8(text.clone()).unwrap();
            assert!(text.contains(".TH") && text.contains(".SH OPTIONS"), "{name}: {text}");
            for argument in command.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(text.contains(&argument.replace('-', "\\-")), "{name}: --{argument}");
            }
        }
    }

    #[test]
    fn pages_are_written_into_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Some(folder.path().join("man/man1"));
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        assert_eq!(run(&ManArgs { directory }, &mut out, &mut talk).unwrap(), Exit::Ok);
        let told = String::from_utf8(out).unwrap();
        assert_eq!(told.lines().count(), pages().unwrap().len());
        assert!(told.lines().all(|path| PathBuf::from(path).is_file()), "{told}");
        let taken = folder.path().join("taken");
        fs::write(&taken, "").unwrap();
        let args = ManArgs { directory: Some(taken) };
        assert_eq!(run(&args, &mut Vec::new(), &mut talk).unwrap(), Exit::Failed);
        assert!(String::from_utf8(talk).unwrap().contains("can't be written"));
    }

    #[test]
    fn every_command_speaks_to_programs() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "latchwork", &mut found);
        let lacking: Vec<String> = found
            .into_iter()
            .filter(|(_, command)| !command.get_arguments().any(|a| a.get_long() == Some("format")))
            .map(|(path, _)| path)
            .collect();
        assert_eq!(lacking, WITHOUT_FORMAT);
    }
}
