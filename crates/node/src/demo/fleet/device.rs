//! A device of the fleet: an AE that sends a reading now and then, and repeats it until it is acknowledged.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use anyhow::Context;
use refpoint_association::{
    AssociationId, Config, Credential, CredentialId, Credentials, Endpoint, Event, Local, Modes,
    Now, Outbox, Policy, SessionLabel,
};
use refpoint_keys::{ConnectionKey, EntityId, Profile};
use refpoint_primitive::{
    Bytes, ExchangeId, Header, Headers, HttpRequest, RequestMessage, ResponseMessage,
};
use refpoint_x::{Datagram, DatagramBody, exchange};

use super::tally::{How, Tally, What};
use crate::entropy;

/// From one reading to the next.
const PERIOD: Duration = Duration::from_secs(1);
/// A reading is repeated after so long, then after half as much again, and so on.
const REPEAT: Duration = Duration::from_millis(500);
/// After so many repetitions without a sign of the core, the association is suspect (rule H8).
const SUSPICIOUS: u32 = 2;
/// A reading that is not acknowledged for so long is reported.
const PATIENCE: Duration = Duration::from_secs(20);
/// A try to make an association that has failed is repeated after so long.
const RETRY: Duration = Duration::from_millis(500);

/// What the core's CSE says to a reading that it takes, and to one that it has already.
const TAKEN: [(&[u8], bool); 2] = [(b"2001", false), (b"4105", true)];

pub(super) struct Device {
    number: usize,
    name: String,
    endpoint: Endpoint,
    credential: CredentialId,
    core: SocketAddr,
    association: Option<AssociationId>,
    /// No handshake is under way: when to begin one.
    connect_at: Option<Duration>,
    /// When the next reading is taken, and its number.
    next: (Duration, u32),
    waiting: Option<Waiting>,
    heard: Duration,
}

/// A reading that is not acknowledged yet.
struct Waiting {
    number: u32,
    datagram: Bytes,
    since: Duration,
    repeats: u32,
    repeat_at: Duration,
}

/// What a device puts out: packets for the host's socket, and events for itself.
#[derive(Default)]
pub(super) struct Out {
    pub(super) packets: Vec<(SocketAddr, Vec<u8>)>,
    events: Vec<Happened>,
}

enum Happened {
    Established(AssociationId),
    Received(Bytes),
    Replaced(AssociationId, AssociationId),
    Closed(AssociationId),
    Failed,
}

impl Outbox for Out {
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]) {
        self.packets.push((to, packet.to_vec()));
    }

    fn event(&mut self, event: Event<'_>) {
        self.events.push(match event {
            Event::Established { id, .. } => Happened::Established(id),
            Event::Received { data, .. } => Happened::Received(Bytes::copy_from_slice(data)),
            Event::Replaced { old, new } => Happened::Replaced(old, new),
            Event::Closed { id, .. } => Happened::Closed(id),
            Event::Failed { .. } => Happened::Failed,
            _ => return,
        });
    }
}

impl Device {
    /// The device that holds `key`, as the fleet's number `number`; it begins at `begin`.
    pub(super) fn new(
        number: usize,
        key: &Arc<ConnectionKey>,
        entity: &EntityId,
        core: SocketAddr,
        begin: Duration,
    ) -> anyhow::Result<Self> {
        let policy = Policy::default();
        let age = policy.resumption_age();
        let light = Modes {
            light: true,
            fresh: false,
        };
        let credential = Credential::new(entity, Arc::clone(key), &[Profile::Psk])?
            .with_policy(policy.with_resumption(light, age));
        let mut credentials = Credentials::new();
        let credential = credentials.insert(credential)?;
        // A device's bounds, but indices that are rarely another device's at the same socket.
        let config = Config::default().with_associations(8)?.with_contexts(4);
        let local = Local::new(entity.clone());
        let rng = &mut entropy::system();
        Ok(Self {
            number,
            name: entity.to_stem().context("an AE has a stem")?.to_owned(),
            endpoint: Endpoint::new(config, local, credentials, rng),
            credential,
            core,
            association: None,
            connect_at: Some(begin),
            next: (begin, 0),
            waiting: None,
            heard: Duration::ZERO,
        })
    }

    pub(super) fn is_addressed(&self, packet: &[u8]) -> bool {
        self.endpoint.is_addressed(packet)
    }

    /// Whether a reading is on the way.
    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    pub(super) fn receive(
        &mut self,
        now: Now,
        from: SocketAddr,
        packet: &mut [u8],
        how: How,
        out: &mut Out,
        tally: &Tally,
    ) {
        let rng = &mut entropy::system();
        self.endpoint.receive(now, rng, from, packet, out);
        self.take_events(now, how, out, tally);
    }

    /// When it wants its turn; no further readings are begun unless `sends`.
    pub(super) fn next_timeout(&self, sends: bool) -> Duration {
        let reading = match &self.waiting {
            Some(waiting) => Some(waiting.repeat_at),
            None => sends.then_some(self.next.0),
        };
        let times = [self.endpoint.next_timeout(), self.connect_at, reading];
        let next = times.into_iter().flatten().min();
        next.unwrap_or(Duration::MAX)
    }

    /// Its turn.
    pub(super) fn handle_timeout(&mut self, now: Now, sends: bool, out: &mut Out, tally: &Tally) {
        let due = |at: Duration| at <= now.monotonic;
        if self.endpoint.next_timeout().is_some_and(due) {
            let rng = &mut entropy::system();
            self.endpoint.handle_timeout(now, rng, out);
        }
        if self.connect_at.is_some_and(due) {
            self.connect(now, out);
        }
        match &self.waiting {
            Some(waiting) if due(waiting.repeat_at) => self.repeat(now, out, tally),
            None if sends && due(self.next.0) => self.read(now, out),
            _ => {}
        }
        self.take_events(now, How::Handshake, out, tally);
    }

    fn connect(&mut self, now: Now, out: &mut Out) {
        let (rng, label) = (&mut entropy::system(), SessionLabel::default());
        let begun = self
            .endpoint
            .connect(now, rng, self.core, self.credential, label, out);
        self.connect_at = begun.is_err().then(|| now.monotonic + RETRY);
    }

    /// Takes a reading and sends it.
    fn read(&mut self, now: Now, out: &mut Out) {
        let (at, number) = self.next;
        self.next = (at.max(now.monotonic) + PERIOD, number + 1);
        let Some(datagram) = reading(&self.name, number) else {
            return;
        };
        self.send(now, &datagram, out);
        self.waiting = Some(Waiting {
            number,
            datagram,
            since: now.monotonic,
            repeats: 0,
            repeat_at: now.monotonic + REPEAT,
        });
    }

    fn repeat(&mut self, now: Now, out: &mut Out, tally: &Tally) {
        let Some(mut waiting) = self.waiting.take() else {
            return;
        };
        if now.monotonic.saturating_sub(waiting.since) > PATIENCE {
            tally.note(now.monotonic, self.number, What::Reported);
            return;
        }
        waiting.repeats += 1;
        let wait = REPEAT.mul_f64(1.5_f64.powi(waiting.repeats.min(4).cast_signed()));
        waiting.repeat_at = now.monotonic + wait;
        self.send(now, &waiting.datagram, out);
        let silent = self.heard < waiting.since;
        if let Some(association) = self.association
            && silent
            && waiting.repeats >= SUSPICIOUS
        {
            let rng = &mut entropy::system();
            let _ = self.endpoint.suspect(now, rng, association, out);
        }
        self.waiting = Some(waiting);
    }

    /// Sends it, if there is an association; what is lost here is repeated.
    fn send(&mut self, now: Now, datagram: &[u8], out: &mut Out) {
        if let Some(association) = self.association {
            let _ = self.endpoint.send(now, association, datagram, out);
        }
    }

    fn take_events(&mut self, now: Now, how: How, out: &mut Out, tally: &Tally) {
        for happened in core::mem::take(&mut out.events) {
            match happened {
                Happened::Established(id) => {
                    self.association = Some(id);
                    self.connect_at = None;
                    self.heard = now.monotonic;
                    tally.note(now.monotonic, self.number, What::Associated(how));
                    if let Some(datagram) = self.waiting.as_ref().map(|it| it.datagram.clone()) {
                        self.send(now, &datagram, out);
                    }
                }
                Happened::Replaced(old, new) if self.association == Some(old) => {
                    self.association = Some(new);
                }
                Happened::Closed(id) if self.association == Some(id) => {
                    self.association = None;
                    self.connect_at = Some(now.monotonic);
                }
                Happened::Failed if self.association.is_none() => {
                    self.connect_at = Some(now.monotonic + RETRY);
                }
                Happened::Received(data) => self.received(now, data, tally),
                Happened::Replaced(..) | Happened::Closed(_) | Happened::Failed => {}
            }
        }
    }

    fn received(&mut self, now: Now, data: Bytes, tally: &Tally) {
        self.heard = now.monotonic;
        let Ok(datagram) = Datagram::decode(data) else {
            return;
        };
        let DatagramBody::Response(Ok(ResponseMessage::Http(response))) = datagram.body else {
            return;
        };
        let answered = |waiting: &mut Waiting| exchange_id(waiting.number) == datagram.exchange;
        let Some(waiting) = self.waiting.take_if(answered) else {
            return;
        };
        let code = response.headers().value("X-M2M-RSC");
        let taken = TAKEN
            .iter()
            .find(|(taken, _)| code.is_some_and(|code| code == taken));
        let what = match taken {
            Some((_, again)) => What::Acknowledged {
                number: waiting.number,
                again: *again,
            },
            None => What::Reported,
        };
        tally.note(now.monotonic, self.number, what);
    }
}

fn exchange_id(number: u32) -> ExchangeId {
    ExchangeId::new(number)
}

/// The name of a reading at the core's CSE: one that comes twice is there already.
pub(super) fn reading_name(device: &str, number: u32) -> String {
    format!("{device}-{number}")
}

/// The datagram with a reading of `device`.
fn reading(device: &str, number: u32) -> Option<Bytes> {
    let name = reading_name(device, number);
    let headers = [
        ("X-M2M-Origin", device.to_owned()),
        ("X-M2M-RI", name.clone()),
        ("X-M2M-RVI", "4".to_owned()),
        ("Content-Type", "application/json;ty=4".to_owned()),
    ];
    let headers = headers.map(|(header, value)| Header::new(header, value));
    let headers = headers.into_iter().collect::<Result<Vec<_>, _>>().ok()?;
    let body = format!("{{\"m2m:cin\":{{\"rn\":\"{name}\",\"con\":\"21.5\"}}}}");
    let request = HttpRequest::new("POST", super::CONTAINER, Headers::new(headers).ok()?, body);
    let request = exchange::request(RequestMessage::Http(request.ok()?), Some(PATIENCE));
    Datagram::request(exchange_id(number), request, Datagram::DEFAULT_LIMIT).ok()
}
