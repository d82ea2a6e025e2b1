//! A core is killed under very many devices and restarted: how long until all are back, and at what
//! cost; and whether every message is where it should be.
//!
//! ```text
//!   all connect ── 1st message ── 2nd message .. killed half-way (SIGKILL)
//!                                 3rd message, of every device, to nobody
//!                                 restarted on what is on the disk ── all are back
//!                                 killed again ── the mailbox is compared with what devices know
//! ```
//!
//! The same is done with full handshakes, where the core keeps no handles, and with TLS 1.3 sessions
//! that resume by tickets ([`tls`]). Core and devices share the machine: what is compared is in one
//! run, and CPU time is the core's own.

mod check;
mod tls;

use core::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};
use std::{thread, time::Instant};

use anyhow::{Context as _, anyhow, ensure};

use crate::{
    live::{Child, Fleet, Options, Plan, Returning, Wording, now},
    row::Row,
};

pub(crate) use self::tls::{SERVER_COMMAND, run as serve};

/// Devices, unless the command says otherwise.
pub(crate) const DEVICES: u32 = 100_000;

/// Full handshakes a second that the core promises: about what it can do beside the devices, which
/// have the other of two processors.
const CAPACITY: u32 = 5_000;
/// Devices that connect at the same time in the beginning.
const WINDOW: usize = 512;
/// A second in which so many devices send, where they need not all send at once.
const CALM: u32 = 15_000;
/// How long its last answers take.
const DRAIN: Duration = Duration::from_millis(200);
/// For how long the core is gone before it is started again.
const AWAY: Duration = Duration::from_secs(1);
/// How long a device asks for.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often it is said how many are back.
const SILENCE: Duration = Duration::from_secs(10);
/// When the run is given up.
const LIMIT: Duration = Duration::from_secs(300);

/// A number of a storm: what, in which unit, how it is had, and among how many it is shared.
type Figure = (&'static str, &'static str, fn(&Storm) -> f64, f64);

/// What one storm has cost.
struct Storm {
    /// From the start of the new process.
    ready: f64,
    returns: Vec<f64>,
    /// CPU seconds of the core: to start, then for everything, and what its first thread took of that.
    start_cpu: f64,
    cpu: f64,
    first_thread: f64,
    bytes: u64,
    packets: u64,
    peak: f64,
}

impl Storm {
    fn all(&self) -> f64 {
        self.returns.last().copied().unwrap_or_default()
    }

    fn most(&self) -> f64 {
        let at = self.returns.len() * 99 / 100;
        self.returns.get(at).copied().unwrap_or_default()
    }
}

pub(crate) fn run(devices: u32) -> anyhow::Result<()> {
    ensure!((1..=1_000_000).contains(&devices), "1 to 1000000 devices");
    let light = storm(devices, Returning::Light).context("storm, light")?;
    let full = storm(devices, Returning::Full).context("storm, full handshakes")?;
    let tls = tls::storm(devices).context("storm, TLS")?;
    let peers = [
        ("full handshakes, psk, no store", &full),
        ("rustls TLS 1.3 mutual, by tickets, in waves", &tls),
    ];
    let each = f64::from(devices);
    let figures: [Figure; 8] = [
        ("until all are back", "s", Storm::all, 1.0),
        ("until 99 % are back", "s", Storm::most, 1.0),
        ("the core's start", "s", |one| one.ready, 1.0),
        ("CPU of the core's start", "s", |one| one.start_cpu, 1.0),
        ("CPU of the core a device", "µs", |one| one.cpu * 1e6, each),
        (
            "of it without the stores",
            "µs",
            |one| one.first_thread * 1e6,
            each,
        ),
        ("bytes a device", "B", |one| one.bytes as f64, each),
        ("packets a device", "", |one| one.packets as f64, each),
    ];
    for (what, unit, value, parts) in figures {
        for (peer, of_peer) in peers {
            Row::new(
                format!("storm of {devices}, {what}"),
                value(&light) / parts,
                unit,
            )
            .beside(peer, value(of_peer) / parts)
            .print();
        }
    }
    for (peer, of_peer) in peers {
        Row::new(
            format!("storm of {devices}, peak memory of the core"),
            light.peak / 1e6,
            "MB",
        )
        .beside(peer, of_peer.peak / 1e6)
        .print();
    }
    Ok(())
}

fn storm(devices: u32, returning: Returning) -> anyhow::Result<Storm> {
    let directory = tempfile::tempdir()?;
    let mut options = Options {
        directory: directory.path().to_owned(),
        address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0),
        devices,
        returning,
        capacity: CAPACITY,
    };
    let core = Child::start(&options.arguments())?;
    let port = core.ready["port"].as_u64().context("a port")?;
    options.address.set_port(u16::try_from(port)?);
    let mut fleet = Fleet::new(Plan {
        devices,
        core: options.address,
        policy: returning.policy(),
        patience: PATIENCE,
        wording: Wording::Bare,
    })?;
    let all = u64::from(devices);
    let calm = Duration::from_secs_f64(f64::from(devices) / f64::from(CALM));

    let begun = Instant::now();
    fleet.connect_all(WINDOW);
    fleet.run_until(LIMIT, "all connected", |fleet| {
        fleet.tally.established >= all
    })?;
    tell(returning, begun, &fleet, "connected");
    fleet.speak_all(calm);
    fleet.run_until(LIMIT, "all heard", |fleet| !fleet.is_busy())?;
    fleet.speak_all(calm);
    fleet.run_until(LIMIT, "half heard again", |fleet| {
        fleet.tally.acknowledged >= all + all / 2
    })?;
    core.kill()?;
    // What the core has said is still under way.
    let killed = Instant::now();
    fleet.run_until(LIMIT, "drained", |_| killed.elapsed() >= DRAIN)?;
    tell(returning, begun, &fleet, "killed");
    let known = fleet.tally.acknowledged;
    ensure!(
        fleet.tally.reported == 0,
        "a message failed before the kill"
    );

    fleet.mark();
    fleet.speak_all(AWAY / 2);
    let gone = Instant::now();
    fleet.run_until(LIMIT, "away", |_| gone.elapsed() >= AWAY)?;
    ensure!(fleet.returned() == 0, "somebody else answers");
    let before = fleet.tally.clone();
    let restarted = now().monotonic;
    let arguments = options.arguments();
    let starting = thread::spawn(move || Child::start(&arguments));
    fleet.run_until(LIMIT, "restarted", |_| starting.is_finished())?;
    let mut core = starting
        .join()
        .map_err(|_| anyhow!("the start panicked"))??;
    let at_start = core.usage()?;
    let ready = core.ready["took"].as_f64().context("a time")?;
    tell(returning, begun, &fleet, "restarted");
    let mut told = Instant::now();
    fleet.run_until(LIMIT, "all back", |fleet| {
        if told.elapsed() > SILENCE {
            told = Instant::now();
            let back = format!("{} are back", fleet.returned());
            tell(returning, begun, fleet, &back);
        }
        fleet.returned() == devices as usize && !fleet.is_busy()
    })?;
    tell(returning, begun, &fleet, "back");
    let (usage, peak) = (core.usage()?, core.peak()?);
    eprintln!("   core: {}", core.report()?);
    core.kill()?;

    let returns = fleet.returns().into_iter();
    let returns = returns.map(|at| at.saturating_sub(restarted).as_secs_f64());
    let result = Storm {
        ready,
        returns: returns.collect(),
        start_cpu: at_start.cpu,
        cpu: usage.cpu - at_start.cpu,
        first_thread: usage.first - at_start.first,
        bytes: fleet.tally.bytes - before.bytes,
        packets: fleet.tally.packets - before.packets,
        peak,
    };
    let kept = check::compare(&options, &fleet)?;
    ensure!(
        fleet.tally.acknowledged >= known,
        "acknowledgements were lost"
    );
    eprintln!(
        "   {known} messages acknowledged before the kill, {kept} kept in the end, none twice"
    );
    Ok(result)
}

fn tell(returning: Returning, begun: Instant, fleet: &Fleet, what: &str) {
    let tally = &fleet.tally;
    eprintln!(
        "   {returning:?} {:6.1} s: {what}; {} made, {} refused, {} unanswered, {} deferred, {} failed; {} acknowledged, {} reported, {} waiting",
        begun.elapsed().as_secs_f64(),
        tally.established,
        tally.refused,
        tally.unanswered,
        tally.deferred,
        tally.failed,
        tally.acknowledged,
        tally.reported,
        tally.waiting,
    );
}
