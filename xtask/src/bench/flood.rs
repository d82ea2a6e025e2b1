//! Forged initiations as fast as this machine sends them, from random addresses of loopback, while
//! honest devices work: they send readings, and connect anew now and then, by a handle, as shipped
//! devices do, or, where the policy gives none, by a full handshake. The core is the one that is shipped,
//! with its defaults, and devices repeat what is lost when the shipped ones do.
//!
//! | a quarter each | what it costs the core, unless it is dropped before |
//! |---|---|
//! | `psk`, with the key id of a device | a look-up, a key schedule and an AEAD that does not open |
//! | `psk`, with a key id that nobody has | a look-up |
//! | `known`, by a stranger's key that agrees with the core's | two DHs, of what strangers may have |
//! | `light`, by a handle that nobody has given | its tag, a short MAC, and now and then a refusal |
//!
//! Each is another packet: its last bytes are random, so that none is answered as a repetition.

mod forger;
mod kernel;

use core::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{collections::BTreeSet, sync::Arc, thread, time::Instant};

use anyhow::{Context as _, anyhow, ensure};
use rand_core::Rng as _;

use self::{forger::Forger, kernel::Drops};
use crate::{
    live::{Child, Fleet, Options, Plan, Returning, SHIPPED_COMMAND, Tally, Wording},
    pair::rng,
    row::{Row, Target},
};

const DEVICES: u32 = 1_000;
/// Full handshakes a second that the core promises.
const CAPACITY: u32 = 2_000;
/// How long honest devices are watched, without the flood and with it.
const SPAN: Duration = Duration::from_secs(20);
/// How often a device sends a reading, and connects anew, in milliseconds.
const READING: u64 = 1_000;
const ANEW: u64 = 10_000;
/// As long as those who ask a service node wait.
const PATIENCE: Duration = Duration::from_secs(9);
/// What must succeed at least.
const SUCCESS: f64 = 0.99;

pub(crate) fn run() -> anyhow::Result<()> {
    let outcomes = [Returning::Light, Returning::Full].map(flood);
    outcomes.into_iter().collect()
}

fn flood(returning: Returning) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut options = Options {
        directory: directory.path().to_owned(),
        address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0),
        devices: DEVICES,
        returning,
        capacity: CAPACITY,
    };
    let mut arguments = options.arguments();
    arguments[0] = SHIPPED_COMMAND.into();
    let mut core = Child::start(&arguments)?;
    let port = core.ready["port"].as_u64().context("a port")?;
    options.address.set_port(u16::try_from(port)?);
    let mut fleet = Fleet::new(Plan {
        devices: DEVICES,
        core: options.address,
        policy: options.returning.policy(),
        patience: PATIENCE,
        wording: Wording::Shipped,
    })?;
    fleet.connect_all(100);
    fleet.run_until(SPAN, "all connected", |fleet| {
        fleet.tally.established >= u64::from(DEVICES)
    })?;

    let calm = Watch::over(&mut fleet, &mut core, options.address)?;
    let stop = Arc::new(AtomicBool::new(false));
    let forger = Forger::new(options.address, DEVICES)?;
    let forging = thread::spawn({
        let stop = stop.clone();
        move || forger.run(&stop)
    });
    let flooded = Watch::over(&mut fleet, &mut core, options.address);
    stop.store(true, Ordering::Relaxed);
    let forged = forging.join().map_err(|_| anyhow!("the forger panicked"))?;
    let flooded = flooded?;
    eprintln!("   core: {}", core.report()?);

    let seconds = flooded.seconds;
    let handled = flooded.strangers - calm.strangers / calm.seconds * seconds;
    let by = returning.name();
    let row = |what: &str, value, unit| Row::new(format!("flood, {by}, {what}"), value, unit);
    row("forged initiations sent", forged as f64 / seconds, "/s").print();
    row(
        "forged initiations read by the core",
        handled / seconds,
        "/s",
    )
    .print();
    row(
        "dropped on arrival by its filter",
        flooded.drops.filtered() as f64 / seconds,
        "/s",
    )
    .print();
    row(
        "lost by a full receive buffer, whoever sent it",
        flooded.drops.full() as f64 / seconds,
        "/s",
    )
    .print();
    row("processors that the core had", flooded.cpu / seconds, "").print();
    let cpu = flooded.cpu - calm.cpu / calm.seconds * seconds;
    row(
        "CPU a forged initiation sent",
        cpu * 1e6 / forged as f64,
        "µs",
    )
    .beside("read by the core", cpu * 1e6 / handled)
    .print();
    row("peak memory of the core", flooded.peak / 1e6, "MB")
        .beside("before the flood", calm.peak / 1e6)
        .print();
    let pairs = [
        ("readings", &flooded.readings, &calm.readings),
        (
            "new associations",
            &flooded.associations,
            &calm.associations,
        ),
    ];
    for (what, under, without) in pairs {
        row(&format!("{what} that failed"), under.failed() * 100.0, "%")
            .beside("without the flood", without.failed() * 100.0)
            .reaching(Some(Target::AtMost((1.0 - SUCCESS) * 100.0)))
            .print();
        row(&format!("{what}, 99 % within"), under.late(), "ms")
            .beside("without the flood", without.late())
            .print();
    }
    for (what, under, _) in pairs {
        let failed = under.failed();
        ensure!(
            failed <= 1.0 - SUCCESS,
            "{:.2} % of the {what} by {by} failed under the flood",
            failed * 100.0
        );
    }
    Ok(())
}

/// What was seen of the honest devices and the core in a while.
struct Watch {
    seconds: f64,
    cpu: f64,
    peak: f64,
    /// Packets that the core has read and that are no records.
    strangers: f64,
    drops: Drops,
    readings: Tries,
    associations: Tries,
}

/// What honest devices tried.
struct Tries {
    begun: u64,
    /// How long those took that succeeded in time, in milliseconds, sorted.
    took: Vec<f32>,
}

impl Tries {
    fn new(begun: u64, mut took: Vec<f32>) -> Self {
        took.retain(|millis| *millis <= PATIENCE.as_millis() as f32);
        took.sort_unstable_by(f32::total_cmp);
        Self { begun, took }
    }

    fn failed(&self) -> f64 {
        1.0 - self.took.len() as f64 / self.begun as f64
    }

    /// Within what 99 of 100 have succeeded; all patience, if fewer have.
    fn late(&self) -> f64 {
        let at = (self.begun * 99).div_ceil(100) as usize;
        let late = self.took.get(at.saturating_sub(1));
        late.map_or(PATIENCE.as_millis() as f64, |late| f64::from(*late))
    }
}

impl Watch {
    fn over(fleet: &mut Fleet, core: &mut Child, at: SocketAddrV4) -> anyhow::Result<Self> {
        let (before, before_cpu) = (core.report()?, core.usage()?);
        let before_drops = Drops::at(at)?;
        fleet.tally = Tally::default();
        let start = Instant::now();
        let mut day = Day::new();
        fleet.run_until(2 * SPAN, "the time over", |fleet| {
            day.go_on(fleet, start.elapsed())
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let after = core.report()?;
        let count = |report: &serde_json::Value| report["strangers"].as_f64().context("a count");
        let watch = Self {
            seconds,
            cpu: core.usage()?.cpu - before_cpu.cpu,
            peak: core.peak()?,
            strangers: count(&after)? - count(&before)?,
            drops: Drops::at(at)?.since(before_drops),
            readings: Tries::new(day.readings, core::mem::take(&mut fleet.tally.latencies)),
            associations: Tries::new(
                day.associations,
                core::mem::take(&mut fleet.tally.connected_in),
            ),
        };
        Ok(watch)
    }
}

/// What honest devices are about to do.
struct Day {
    readings: u64,
    associations: u64,
    /// When which device sends a reading, and connects anew, in milliseconds.
    reading: BTreeSet<(u64, u32)>,
    anew: BTreeSet<(u64, u32)>,
}

impl Day {
    fn new() -> Self {
        let spread = |span: u64| {
            let drawn = |device| ((u64::from(rng().next_u32()) * span) >> 32, device);
            (0..DEVICES).map(drawn).collect()
        };
        Self {
            readings: 0,
            associations: 0,
            reading: spread(READING),
            anew: spread(ANEW),
        }
    }

    /// Does what is due; whether the time is over, and with it what was begun, or the patience for it.
    fn go_on(&mut self, fleet: &mut Fleet, elapsed: Duration) -> bool {
        let now = elapsed.as_millis() as u64;
        if elapsed >= SPAN {
            let has_come_to_an_end = !fleet.is_busy() && fleet.connecting() == 0;
            return has_come_to_an_end || elapsed >= SPAN + PATIENCE;
        }
        while let Some(&(due, device)) = self.reading.first()
            && due <= now
        {
            self.reading.pop_first();
            self.reading.insert((due + READING, device));
            fleet.speak(device, Duration::ZERO);
            self.readings += 1;
        }
        while let Some(&(due, device)) = self.anew.first()
            && due <= now
        {
            self.anew.pop_first();
            self.anew.insert((due + ANEW, device));
            // Who still tries has been counted.
            if fleet.reconnect(device) {
                self.associations += 1;
            }
        }
        false
    }
}
