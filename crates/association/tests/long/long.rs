//! A month of many associations in virtual time: devices at gateways, with everything that befalls
//! them, watched by `refpoint_sim::Watch`.
//!
//! The end points are the shipped ones and so is their cryptography; only time, network, randomness
//! and their users are simulated.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a test and an example use it"
)]

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use refpoint_sim::Findings;

use world::World;

mod clock;
mod device;
mod fate;
mod gateway;
mod host;
mod key;
mod world;

pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub associations: u32,
    /// How many of them share a gateway.
    pub at_one_gateway: u32,
    pub days: u32,
    pub seed: u64,
    /// How often a device asks, in the mean.
    pub every: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            associations: 10_000,
            at_one_gateway: 500,
            days: 30,
            seed: 1,
            every: Duration::from_secs(3600),
        }
    }
}

/// What befell them, so that a run in which little happened is seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fates {
    pub reboots: u64,
    pub stale: u64,
    pub outages: u64,
    pub moves: u64,
    pub rotations: u64,
    pub expired: u64,
    pub revocations: u64,
    pub policies: u64,
    pub renewals: u64,
    pub calls: u64,
    pub restarts: u64,
    pub cold: u64,
    pub full: u64,
    pub resumed: u64,
    pub refused: u64,
    pub replaced: u64,
    pub not_resumed: u64,
    pub deferred: u64,
    pub failed: u64,
    pub replayed: u64,
    pub lost: u64,
}

impl Fates {
    fn add(&mut self, other: Self) {
        for (sum, one) in [
            (&mut self.reboots, other.reboots),
            (&mut self.stale, other.stale),
            (&mut self.outages, other.outages),
            (&mut self.moves, other.moves),
            (&mut self.rotations, other.rotations),
            (&mut self.expired, other.expired),
            (&mut self.revocations, other.revocations),
            (&mut self.policies, other.policies),
            (&mut self.renewals, other.renewals),
            (&mut self.calls, other.calls),
            (&mut self.restarts, other.restarts),
            (&mut self.cold, other.cold),
            (&mut self.full, other.full),
            (&mut self.resumed, other.resumed),
            (&mut self.refused, other.refused),
            (&mut self.replaced, other.replaced),
            (&mut self.not_resumed, other.not_resumed),
            (&mut self.deferred, other.deferred),
            (&mut self.failed, other.failed),
            (&mut self.replayed, other.replayed),
            (&mut self.lost, other.lost),
        ] {
            *sum += one;
        }
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} losses of power ({} with a stale flash), {} outages of a link, {} changes of address",
            self.reboots, self.stale, self.outages, self.moves
        )?;
        writeln!(
            f,
            "{} keys rotated ({} after they had expired), {} revocations, {} changes of policy, {} renewals asked for, {} calls from the gateway",
            self.rotations,
            self.expired,
            self.revocations,
            self.policies,
            self.renewals,
            self.calls
        )?;
        writeln!(
            f,
            "{} restarts of gateways ({} without their store); {} packets lost, {} replayed by the attacker",
            self.restarts, self.cold, self.lost, self.replayed
        )?;
        writeln!(
            f,
            "{} handshakes answered (refreshes included), {} resumed, {} handles refused, {} attempts fell back, {} deferred, {} failed; {} associations replaced",
            self.full,
            self.resumed,
            self.refused,
            self.not_resumed,
            self.deferred,
            self.failed,
            self.replaced
        )
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    pub findings: Findings,
    pub fates: Fates,
}

impl Outcome {
    /// Whether the watch knew of which association the records were, but for a few: one that is closed in
    /// the moment in which it is established can be asked for no name.
    pub fn is_complete(&self) -> bool {
        self.findings.unclaimed * 50_000 <= self.findings.records
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.fates, self.findings)
    }
}

/// Runs the plan on so many threads; `tell` hears, after each day of each gateway, how many are
/// over, and of how many.
pub fn run(plan: &Plan, threads: usize, tell: &(dyn Fn(u64, u64) + Sync)) -> Outcome {
    let gateways = plan.associations.div_ceil(plan.at_one_gateway);
    let all = u64::from(gateways) * u64::from(plan.days + 1);
    let (next, over) = (AtomicU64::new(0), AtomicU64::new(0));
    let outcome = Mutex::new(Outcome::default());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= gateways.into() {
                        break;
                    }
                    let first = plan.at_one_gateway * number as u32;
                    let devices = plan.at_one_gateway.min(plan.associations - first);
                    let mut world = World::new(plan, plan.seed + number, devices);
                    for day in 1..=plan.days {
                        world.run_until(day * DAY);
                        tell(over.fetch_add(1, Ordering::Relaxed) + 1, all);
                    }
                    let (findings, fates) = world.finish();
                    tell(over.fetch_add(1, Ordering::Relaxed) + 1, all);
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    outcome.findings.add(findings);
                    outcome.fates.add(fates);
                }
            });
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}
