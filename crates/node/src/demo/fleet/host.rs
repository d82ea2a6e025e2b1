//! Many devices behind one socket, as behind a NAT.

use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use refpoint_association::Now;
use refpoint_wire::Packet;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::device::{Device, Out};
use super::tally::{How, Tally};
use crate::utc;

/// So many packets are taken before anything else gets its turn.
const BATCH: usize = 64;

pub(super) struct Host {
    pub(super) socket: UdpSocket,
    pub(super) devices: Vec<Device>,
    pub(super) begun: Instant,
    pub(super) tally: Tally,
    /// Whether further readings are sent; the fleet is gone when nobody can say.
    pub(super) sends: watch::Receiver<bool>,
    /// How many devices wait for an acknowledgement.
    pub(super) waiting: watch::Sender<usize>,
}

impl Host {
    pub(super) async fn run(mut self) {
        let mut out = Out::default();
        let mut buffer = vec![0; 2048];
        loop {
            let sends = *self.sends.borrow_and_update();
            let due = self.devices.iter().map(|device| device.next_timeout(sends));
            let due = due.min().unwrap_or(Duration::MAX);
            let due = due.min(self.begun.elapsed() + Duration::from_secs(1));
            tokio::select! {
                _ = self.socket.readable() => self.receive(&mut buffer, &mut out),
                () = sleep_until((self.begun + due).into()) => {}
                changed = self.sends.changed() => if changed.is_err() {
                    return;
                },
            }
            let now = self.now();
            for device in &mut self.devices {
                if device.next_timeout(sends) <= now.monotonic {
                    device.handle_timeout(now, sends, &mut out, &self.tally);
                }
            }
            self.send(&mut out);
            let waiting = self.devices.iter().filter(|device| device.is_waiting());
            self.waiting.send_replace(waiting.count());
        }
    }

    fn now(&self) -> Now {
        Now::new(self.begun.elapsed(), utc::now())
    }

    fn receive(&mut self, buffer: &mut [u8], out: &mut Out) {
        for _ in 0..BATCH {
            let Ok((length, from)) = self.socket.try_recv_from(buffer) else {
                return;
            };
            let packet = &buffer[..length];
            let (now, how) = (self.now(), how(packet));
            self.tally.saw(now.monotonic, packet);
            self.deliver(now, from, packet, how, out);
        }
    }

    fn deliver(&mut self, now: Now, from: SocketAddr, packet: &[u8], how: How, out: &mut Out) {
        for device in &mut self.devices {
            if device.is_addressed(packet) {
                // It is opened in place, and an index may be that of two devices.
                let mut packet = packet.to_vec();
                device.receive(now, from, &mut packet, how, out, &self.tally);
            }
        }
    }

    /// What the socket does not take is lost, as on any path.
    fn send(&mut self, out: &mut Out) {
        let now = self.now().monotonic;
        for (to, packet) in out.packets.drain(..) {
            self.tally.saw(now, &packet);
            let _ = self.socket.try_send_to(&packet, to);
        }
    }
}

/// How the association comes about that a packet completes, if it completes one.
fn how(packet: &[u8]) -> How {
    match Packet::parse(packet) {
        Ok(Packet::Resumed { .. }) => How::Light,
        Ok(Packet::Record(_)) => How::Renewal,
        _ => How::Handshake,
    }
}
