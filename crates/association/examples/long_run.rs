//! A month of ten thousand associations in virtual time: `cargo xtask long`, which says what it takes.
//!
//! `cargo run --release -p refpoint-association --example long_run [ASSOCIATIONS [DAYS [SEED]]]`

#[path = "../tests/long/long.rs"]
mod long;

use std::{env, process::ExitCode, thread, time::Instant};

use long::{Plan, run};

fn main() -> ExitCode {
    let given: Vec<u64> = env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let given = |at: usize, or: u64| given.get(at).copied().unwrap_or(or);
    let plan = Plan::default();
    let plan = Plan {
        associations: given(0, plan.associations.into()) as u32,
        days: given(1, plan.days.into()) as u32,
        seed: given(2, plan.seed),
        ..plan
    };
    let threads = thread::available_parallelism().map_or(1, Into::into);
    println!(
        "{} associations for {} days, seed {}, {threads} threads",
        plan.associations, plan.days, plan.seed
    );
    let start = Instant::now();
    let outcome = run(&plan, threads, &|over, all| {
        if over % (all / 50).max(1) == 0 || over == all {
            eprintln!("{:>3} %, {} s", 100 * over / all, start.elapsed().as_secs());
        }
    });
    print!("{outcome}");
    println!("{} s", start.elapsed().as_secs());
    let whole = outcome.findings.violations() == 0 && outcome.is_complete();
    if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
