use clap::Args;
use refpoint_node::simulate::{self, Costs, Outcome, Strategy, storm_page};
use refpoint_sim::Chance;

use super::{Between, Output, percent, progress::Progress};

/// All devices want their associations again at once, as after a restart of the core.
///
/// Prints for each strategy when half and 99 % of the devices are back, how many requests each sends, how much of the
/// capacity did good until then, the highest offered load, and who is never back.
///
/// Strategies of today: fixed (every 5 s), exponential (5 s and a pause that doubles from 1 s to 64 s), full-jitter (a
/// random part of that pause), decorrelated, wireguard (5 s and up to 334 ms). Of refpoint: reservations (the
/// responder gives slots), light (devices hold handles and redeem them, which takes no Diffie-Hellman).
#[derive(Debug, Args)]
pub(crate) struct Storm {
    /// How many devices there are.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    devices: u32,
    /// Handshakes a second that the responder may spend on them.
    #[arg(long, value_name = "C", default_value_t = 20_000)]
    capacity: u32,
    /// They come at this many times the capacity.
    #[arg(long, value_name = "TIMES", default_value_t = 200)]
    burst: u32,
    /// Devices that ignore hints and ask again every few seconds, in percent.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    ignoring: Chance,
    #[command(flatten)]
    between: Between,
    #[command(flatten)]
    machine: Machine,
    /// Only this strategy; may be given several times. Default: all, above a million devices those of refpoint.
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    strategy: Vec<Strategy>,
    /// Seconds after which who is not back is lost; default: 15 times what is needed at least.
    #[arg(long, value_name = "SECONDS")]
    limit: Option<u64>,
    #[command(flatten)]
    output: Output,
}

/// What the responder's work costs; `cargo xtask bench costs` measures it on your machine.
#[derive(Debug, Args)]
struct Machine {
    /// Microseconds of a processor for a full handshake [default: 225].
    #[arg(long, value_name = "US")]
    handshake_cost: Option<f64>,
    /// Microseconds for a light resumption [default: 19].
    #[arg(long, value_name = "US")]
    light_cost: Option<f64>,
    /// Microseconds to receive a request and answer it with a hint [default: 9].
    #[arg(long, value_name = "US")]
    hint_cost: Option<f64>,
    /// Processors [default: so many that the capacity takes three quarters of them, at least 4].
    #[arg(long, value_name = "COUNT")]
    cores: Option<f64>,
    /// Milliseconds that a request may wait for a processor before it is dropped.
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    buffer: u64,
}

impl Storm {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let storm = self.storm()?;
        let mut strategies = self.strategy.clone();
        if strategies.is_empty() {
            let few = self.devices > 1_000_000;
            strategies.extend(
                Strategy::ALL
                    .into_iter()
                    .filter(|one| !few || one.is_ours()),
            );
        }
        println!(
            "{} devices, {} handshakes a second: at least {:.1} s.\n",
            self.devices,
            self.capacity,
            storm.ideal()
        );
        println!(
            "{:<14}{:>10}{:>10}{:>11}{:>10}{:>10}{:>10}{:>10}",
            "strategy", "p50 s", "p99 s", "attempts", "goodput", "offered", "planned", "lost"
        );
        let mut outcomes = Vec::new();
        for strategy in strategies {
            let mut progress = Progress::new(strategy.name(), self.devices);
            let outcome = storm.run(strategy, &mut |back| progress.show(back));
            drop(progress);
            print(&outcome);
            outcomes.push(outcome);
        }
        println!("\nGoodput, offered and planned peak (in one second) are parts of the capacity.");
        let figures = outcomes.iter().map(Outcome::to_json).collect();
        self.output.write(figures, || storm_page(&storm, &outcomes))
    }

    fn storm(&self) -> anyhow::Result<simulate::Storm> {
        let mut costs = Costs::measured(self.capacity);
        let set = |to: &mut f64, from: Option<f64>| {
            if let Some(value) = from.filter(|value| value.is_finite() && *value > 0.0) {
                *to = value;
            }
        };
        set(&mut costs.handshake, self.machine.handshake_cost);
        set(&mut costs.light, self.machine.light_cost);
        set(&mut costs.hint, self.machine.hint_cost);
        costs = costs.with_cores_for(self.capacity);
        set(&mut costs.cores, self.machine.cores);
        let mut storm = simulate::Storm::new(self.devices, self.capacity)?
            .with_burst(self.burst)
            .with_ignoring(self.ignoring)
            .with_network(self.between.network())
            .with_costs(costs)
            .with_buffer(self.machine.buffer)
            .with_seed(self.between.seed);
        if let Some(seconds) = self.limit {
            storm = storm.with_limit(seconds);
        }
        Ok(storm)
    }
}

fn print(outcome: &Outcome) {
    let seconds = |time: Option<f64>| time.map_or("never".into(), |time| format!("{time:.2}"));
    let planned = if outcome.peak.planned > 0.0 {
        format!("{:.2}", outcome.peak.planned)
    } else {
        "-".into()
    };
    println!(
        "{:<14}{:>10}{:>10}{:>11.2}{:>10.2}{:>10.1}{:>10}{:>10}",
        outcome.strategy,
        seconds(outcome.p50),
        seconds(outcome.p99),
        outcome.attempts,
        outcome.goodput,
        outcome.peak.offered,
        planned,
        outcome.lost
    );
}

fn strategy(name: &str) -> anyhow::Result<Strategy> {
    let names = Strategy::ALL.map(Strategy::name).join(", ");
    Strategy::named(name).ok_or_else(|| anyhow::anyhow!("write one of {names}"))
}
