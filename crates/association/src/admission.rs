use alloc::vec::Vec;

use self::{
    bookings::{Booking, Bookings},
    meter::{MILLI, Meter, SECOND},
    strangers::{Strangers, mix},
};

mod bookings;
mod config;
mod meter;
mod strangers;
#[cfg(test)]
mod tests;

pub use config::AdmissionConfig;
pub use strangers::SourcePrefix;

/// When a sender may come back: milliseconds in the caller's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotTime(u64);

impl SlotTime {
    /// The slot at `millis`.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Its time in milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }
}

/// How urgent an entity's association is; the credential says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Waits for its turn.
    #[default]
    Normal,
    /// Goes first, within a share of the capacity of its own.
    Emergency,
}

/// Whose quota an entity's handshakes count in: the number of a weight in the configuration. One
/// that has no weight shares the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub u16);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimant {
    /// An entity whose request verified symmetrically (rule T1).
    Verified {
        /// A number that is the entity's own, such as its credential's or its handle's.
        entity: u64,
        /// Its class.
        class: Class,
        /// Its tenant.
        tenant: Tenant,
    },
    /// A sender of which only the source address is known, and that may be forged.
    Unverified {
        /// Where it claims to be.
        prefix: SourcePrefix,
    },
}

/// A request for a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who asks.
    pub kind: Claimant,
    /// The slot of the token that it brings, if that verified for this claimant.
    pub returned: Option<SlotTime>,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Begin the handshake; it has been charged.
    Serve,
    /// Tell the sender to come back at this time.
    Later(SlotTime),
    /// Drop it: even a hint would cost too much.
    Ignore,
}

/// What an [`Admission`] has decided. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionStatistics {
    /// Handshakes to begin.
    pub served: u64,
    /// Slots given.
    pub booked: u64,
    /// Hints about a slot that had been given already.
    pub repeated: u64,
    /// Senders that came in their slot and found it taken by others with a better right.
    pub displaced: u64,
    /// Requests dropped.
    pub ignored: u64,
}

/// Reservations: who is served now, who comes back and when (rules T1 to T3).
///
/// A sender that cannot be served is given a slot instead of being left to guess, and slots lie as
/// far apart as handshakes can be made. So a storm of any size drains at capacity, in two attempts
/// a sender. There is no queue: each request is served, answered or dropped at once.
///
/// ```text
///   slots        |  |  |  |  |  |  |  |  |  |·  ·  ·      one every 1/(ρ C); `promised` is the end
///   a tenant's   |     |     |     |                      never later than its own share would give
///   served       at most C in any second, whoever asks
/// ```
///
/// * A verified entity is charged once: asking again gives the same slot (T1).
/// * An entity that comes in its slot is served before anyone else, the emergency class first. If
///   others had a better right (an emergency, a tenant within its quota), it gets another slot: the
///   first time soon, then at the end.
/// * Unverified senders are sent away without anything being kept or charged. Who comes back has
///   shown its address, and shares a tenth of the capacity with others, by source prefix.
/// * Hints are paid for: the first of an entity from the head room of the capacity, and by slots
///   that lie further apart where that is too little; others from a small budget.
///
/// It reads no clock: `now` is milliseconds of any clock that does not go back.
#[derive(Debug)]
pub struct Admission {
    config: AdmissionConfig,
    /// Everything that is served.
    handshakes: Meter,
    /// Up to when capacity is promised, in nanoseconds.
    promised: u64,
    /// Up to when some of it is promised twice.
    twice: u64,
    /// Up to when slots are given to those who found their own taken.
    instead: u64,
    /// The emergency class's, then the tenants'.
    lanes: Vec<Lane>,
    strangers: Strangers,
    bookings: Bookings,
    /// Hints to verified senders that no slot pays for.
    hints: Meter,
    statistics: AdmissionStatistics,
}

/// A share of the capacity that is somebody's own.
#[derive(Clone, Copy, Debug)]
struct Lane {
    /// Up to when it is promised, in nanoseconds, and the distance of its slots.
    promised: u64,
    spacing: u64,
    /// What was served of it.
    quota: Meter,
}

impl Lane {
    fn new(spacing: u64) -> Self {
        Self {
            promised: 0,
            spacing,
            quota: Meter::new(spacing, SECOND.saturating_sub(spacing)),
        }
    }
}

/// Number of the emergency class's lane.
const EMERGENCY: usize = 0;

/// Shares of the bunching that handshakes may use, in eighths: who may bunch up more goes first.
const LAST: u64 = 1;
const ANYONE: u64 = 5;
const IN_QUOTA: u64 = 7;
const FIRST: u64 = 8;

/// Who is later for its slot, in milliseconds and besides an eighth of its wait, comes last.
const LATE: u64 = 500;

/// Who is later than this, in the same way, does not come too close after others by bad luck.
const ON_TIME: u64 = 50;

/// How soon somebody may come again who found its slot taken, at a quarter of the capacity, in
/// nanoseconds: from and to.
const INSTEAD_AFTER: u64 = 200 * MILLI;
const INSTEAD_WITHIN: u64 = 10 * SECOND;

/// How often an entity is told its slot again, in milliseconds.
const TELL_AGAIN: u32 = 1_000;

/// The part of the capacity that hints may take which no slot pays for, in percent: those to
/// verified senders, and as much for the others.
const HINT_PERCENT: u64 = 5;

impl Admission {
    /// Everything free.
    #[must_use]
    pub fn new(config: AdmissionConfig) -> Self {
        let whole = config.tenants.iter().sum();
        let emergency = config.unit().saturating_mul(100) / u64::from(config.emergency);
        let weights = config.tenants.iter();
        let tenants = weights.map(|weight| config.of_tenant(*weight, whole));
        let lanes = core::iter::once(emergency)
            .chain(tenants)
            .map(Lane::new)
            .collect();
        let tolerance = config.bunch().saturating_sub(config.distance());
        let hint = config.hint().saturating_mul(100) / HINT_PERCENT;
        Self {
            handshakes: Meter::new(config.distance(), tolerance),
            promised: 0,
            twice: 0,
            instead: 0,
            lanes,
            strangers: Strangers::new((config.unit(), config.strangers), hint, config.seed),
            bookings: Bookings::new(config.bookings, config.grace),
            hints: Meter::new(hint, 2 * SECOND),
            statistics: AdmissionStatistics::default(),
            config,
        }
    }

    /// Decides about a request at `now`, in milliseconds.
    pub fn request(&mut self, now: u64, claim: &Claim) -> Verdict {
        self.bookings.expire(now);
        let verdict = match claim.kind {
            Claimant::Verified {
                entity,
                class,
                tenant,
            } => {
                let lane = self.lane(class, tenant);
                self.verified(now, (entity, lane), claim.returned)
            }
            Claimant::Unverified { prefix } => self.unverified(now, prefix, claim.returned),
        };
        match verdict {
            Verdict::Serve => self.statistics.served += 1,
            Verdict::Ignore => self.statistics.ignored += 1,
            Verdict::Later(_) => {}
        }
        verdict
    }

    /// Charges work that was done without asking, such as a light resumption, in thousandths of a
    /// handshake.
    pub fn charge(&mut self, now: u64, thousandths: u32) {
        let work = self.config.unit().saturating_mul(thousandths.into()) / 1_000;
        self.promised = self.promised.max(nanos(now)).saturating_add(work);
    }

    /// How far ahead of `now` capacity is promised, in milliseconds: the time to recover.
    #[must_use]
    pub const fn backlog(&self, now: u64) -> u64 {
        self.promised.saturating_sub(nanos(now)) / MILLI
    }

    /// Entities that hold a slot.
    #[must_use]
    pub fn bookings(&self) -> usize {
        self.bookings.len()
    }

    /// What it has decided.
    #[must_use]
    pub const fn statistics(&self) -> AdmissionStatistics {
        self.statistics
    }

    fn lane(&self, class: Class, tenant: Tenant) -> usize {
        let number = 1 + usize::from(tenant.0);
        match class {
            Class::Emergency => EMERGENCY,
            Class::Normal if number < self.lanes.len() => number,
            Class::Normal => 1,
        }
    }

    fn verified(
        &mut self,
        now: u64,
        (entity, lane): (u64, usize),
        returned: Option<SlotTime>,
    ) -> Verdict {
        let held = self.bookings.find(entity).copied();
        match (held, returned) {
            (Some(held), _) if !held.used => {
                // A token says tenths of a second.
                let token = returned.is_some_and(|slot| slot.0.abs_diff(held.slot) <= 200);
                self.has_slot(now, (entity, lane), held, token)
            }
            (None, Some(slot)) => self.restored(now, (entity, lane), slot.0),
            (_, _) => self.walk_in(now, (entity, lane)),
        }
    }

    /// Somebody with a slot: served when it is due; with its token also somewhat earlier.
    fn has_slot(
        &mut self,
        now: u64,
        (entity, lane): (u64, usize),
        held: Booking,
        token: bool,
    ) -> Verdict {
        let leeway = held.leeway(self.config.grace);
        let early = now < held.slot;
        if now > held.slot.saturating_add(leeway) {
            return self.book(now, (entity, lane));
        }
        if early && !(token && now.saturating_add(leeway) >= held.slot) {
            return self.tell_again(now, entity, held);
        }
        if self.take(now, lane, held.lateness(now)) {
            let used = Booking { used: true, ..held };
            self.bookings.replace(entity, used);
            return Verdict::Serve;
        }
        if early {
            return self.tell_again(now, entity, held);
        }
        self.statistics.displaced += 1;
        let unlucky = !held.instead && held.lateness(now) <= ON_TIME && self.twice < nanos(now);
        if unlucky && let Some(verdict) = self.book_instead(now, entity) {
            return verdict;
        }
        self.book(now, (entity, lane))
    }

    /// A slot soon for somebody who found its own taken, if there are not many such: what is promised
    /// is less than can be served, so who comes too close after others fits in a little later.
    fn book_instead(&mut self, now: u64, entity: u64) -> Option<Verdict> {
        let at = nanos(now);
        let slot = self.instead.max(at.saturating_add(INSTEAD_AFTER));
        if slot > at.saturating_add(INSTEAD_WITHIN) {
            return None;
        }
        self.instead = slot.saturating_add(4 * self.config.distance());
        let slot = slot.div_ceil(MILLI);
        let booking = Booking {
            instead: true,
            ..Booking::new(now, slot)
        };
        self.bookings.insert(entity, booking);
        Some(Verdict::Later(SlotTime(slot)))
    }

    /// Somebody with a token that was given before a restart, of which nothing else is left: it is
    /// honoured once, if there is room.
    fn restored(&mut self, now: u64, (entity, lane): (u64, usize), slot: u64) -> Verdict {
        let grace = self.config.grace;
        let ahead = slot.saturating_sub(now);
        if slot.saturating_add(grace) < now || ahead > self.config.longest {
            return self.walk_in(now, (entity, lane));
        }
        if ahead <= grace && self.bookings.has_room_for(entity) && self.take(now, lane, 0) {
            let used = Booking {
                used: true,
                ..Booking::new(now, slot)
            };
            self.bookings.insert(entity, used);
            return Verdict::Serve;
        }
        if ahead > 0 && self.bookings.has_room_for(entity) {
            self.bookings.insert(entity, Booking::new(now, slot));
            return Verdict::Later(SlotTime(slot));
        }
        self.book(now, (entity, lane))
    }

    /// Somebody without a slot: served if nobody is before it, and within its own share always.
    fn walk_in(&mut self, now: u64, (entity, lane): (u64, usize)) -> Verdict {
        let soon = nanos(now).saturating_add(self.config.bunch() / 2);
        let own = if lane == EMERGENCY { SECOND } else { 0 };
        let own = self.lanes[lane].promised <= soon.saturating_add(own);
        if (own || self.promised <= soon) && self.take(now, lane, 0) {
            self.commit(now, lane, self.config.unit());
            Verdict::Serve
        } else {
            self.book(now, (entity, lane))
        }
    }

    /// Takes a handshake out of what this second may hold, if the lane's right to it is good enough.
    /// Who is late, in milliseconds, has the least: after a time in which hints took all that the
    /// processor can do, those who missed their slots must not hold up those who come in theirs.
    fn take(&mut self, now: u64, lane: usize, late: u64) -> bool {
        let at = nanos(now);
        let quota = &mut self.lanes[lane].quota;
        let right = match lane {
            EMERGENCY if quota.fits(at, 8) => FIRST,
            _ if late > LATE => LAST,
            _ if quota.fits(at, 8) => IN_QUOTA,
            _ => ANYONE,
        };
        let fits = self.handshakes.fits(at, right);
        if fits {
            self.handshakes.charge(at);
            quota.charge(at);
        }
        fits
    }

    /// Promises capacity; returns when, in nanoseconds. What lies within the lane's own share may
    /// have been promised to somebody else before, who is displaced and promised anew when it comes.
    fn commit(&mut self, now: u64, lane: usize, work: u64) -> u64 {
        let free = self.promised.max(nanos(now));
        let lane = &mut self.lanes[lane];
        let own = lane.promised.max(nanos(now));
        lane.promised = own.saturating_add(lane.spacing);
        if free <= own {
            self.promised = free.saturating_add(work);
        } else {
            self.twice = self.twice.max(own);
        }
        free.min(own)
    }

    /// Gives an entity a slot: the next that is free, or earlier within its own share.
    fn book(&mut self, now: u64, (entity, lane): (u64, usize)) -> Verdict {
        let furthest = now.saturating_add(self.config.longest);
        let next = self.promised.min(self.lanes[lane].promised) / MILLI;
        if next >= furthest {
            // Out of sight: nothing is promised, they are only spread out.
            let spread = mix(entity) % (self.config.longest / 8);
            let told = self.hints.take(nanos(now));
            return if told {
                Verdict::Later(SlotTime(furthest - spread))
            } else {
                Verdict::Ignore
            };
        }
        if !self.bookings.has_room_for(entity) {
            return Verdict::Ignore;
        }
        let at = self.commit(now, lane, self.config.spacing());
        let slot = at.div_ceil(MILLI).clamp(now.saturating_add(1), furthest);
        self.bookings.insert(entity, Booking::new(now, slot));
        self.statistics.booked += 1;
        Verdict::Later(SlotTime(slot))
    }

    /// An entity that asks before its slot is told again, but seldom.
    fn tell_again(&mut self, now: u64, entity: u64, held: Booking) -> Verdict {
        let age = held.age(now);
        if age.saturating_sub(held.told) < TELL_AGAIN || !self.hints.take(nanos(now)) {
            return Verdict::Ignore;
        }
        self.bookings.replace(entity, Booking { told: age, ..held });
        self.statistics.repeated += 1;
        Verdict::Later(SlotTime(held.slot))
    }

    fn unverified(
        &mut self,
        now: u64,
        prefix: SourcePrefix,
        returned: Option<SlotTime>,
    ) -> Verdict {
        let at = nanos(now);
        let waiting = self.promised > at.saturating_add(self.config.bunch() / 2);
        let due = returned.is_some_and(|slot| slot.0.abs_diff(now) <= self.config.grace);
        let served = if due {
            self.handshakes.fits(at, IN_QUOTA) && self.strangers.take_returned(at, prefix)
        } else {
            !waiting && self.handshakes.fits(at, ANYONE) && self.strangers.take_calm(at)
        };
        if served {
            self.handshakes.charge(at);
            if !waiting {
                self.promised = self.promised.max(at).saturating_add(self.config.unit());
            }
            return Verdict::Serve;
        }
        match self.strangers.send_away(at, prefix) {
            Some(slot) => Verdict::Later(SlotTime(slot.div_ceil(MILLI).max(now.saturating_add(1)))),
            None => Verdict::Ignore,
        }
    }
}

const fn nanos(millis: u64) -> u64 {
    millis.saturating_mul(MILLI)
}
