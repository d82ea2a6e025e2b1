use core::time::Duration;

use clap::Args;
use refpoint_node::config::parse_duration;
use refpoint_node::simulate::{self, RenewalOutcome, RenewalStrategy, renewals_page};

use super::{Between, Output, progress::Progress};

/// The associations of all devices, made at the same time, are renewed again and again.
///
/// Prints for each strategy the fullest ten seconds against the mean ones, in the first lifetime after the restart and
/// from then on, the fullest against the capacity, how often a device renews in a lifetime, and how many associations
/// ended before their successor was there.
///
/// Strategies of today: fixed (at half of the lifetime), late (at random between 0.8 and 0.9 of it), wide (between 0.5
/// and 0.875). Of refpoint: planned (in windows that the responder hands out, before half of the lifetime).
#[derive(Debug, Args)]
pub(crate) struct Renewals {
    /// How many devices there are.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    devices: u32,
    /// Handshakes a second at which they came back.
    #[arg(long, value_name = "C", default_value_t = 20_000)]
    capacity: u32,
    /// How long an association lives at most, such as 12h.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    lifetime: Duration,
    /// How many lifetimes to look at.
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    lifetimes: u64,
    #[command(flatten)]
    between: Between,
    #[command(flatten)]
    output: Output,
}

impl Renewals {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let lifetime = self.lifetime.as_secs();
        let renewals = simulate::Renewals::new(self.devices, self.capacity, lifetime)
            .with_lifetimes(self.lifetimes)
            .with_network(self.between.network())
            .with_seed(self.between.seed);
        println!(
            "{} associations of {lifetime} s, made at {} a second.\n",
            self.devices, self.capacity
        );
        println!(
            "{:<10}{:>18}{:>14}{:>14}{:>14}{:>8}",
            "strategy", "peak/mean first", "later", "peak of C", "per lifetime", "lost"
        );
        let mut outcomes = Vec::new();
        for strategy in RenewalStrategy::ALL {
            let mut progress = Progress::new(strategy.name(), 1_000);
            let outcome = renewals.run(strategy, &mut |done| progress.show(done));
            drop(progress);
            println!(
                "{:<10}{:>18.2}{:>14.2}{:>14.3}{:>14.2}{:>8}",
                outcome.strategy,
                outcome.first,
                outcome.later,
                outcome.peak,
                outcome.renewals,
                outcome.lost
            );
            outcomes.push(outcome);
        }
        let figures = outcomes.iter().map(RenewalOutcome::to_json).collect();
        self.output
            .write(figures, || renewals_page(&renewals, &outcomes))
    }
}
