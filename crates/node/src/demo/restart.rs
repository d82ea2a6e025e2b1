//! A core is killed under all its devices and started again, once on its store and once without; then it has all of
//! them renew.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use refpoint_keys::EntityId;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::fleet::{self, CoreProcess, Fleet, How, Notes, Place};
use super::world::{CORE, url};
use super::{Ae, Cse, CseOptions};
use crate::drain::{Drain, DrainSignal};
use crate::http::{HttpLimits, Server};

/// Nothing takes as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two things that happen to the core.
const CALM: Duration = Duration::from_millis(1500);
/// How long the core stays down.
const DOWN: Duration = Duration::from_millis(300);
/// Within which all renew.
pub(super) const RENEWAL: Duration = Duration::from_secs(5);

/// How the devices came back after one restart.
#[derive(Debug, Clone)]
pub(super) struct Return {
    /// Whether the core had its store.
    pub(super) store: bool,
    /// When each was back, since the kill, in order.
    pub(super) back: Vec<Duration>,
    /// How many of them by a handle.
    pub(super) light: usize,
    /// What crossed the link to make the associations: when, since the kill, and how long.
    pub(super) packets: Vec<(Duration, usize)>,
    /// When readings were acknowledged, since a second before the kill.
    pub(super) acknowledged: Vec<Duration>,
    /// From the kill until the core said that it was ready.
    pub(super) ready: Duration,
    /// What it computed from then on, until all were back.
    pub(super) cpu: Option<Duration>,
}

/// What became of the fleet.
#[derive(Debug, Clone)]
pub(super) struct Recovery {
    pub(super) devices: usize,
    pub(super) returns: Vec<Return>,
    /// When each association was renewed, since that was asked for, in order.
    pub(super) renewed: Vec<Duration>,
    pub(super) readings: Readings,
    /// Whether the core stopped in an orderly way in the end.
    pub(super) stopped: bool,
}

/// What became of the readings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readings {
    /// Acknowledged to their devices.
    pub(super) acknowledged: usize,
    /// Of those, how many the CSE at the core does not have.
    pub(super) lost: usize,
    /// How many were repeated and found to be there already.
    pub(super) again: usize,
    /// How many were acknowledged twice to their device.
    pub(super) twice: usize,
    /// How many were refused or not answered: their device knows.
    pub(super) reported: usize,
}

impl Return {
    pub(super) fn bytes(&self) -> usize {
        self.packets.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Until the last was back.
    pub(super) fn took(&self) -> Duration {
        self.back.last().copied().unwrap_or_default()
    }
}

/// Plays it with so many devices; `program` is the refpoint binary.
pub(super) async fn play(program: &Path, devices: usize) -> anyhow::Result<Recovery> {
    let played = timeout(4 * PATIENCE, story(program, devices));
    played.await.context("the restart hangs")?
}

async fn story(program: &Path, devices: usize) -> anyhow::Result<Recovery> {
    let (cse, at, _serving) = serve().await?;
    let place = Place::make(devices)?;
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let start = |address| CoreProcess::start(program, &place, address, at, RENEWAL);
    let mut core = start(any).await?;
    let address = core.address;
    let mut fleet = Fleet::start(&place.devices, address).await?;
    fleet.all_associated(Duration::ZERO, PATIENCE).await?;
    let mut returns = Vec::new();
    for store in [true, false] {
        sleep(CALM).await;
        let killed = fleet.now();
        core.kill()?;
        if !store {
            place.lose_store()?;
        }
        sleep(DOWN).await;
        core = start(address).await?;
        let ready = fleet.now() - killed;
        let before = core.cpu();
        let last = fleet.all_associated(killed, PATIENCE).await?;
        let cpu = core.cpu().zip(before).map(|(after, before)| after - before);
        // What is still acknowledged belongs to the picture.
        sleep(CALM).await;
        let notes = fleet.notes();
        returns.push(returned(
            &notes,
            devices,
            (killed, last),
            (store, ready, cpu),
        ));
    }
    let renewed = renew(&core, &fleet, devices).await?;
    fleet.quiet().await;
    let readings = readings(&fleet.notes(), &place, &cse);
    Ok(Recovery {
        devices,
        returns,
        renewed,
        readings,
        stopped: core.stop().await?,
    })
}

/// The CSE at the core, with a container for readings.
async fn serve() -> anyhow::Result<(Arc<Cse>, SocketAddr, DrainSignal)> {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), HttpLimits::default()).await?;
    let at = server.local_addr()?;
    let options = CseOptions {
        id: EntityId::parse(CORE)?,
        name: "cse-in".into(),
        registrar: None,
        providers: HashMap::new(),
        point_of_access: url(at)?.to_string(),
    };
    let cse = Cse::new(options, HttpLimits::default());
    let (signal, drain) = Drain::new();
    tokio::spawn(server.run(Arc::new(Arc::clone(&cse)), drain));
    let operator = Ae::new("COperator", url(at)?, HttpLimits::default());
    let container = json!({ "m2m:cnt": { "rn": "fleet" } });
    let made = operator.create("/cse-in", 3, &container).await?;
    ensure!(
        made.code == 2001,
        "the container was answered {}",
        made.code
    );
    Ok((cse, at, signal))
}

fn returned(
    notes: &Notes,
    devices: usize,
    (killed, last): (Duration, Duration),
    (store, ready, cpu): (bool, Duration, Option<Duration>),
) -> Return {
    let associated = notes.associated(devices, killed);
    let light = |one: &&(Duration, How)| one.1 == How::Light;
    let mut back: Vec<_> = associated
        .iter()
        .flatten()
        .map(|(at, _)| *at - killed)
        .collect();
    back.sort_unstable();
    let since = killed.saturating_sub(Duration::from_secs(1));
    let packets = notes.handshakes(killed, last).into_iter();
    let acknowledged = notes.acknowledged().filter(|(at, ..)| *at >= since);
    Return {
        store,
        light: associated.iter().flatten().filter(light).count(),
        back,
        packets: packets.map(|(at, bytes)| (at - killed, bytes)).collect(),
        acknowledged: acknowledged.map(|(at, ..)| at - since).collect(),
        ready,
        cpu,
    }
}

/// Has the core move all renewal windows; when each was renewed.
async fn renew(core: &CoreProcess, fleet: &Fleet, devices: usize) -> anyhow::Result<Vec<Duration>> {
    let asked = fleet.now();
    core.renew_all()?;
    fleet.all_associated(asked, PATIENCE).await?;
    // Whoever renewed twice would show now.
    sleep(CALM).await;
    let notes = fleet.notes();
    let associated = notes.associated(devices, asked);
    let renewed = associated.into_iter().flatten();
    let mut renewed: Vec<_> = renewed
        .filter(|(_, how)| *how == How::Renewal)
        .map(|(at, _)| at - asked)
        .collect();
    renewed.sort_unstable();
    Ok(renewed)
}

fn readings(notes: &Notes, place: &Place, cse: &Cse) -> Readings {
    let mut readings = Readings {
        acknowledged: 0,
        lost: 0,
        again: 0,
        twice: 0,
        reported: notes.reported(),
    };
    let mut seen = std::collections::HashSet::new();
    for (_, device, number, again) in notes.acknowledged() {
        readings.acknowledged += 1;
        readings.again += usize::from(again);
        readings.twice += usize::from(!seen.insert((device, number)));
        let path = place.devices.get(device);
        let path = path.and_then(|(entity, _)| fleet::path(entity, number));
        readings.lost += usize::from(!path.is_some_and(|path| cse.holds(&path)));
    }
    readings
}
