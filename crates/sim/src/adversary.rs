//! The attacker on the path.

use core::net::SocketAddr;
use core::time::Duration;

use crate::Packet;

/// Who sees every packet before the link does, and decides what becomes of it.
///
/// A closure will do: `|now: Duration, packet: &Packet, injector: &mut Injector| Verdict::Pass`.
/// Packets that it injects travel without further loss and are not shown to it again.
pub trait Adversary {
    /// Looks at `packet`, sent at `now`, and decides; may inject others through `injector`.
    fn intercept(&mut self, now: Duration, packet: &Packet, injector: &mut Injector) -> Verdict;
}

impl<F> Adversary for F
where
    F: FnMut(Duration, &Packet, &mut Injector) -> Verdict,
{
    fn intercept(&mut self, now: Duration, packet: &Packet, injector: &mut Injector) -> Verdict {
        self(now, packet, injector)
    }
}

/// What the adversary does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Lets the link have it.
    Pass,
    /// Takes it out.
    Drop,
    /// Lets the link have these bytes instead.
    Replace(Vec<u8>),
}

/// Collects what the adversary sends.
#[derive(Debug, Default)]
pub struct Injector {
    packets: Vec<(Duration, Packet)>,
}

impl Injector {
    /// Sends `data` to `to` as if from `from`; it arrives after `delay`.
    pub fn inject(
        &mut self,
        delay: Duration,
        from: SocketAddr,
        to: SocketAddr,
        data: impl Into<Vec<u8>>,
    ) {
        self.packets.push((delay, Packet::new(from, to, data)));
    }

    /// Sends a copy of `packet`, which arrives after `delay`.
    pub fn replay(&mut self, delay: Duration, packet: &Packet) {
        self.packets.push((delay, packet.clone()));
    }

    pub(crate) fn into_packets(self) -> Vec<(Duration, Packet)> {
        self.packets
    }
}
