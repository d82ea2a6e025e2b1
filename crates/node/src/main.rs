//! The `refpoint` binary.

mod command;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match command::Refpoint::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("refpoint: {error:#}");
            ExitCode::FAILURE
        }
    }
}
