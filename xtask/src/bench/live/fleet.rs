//! All devices of a run, driven by one thread.

use core::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    io,
    net::UdpSocket,
    time::Instant,
};

use anyhow::bail;
use rand_core::Rng as _;
use refpoint_association::{Backoff, Error, Policy};
use refpoint_keys::EntityId;
use refpoint_primitive::{
    Bytes, Courier, ExchangeId, Exchanges, Failure, RequestId, Retransmission,
};

use super::{
    Inbox, Message, Outgoing, Wording, bind,
    device::{Device, NEVER, Outcome},
    now,
    parties::number,
    wording::{Answer, REQUEST_ID},
};
use crate::pair::rng;

/// What a fleet is made of.
pub(crate) struct Plan {
    pub(crate) devices: u32,
    pub(crate) core: SocketAddrV4,
    pub(crate) policy: Policy,
    /// For how long a device asks before it reports that a message was not delivered.
    pub(crate) patience: Duration,
    pub(crate) wording: Wording,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Waiting,
    /// The core has said that it is kept.
    Acknowledged,
    /// Its sender was told that nobody has said so.
    Reported,
}

/// What has happened to all devices together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Both ways.
    pub(crate) packets: u64,
    /// By the devices.
    pub(crate) sent: u64,
    /// Both ways.
    pub(crate) bytes: u64,
    pub(crate) established: u64,
    /// Handles that the core refused, and Resumes that nobody answered in time.
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
    pub(crate) deferred: u64,
    /// Attempts to have an association that have failed.
    pub(crate) failed: u64,
    pub(crate) waiting: u64,
    pub(crate) acknowledged: u64,
    pub(crate) reported: u64,
    /// How long each acknowledged message took, and each association, in milliseconds.
    pub(crate) latencies: Vec<f32>,
    pub(crate) connected_in: Vec<f32>,
}

struct Asked {
    message: Message,
    since: u64,
    repeats: u32,
}

/// Requests that were repeated so often without a sign of the core make it suspect (rule H8), as in
/// `refpoint-transport`.
const SUSPICIOUS: u32 = 2;
/// When `refpoint-transport` asks again for an association: within half a second, doubling up to a minute.
const SHIPPED_RETURN: Backoff = Backoff::new(0, 500, 60_000);
/// Timers that get their turn between two looks at the socket. Every device has a processor of its
/// own outside of this harness: here, what comes for one must not wait until all others have had their
/// timers, or no answer would find its device before it asks again.
const TIMERS: usize = 128;

pub(crate) struct Fleet {
    plan: Plan,
    socket: UdpSocket,
    inbox: Inbox,
    out: Outgoing,
    devices: Vec<Device>,
    /// When the end point of which device is due, in milliseconds.
    timers: BTreeSet<(u64, u32)>,
    /// When which device sends its next message.
    agenda: BTreeSet<(u64, u32)>,
    exchanges: Exchanges,
    request_id: RequestId,
    asked: HashMap<ExchangeId, Asked>,
    fates: Vec<Vec<Fate>>,
    /// Who waits for its turn to connect, and how many are connecting.
    queue: VecDeque<u32>,
    connecting: Vec<Option<u64>>,
    in_flight: usize,
    window: usize,
    /// When each device got its first acknowledgement since the mark, in milliseconds.
    back: Vec<Option<u64>>,
    returned: usize,
    pub(crate) tally: Tally,
}

impl Fleet {
    pub(crate) fn new(plan: Plan) -> anyhow::Result<Self> {
        let devices = (0..plan.devices).map(|number| Device::new(number, &plan.policy));
        let count = plan.devices as usize;
        let timing = Retransmission {
            waiting: usize::MAX,
            ..Retransmission::default()
        };
        Ok(Self {
            socket: bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?,
            inbox: Inbox::default(),
            out: Outgoing::default(),
            devices: devices.collect::<anyhow::Result<_>>()?,
            timers: BTreeSet::new(),
            agenda: BTreeSet::new(),
            exchanges: Exchanges::new(timing, rng().next_u32()),
            request_id: RequestId::new(REQUEST_ID)?,
            asked: HashMap::new(),
            fates: vec![Vec::new(); count],
            queue: VecDeque::new(),
            connecting: vec![None; count],
            in_flight: 0,
            window: 0,
            back: vec![None; count],
            returned: 0,
            tally: Tally::default(),
            plan,
        })
    }

    /// Lets all devices connect, `window` at a time.
    pub(crate) fn connect_all(&mut self, window: usize) {
        self.queue.extend(0..self.plan.devices);
        self.window = window;
    }

    /// Lets a device close its association and make another; `false` if it is about to anyway.
    pub(crate) fn reconnect(&mut self, device: u32) -> bool {
        if self.connecting[device as usize].is_some() {
            return false;
        }
        self.devices[device as usize].leave(now(), &mut self.out);
        self.attempt(device);
        true
    }

    /// How many devices connect because they were told to.
    pub(crate) const fn connecting(&self) -> usize {
        self.in_flight
    }

    /// Lets every device send a message at a random time within `span` from now.
    pub(crate) fn speak_all(&mut self, span: Duration) {
        for device in 0..self.plan.devices {
            self.speak(device, span);
        }
    }

    /// Lets a device send a message at a random time within `span` from now.
    pub(crate) fn speak(&mut self, device: u32, span: Duration) {
        let span = span.as_millis() as u64;
        let drawn = (u64::from(rng().next_u32()) * span) >> 32;
        self.agenda.insert((millis() + drawn, device));
    }

    /// From now on it is noted when each device has its first acknowledgement.
    pub(crate) fn mark(&mut self) {
        self.back.fill(None);
        self.returned = 0;
    }

    /// Devices that have had an acknowledgement since the mark.
    pub(crate) const fn returned(&self) -> usize {
        self.returned
    }

    /// When the devices had their first acknowledgements since the mark, sorted.
    pub(crate) fn returns(&self) -> Vec<Duration> {
        let mut returns: Vec<_> = self.back.iter().flatten().copied().collect();
        returns.sort_unstable();
        returns.into_iter().map(Duration::from_millis).collect()
    }

    /// What became of each message.
    pub(crate) fn fates(&self) -> impl Iterator<Item = (Message, Fate)> {
        self.fates.iter().zip(0..).flat_map(|(fates, device)| {
            fates
                .iter()
                .zip(0..)
                .map(move |(fate, number)| (Message { device, number }, *fate))
        })
    }

    /// Devices have messages to send, or wait for acknowledgements.
    pub(crate) fn is_busy(&self) -> bool {
        self.tally.waiting > 0 || !self.agenda.is_empty()
    }

    /// Goes on until `done`.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        while !done(self) {
            if start.elapsed() > limit {
                let tally = &self.tally;
                bail!(
                    "not {what} after {limit:?}: {} associations made, {} attempts failed, {} messages wait",
                    tally.established,
                    tally.failed,
                    tally.waiting,
                );
            }
            self.step()?;
        }
        Ok(())
    }

    /// Waits for something and deals with it.
    fn step(&mut self) -> io::Result<()> {
        self.start_attempts();
        self.flush();
        Inbox::wait(&self.socket, self.wait())?;
        while self.receive()? > 0 {
            self.flush();
        }
        self.handle_timers();
        self.handle_agenda();
        self.handle_repeats();
        self.flush();
        Ok(())
    }

    fn flush(&mut self) {
        let (_, bytes) = self.out.waiting();
        let sent = self.out.flush(&self.socket);
        self.tally.sent += sent;
        self.tally.packets += sent;
        self.tally.bytes += bytes;
    }

    fn wait(&self) -> Duration {
        let timers = self.timers.first().map(|first| first.0);
        let agenda = self.agenda.first().map(|first| first.0);
        let repeats = self.exchanges.next_timeout();
        let repeats = repeats.map(|due| due.as_millis() as u64 + 1);
        let next = timers.into_iter().chain(agenda).chain(repeats).min();
        let wait = next.map_or(100, |next| next.saturating_sub(millis()).min(100));
        Duration::from_millis(wait)
    }

    fn start_attempts(&mut self) {
        while self.in_flight < self.window
            && let Some(device) = self.queue.pop_front()
        {
            self.attempt(device);
        }
    }

    fn attempt(&mut self, device: u32) {
        let at = device as usize;
        self.devices[at].next_attempt = NEVER;
        if self.connecting[at].is_none() {
            self.connecting[at] = Some(millis());
            self.in_flight += 1;
        }
        let outcome = self.devices[at].connect(now(), self.plan.core, &mut self.out);
        self.outcome(device, outcome);
    }

    fn receive(&mut self) -> io::Result<usize> {
        let received = self.inbox.receive(&self.socket)?;
        self.tally.packets += received as u64;
        let mut inbox = core::mem::take(&mut self.inbox);
        for (_, at, packet) in inbox.packets() {
            self.tally.bytes += packet.len() as u64;
            let Some(device) = number(at).filter(|device| *device < self.plan.devices) else {
                continue;
            };
            let (now, core) = (now(), self.plan.core);
            let held = &mut self.devices[device as usize];
            let outcome = held.receive(now, core, packet, &mut self.out);
            self.outcome(device, outcome);
        }
        self.inbox = inbox;
        Ok(received)
    }

    fn handle_timers(&mut self) {
        let now_millis = millis();
        for _ in 0..TIMERS {
            let due = self.timers.first().copied();
            let Some((due, device)) = due.filter(|(due, _)| *due <= now_millis) else {
                break;
            };
            self.timers.remove(&(due, device));
            let held = &mut self.devices[device as usize];
            held.timer = NEVER;
            if held.next_attempt <= now_millis {
                self.attempt(device);
            } else {
                let outcome = held.handle_timeout(now(), &mut self.out);
                self.outcome(device, outcome);
            }
        }
    }

    fn handle_agenda(&mut self) {
        let now_millis = millis();
        for _ in 0..TIMERS {
            let due = self.agenda.first().copied();
            let Some((due, device)) = due.filter(|(due, _)| *due <= now_millis) else {
                break;
            };
            self.agenda.remove(&(due, device));
            self.say(device);
        }
    }

    fn say(&mut self, device: u32) {
        let fates = &mut self.fates[device as usize];
        let message = Message {
            device,
            number: fates.len() as u32,
        };
        let held = &mut self.devices[device as usize];
        let present = now();
        let started = self.exchanges.start(
            present.monotonic,
            &held.entity,
            self.request_id.clone(),
            self.plan.patience,
            &mut || rng().next_u32(),
            |exchange| self.plan.wording.request(message, exchange).into(),
        );
        let Ok((exchange, request)) = started else {
            fates.push(Fate::Reported);
            self.tally.reported += 1;
            return;
        };
        fates.push(Fate::Waiting);
        self.tally.waiting += 1;
        let asked = Asked {
            message,
            since: millis(),
            repeats: 0,
        };
        self.asked.insert(exchange, asked);
        held.asking.push(exchange);
        held.send(present, &request, &mut self.out);
        self.reschedule(device);
    }

    fn handle_repeats(&mut self) {
        let present = now();
        let mut round = Round::default();
        let draw = &mut || rng().next_u32();
        self.exchanges
            .handle_timeout(present.monotonic, draw, &mut round);
        for (exchange, request) in round.due {
            let Some(asked) = self.asked.get_mut(&exchange) else {
                continue;
            };
            asked.repeats += 1;
            let device = asked.message.device;
            let held = &mut self.devices[device as usize];
            held.send(present, &request, &mut self.out);
            if asked.repeats >= SUSPICIOUS && held.heard < asked.since {
                let outcome = held.suspect(present, &mut self.out);
                self.outcome(device, outcome);
            } else {
                self.reschedule(device);
            }
        }
        for exchange in round.failed {
            self.settle(exchange, Fate::Reported);
        }
    }

    /// A message's fate is known.
    fn settle(&mut self, exchange: ExchangeId, fate: Fate) {
        let Some(asked) = self.asked.remove(&exchange) else {
            return;
        };
        let Message { device, number } = asked.message;
        let at = device as usize;
        self.devices[at].asking.retain(|one| *one != exchange);
        self.fates[at][number as usize] = fate;
        self.tally.waiting -= 1;
        match fate {
            Fate::Acknowledged => {
                self.tally.acknowledged += 1;
                let took = millis() - asked.since;
                self.tally.latencies.push(took as f32);
                if self.back[at].is_none() {
                    self.back[at] = Some(millis());
                    self.returned += 1;
                }
            }
            Fate::Reported => self.tally.reported += 1,
            Fate::Waiting => {}
        }
    }

    fn outcome(&mut self, device: u32, outcome: Outcome) {
        let at = device as usize;
        let present = now();
        self.tally.deferred += u64::from(outcome.deferred);
        match outcome.not_resumed {
            Some(Error::NoAnswer) => self.tally.unanswered += 1,
            Some(_) => self.tally.refused += 1,
            None => {}
        }
        let held = &mut self.devices[at];
        let lost = held
            .association
            .is_some_and(|id| outcome.ended.contains(&id));
        if lost {
            held.association = None;
        }
        if let Some(id) = outcome.established {
            self.tally.established += 1;
            held.association = Some(id);
            held.failures = 0;
            held.next_attempt = NEVER;
            held.heard = millis();
            if let Some(since) = self.connecting[at].take() {
                self.in_flight -= 1;
                let took = (millis() - since) as f32;
                self.tally.connected_in.push(took);
            }
            for exchange in held.asking.clone() {
                if let Some(asked) = self.asked.get(&exchange) {
                    let request = self.plan.wording.request(asked.message, exchange);
                    held.send(present, &request, &mut self.out);
                }
            }
        } else if (lost || outcome.failed) && held.association.is_none() {
            self.tally.failed += u64::from(outcome.failed);
            let again = match self.plan.wording {
                Wording::Bare => Backoff::RETURN,
                Wording::Shipped => SHIPPED_RETURN,
            };
            let wait = again.delay(held.failures, &mut rng());
            held.failures += 1;
            held.next_attempt = millis() + wait;
        }
        for answer in &outcome.received {
            let held = &mut self.devices[at];
            held.heard = millis();
            let Some((exchange, answer)) = self.plan.wording.answer(answer) else {
                continue;
            };
            if answer == Answer::Pending {
                let draw = &mut || rng().next_u32();
                let now = present.monotonic;
                self.exchanges.pending(now, &held.entity, exchange, draw);
            } else if self.exchanges.answer(&held.entity, exchange, None) {
                let fate = match answer {
                    Answer::Kept => Fate::Acknowledged,
                    _ => Fate::Reported,
                };
                self.settle(exchange, fate);
            }
        }
        self.reschedule(device);
    }

    fn reschedule(&mut self, device: u32) {
        let held = &mut self.devices[device as usize];
        let due = held.due();
        if due != held.timer {
            self.timers.remove(&(held.timer, device));
            held.timer = due;
            if due != NEVER {
                self.timers.insert((due, device));
            }
        }
    }
}

fn millis() -> u64 {
    now().monotonic.as_millis() as u64
}

/// What is due of the exchanges.
#[derive(Default)]
struct Round {
    due: Vec<(ExchangeId, Bytes)>,
    failed: Vec<ExchangeId>,
}

impl Courier for Round {
    fn repeat(&mut self, exchange: ExchangeId, _: &EntityId, request: &Bytes) {
        self.due.push((exchange, request.clone()));
    }

    fn fail(&mut self, exchange: ExchangeId, _: &EntityId, _: Failure) {
        self.failed.push(exchange);
    }
}
