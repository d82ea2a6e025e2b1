//! A thousand devices with associations of their own behind a few sockets, and the core that they send to: a node in a
//! process of its own, which can be killed.

mod core_process;
mod device;
mod host;
mod tally;

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use refpoint_keys::{ConnectionKey, EntityId};
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub(super) use core_process::{CoreProcess, Place};
use device::Device;
use host::Host;
use tally::Tally;
pub(super) use tally::{How, Notes};

/// So many sockets are enough for all.
const SOCKETS: usize = 4;

/// The devices begin within this time, so that the first handshakes are no storm.
const BEGIN: Duration = Duration::from_millis(1500);

/// Where readings go at the core's CSE.
const CONTAINER: &str = "/cse-in/fleet";

/// Devices that send a reading every second.
pub(super) struct Fleet {
    begun: Instant,
    devices: usize,
    tally: Tally,
    sends: watch::Sender<bool>,
    waiting: Vec<watch::Receiver<usize>>,
    _hosts: JoinSet<()>,
}

impl Fleet {
    /// Starts a device for each key, all of which send to `core`.
    pub(super) async fn start(
        keys: &[(EntityId, Arc<ConnectionKey>)],
        core: SocketAddr,
    ) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let tally = Tally::default();
        let (sends, receiver) = watch::channel(true);
        let (mut hosts, mut waiting) = (JoinSet::new(), Vec::new());
        let step = BEGIN / u32::try_from(keys.len().max(1)).context("fewer devices")?;
        for host in 0..SOCKETS {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            // As large as the system lets it be: it stands for many.
            let _ = SockRef::from(&socket).set_recv_buffer_size(4 << 20);
            let mut devices = Vec::new();
            for (number, (entity, key)) in keys.iter().enumerate().skip(host).step_by(SOCKETS) {
                let begin = step * u32::try_from(number).context("fewer devices")?;
                devices.push(Device::new(number, key, entity, core, begin)?);
            }
            let (sender, count) = watch::channel(0);
            waiting.push(count);
            let host = Host {
                socket,
                devices,
                begun,
                tally: tally.clone(),
                sends: receiver.clone(),
                waiting: sender,
            };
            hosts.spawn(host.run());
        }
        Ok(Self {
            begun,
            devices: keys.len(),
            tally,
            sends,
            waiting,
            _hosts: hosts,
        })
    }

    /// The time since it began.
    pub(super) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What it has noted so far.
    pub(super) fn notes(&self) -> Notes {
        self.tally.notes().clone()
    }

    /// Waits until every device has made an association after `since`, and for `patience` at most; the time when the
    /// last one had.
    pub(super) async fn all_associated(
        &self,
        since: Duration,
        patience: Duration,
    ) -> anyhow::Result<Duration> {
        let until = self.now() + patience;
        loop {
            let associated = self.tally.notes().associated(self.devices, since);
            let times = associated.iter().map(|one| one.map(|(at, _)| at));
            if let Some(times) = times.collect::<Option<Vec<_>>>() {
                return Ok(times.into_iter().max().unwrap_or(since));
            }
            let missing = associated.iter().filter(|one| one.is_none()).count();
            ensure!(
                self.now() < until,
                "{missing} of {} devices have no association after {patience:?}",
                self.devices
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends no further readings, and waits until those on the way are acknowledged or reported.
    pub(super) async fn quiet(&mut self) {
        self.sends.send_replace(false);
        // Each host goes on for a second at most before it notices.
        sleep(Duration::from_millis(1100)).await;
        for waiting in &mut self.waiting {
            let _ = waiting.wait_for(|count| *count == 0).await;
        }
    }
}

/// Where a reading is at the core's CSE.
pub(super) fn path(device: &EntityId, number: u32) -> Option<String> {
    let name = device::reading_name(device.to_stem()?, number);
    Some(format!("{}/{name}", CONTAINER.trim_start_matches('/')))
}
