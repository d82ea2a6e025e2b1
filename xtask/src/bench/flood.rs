//! Forged initiations as fast as this machine sends them, from random addresses of loopback, while
//! honest devices work: they send readings, and connect anew now and then.
//!
//! | a third each | what it costs the core, unless it is dropped before |
//! |---|---|
//! | `psk`, with the key id of a device | a look-up, a key schedule and an AEAD that does not open |
//! | `psk`, with a key id that nobody has | the same, with a key of nobody |
//! | `known`, by a stranger's key that agrees with the core's | two DHs, of what strangers may have |
//!
//! Each is another packet: its last bytes are random, so that none is answered as a repetition.

mod forger;

use core::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{collections::BTreeSet, sync::Arc, thread, time::Instant};

use anyhow::{Context as _, anyhow, ensure};
use rand_core::Rng as _;

use self::forger::Forger;
use crate::{
    live::{Child, Fleet, Options, Plan, Returning, Tally},
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
    let directory = tempfile::tempdir()?;
    let mut options = Options {
        directory: directory.path().to_owned(),
        address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0),
        devices: DEVICES,
        returning: Returning::Full,
        capacity: CAPACITY,
    };
    let mut core = Child::start(&options.arguments())?;
    let port = core.ready["port"].as_u64().context("a port")?;
    options.address.set_port(u16::try_from(port)?);
    let mut fleet = Fleet::new(Plan {
        devices: DEVICES,
        core: options.address,
        policy: options.returning.policy(),
        patience: PATIENCE,
    })?;
    fleet.connect_all(100);
    fleet.run_until(SPAN, "all connected", |fleet| {
        fleet.tally.established >= u64::from(DEVICES)
    })?;

    let calm = Watch::over(&mut fleet, &mut core)?;
    let stop = Arc::new(AtomicBool::new(false));
    let forger = Forger::new(options.address, DEVICES)?;
    let forging = thread::spawn({
        let stop = stop.clone();
        move || forger.run(&stop)
    });
    let flooded = Watch::over(&mut fleet, &mut core);
    stop.store(true, Ordering::Relaxed);
    let forged = forging.join().map_err(|_| anyhow!("the forger panicked"))?;
    let flooded = flooded?;
    eprintln!("   core: {}", core.report()?);

    let seconds = flooded.seconds;
    let received = flooded.received - flooded.sent;
    let row = |what: &str, value, unit| Row::new(format!("flood, {what}"), value, unit);
    row("forged initiations sent", forged as f64 / seconds, "/s").print();
    row("forged initiations received", received / seconds, "/s").print();
    let cpu = flooded.cpu - calm.cpu / calm.seconds * seconds;
    row(
        "CPU a forged initiation received",
        cpu * 1e6 / received,
        "µs",
    )
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
            "{:.2} % of the {what} failed under the flood",
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
    /// Packets that the core has received, and that honest devices have sent.
    received: f64,
    sent: f64,
    readings: Tries,
    associations: Tries,
}

/// What honest devices tried.
struct Tries {
    begun: u64,
    /// How long those took that succeeded, in milliseconds, sorted.
    took: Vec<f32>,
}

impl Tries {
    fn failed(&self) -> f64 {
        1.0 - self.took.len() as f64 / self.begun as f64
    }

    fn late(&self) -> f64 {
        let at = self.took.len() * 99 / 100;
        self.took.get(at).copied().map_or(0.0, f64::from)
    }
}

impl Watch {
    fn over(fleet: &mut Fleet, core: &mut Child) -> anyhow::Result<Self> {
        let (before, before_cpu) = (core.report()?, core.usage()?);
        fleet.tally = Tally::default();
        let start = Instant::now();
        let mut day = Day::new();
        fleet.run_until(2 * SPAN, "the time over", |fleet| {
            day.go_on(fleet, start.elapsed())
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let after = core.report()?;
        let count = |report: &serde_json::Value| report["received"].as_f64().context("a count");
        let sorted = |mut took: Vec<f32>| {
            took.sort_unstable_by(f32::total_cmp);
            took
        };
        let watch = Self {
            seconds,
            cpu: core.usage()?.cpu - before_cpu.cpu,
            peak: core.peak()?,
            received: count(&after)? - count(&before)?,
            sent: fleet.tally.sent as f64,
            readings: Tries {
                begun: day.readings,
                took: sorted(core::mem::take(&mut fleet.tally.latencies)),
            },
            associations: Tries {
                begun: day.associations,
                took: sorted(core::mem::take(&mut fleet.tally.connected_in)),
            },
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

    /// Does what is due; whether the time is over, and with it everything that was begun.
    fn go_on(&mut self, fleet: &mut Fleet, elapsed: Duration) -> bool {
        let now = elapsed.as_millis() as u64;
        if elapsed >= SPAN {
            return !fleet.is_busy() && fleet.connecting() == 0;
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
