//! The containers through which sessions are begun and renewed.

use std::sync::Arc;

use refpoint_e2e::{MEDIA_TYPE, Sealed};
use refpoint_keys::EntityId;
use sha2::{Digest as _, Sha256};
use tokio::time::{Duration, Instant, sleep, timeout};

use super::keys::Known;
use super::refused::Refused;
use super::{EndToEnd, asking, blocking, instance};
use crate::carrier::Carrier;
use crate::clock;
use crate::config::{Boxes, Form};
use crate::drain::Drain;

/// An Initiate that is not answered is posted again after so long.
const REPEATED: Duration = Duration::from_secs(30);

impl EndToEnd {
    /// Looks into letter boxes, posts, and renews sessions, until `drain` begins.
    pub async fn correspond<C: Carrier>(self: Arc<Self>, carrier: C, drain: Drain) {
        if self.known.iter().all(|known| known.contact.boxes.is_none()) {
            return;
        }
        let mut repeated = Instant::now();
        loop {
            for at in 0..self.known.len() {
                self.look(&carrier, at).await;
            }
            {
                let mut state = self.state();
                state.letters.tend(clock::now());
                if repeated.elapsed() >= REPEATED {
                    repeated = Instant::now();
                    state.letters.repeat();
                }
            }
            self.post(&carrier).await;
            tokio::select! {
                () = sleep(self.settings.poll) => {}
                () = self.posted.notified() => {}
                () = drain.begun() => return,
            }
        }
    }

    /// Takes what is new in the box in which a contact posts.
    async fn look<C: Carrier>(self: &Arc<Self>, carrier: &C, at: usize) {
        let Some((known, boxes)) = self.boxes(at) else {
            return;
        };
        let latest = format!("{}/la", boxes.from);
        let found = asking::retrieve(carrier, &self.from, &latest);
        // An empty box, or a CSE that is not there: there will be another time.
        let Ok(Ok(found)) = timeout(self.patience, found).await else {
            return;
        };
        let packet = instance::binary(&found, MEDIA_TYPE);
        let peer = known.contact.entity.clone();
        let taken = match packet {
            Ok(packet) => blocking(self, move |end| end.take(&peer, &packet)).await,
            Err(refused) => Err(refused),
        };
        if let Err(refused) = taken {
            // No content comes this way; after a restart the box holds what was for the process before.
            tracing::info!(%refused, from = latest, "a packet in a letter box is not taken");
        }
    }

    fn take(&self, peer: &EntityId, sealed: &[u8]) -> Result<(), Refused> {
        let mut state = self.state();
        if !state.letters.is_new(peer, Sha256::digest(sealed).into()) {
            return Ok(());
        }
        let Sealed::Packet(packet) = Sealed::decode(sealed)? else {
            return Err(refpoint_e2e::Error::NotAllowed("an object in a letter box").into());
        };
        let sessions = self.settings.sealed.iter();
        let candidates: Vec<_> = sessions
            .filter(|sealed| {
                sealed.form == Form::Session
                    && (sealed.to.contains(peer) || sealed.from.contains(peer))
            })
            .collect();
        state
            .letters
            .receive(clock::now(), &candidates, (&packet, Some(peer)))?;
        state.keep()
    }

    /// Posts one packet for each.
    async fn post<C: Carrier>(&self, carrier: &C) {
        let packets = self.state().letters.take_outbox();
        for (peer, packet) in packets {
            let contact = self.known.iter();
            let at = contact
                .enumerate()
                .find(|(_, known)| known.contact.entity == peer);
            let Some((_, boxes)) = at.and_then(|(at, _)| self.boxes(at)) else {
                continue;
            };
            let body = instance::body_of(&Sealed::Packet(packet.clone()).encode(), MEDIA_TYPE);
            let posted = asking::create(carrier, &self.from, &boxes.to, body);
            let posted = timeout(self.patience, posted).await;
            if !matches!(posted, Ok(Ok(()))) {
                tracing::info!(%peer, to = boxes.to, "a packet is not posted yet");
                self.state().letters.put_back(peer, packet);
            }
        }
    }

    fn boxes(&self, at: usize) -> Option<(&Known, &Boxes)> {
        let known = self.known.get(at)?;
        Some((known, known.contact.boxes.as_ref()?))
    }
}
