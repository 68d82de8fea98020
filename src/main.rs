//! Parse, run, exit code.

use std::process::ExitCode;

use gldoctor::cli::Cli;
use gldoctor::host::crash;

fn main() -> ExitCode {
    crash::stay_silent();
    Cli::read().execute()
}
