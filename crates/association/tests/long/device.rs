use core::time::Duration;

use refpoint_association::{
    AssociationId, AttemptId, Config, CredentialId, Credentials, Endpoint, HeldHandle, SessionLabel,
};
use refpoint_sim::{Chance, Entropy};

use super::{
    DAY,
    host::Told,
    key::{End, Key, Pair, lifetime},
    world::{Due, GATEWAY, World},
};

/// A device, its user, and what it keeps where it outlives a loss of power.
#[derive(Debug)]
pub struct Device {
    pub pair: Pair,
    /// Every key it was ever given; the newest that it knows, and the oldest that is not removed.
    pub keys: Vec<Key>,
    pub known: usize,
    pub oldest: usize,
    /// The lifetimes that both ends' policies give.
    pub lifetimes: [Duration; 2],
    /// What they gave before, and when that changed at the device.
    pub before: [Duration; 2],
    pub changed: Duration,
    pub current: Option<AssociationId>,
    /// What each end has established, in that order.
    pub ids: [Vec<AssociationId>; 2],
    pub cut: bool,
    pub moves: u16,
    pub credentials: Vec<(usize, CredentialId)>,
    attempt: Option<AttemptId>,
    flash: Option<Vec<u8>>,
    boots: u64,
    request: Option<Request>,
    asked: u32,
    ask_at: Duration,
    notes: u32,
}

/// What waits for an answer.
#[derive(Clone, Copy, Debug)]
struct Request {
    number: u32,
    repeats: u32,
}

/// What the first byte of a message says.
pub const REQUEST: u8 = 1;
pub const ANSWER: u8 = 2;
pub const NOTE: u8 = 3;

impl Device {
    pub fn new(number: u32, rng: &mut Entropy) -> Self {
        let lifetimes = [lifetime(rng), lifetime(rng)];
        let expires = DAY * 2 + Duration::from_secs(rng.below(10 * DAY.as_secs()));
        Self {
            pair: Pair::new(number, rng),
            keys: vec![Key::new(expires, rng)],
            known: 0,
            oldest: 0,
            lifetimes,
            before: lifetimes,
            changed: Duration::ZERO,
            current: None,
            ids: [Vec::new(), Vec::new()],
            cut: false,
            moves: 0,
            credentials: Vec::new(),
            attempt: None,
            flash: None,
            boots: 0,
            request: None,
            asked: 0,
            ask_at: Duration::ZERO,
            notes: 0,
        }
    }

    /// The longest life that an association may have which is established now: the shorter of both
    /// policies, or of those that held when its handshake may have begun.
    pub fn longest_life(&self, now: Duration, gateway: Duration, under_way: Duration) -> Duration {
        let recent = |changed: Duration| now.saturating_sub(changed) < under_way;
        let longest = |at: usize, changed| {
            let before = if recent(changed) {
                self.before[at]
            } else {
                Duration::ZERO
            };
            self.lifetimes[at].max(before)
        };
        longest(0, self.changed).min(longest(1, gateway))
    }
}

impl World {
    /// A device gets power: it has what it kept, and nothing else.
    pub fn power_on(&mut self, number: u32) {
        let host = number as usize + 1;
        if self.hosts[host].endpoint.is_some() {
            return;
        }
        self.hosts[host].clock.boot = self.now();
        self.hosts[host].prints.clear();
        self.watch.rebooted(self.hosts[host].place);
        let mut credentials = Credentials::new();
        let kept = &self.devices[number as usize];
        let versions = kept.oldest..=kept.known;
        let ids = versions.map(|version| {
            let credential = self.credential(number, End::Device, version);
            (
                version,
                credentials.insert(credential).expect("another key id"),
            )
        });
        let ids = ids.collect();
        let kept = &mut self.devices[number as usize];
        kept.credentials = ids;
        (kept.current, kept.attempt, kept.request) = (None, None, None);
        kept.ids[0].clear();
        kept.boots += 1;
        let local = kept.pair.local(End::Device).with_boot_counter(kept.boots);
        let flash = kept.flash.clone();
        let host = &mut self.hosts[host];
        let endpoint = Endpoint::new(config(), local, credentials, &mut host.rng);
        host.endpoint = Some(endpoint);
        self.hinder(number);
        if let Some(flash) = flash {
            self.with(number + 1, |endpoint, now, _, _| {
                let held = HeldHandle::from_bytes(now, &flash).expect("its own bytes");
                // Of a key that is gone, or over: a full handshake it is.
                let _ = endpoint.restore_held(now, held);
            });
        }
        let soon = self.soon(Duration::from_secs(5));
        self.at(soon, Due::Connect(number));
        self.ask_within(number, Duration::from_secs(60));
    }

    pub fn ask_within(&mut self, number: u32, span: Duration) {
        let at = self.soon(span);
        self.devices[number as usize].ask_at = at;
        self.at(at, Due::Ask(number));
    }

    /// Asks the gateway something, or repeats it; suspects the association when nothing is heard.
    pub fn ask(&mut self, due: Duration, number: u32) {
        let now = self.now();
        let kept = &mut self.devices[number as usize];
        let powered = self.hosts[number as usize + 1].endpoint.is_some();
        if due != kept.ask_at || !powered {
            return;
        }
        let request = match kept.request {
            Some(request) => Request {
                repeats: request.repeats + 1,
                ..request
            },
            None => {
                kept.asked += 1;
                let place = self.hosts[number as usize + 1].place;
                self.watch.wants(now, place);
                Request {
                    number: kept.asked,
                    repeats: 0,
                }
            }
        };
        kept.request = Some(request);
        let current = kept.current;
        self.send_request(number);
        if request.repeats >= 2
            && let Some(id) = current
        {
            self.with(number + 1, |endpoint, now, rng, out| {
                let _ = endpoint.suspect(now, rng, id, out);
            });
        }
        let wait = Duration::from_secs(2 << request.repeats.min(4));
        let wait = wait + self.part(wait);
        let at = now + wait;
        self.devices[number as usize].ask_at = at;
        self.at(at, Due::Ask(number));
        if request.repeats == 0 && self.rng.below(10) == 0 {
            for _ in 0..6 {
                let soon = self.soon(Duration::from_secs(20));
                self.at(soon, Due::Note(number));
            }
        }
    }

    fn send_request(&mut self, number: u32) {
        let Some(request) = self.devices[number as usize].request else {
            return;
        };
        if !self.send(number, REQUEST, request.number) {
            self.connect(number);
        }
    }

    pub fn note(&mut self, number: u32) {
        let kept = &mut self.devices[number as usize];
        kept.notes += 1;
        let count = kept.notes;
        self.send(number, NOTE, count);
    }

    /// Whether it could be sent.
    fn send(&mut self, number: u32, kind: u8, count: u32) -> bool {
        let Some(id) = self.devices[number as usize].current else {
            return false;
        };
        let message = message(kind, count);
        let sent = self.with(number + 1, |endpoint, now, _, out| {
            endpoint.send(now, id, &message, out).is_ok()
        });
        if sent == Some(false) {
            self.devices[number as usize].current = None;
        }
        sent == Some(true)
    }

    /// Makes an association, if there is none and none is being made.
    pub fn connect(&mut self, number: u32) {
        let kept = &self.devices[number as usize];
        if kept.current.is_some() || kept.attempt.is_some() {
            return;
        }
        let newest = kept.credentials.last().copied();
        let Some((_, credential)) = newest else {
            return;
        };
        let to = self.hosts[GATEWAY as usize].address;
        let started = self.with(number + 1, |endpoint, now, rng, out| {
            endpoint.connect(now, rng, to, credential, SessionLabel::default(), out)
        });
        match started {
            Some(Ok(attempt)) => self.devices[number as usize].attempt = Some(attempt),
            Some(Err(_)) => self.connect_within(number, 30),
            None => {}
        }
    }

    /// Whether it waits for an answer.
    pub fn is_asking(&self, number: u32) -> bool {
        self.devices[number as usize].request.is_some()
    }

    fn connect_within(&mut self, number: u32, seconds: u64) {
        let at = self.soon(Duration::from_secs(seconds));
        self.at(at, Due::Connect(number));
    }

    /// Its association is gone: it takes the other one, if both ends had initiated, or makes one.
    pub fn lost(&mut self, number: u32) {
        self.devices[number as usize].current = self.newest(number, End::Device);
        self.connect_within(number, 5);
    }

    pub fn device_hears(&mut self, number: u32, told: Told) {
        let kept = &mut self.devices[number as usize];
        match told {
            Told::Established { id, attempt, .. } => {
                kept.current = Some(id);
                if attempt.is_some() && kept.attempt == attempt {
                    kept.attempt = None;
                }
                self.send_request(number);
            }
            Told::Replaced(old, new) => {
                if kept.current == Some(old) {
                    kept.current = Some(new);
                }
            }
            Told::Closed(id) => {
                if kept.current == Some(id) {
                    self.lost(number);
                }
            }
            Told::Failed(attempt, _) => {
                self.fates.failed += 1;
                if kept.attempt == Some(attempt) {
                    kept.attempt = None;
                    self.connect_within(number, 30);
                }
            }
            Told::Received(_, data) => self.device_receives(number, &data),
            Told::Held(_, handle) => {
                // Power may fail while it is written.
                if self.rng.strikes(Chance::percent(5)) {
                    self.fates.stale += 1;
                } else {
                    kept.flash = Some(handle);
                }
            }
            Told::Handles(_) => {}
            Told::NotResumed => self.fates.not_resumed += 1,
            Told::Deferred => self.fates.deferred += 1,
        }
    }

    fn device_receives(&mut self, number: u32, data: &[u8]) {
        let kept = &mut self.devices[number as usize];
        let Some(request) = kept.request else { return };
        if data == message(ANSWER, request.number) {
            kept.request = None;
            let (now, place) = (self.now(), self.hosts[number as usize + 1].place);
            self.watch.heard(now, place);
            self.ask_within(number, self.every * 2);
        }
    }
}

/// A device's, but for indices of four random bytes: a device that has just booted would choose again
/// the one byte that it had chosen before, and the watch should seldom have to guess which association
/// the gateway's records are of.
fn config() -> Config {
    Config::default()
        .with_associations(8)
        .expect("some")
        .with_half_open(4)
        .with_contexts(4)
}

pub fn message(kind: u8, count: u32) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&count.to_be_bytes());
    message
}
