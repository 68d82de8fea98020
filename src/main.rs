//! Parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use gldoctor::cli::Cli;
use gldoctor::host::crash;

fn main() -> ExitCode {
    crash::stay_silent();
    Cli::parse().execute()
}
