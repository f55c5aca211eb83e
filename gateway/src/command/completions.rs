//! `latchwork completions`: a script that completes the command line in a shell.

use super::{Cli, Exit};
use clap::CommandFactory;
use std::io::{self, Write};

/// `latchwork completions`
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Shells that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Shell {
    /// For `source <(latchwork completions bash)`
    Bash,
    /// For a file `_latchwork` in `$fpath`
    Zsh,
    /// For `latchwork completions fish | source`
    Fish,
}

/// Writes the script.
///
/// # Errors
/// When `out` can't be written.
pub fn run(args: &CompletionsArgs, out: &mut dyn Write) -> io::Result<Exit> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    // The generator takes a broken pipe for a fault of its own, so it writes into memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_completed_in_every_shell() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut out = Vec::new();
            assert_eq!(run(&CompletionsArgs { shell }, &mut out).unwrap(), Exit::Ok);
            let script = String::from_utf8(out).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell:?}: `{}`", command.get_name());
                for inner in command.get_subcommands() {
                    assert!(script.contains(inner.get_name()), "{shell:?}: `{}`", inner.get_name());
                }
            }
        }
    }
}
