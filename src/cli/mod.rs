//! The command line: what each command calls, and what `gldoctor` exits with.

mod args;
mod commands;
mod credentials;
mod output;
mod page;
mod runner;
mod trust;

use std::process::ExitCode;

use clap::Parser;

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

#[test]
fn the_flags_are_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}
