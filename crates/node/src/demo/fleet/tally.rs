//! What a fleet notes while it runs.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refpoint_wire::Packet;

/// How an association came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// By a full handshake.
    Handshake,
    /// By a handle, without a DH.
    Light,
    /// By a handshake inside the one before.
    Renewal,
}

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It has an association.
    Associated(How),
    /// The CSE at the core has taken a reading, now or, if `again`, already before.
    Acknowledged {
        /// Which of the device's.
        number: u32,
        /// Whether it had it already.
        again: bool,
    },
    /// A reading was refused, or not answered for too long: the device's owner is told.
    Reported,
}

/// A packet on the way to or from the core, as everybody on the path sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) at: Duration,
    pub(crate) bytes: usize,
    /// Whether it makes an association: not a record of one.
    pub(crate) makes: bool,
}

/// Everything noted, in time since the fleet began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    pub(crate) happened: Vec<(Duration, usize, What)>,
    pub(crate) packets: Vec<Seen>,
}

/// Where all hosts of a fleet note it.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally(Arc<Mutex<Notes>>);

impl Tally {
    pub(super) fn note(&self, at: Duration, device: usize, what: What) {
        self.notes().happened.push((at, device, what));
    }

    pub(super) fn saw(&self, at: Duration, packet: &[u8]) {
        let makes = !matches!(Packet::parse(packet), Ok(Packet::Record(_)));
        let bytes = packet.len();
        self.notes().packets.push(Seen { at, bytes, makes });
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    /// When each of `devices` had its first association that was made after `since`, and how.
    pub(crate) fn associated(
        &self,
        devices: usize,
        since: Duration,
    ) -> Vec<Option<(Duration, How)>> {
        let mut first = vec![None; devices];
        for (at, device, what) in &self.happened {
            if let (What::Associated(how), Some(first)) = (what, first.get_mut(*device))
                && *at >= since
                && first.is_none()
            {
                *first = Some((*at, *how));
            }
        }
        first
    }

    /// The packets between two instants that make associations: when, and how long.
    pub(crate) fn handshakes(&self, from: Duration, to: Duration) -> Vec<(Duration, usize)> {
        let between = |seen: &&Seen| seen.makes && (from..=to).contains(&seen.at);
        let packets = self.packets.iter().filter(between);
        let mut packets: Vec<_> = packets.map(|seen| (seen.at, seen.bytes)).collect();
        // Each host notes its own.
        packets.sort_unstable();
        packets
    }

    /// When readings were acknowledged.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = (Duration, usize, u32, bool)> {
        self.happened
            .iter()
            .filter_map(|(at, device, what)| match what {
                What::Acknowledged { number, again } => Some((*at, *device, *number, *again)),
                _ => None,
            })
    }

    /// How many readings were refused or not answered for too long.
    pub(crate) fn reported(&self) -> usize {
        let reported = |(_, _, what): &&(Duration, usize, What)| *what == What::Reported;
        self.happened.iter().filter(reported).count()
    }
}
