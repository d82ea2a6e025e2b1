use refpoint_association::{
    Admission, AdmissionConfig, Claim, Claimant, Class, Error, SlotTime, Tenant, Verdict,
};

use super::{Costs, MILLI, SECOND, Strategy, device::Device, device::NEVER};

/// How long an answer is kept to be repeated, in milliseconds.
const KEPT: u32 = 8_000;

/// The responder: its processors, what waits for them, and what it decides.
#[derive(Debug)]
pub(super) struct Responder {
    kind: Kind,
    /// When its processors will have done all that waits, in nanoseconds.
    free: u64,
    /// What waits longer is dropped.
    buffer: u64,
    handshake: u64,
    hint: u64,
    pub(super) work: Work,
}

#[derive(Debug)]
enum Kind {
    /// Makes a handshake with whoever is next in its queue.
    Queue,
    /// Gives slots.
    Reservations(Box<Admission>),
}

/// What it has done, a second each.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) served: Vec<u32>,
    pub(super) planned: Vec<u32>,
    pub(super) backlog: Vec<u32>,
    /// Handshakes with devices that had been served before.
    pub(super) wasted: u64,
    /// Requests that found no room in the buffer.
    pub(super) dropped: u64,
    pub(super) hints: u64,
}

/// What goes back, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Answer(u64),
    Hint(u64),
    Nothing,
}

impl Responder {
    pub(super) fn new(
        strategy: Strategy,
        (devices, capacity): (u32, u32),
        costs: &Costs,
        buffer: u64,
    ) -> Result<Self, Error> {
        let kind = if strategy == Strategy::Reservations {
            let config = AdmissionConfig::new(capacity)?
                .with_hint_cost(costs.hint_thousandths(capacity))?
                .with_bookings(devices as usize);
            Kind::Reservations(Box::new(Admission::new(config)))
        } else {
            Kind::Queue
        };
        let handshake = match strategy {
            Strategy::Light => costs.nanos(costs.light),
            // Admission holds it to its capacity, whatever the processors could do.
            Strategy::Reservations => costs.nanos(costs.handshake),
            _ => (SECOND / u64::from(capacity)).max(costs.nanos(costs.handshake)),
        };
        Ok(Self {
            kind,
            free: 0,
            buffer: buffer * MILLI,
            handshake,
            hint: costs.nanos(costs.hint),
            work: Work::default(),
        })
    }

    /// Takes in a request that arrives at `at`, in nanoseconds.
    pub(super) fn receive(
        &mut self,
        at: u64,
        (number, device): (u32, &mut Device),
        token: bool,
    ) -> Reply {
        let begin = self.free.max(at);
        if begin - at > self.buffer {
            self.work.dropped += 1;
            return Reply::Nothing;
        }
        let now = begin / MILLI;
        let served_ago = (now as u32).checked_sub(device.served);
        let (cost, reply) = match &mut self.kind {
            Kind::Queue => {
                self.work.wasted += u64::from(device.served != NEVER);
                (self.handshake, Verdict::Serve)
            }
            Kind::Reservations(_) if served_ago.is_some_and(|ago| ago < KEPT) => {
                self.free = begin + self.hint;
                return Reply::Answer(self.free);
            }
            Kind::Reservations(admission) => {
                let slot = SlotTime::from_millis(device.slot.into());
                let claim = Claim {
                    kind: Claimant::Verified {
                        entity: number.into(),
                        class: Class::Normal,
                        tenant: Tenant(0),
                    },
                    returned: token.then_some(slot),
                };
                let booked = admission.statistics().booked;
                let verdict = admission.request(now, &claim);
                if let Verdict::Later(slot) = verdict
                    && admission.statistics().booked > booked
                {
                    count(&mut self.work.planned, slot.millis() * MILLI);
                }
                let backlog = u32::try_from(admission.backlog(now)).unwrap_or(u32::MAX);
                note(&mut self.work.backlog, begin, backlog);
                match verdict {
                    Verdict::Serve => (self.handshake, verdict),
                    Verdict::Later(_) => (self.hint, verdict),
                    // Received, but nothing is sent.
                    Verdict::Ignore => (self.hint / 2, verdict),
                }
            }
        };
        self.free = begin + cost;
        match reply {
            Verdict::Serve => {
                count(&mut self.work.served, begin);
                device.served = now as u32;
                Reply::Answer(self.free)
            }
            Verdict::Later(slot) => {
                self.work.hints += 1;
                device.slot = slot.millis() as u32;
                device.span = slot.millis().saturating_sub(now) as u32;
                Reply::Hint(self.free)
            }
            Verdict::Ignore => Reply::Nothing,
        }
    }
}

/// Counts one in the second that `at` lies in.
pub(super) fn count(seconds: &mut Vec<u32>, at: u64) {
    let second = (at / SECOND) as usize;
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    seconds[second] += 1;
}

/// Notes the most that the second of `at` saw.
fn note(seconds: &mut Vec<u32>, at: u64, most: u32) {
    let second = (at / SECOND) as usize;
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    seconds[second] = seconds[second].max(most);
}
