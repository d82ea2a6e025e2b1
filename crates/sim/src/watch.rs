//! An observer of many associations, for runs too long to look at: what must never happen is
//! counted, whoever is at fault.

use core::hash::BuildHasher as _;
use core::time::Duration;
use std::collections::{HashMap, HashSet, VecDeque, hash_map};
use std::hash::RandomState;

use self::{
    clear::{Clear, RecordClear},
    direction::Direction,
    patience::Patience,
};

mod clear;
mod direction;
mod findings;
mod patience;

pub use findings::{Findings, Violation};

/// What both ends of an association, and nobody else, can name it by: something exported from it.
pub type Fingerprint = [u8; 16];

/// A machine: it keeps its number when it reboots or moves to another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(pub u32);

/// How long things may take, in true time.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long records of an epoch that was left are still opened, by the slowest clock.
    pub reorder: Duration,
    /// How long someone who wants to be heard and can be reached may have to wait.
    pub patience: Duration,
    /// How long a packet, or a copy of it, may be under way.
    pub horizon: Duration,
    /// How many epochs a receiver derives ahead; beyond, the ends need another association.
    pub ahead: u64,
}

/// An association, as one of its ends sees it when it is established there.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// What names it.
    pub fingerprint: Fingerprint,
    /// The other end.
    pub peer: Place,
    /// Whether this end initiated it.
    pub initiates: bool,
    /// The index by which the other end is addressed: its length and its value.
    pub peer_index: (u8, u32),
    /// The binary logarithm of the records an epoch covers.
    pub epoch_bits: u8,
    /// When this end must have stopped to seal, in true time: its policy and its key say so.
    pub seals_until: Duration,
    /// When this end must have stopped to open.
    pub opens_until: Duration,
}

/// Watches packets as they leave and arrive, and what the ends say of themselves.
///
/// It shares no code with what it watches: it reads clear headers by the wire specification, and
/// has no keys. All times are true ones, those of [`Net::now`](crate::Net::now).
///
/// | violation | how it is seen |
/// |---|---|
/// | a nonce used twice | a record that leaves with a sequence not above the one before under the same key; a key that an end has again; two handshake messages with one ephemeral key or nonce |
/// | traffic under an expired key | a record that leaves, or whose content is delivered, after the end that its user's policy and key give |
/// | ends in different epochs | a record of a later epoch has arrived, and its receiver is still in an earlier one after the reorder time; or a record of an earlier one opens after it |
/// | delivered twice | a record, or a copy of it, whose content is delivered again; or that nobody has sent |
/// | stranded | a place that wants to be heard, that nothing outside keeps from it, and that was not heard within the patience |
#[derive(Debug)]
pub struct Watch {
    rules: Rules,
    hasher: RandomState,
    associations: HashMap<Fingerprint, [Direction; 2]>,
    /// Associations that are over, so that none comes back.
    over: HashSet<Fingerprint>,
    /// Those still kept, in the order in which they can be forgotten.
    claimed: VecDeque<(Duration, Fingerprint)>,
    /// Which associations' the records are that travel so: a place that has forgotten that it has chosen
    /// an index may choose it again, while its peer still uses it for the older association.
    channels: HashMap<Channel, Vec<(Fingerprint, usize)>>,
    /// How often each place has lost its memory.
    boots: HashMap<Place, u32>,
    under_way: HashMap<[u8; 16], Sealed>,
    /// The record that arrives now.
    arriving: Option<Sealed>,
    left: VecDeque<(Duration, [u8; 16])>,
    /// What a handshake message must not share with another one, and the message.
    fresh: HashMap<(u8, Vec<u8>), u64>,
    patience: Patience,
    findings: Findings,
}

/// By whom and to whom and which index records travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Channel {
    from: Place,
    boot: u32,
    to: Place,
    index: (u8, u32),
}

/// A record that has left its sender.
#[derive(Clone, Copy, Debug)]
struct Sealed {
    fingerprint: Fingerprint,
    direction: usize,
    sequence: u64,
    packet: u64,
    delivered: bool,
}

impl Watch {
    /// A watch that has seen nothing.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            hasher: RandomState::new(),
            associations: HashMap::new(),
            over: HashSet::new(),
            claimed: VecDeque::new(),
            channels: HashMap::new(),
            boots: HashMap::new(),
            under_way: HashMap::new(),
            arriving: None,
            left: VecDeque::new(),
            fresh: HashMap::new(),
            patience: Patience::new(rules.patience),
            findings: Findings::default(),
        }
    }

    /// `place` has established an association. Call it before the packets of the same moment.
    pub fn claimed(&mut self, now: Duration, place: Place, claim: &Claim) {
        self.forget(now);
        let direction = usize::from(!claim.initiates);
        let fingerprint = claim.fingerprint;
        if self.over.contains(&fingerprint) {
            self.findings.note(Violation::NonceTwice, now, || {
                format!("{place:?} has keys again that were over")
            });
            return;
        }
        let bits = claim.epoch_bits;
        let both = self.associations.entry(fingerprint).or_insert_with(|| {
            self.claimed.push_back((now, fingerprint));
            [Direction::new(bits), Direction::new(bits)]
        });
        if !both[direction].own(place, claim) || !both[1 - direction].heard_by(place, claim) {
            self.findings.note(Violation::NonceTwice, now, || {
                format!("{place:?} has the keys that it, or another place, had before")
            });
        }
        self.findings.claims += 1;
        let channel = self.channel(place, claim.peer, claim.peer_index);
        if let Some(both) = self.associations.get_mut(&fingerprint) {
            both[direction].channel = Some(channel);
        }
        let claimed = (fingerprint, direction);
        self.channels.entry(channel).or_default().push(claimed);
    }

    /// `place` has lost its memory: what it sends from now on is under keys it makes from now on.
    pub fn rebooted(&mut self, place: Place) {
        *self.boots.entry(place).or_default() += 1;
    }

    /// A packet leaves. Every packet that an end puts out is to be shown, lost ones included.
    pub fn sent(&mut self, now: Duration, from: Place, to: Place, packet: &[u8]) {
        self.findings.packets += 1;
        match Clear::read(packet) {
            Some(Clear::Record(record)) => self.record_left(now, from, to, &record, packet),
            Some(Clear::Handshake { kind, fresh }) => {
                let hash = self.hash(packet);
                self.findings.handshakes += 1;
                match self.fresh.entry((kind, fresh.to_vec())) {
                    hash_map::Entry::Vacant(vacant) => {
                        vacant.insert(hash);
                    }
                    hash_map::Entry::Occupied(same) if *same.get() == hash => {}
                    hash_map::Entry::Occupied(_) => {
                        self.findings.note(Violation::NonceTwice, now, || {
                            format!("{from:?} sends two messages of kind {kind} with one ephemeral")
                        });
                    }
                }
            }
            Some(Clear::Other) => {}
            None => self.findings.unreadable += 1,
        }
    }

    fn record_left(
        &mut self,
        now: Duration,
        from: Place,
        to: Place,
        record: &RecordClear,
        packet: &[u8],
    ) {
        self.findings.records += 1;
        let channel = self.channel(from, to, record.index);
        let claimed = self.channels.get(&channel).map_or(&[][..], Vec::as_slice);
        let follows = |(of, direction): &&(Fingerprint, usize)| {
            let both = self.associations.get(of);
            both.is_some_and(|both| both[*direction].is_followed_by(record.low, record.bits))
        };
        // Of several, the newest that this record follows in; else it is out of order in the newest.
        let of = claimed.iter().rev().find(follows).or(claimed.last());
        let Some(&(fingerprint, direction)) = of else {
            self.findings.unclaimed += 1;
            return;
        };
        let Some(both) = self.associations.get_mut(&fingerprint) else {
            self.findings.unclaimed += 1;
            return;
        };
        let owned = &mut both[direction];
        let before = owned.epoch();
        let (sequence, ascends) = owned.leave(record.low, record.bits);
        if !ascends {
            self.findings.note(Violation::NonceTwice, now, || {
                format!("{from:?} seals number {sequence} again, or after a higher one")
            });
        }
        self.findings.ratchets += u64::from(owned.epoch() > before);
        let margin = owned.seals_until.checked_sub(now);
        match margin {
            None => self.findings.note(Violation::Expired, now, || {
                let late = now.saturating_sub(owned.seals_until);
                format!("{from:?} seals {late:?} after the end of its keys")
            }),
            Some(margin) => self.findings.least_margin(margin),
        }
        let sealed = Sealed {
            fingerprint,
            direction,
            sequence,
            packet: self.hasher.hash_one(packet),
            delivered: false,
        };
        self.under_way.insert(record.tag, sealed);
        self.left.push_back((now, record.tag));
        while let Some((at, tag)) = self.left.front().copied()
            && at + self.rules.horizon < now
        {
            self.left.pop_front();
            self.under_way.remove(&tag);
        }
    }

    /// A packet arrives at `place`; gives the association, if it is a record just as it was sent.
    /// When its end has taken it in, tell [`epochs`](Self::epochs) or [`ended`](Self::ended).
    pub fn arrived(&mut self, place: Place, packet: &[u8]) -> Option<Fingerprint> {
        self.arriving = self.genuine(packet);
        let sealed = self.arriving?;
        let direction = &self.associations.get(&sealed.fingerprint)?[sealed.direction];
        (direction.hearer() == Some(place)).then_some(sealed.fingerprint)
    }

    /// The epoch in which `place` is as a receiver, after a packet of this association arrived.
    pub fn epochs(&mut self, now: Duration, place: Place, of: Fingerprint, received: u64) {
        let rules = self.rules;
        let arriving = self.arriving.take();
        let arriving = arriving.filter(|sealed| sealed.fingerprint == of);
        let Some(heard) = self.heard_by(place, of) else {
            return;
        };
        let beyond = arriving.is_some_and(|sealed| {
            let reached = heard.arrives(now, sealed.sequence, rules.ahead);
            !reached
        });
        let begun = heard.epoch();
        let apart = heard.is_in(now, received);
        let blamed = apart > rules.reorder && heard.blame();
        self.findings.beyond += u64::from(beyond);
        if received > begun {
            self.findings.note(Violation::Epochs, now, || {
                format!("{place:?} receives in epoch {received}, which nobody has begun")
            });
        }
        self.findings.longest_apart(apart);
        if blamed {
            self.findings.note(Violation::Epochs, now, || {
                format!("{place:?} is in another epoch than its peer for {apart:?}")
            });
        }
    }

    /// The association is over at `place`: it hears nothing by it any more.
    pub fn ended(&mut self, place: Place, of: Fingerprint) {
        self.arriving = None;
        if let Some(heard) = self.heard_by(place, of) {
            heard.deafen();
        }
    }

    fn heard_by(&mut self, place: Place, of: Fingerprint) -> Option<&mut Direction> {
        let both = self.associations.get_mut(&of)?;
        both.iter_mut().find(|each| each.hearer() == Some(place))
    }

    /// What this packet carries was given to the user of `place`.
    pub fn delivered(&mut self, now: Duration, place: Place, packet: &[u8]) {
        self.findings.delivered += 1;
        let reorder = self.rules.reorder;
        let Some(sealed) = self.genuine(packet) else {
            self.findings.note(Violation::Delivered, now, || {
                format!("{place:?} delivers what nobody has sent, or long ago")
            });
            return;
        };
        if sealed.delivered {
            self.findings.note(Violation::Delivered, now, || {
                format!("{place:?} delivers number {} twice", sealed.sequence)
            });
        }
        if let Some(Clear::Record(record)) = Clear::read(packet)
            && let Some(kept) = self.under_way.get_mut(&record.tag)
        {
            kept.delivered = true;
        }
        let Some(both) = self.associations.get(&sealed.fingerprint) else {
            return;
        };
        let direction = &both[sealed.direction];
        if now > direction.opens_until {
            self.findings.note(Violation::Expired, now, || {
                let late = now.saturating_sub(direction.opens_until);
                format!("{place:?} delivers {late:?} after the end of its keys")
            });
        }
        let left = direction.left_for(now, sealed.sequence);
        if left.is_some_and(|left| left > reorder) {
            self.findings.note(Violation::Epochs, now, || {
                format!("{place:?} opens by an epoch that it left {left:?} ago")
            });
        }
    }

    /// `place` wants to be heard from now on.
    pub fn wants(&mut self, now: Duration, place: Place) {
        self.patience.wants(now, place, &mut self.findings);
    }

    /// `place` was heard: it has its answer.
    pub fn heard(&mut self, now: Duration, place: Place) {
        self.patience.heard(now, place, &mut self.findings);
    }

    /// Whether something outside keeps `place` from being heard: its link or its peer is down, or
    /// it has no valid key.
    pub fn hindered(&mut self, now: Duration, place: Place, hindered: bool) {
        self.patience
            .hindered(now, place, hindered, &mut self.findings);
    }

    /// `place` can be reached, and is not associated as its peer is, at the end of the run.
    pub fn stranded(&mut self, now: Duration, place: Place) {
        self.findings.note(Violation::Stranded, now, || {
            format!("{place:?} and its peer have no association in common")
        });
    }

    /// What was seen.
    pub fn finish(mut self, now: Duration) -> Findings {
        self.patience.finish(now, &mut self.findings);
        self.findings
    }

    fn genuine(&self, packet: &[u8]) -> Option<Sealed> {
        let Some(Clear::Record(record)) = Clear::read(packet) else {
            return None;
        };
        let sealed = self.under_way.get(&record.tag)?;
        (sealed.packet == self.hash(packet)).then_some(*sealed)
    }

    fn hash(&self, packet: &[u8]) -> u64 {
        self.hasher.hash_one(packet)
    }

    /// Forgets all but the names of associations whose time is over.
    fn forget(&mut self, now: Duration) {
        while let Some((_, fingerprint)) = self.claimed.front().copied() {
            let both = self.associations.get(&fingerprint);
            let until = both.map_or(Duration::ZERO, |both| {
                both[0].last_use().max(both[1].last_use())
            });
            if until + self.rules.horizon >= now {
                break;
            }
            self.claimed.pop_front();
            let both = self.associations.remove(&fingerprint);
            for channel in both.into_iter().flatten().filter_map(|each| each.channel) {
                if let Some(claimed) = self.channels.get_mut(&channel) {
                    claimed.retain(|(of, _)| *of != fingerprint);
                    if claimed.is_empty() {
                        self.channels.remove(&channel);
                    }
                }
            }
            self.over.insert(fingerprint);
        }
    }

    fn channel(&self, from: Place, to: Place, index: (u8, u32)) -> Channel {
        let boot = self.boots.get(&from).copied().unwrap_or_default();
        Channel {
            from,
            boot,
            to,
            index,
        }
    }
}
