//! The command line: what each command calls, and what `gldoctor` exits with.

mod args;
mod commands;
mod credentials;
mod output;
mod page;
mod runner;
mod trust;

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser};

use crate::host::crash;

use args::Command;

/// The exit code for wrong usage or configuration.
const USAGE: u8 = 2;

/// The exit code for a fault of gldoctor itself.
const FAULT: u8 = 4;

/// Finds out why an offline GitLab, its container registry, its Docker clients or its runners do
/// not work together. It only reads.
#[derive(Debug, Parser)]
#[command(
    name = "gldoctor",
    version,
    max_term_width = 100,
    after_help = "Exit code: 0 nothing at or above --fail-on; 1 findings; 2 wrong usage; \
                  3 something could not be told; 4 a fault of gldoctor itself."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// Reads the command line and the environment; says what is wrong with them, and exits.
    pub fn read() -> Self {
        let matches = without_empty_variables(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Does what the user asked for. Errors and panics end here, as a sentence on standard error.
    pub fn execute(self) -> ExitCode {
        // A panic outside any check is a fault of gldoctor itself, and has an exit code of its own.
        std::panic::catch_unwind(|| self.carry_out()).unwrap_or_else(|_| {
            let place = crash::place();
            output::complain(&format!("error: gldoctor itself failed, please report it: {place}"));
            ExitCode::from(FAULT)
        })
    }

    fn carry_out(self) -> ExitCode {
        let done = match self.command {
            Command::Run(args) => commands::run(&args),
            Command::Bundle(args) => commands::bundle(&args),
            Command::Analyze(args) => commands::analyze(&args),
            Command::Show(args) => commands::show(&args),
            Command::Trust(args) => trust::trust(&args),
            Command::List(args) => commands::list(&args),
            Command::Explain(args) => commands::explain(&args),
        };
        ExitCode::from(done.unwrap_or_else(|error| {
            output::complain(&format!("error: {error:#}"));
            USAGE
        }))
    }
}

/// A variable that is set to nothing, as units and pipelines do to switch one off, counts as one
/// that is not set.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let heed = |arg: Arg| {
        let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|it| it.is_empty());
        if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg }
    };
    command.mut_args(heed).mut_subcommands(without_empty_variables)
}

#[test]
fn the_flags_are_consistent() {
    Cli::command().debug_assert();
}

/// The README promises it.
#[test]
fn every_flag_of_run_is_also_a_variable() {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    for arg in run.get_arguments().filter(|arg| arg.get_id() != "help") {
        let flag = arg.get_long().unwrap();
        let variable = format!("GLDOCTOR_{}", flag.to_uppercase().replace('-', "_"));
        assert_eq!(arg.get_env().unwrap_or_default(), variable.as_str(), "--{flag}");
    }
}
