//! Sessions by letters: what two ends that answer each other seal, hours apart if need be.

use core::fmt;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use refpoint_association::{Backend, Credential, CredentialId, Credentials, Local, Now, Policy};
use refpoint_e2e::{Arrival, Due, Error, Inner, InnerForm, Padding, SessionId, Sessions, Target};
use refpoint_keys::{EntityId, Profile, UtcTime};
use refpoint_primitive::Content;
use zeroize::Zeroizing;

use super::keys::Known;
use super::places::Digest;
use super::refused::Refused;
use crate::config::SealedResource;
use crate::entropy;

/// A session lives as long as a mailbox keeps letters.
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// 64 epochs of this length are longer than that.
const RATCHET: Duration = Duration::from_secs(6 * 3_600);
/// Letters that can be read again, of all sessions; what is older is a replay.
const KEPT: usize = 256;

/// The sessions of this end, and what they have brought.
pub(super) struct Letters {
    sessions: Sessions,
    credentials: HashMap<EntityId, CredentialId>,
    /// A letter opens once; the resource that holds it may be read again.
    read: HashMap<Digest, Brought>,
    /// Packets to be posted, and to whom.
    outbox: VecDeque<(EntityId, Vec<u8>)>,
    /// What was found last in the box of each.
    found: HashMap<EntityId, Digest>,
}

impl fmt::Debug for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was brought is the AE's.
        f.debug_struct("Letters")
            .field("sessions", &self.sessions)
            .field("read", &self.read.len())
            .finish_non_exhaustive()
    }
}

/// What a letter brought.
#[derive(Clone)]
pub(super) struct Brought {
    pub(super) sender: EntityId,
    pub(super) content: Content,
    pub(super) until: UtcTime,
}

impl Letters {
    /// No sessions yet, with whom there is an application key.
    pub(super) fn new(
        local: &EntityId,
        backend: Backend,
        padding: Padding,
        known: &[Known],
    ) -> Result<Self, Error> {
        let mut table = Credentials::new();
        let mut credentials = HashMap::new();
        let policy = Policy::default()
            .with_lifetime(LIFETIME)?
            .with_ratchet(Some(RATCHET))?;
        for known in known {
            let Some(key) = &known.key else { continue };
            let key = Arc::new(key.connection_key());
            let credential =
                Credential::new(local, key, &[Profile::Psk])?.with_policy(policy.clone());
            let id = table.insert(credential)?;
            credentials.insert(known.contact.entity.clone(), id);
        }
        let sessions = Sessions::new(Local::new(local.clone()), backend, table);
        Ok(Self {
            sessions: sessions.with_padding(padding),
            credentials,
            read: HashMap::new(),
            outbox: VecDeque::new(),
            found: HashMap::new(),
        })
    }

    /// Adds the sessions of a kept state, which only receive (rule E1).
    pub(super) fn restore(&mut self, now: Now, kept: &[u8]) -> Result<(), Error> {
        // What holds the letters is a CSE, not a mailbox: it acknowledges nothing.
        self.sessions.restore(now, kept, 0)
    }

    /// What may be kept of them.
    pub(super) fn to_bytes(&self, now: Now) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.sessions.to_bytes(now, 0)
    }

    /// Seals `inner` for `peer`, if there is a session that can.
    ///
    /// None while there is none: then one is begun, unless it is under way.
    pub(super) fn send(
        &mut self,
        now: Now,
        peer: &EntityId,
        inner: &Inner,
    ) -> Result<Option<Vec<u8>>, Error> {
        let target = &inner.target;
        if let Some(id) = self.sessions.with(peer, target) {
            match self.sessions.send(now, id, inner.clone()) {
                // At a limit: another must take its place.
                Err(Error::Association(_)) => {}
                outcome => return outcome.map(Some),
            }
        }
        let is_offered = self
            .sessions
            .unanswered()
            .any(|(_, whom, what, _)| whom == peer && what == target);
        if !is_offered {
            self.initiate(now, peer, target)?;
        }
        Ok(None)
    }

    fn initiate(&mut self, now: Now, peer: &EntityId, target: &Target) -> Result<(), Error> {
        let credential = *self.credentials.get(peer).ok_or(Error::UnknownSender)?;
        let rng = &mut entropy::system();
        let (_, packet) = self.sessions.initiate(now, rng, credential, target)?;
        self.outbox.push_back((peer.clone(), packet));
        Ok(())
    }

    /// Takes a packet that came for one of `candidates`, perhaps in the box in which `from` posts; what it brought, if
    /// it is a letter with content.
    pub(super) fn receive(
        &mut self,
        now: Now,
        candidates: &[&SealedResource],
        (packet, from): (&[u8], Option<&EntityId>),
    ) -> Result<Option<Brought>, Refused> {
        let mut refused = Error::WrongTarget;
        for candidate in candidates {
            let rng = &mut entropy::system();
            match self.sessions.receive(now, rng, &candidate.target, packet) {
                Ok(arrival) => return self.arrived(now, candidate, arrival, from),
                Err(error) => refused = error,
            }
        }
        Err(refused.into())
    }

    fn arrived(
        &mut self,
        now: Now,
        resource: &SealedResource,
        arrival: Arrival,
        from: Option<&EntityId>,
    ) -> Result<Option<Brought>, Refused> {
        let session = arrival.session;
        let peer = session.and_then(|id| self.peer(id));
        if let (Some(reply), Some(to)) = (arrival.reply, peer.as_ref().or(from)) {
            self.outbox.push_back((to.clone(), reply));
        }
        let (Some(id), Some(sender)) = (session, peer) else {
            return Ok(None);
        };
        if arrival.established {
            // Rule H6: at once, whatever else is to be said.
            let confirm = self.sessions.confirm(now, id)?;
            self.outbox.push_back((sender.clone(), confirm));
        }
        let Some(inner) = arrival.inner else {
            return Ok(None);
        };
        if !resource.from.contains(&sender) {
            return Err(Error::NotAllowed("this sender").into());
        }
        match inner.form {
            InnerForm::Content(content) => Ok(Some(Brought {
                sender,
                content,
                until: inner.expires,
            })),
            InnerForm::Request(_) | InnerForm::Response(_) => {
                Err(Refused::Unreadable("the sealed content"))
            }
        }
    }

    fn peer(&self, id: SessionId) -> Option<EntityId> {
        let mut all = self.sessions.iter();
        let found = all.find(|(other, _)| *other == id);
        found.map(|(_, session)| session.peer().entity().clone())
    }

    /// Keeps what a letter brought, so that its resource can be read again.
    pub(super) fn keep(&mut self, now: UtcTime, digest: Digest, brought: &Brought) {
        self.read.retain(|_, brought| brought.until > now);
        if self.read.len() >= KEPT {
            let first = self.read.iter().min_by_key(|(_, brought)| brought.until);
            if let Some(digest) = first.map(|(digest, _)| *digest) {
                self.read.remove(&digest);
            }
        }
        self.read.insert(digest, brought.clone());
    }

    /// What a letter brought that opened before.
    pub(super) fn again(&self, now: UtcTime, digest: &Digest) -> Option<Brought> {
        let brought = self.read.get(digest)?;
        (brought.until > now).then(|| brought.clone())
    }

    /// Renews what is due and wipes what is over.
    pub(super) fn tend(&mut self, now: Now) {
        for due in self.sessions.tend(now) {
            let outcome = match due {
                Due::Renew(id) => self.renew(now, id),
                Due::Ask(id) => {
                    let peer = self.peer(id);
                    let asked = self.sessions.ask_to_renew(now, id);
                    asked.map(|packet| self.outbox.extend(peer.map(|peer| (peer, packet))))
                }
            };
            if let Err(error) = outcome {
                tracing::info!(%error, "a session is not renewed");
            }
        }
    }

    fn renew(&mut self, now: Now, id: SessionId) -> Result<(), Error> {
        let about = self.sessions.target(id).cloned();
        let (Some(peer), Some(target)) = (self.peer(id), about) else {
            return Ok(());
        };
        self.initiate(now, &peer, &target)
    }

    /// The Initiates that nobody has answered, once more.
    pub(super) fn repeat(&mut self) {
        let unanswered = self.sessions.unanswered();
        let again = unanswered.map(|(_, peer, _, packet)| (peer.clone(), packet.to_vec()));
        self.outbox.extend(again);
    }

    /// What is to be posted next: one packet for each, since who looks into a box sees the latest.
    pub(super) fn take_outbox(&mut self) -> Vec<(EntityId, Vec<u8>)> {
        let mut taken: Vec<(EntityId, Vec<u8>)> = Vec::new();
        let mut rest = VecDeque::new();
        for (peer, packet) in self.outbox.drain(..) {
            if taken.iter().any(|(other, _)| *other == peer) {
                rest.push_back((peer, packet));
            } else {
                taken.push((peer, packet));
            }
        }
        rest.truncate(KEPT);
        self.outbox = rest;
        taken
    }

    /// What could not be posted, to be posted next.
    pub(super) fn put_back(&mut self, peer: EntityId, packet: Vec<u8>) {
        self.outbox.push_front((peer, packet));
    }

    /// Whether a packet in the box of `peer` is another than the last one.
    pub(super) fn is_new(&mut self, peer: &EntityId, digest: Digest) -> bool {
        self.found.insert(peer.clone(), digest) != Some(digest)
    }
}
