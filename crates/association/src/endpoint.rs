//! Associations on datagrams: many of them, behind one socket.

use alloc::{boxed::Box, collections::BTreeMap, collections::BTreeSet, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use rand_core::CryptoRng;
use refpoint_wire::{HandleId, Index, Packet, Refuse, SessionLabel};
use zeroize::ZeroizeOnDrop;

use self::{
    association::{Association, NONE, Phase},
    attempt::{Answer, Attempt},
    half_open::HalfOpen,
    slots::{Slot, Slots},
};
use crate::{
    Admission, Authenticated, Credential, CredentialId, Credentials, Error, HeldHandle,
    IssuedHandles, Local, Now, RenewalPlan, SlotTokenKey,
    bucket::Bucket,
    contexts::{Contexts, Owner},
    cookie::CookieKey,
    negotiation::packet_hash,
};

mod addressing;
mod admitting;
mod association;
mod attempt;
mod config;
mod control;
mod grants;
mod half_open;
#[cfg(test)]
mod insiders;
mod outbox;
mod receiving;
mod reserved;
mod responding;
mod resuming;
mod sending;
mod slots;
mod succession;
mod timeouts;

pub use config::Config;
pub use outbox::{AssociationId, AttemptId, Event, Outbox};
pub use reserved::ReservedSlot;

/// Timers are numbers: milliseconds above, the slot (at most 22 bits) that they are for below.
const TIMER_SLOT_BITS: u32 = 24;

/// The timer of a slot at a time, which is bounded to some 34 years.
fn timer(at: u64, slot: u32) -> u64 {
    at.min((1 << (64 - TIMER_SLOT_BITS)) - 1) << TIMER_SLOT_BITS | u64::from(slot)
}

/// What an end point has done and dropped. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Handshakes answered.
    pub answered: u64,
    /// Initiates answered by a Retry.
    pub retried: u64,
    /// Packets that are no packets, or are not expected.
    pub malformed: u64,
    /// Handshake messages that did not authenticate.
    pub unauthenticated: u64,
    /// Records that did not open.
    pub unopened: u64,
    /// Records that were replays, too old or too far ahead.
    pub replayed: u64,
    /// Records for no association.
    pub unknown: u64,
    /// Packets dropped to bound what strangers cost.
    pub limited: u64,
    /// Records delivered or understood.
    pub opened: u64,
    /// Resumes answered.
    pub resumed: u64,
    /// Resumes whose handle was no good, and whose sender was told so.
    pub refused: u64,
}

/// The keys of what a responder has given out: they belong with the store of its handles, so that
/// a restart makes neither handles nor slots worthless.
#[derive(ZeroizeOnDrop)]
pub struct ResponderKeys {
    /// Of cookies.
    pub cookies: [u8; 32],
    /// Of slot tokens.
    pub slots: [u8; 32],
    /// Of the tags over handles.
    pub handles: [u8; 32],
}

impl core::fmt::Debug for ResponderKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ResponderKeys(..)")
    }
}

/// All associations of one entity behind one datagram socket.
///
/// It reads no clock and no socket: the caller passes the time, the packets and the randomness,
/// and an [`Outbox`] that takes what comes out. The caller's loop is: wait for a packet or for
/// [`next_timeout`](Self::next_timeout), then call [`receive`](Self::receive) or
/// [`handle_timeout`](Self::handle_timeout).
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    local: Local,
    credentials: Credentials,
    slots: Slots,
    timers: BTreeSet<u64>,
    /// The first association of each credential that has any.
    heads: BTreeMap<CredentialId, u32>,
    attempts: BTreeMap<u64, Attempt>,
    /// Which peers did not answer the last attempt.
    silent: BTreeSet<(CredentialId, SessionLabel)>,
    /// Slots from before a restart, until an attempt waits for them.
    reserved: BTreeMap<(CredentialId, SessionLabel), ReservedSlot>,
    half_open: HalfOpen,
    /// Associations that nobody has confirmed to yet.
    unconfirmed: usize,
    contexts: Contexts,
    /// What this end has issued as responder, and what it may redeem as initiator: two tables
    /// that share nothing (rule S3).
    issued: IssuedHandles,
    held: BTreeMap<(CredentialId, SessionLabel), HeldHandle>,
    /// The handle that was issued last, and of which association: its grant comes next.
    last_issued: Option<(AssociationId, HandleId)>,
    /// Whose renewal lies when; made when this end first is a responder.
    plan: Option<Box<RenewalPlan>>,
    cookie: CookieKey,
    /// None: a cookie is always asked for.
    admission: Option<Admission>,
    tokens: SlotTokenKey,
    utc_offset: Option<i64>,
    retries: Bucket,
    refusals: Bucket,
    handle_refusals: Bucket,
    strays: Bucket,
    hints: Bucket,
    scratch: Vec<u8>,
    serial: u64,
    statistics: Statistics,
}

impl Endpoint {
    /// An end point of `local`. The randomness makes its cookie key.
    #[must_use]
    pub fn new(
        config: Config,
        local: Local,
        credentials: Credentials,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        Self {
            slots: Slots::new(config.index_len),
            contexts: Contexts::new(config.contexts),
            admission: config.admission.clone().map(Admission::new),
            utc_offset: None,
            retries: Bucket::new(20_000, 2_000),
            refusals: Bucket::new(100, 20),
            handle_refusals: Bucket::new(20_000, 2_000),
            strays: Bucket::new(1_000, 1_000),
            hints: Bucket::new(10, 10),
            tokens: SlotTokenKey::new(draw(rng)),
            cookie: CookieKey::new(rng),
            issued: IssuedHandles::new(config.handles, rng),
            held: BTreeMap::new(),
            last_issued: None,
            plan: None,
            timers: BTreeSet::new(),
            heads: BTreeMap::new(),
            attempts: BTreeMap::new(),
            silent: BTreeSet::new(),
            reserved: BTreeMap::new(),
            half_open: HalfOpen::default(),
            unconfirmed: 0,
            scratch: Vec::with_capacity(config.max_datagram),
            serial: 0,
            statistics: Statistics::default(),
            config,
            local,
            credentials,
        }
    }

    /// With the keys that this end's cookies and handles were made by before it restarted, or that
    /// its replicas share (rules S6, T2).
    #[must_use]
    pub fn with_responder_keys(mut self, keys: &ResponderKeys) -> Self {
        self.cookie = CookieKey::from_bytes(keys.cookies);
        self.tokens = SlotTokenKey::new(keys.slots);
        self.issued = self.issued.with_key(keys.handles);
        self
    }

    /// The keys that its cookies and handles are made by, for a store.
    #[must_use]
    pub fn responder_keys(&self) -> ResponderKeys {
        ResponderKeys {
            cookies: *self.cookie.expose_bytes(),
            slots: *self.tokens.expose_bytes(),
            handles: *self.issued.expose_key(),
        }
    }

    /// Takes in a packet that was received from `from`. The packet is opened in place.
    ///
    /// Nothing that comes from outside is an error of this call: what does not authenticate is
    /// dropped and counted, see [`statistics`](Self::statistics).
    pub fn receive(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        packet: &mut [u8],
        out: &mut dyn Outbox,
    ) {
        match Packet::parse(packet) {
            Ok(Packet::Record(record)) => self.receive_record(now, rng, from, record, packet, out),
            Ok(Packet::Initiate(initiate)) => {
                self.receive_initiate(now, rng, from, packet, &initiate, out);
            }
            Ok(Packet::Respond { index, message }) => {
                let answer = Answer {
                    index,
                    header: None,
                    message,
                };
                self.receive_answer(now, rng, None, &answer, out);
            }
            Ok(Packet::Resume(resume)) => self.receive_resume(now, rng, from, packet, &resume, out),
            Ok(Packet::Resumed {
                index,
                header,
                body,
            }) => {
                let answer = Answer {
                    index,
                    header: Some(header),
                    message: body,
                };
                self.receive_answer(now, rng, None, &answer, out);
            }
            Ok(Packet::Retry(retry)) => self.receive_retry(now, rng, from, &retry, out),
            Ok(Packet::Refuse(refuse)) => self.receive_refuse(now, rng, from, &refuse, out),
            Err(refpoint_wire::Error::Version(_)) => self.refuse_version(now, from, packet, out),
            Err(_) => self.statistics.malformed += 1,
        }
    }

    /// Names the versions spoken here: never more bytes than were received, and seldom.
    fn refuse_version(&mut self, now: Now, from: SocketAddr, packet: &[u8], out: &mut dyn Outbox) {
        self.statistics.malformed += 1;
        let refuse = Refuse::version(packet_hash(packet)).encode();
        if refuse.len() <= packet.len() && self.refusals.take(now.millis()) {
            out.transmit(from, &refuse);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, in monotonic time.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let attempts_and_associations = self.timers.first().map(|timer| timer >> TIMER_SLOT_BITS);
        let next = attempts_and_associations
            .into_iter()
            .chain(self.half_open.deadline())
            .min();
        next.map(Duration::from_millis)
    }

    /// The credentials.
    #[must_use]
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Adds a credential; associations by it can be made from now on.
    ///
    /// # Errors
    /// As [`Credentials::insert`].
    pub fn insert_credential(&mut self, credential: Credential) -> Result<CredentialId, Error> {
        self.credentials.insert(credential)
    }

    /// The peer of an association.
    #[must_use]
    pub fn peer(&self, id: AssociationId) -> Option<&Authenticated> {
        self.association(id)
            .ok()
            .map(|association| &association.peer)
    }

    /// Where an association's packets go.
    #[must_use]
    pub fn address(&self, id: AssociationId) -> Option<SocketAddr> {
        self.association(id)
            .ok()
            .map(|association| association.address)
    }

    /// The indices by which this end and the peer are addressed in this association's records, in
    /// clear: who reads a capture knows by them which records are whose.
    #[must_use]
    pub fn indices(&self, id: AssociationId) -> Option<(Index, Index)> {
        let association = self.association(id).ok()?;
        Some((association.index, association.remote))
    }

    /// The most payload bytes that one record of this association carries.
    ///
    /// # Errors
    /// [`Error::NoAssociation`].
    pub fn max_payload(&self, id: AssociationId) -> Result<usize, Error> {
        let index = self.association(id)?.remote.wire_len();
        Ok(self.config.max_datagram - (1 + index + 4 + refpoint_wire::TAG_LEN))
    }

    /// The epochs of both directions, sent and received: how often keys were ratcheted.
    ///
    /// # Errors
    /// [`Error::NoAssociation`].
    pub fn epochs(&self, id: AssociationId) -> Result<(u64, u64), Error> {
        let association = self.association(id)?;
        Ok((association.sender.epoch(), association.receiver.epoch()))
    }

    /// Exports key material bound to an association (as RFC 5705 does for TLS).
    ///
    /// # Errors
    /// [`Error::NoAssociation`].
    pub fn export(
        &self,
        id: AssociationId,
        label: &[u8],
        context: &[u8],
        out: &mut [u8],
    ) -> Result<(), Error> {
        self.association(id)?.exporter.export(label, context, out);
        Ok(())
    }

    /// How many associations, tries and half-open ones there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.slots.held()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it has done and dropped.
    #[must_use]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    fn association(&self, id: AssociationId) -> Result<&Association, Error> {
        let held = self.slots.association(id.slot);
        held.filter(|held| held.serial == id.serial)
            .ok_or(Error::NoAssociation)
    }

    fn number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Puts an association into its slot, its credential's list and the timers.
    fn admit(&mut self, association: Association) -> AssociationId {
        let slot = self.slots.number(association.index);
        let id = association.id(slot);
        let credential = association.peer.credential_id();
        let index = association.index;
        self.slots.put(index, Slot::Held(association));
        let next = self.heads.insert(credential, slot).unwrap_or(NONE);
        if let Some(association) = self.slots.association_mut(slot) {
            association.next_of_peer = next;
        }
        self.schedule(slot);
        id
    }

    /// Removes an association and wipes what it had.
    fn remove(&mut self, slot: u32, now: u64) {
        let Some(association) = self.slots.association(slot) else {
            return;
        };
        let (serial, index, set_to) = (association.serial, association.index, association.timer);
        let credential = association.peer.credential_id();
        let next = association.next_of_peer;
        let unconfirmed = matches!(association.phase, Phase::Unconfirmed(_));
        let cached = (association.sender.cached_at, association.receiver.cached_at);
        self.contexts.forget(
            Owner {
                serial,
                sends: true,
            },
            cached.0,
        );
        self.contexts.forget(
            Owner {
                serial,
                sends: false,
            },
            cached.1,
        );
        self.timers.remove(&timer(set_to, slot));
        self.unlink(credential, slot, next);
        self.slots.free(index, now);
        self.unconfirmed -= usize::from(unconfirmed);
    }

    fn unlink(&mut self, credential: CredentialId, slot: u32, next: u32) {
        if self.heads.get(&credential) == Some(&slot) {
            if next == NONE {
                self.heads.remove(&credential);
            } else {
                self.heads.insert(credential, next);
            }
            return;
        }
        let mut at = self.heads.get(&credential).copied().unwrap_or(NONE);
        while let Some(association) = self.slots.association_mut(at) {
            if association.next_of_peer == slot {
                association.next_of_peer = next;
                return;
            }
            at = association.next_of_peer;
        }
    }

    /// The slots of a credential's associations.
    fn of_credential(&self, credential: CredentialId) -> impl Iterator<Item = u32> {
        let held = |at: u32| self.slots.association(at).map(|_| at);
        let head = self.heads.get(&credential).copied();
        core::iter::successors(head.and_then(held), move |at| {
            held(self.slots.association(*at)?.next_of_peer)
        })
    }

    /// Sets the timer of an association to its deadline.
    fn schedule(&mut self, slot: u32) {
        let Some(association) = self.slots.association_mut(slot) else {
            return;
        };
        let deadline = association.deadline();
        if deadline != association.timer {
            self.timers.remove(&timer(association.timer, slot));
            association.timer = deadline;
            self.timers.insert(timer(deadline, slot));
        }
    }

    /// Moves the timer of an association forward if something is due earlier than it is set.
    #[inline]
    fn hasten(&mut self, slot: u32) {
        if let Some(association) = self.slots.association(slot)
            && association.deadline() < association.timer
        {
            self.schedule(slot);
        }
    }

    fn context(&self) -> crate::negotiation::Context<'_> {
        crate::negotiation::Context {
            local: &self.local,
            backend: self.config.backend,
            carriage: refpoint_wire::Carriage::Packet,
            binding: None,
        }
    }
}

fn draw(rng: &mut dyn CryptoRng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}
