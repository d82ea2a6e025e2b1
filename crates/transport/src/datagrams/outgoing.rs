use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;

use refpoint_association::{
    AssociationId, AttemptId, Authenticated, Error, Event, HandleChange, HeldHandle, Outbox,
    ReservedSlot,
};
use refpoint_primitive::Bytes;

use super::socket::Socket;
use crate::clock;

/// So many bytes wait for the socket at most; what comes on top is lost, as on any path.
const MOST_WAITING: usize = 1 << 20;

/// What an end point puts out, until the driver gets to it: packets in one buffer, and events.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    buffer: Vec<u8>,
    packets: VecDeque<(SocketAddr, Range<usize>)>,
    events: VecDeque<Happened>,
}

/// An [`Event`] that can wait.
#[derive(Debug)]
pub(super) enum Happened {
    Established(AssociationId, Authenticated),
    Received(AssociationId, Bytes),
    Replaced(AssociationId, AssociationId),
    Closed(AssociationId, Error),
    Failed(AttemptId, Error),
    Held(HeldHandle),
    Handles(HandleChange),
    NotResumed(AttemptId, Error),
    Deferred(AttemptId, Duration, Option<ReservedSlot>),
}

impl Outbox for Outgoing {
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]) {
        let start = self.buffer.len();
        if start + packet.len() <= MOST_WAITING {
            self.buffer.extend_from_slice(packet);
            self.packets.push_back((to, start..self.buffer.len()));
        }
    }

    fn event(&mut self, event: Event<'_>) {
        self.events.push_back(match event {
            Event::Established { id, peer, .. } => Happened::Established(id, peer.clone()),
            Event::Received { id, data } => Happened::Received(id, Bytes::copy_from_slice(data)),
            Event::Replaced { old, new } => Happened::Replaced(old, new),
            Event::Closed { id, error } => Happened::Closed(id, error),
            Event::Failed { attempt, error } => Happened::Failed(attempt, error),
            Event::Held { handle, .. } => {
                match HeldHandle::from_bytes(clock::now(), &handle.expose_bytes()) {
                    Ok(held) => Happened::Held(held),
                    Err(_) => return,
                }
            }
            Event::Handles(change) => Happened::Handles(change),
            Event::NotResumed { attempt, error } => Happened::NotResumed(attempt, error),
            Event::Deferred {
                attempt,
                until,
                slot,
            } => Happened::Deferred(attempt, until, slot.cloned()),
            // Later versions may tell more; what this one needs is above.
            _ => return,
        });
    }
}

impl Outgoing {
    pub(super) fn next_event(&mut self) -> Option<Happened> {
        self.events.pop_front()
    }

    /// Whether packets wait for the socket.
    pub(super) fn is_waiting(&self) -> bool {
        !self.packets.is_empty()
    }

    /// Sends what the socket takes.
    pub(super) fn send(&mut self, socket: &Socket) {
        while let Some((to, range)) = self.packets.front() {
            match socket.try_send_to(&self.buffer[range.clone()], *to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => tracing::debug!(%to, %error, "a datagram was not sent"),
                Ok(_) => {}
            }
            self.packets.pop_front();
        }
        self.buffer.clear();
    }
}
