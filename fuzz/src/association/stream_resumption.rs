//! Streams of a device and a gateway that resume, lose their memories, and have an attacker between
//! them.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use refpoint_association::{
    Credential, Credentials, Error, Grants, HandleChange, HandleId, HeldHandle, IssuedHandles,
    Modes, Opened, Policy, SessionLabel, StoredHandle, StreamAnswer, StreamInitiator,
    StreamResponder, StreamSession, StreamUnconfirmed,
};
use refpoint_sim::Entropy;

use super::party::{BACKEND, CHOICES, Party, now, parties};
use crate::Input;

const STREAMS: usize = 24;
const RESTARTS: usize = 8;
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Only who began a stream is confirmed on it, what is delivered was sent there, a handle is
/// redeemed once between two restarts, a stream that nobody touched comes about, and when the attack
/// is over the device needs one more.
///
/// A byte that chooses profile, suite and mode, then operations of a byte each with their arguments.
pub fn association_stream_resumption(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(input.byte());
    let mut restarts = 0;
    while !input.is_empty() {
        match input.byte() & 0x0f {
            0 => world.open(),
            1 | 2 => world.deliver(input.byte()),
            3 => {
                let (which, at, change) = (input.byte(), input.byte(), input.byte());
                world.change(which, at.into(), change);
            }
            4 => world.replay(input.byte()),
            5 => {
                let (from, to) = (input.byte(), input.byte());
                world.divert(from, to);
            }
            6 if restarts < RESTARTS => {
                restarts += 1;
                world.restart(input.byte().into());
            }
            7 if restarts < RESTARTS => {
                restarts += 1;
                world.reboot(input.byte().into());
            }
            8 => world.seconds = (world.seconds + u64::from(input.byte())).min(20_000),
            9 => world.send(input.byte()),
            _ => {}
        }
    }
    world.recovers();
}

/// The device's end of a stream.
enum Device {
    /// An attacker began the stream.
    Nobody,
    Waits(Box<StreamInitiator>),
    Up(Box<StreamSession>),
}

enum Gateway {
    Fresh,
    Refused,
    Answered(StreamUnconfirmed),
    Up(Box<StreamSession>),
    Ended,
}

struct Stream {
    device: Device,
    gateway: Gateway,
    /// To the gateway, to the device.
    frames: [VecDeque<Vec<u8>>; 2],
    first: Vec<u8>,
    sent: [u8; 2],
    delivered: [u8; 2],
    /// The device has read the gateway's answer here, and confirmed.
    is_answered: bool,
    touched: bool,
}

type Stored = BTreeMap<HandleId, Vec<u8>>;

struct World {
    device: Party,
    gateway: Party,
    rngs: [Entropy; 2],
    held: Option<Box<HeldHandle>>,
    /// What the device has kept.
    flash: Vec<Vec<u8>>,
    grants: Grants,
    stored: Stored,
    /// States of the gateway's store that it may be restarted from.
    snapshots: Vec<Stored>,
    streams: Vec<Stream>,
    seconds: u64,
    boots: u64,
}

impl World {
    fn new(choice: u8) -> Self {
        let (mut device, gateway) = parties(choice);
        if usize::from(choice) / CHOICES % 2 == 1 {
            let policy = Policy::default().with_resumption(Modes::FRESH, WEEK);
            let credential = Credential::clone(&device.credential.1).with_policy(policy);
            device.credentials = Credentials::new();
            let id = device.credentials.insert(credential);
            let id = id.expect("the only credential");
            let inserted = device.credentials.find(id).expect("inserted").clone();
            device.credential = (id, inserted);
        }
        let mut rngs = ["device", "gateway"].map(|name| Entropy::new(1, name));
        Self {
            grants: Grants::new(IssuedHandles::new(64, &mut rngs[1])),
            device,
            gateway,
            rngs,
            held: None,
            flash: Vec::new(),
            stored: Stored::new(),
            snapshots: vec![Stored::new()],
            streams: Vec::new(),
            seconds: 0,
            boots: 1,
        }
    }

    /// The device connects: by its handle, if it holds one.
    fn open(&mut self) {
        if self.streams.len() < STREAMS {
            let (initiator, first) = self.begin(true);
            let mut stream = Stream::new(Device::Waits(initiator), first);
            stream.frames[0].push_back(stream.first.clone());
            self.streams.push(stream);
        }
    }

    fn begin(&mut self, resumes: bool) -> (Box<StreamInitiator>, Vec<u8>) {
        let (now, rng, local) = (now(self.seconds), &mut self.rngs[0], &self.device.local);
        let (entry, label, mut out) = (
            self.device.credential.clone(),
            SessionLabel::default(),
            Vec::new(),
        );
        if let Some(held) = self.held.as_ref().filter(|_| resumes) {
            let entry = entry.clone();
            let resume = StreamInitiator::resume(now, rng, local, BACKEND, entry, held, &mut out);
            return (Box::new(resume.expect("it is not over")), out);
        }
        let initiator = StreamInitiator::new(now, rng, local, BACKEND, entry, label, &mut out);
        (Box::new(initiator.expect("its credential allows it")), out)
    }

    fn at(&mut self, which: u8) -> Option<(usize, usize)> {
        let place = usize::from(which >> 1) % self.streams.len().max(1);
        (place < self.streams.len()).then_some((place, usize::from(which & 1)))
    }

    fn deliver(&mut self, which: u8) {
        let Some((place, direction)) = self.at(which) else {
            return;
        };
        let Some(frame) = self.streams[place].frames[direction].pop_front() else {
            return;
        };
        let mut stream = self.streams.swap_remove(place);
        match direction {
            0 => self.at_gateway(&mut stream, frame),
            _ => self.at_device(&mut stream, frame),
        }
        self.streams.push(stream);
        let last = self.streams.len() - 1;
        self.streams.swap(place, last);
    }

    fn at_gateway(&mut self, stream: &mut Stream, mut frame: Vec<u8>) {
        let (at, mut out) = (now(self.seconds), Vec::new());
        let (local, known) = (&self.gateway.local, &self.gateway.credentials);
        let packet = frame.get(2..).unwrap_or_default();
        let rng = &mut self.rngs[1];
        let before = core::mem::replace(&mut stream.gateway, Gateway::Ended);
        let after = match before {
            Gateway::Fresh => {
                let answer = if StreamResponder::resumes(packet) {
                    let tables = (known, &mut self.grants);
                    let answer =
                        StreamResponder::resume(at, rng, local, BACKEND, tables, packet, &mut out);
                    answer.and_then(|answer| match answer {
                        StreamAnswer::Resumed(redemption) => redemption
                            .answer(at, rng, local, BACKEND, &mut out)
                            .map(Gateway::Answered),
                        StreamAnswer::Refused => Ok(Gateway::Refused),
                    })
                } else {
                    let answered =
                        StreamResponder::answer(at, rng, local, BACKEND, known, packet, &mut out);
                    answered.map(Gateway::Answered)
                };
                assert!(out.len() <= frame.len() + 64, "an answer that amplifies");
                answer
            }
            Gateway::Refused => {
                let answered =
                    StreamResponder::answer(at, rng, local, BACKEND, known, packet, &mut out);
                answered.map(Gateway::Answered)
            }
            Gateway::Answered(answered) => {
                let stored = &mut self.stored;
                let mut note = |change| note(change, stored);
                let confirmed =
                    answered.confirm(at, &mut self.grants, &mut frame, &mut note, &mut out);
                if confirmed.is_ok() {
                    assert!(stream.is_answered, "confirmed by who is not the device");
                    self.snapshots.push(self.stored.clone());
                }
                confirmed.map(|session| Gateway::Up(Box::new(session)))
            }
            Gateway::Up(mut session) => {
                let opened = session.receive(at, &mut frame, &mut out);
                let opened = opened.map(|opened| stream.note(0, &opened));
                opened.map(|()| Gateway::Up(session))
            }
            Gateway::Ended => return,
        };
        match after {
            Ok(after) => stream.gateway = after,
            // Another stream, or an earlier life, has redeemed it.
            Err(Error::Handle) => {}
            Err(error) => assert!(stream.touched, "nobody touched it: {error}"),
        }
        stream.push(1, &out);
    }

    fn at_device(&mut self, stream: &mut Stream, mut frame: Vec<u8>) {
        let (at, mut out) = (now(self.seconds), Vec::new());
        let failed = match core::mem::replace(&mut stream.device, Device::Nobody) {
            Device::Nobody => return,
            Device::Waits(initiator) => {
                let packet = frame.get(2..).unwrap_or_default();
                match initiator.receive(at, packet, &mut out) {
                    Ok(session) => {
                        stream.device = Device::Up(Box::new(session));
                        stream.is_answered = true;
                        None
                    }
                    Err(Error::Handle) => {
                        let (initiator, initiate) = self.begin(false);
                        stream.device = Device::Waits(initiator);
                        out.extend(initiate);
                        None
                    }
                    Err(error) => Some(error),
                }
            }
            Device::Up(mut session) => {
                let opened = session.receive(at, &mut frame, &mut out);
                match opened {
                    Ok(opened) => {
                        stream.note(1, &opened);
                        if opened == Opened::Granted {
                            self.held = session.take_handle(at);
                            let held = self.held.as_ref().expect("both policies want one");
                            self.flash.push(held.expose_bytes().to_vec());
                        }
                        stream.agree(&session);
                        stream.device = Device::Up(session);
                        None
                    }
                    Err(error) => Some(error),
                }
            }
        };
        if let Some(error) = failed {
            assert!(stream.touched, "nobody touched it: {error}");
        }
        stream.push(0, &out);
    }

    fn send(&mut self, which: u8) {
        let Some((place, direction)) = self.at(which) else {
            return;
        };
        let (at, stream) = (now(self.seconds), &mut self.streams[place]);
        let mut out = Vec::new();
        let number = [stream.sent[direction]];
        let sent = match (direction, &mut stream.device, &mut stream.gateway) {
            (0, Device::Up(session), _) | (1, _, Gateway::Up(session)) => {
                session.send(at, &number, &mut out)
            }
            _ => return,
        };
        if sent.is_ok() && number[0] < u8::MAX {
            stream.sent[direction] += 1;
            stream.push(direction, &out);
        }
    }

    fn change(&mut self, which: u8, at: usize, change: u8) {
        let Some((place, direction)) = self.at(which) else {
            return;
        };
        let stream = &mut self.streams[place];
        let Some(frame) = stream.frames[direction].front_mut() else {
            return;
        };
        // The length is the transport's to read.
        let at = 2 + at % (frame.len() - 2).max(1);
        match (change, frame.get_mut(at)) {
            (0, _) | (_, None) => frame.truncate(at),
            (_, Some(byte)) => *byte ^= change,
        }
        stream.touched = true;
    }

    /// What began a stream begins another one, of the attacker's.
    fn replay(&mut self, which: u8) {
        if let Some((place, _)) = self.at(which).filter(|_| self.streams.len() < STREAMS) {
            let first = self.streams[place].first.clone();
            let mut stream = Stream::new(Device::Nobody, first.clone());
            stream.touched = true;
            stream.frames[0].push_back(first);
            self.streams.push(stream);
        }
    }

    /// A frame of one stream comes first in another, in either direction.
    fn divert(&mut self, from: u8, to: u8) {
        let (Some((one, forth)), Some((other, back))) = (self.at(from), self.at(to)) else {
            return;
        };
        let frame = self.streams[one].frames[forth].front().cloned();
        if let Some(frame) = frame {
            self.streams[other].frames[back].push_front(frame);
            self.streams[other].touched = true;
        }
    }

    /// The gateway is killed, and comes back with what its store had at some time before.
    fn restart(&mut self, which: usize) {
        self.boots += 1;
        let key = *self.grants.issued().expose_key();
        let mut rng = Entropy::new(self.boots, "gateway");
        let mut table = IssuedHandles::new(64, &mut rng).with_key(key);
        let at = self.snapshots.len() - 1 - which % self.snapshots.len();
        self.stored = self.snapshots[at].clone();
        for bytes in self.stored.values() {
            let stored = StoredHandle::from_bytes(bytes).expect("its own bytes");
            let restored = table.restore(now(self.seconds), &self.gateway.credentials, &stored);
            restored.expect("it is not over");
        }
        (self.grants, self.rngs[1]) = (Grants::new(table), rng);
        for stream in &mut self.streams {
            stream.gateway = Gateway::Ended;
        }
    }

    /// The device loses its power, and comes back with a handle that it had kept, or without.
    fn reboot(&mut self, which: usize) {
        self.boots += 1;
        self.rngs[0] = Entropy::new(self.boots, "device");
        let kept = self.flash.len().checked_sub(1 + which % 4);
        let kept = kept.and_then(|at| self.flash.get(at));
        self.held = kept.map(|bytes| {
            let held = HeldHandle::from_bytes(now(self.seconds), bytes);
            Box::new(held.expect("its own bytes"))
        });
        for stream in &mut self.streams {
            stream.device = Device::Nobody;
        }
    }

    /// The attack is over: one stream, and both are heard in it.
    fn recovers(&mut self) {
        self.streams.clear();
        self.open();
        for _ in 0..8 {
            self.deliver(0);
            self.deliver(1);
        }
        for direction in [0, 1] {
            self.send(direction);
            self.deliver(direction);
        }
        let stream = &self.streams[0];
        assert_eq!(stream.delivered, [1, 1], "they are not heard again");
        assert!(self.held.is_some());
    }
}

fn note(change: HandleChange, stored: &mut Stored) {
    match change {
        HandleChange::Issued(handle) => {
            let bytes = handle.expose_bytes().to_vec();
            let twice = stored.insert(handle.id(), bytes);
            assert_eq!(twice, None, "a handle was issued twice");
        }
        HandleChange::Gone(id) => {
            assert!(stored.remove(&id).is_some(), "a handle was redeemed twice");
        }
        _ => {}
    }
}

impl Stream {
    fn new(device: Device, first: Vec<u8>) -> Self {
        Self {
            device,
            gateway: Gateway::Fresh,
            frames: Default::default(),
            first,
            sent: [0; 2],
            delivered: [0; 2],
            is_answered: false,
            touched: false,
        }
    }

    fn push(&mut self, direction: usize, mut bytes: &[u8]) {
        while let Some(length) = bytes.first_chunk() {
            let (frame, rest) = bytes.split_at(2 + usize::from(u16::from_be_bytes(*length)));
            self.frames[direction].push_back(frame.to_vec());
            bytes = rest;
        }
    }

    fn note(&mut self, direction: usize, opened: &Opened<'_>) {
        if let Opened::Data(data) = opened {
            let next = self.delivered[direction];
            assert!(
                next < self.sent[direction] && **data == [next],
                "not what was sent next"
            );
            self.delivered[direction] += 1;
        }
    }

    /// Who has heard the other end has the same keys.
    fn agree(&self, device: &StreamSession) {
        if let Gateway::Up(gateway) = &self.gateway {
            let [mut a, mut b] = [[0; 32]; 2];
            let exported = (
                device.export(b"l", b"c", &mut a),
                gateway.export(b"l", b"c", &mut b),
            );
            if exported == (Ok(()), Ok(())) {
                assert_eq!(a, b, "two associations in one stream");
            }
        }
    }
}
