mod progress;
mod renewals;
mod storm;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use refpoint_node::report::Report;
use refpoint_node::simulate::Network;
use refpoint_sim::Chance;
use serde_json::Value;

/// Plan for restarts and renewals of a whole fleet: simulate them, with what devices do today beside refpoint.
///
/// Give the devices, what the responder can do, and what lies between; read how long recovery takes and how high the
/// peak is. Time is virtual, so a minute of a million devices takes some seconds; the same seed gives the same result.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All devices want their associations again at once, as after a restart of the core.
    Storm(storm::Storm),
    /// The associations of all devices, made at the same time, are renewed again and again.
    Renewals(renewals::Renewals),
}

impl Simulate {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Storm(command) => command.run(),
            Command::Renewals(command) => command.run(),
        }
    }
}

/// What lies between devices and responder.
#[derive(Debug, Args)]
struct Between {
    /// From a device to the responder and back, in milliseconds; up to a tenth more at random.
    #[arg(long, value_name = "MS", default_value_t = 100)]
    round_trip: u64,
    /// Packets lost each way, in percent.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    loss: Chance,
    /// How much the devices' clocks run too fast or slow at most, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=50))]
    skew: u64,
    /// The number from which all chance comes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Between {
    const fn network(&self) -> Network {
        Network {
            round_trip: self.round_trip,
            loss: self.loss,
            skew: self.skew,
        }
    }
}

/// Where the result goes besides the terminal.
#[derive(Debug, Args)]
struct Output {
    /// Write the figures as JSON: an array of one object a strategy.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a report with plots: one HTML file that needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Output {
    fn write(&self, figures: Vec<Value>, page: impl FnOnce() -> Report) -> anyhow::Result<()> {
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&Value::Array(figures))?;
            write(file, &(text + "\n"))?;
        }
        if let Some(file) = &self.html {
            write(file, &page().to_html())?;
        }
        Ok(())
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| file.display().to_string())?;
    println!("written: {}", file.display());
    Ok(())
}

fn percent(text: &str) -> anyhow::Result<Chance> {
    let percent: f64 = text.parse().context("write a number such as 0.5")?;
    if !(0.0..=100.0).contains(&percent) {
        bail!("write a number from 0 to 100");
    }
    Ok(Chance::per_million((percent * 10_000.0).round() as u32))
}
