//! Parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use gldoctor::cli::{Cli, FAULT};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A panic outside any check is a fault of gldoctor itself, and has an exit code of its own.
    std::panic::catch_unwind(|| cli.execute()).unwrap_or(ExitCode::from(FAULT))
}
