//! A stream between two ends that bring their credentials when a refresh asks for them: frames lie
//! in queues, so that a test can see, take and change each of them.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_core::CryptoRng;
use refpoint_association::{
    Backend, CloseReason, Credential, Credentials, Due, Error, Local, Now, Opened, SessionLabel,
    StreamInitiator, StreamResponder, StreamSession,
};

use super::support::{self, Setting};

pub const INITIATOR: usize = 0;
pub const RESPONDER: usize = 1;

/// One end: its session and all that a refresh needs.
pub struct End {
    pub session: StreamSession,
    pub local: Local,
    pub credentials: Credentials,
    pub rng: ChaCha20Rng,
    /// What it has sent, a payload each.
    pub sent: Vec<Vec<u8>>,
    /// What the other end has delivered of that.
    pub delivered: Vec<Vec<u8>>,
    /// Frames on their way to the other end.
    pub frames: VecDeque<Vec<u8>>,
    pub closed: Option<CloseReason>,
    /// Why refreshes did not come about.
    pub refused: Vec<Error>,
}

impl End {
    fn push(&mut self, mut bytes: &[u8]) {
        while let Some(prefix) = bytes.first_chunk::<2>() {
            let (frame, rest) = bytes.split_at(2 + usize::from(u16::from_be_bytes(*prefix)));
            self.frames.push_back(frame.to_vec());
            bytes = rest;
        }
    }

    /// Goes on with a refresh, or begins one.
    pub fn refresh(&mut self, now: Now) -> Result<(), Error> {
        let mut out = Vec::new();
        let refreshed =
            self.session
                .refresh(now, &mut self.rng, &self.local, &self.credentials, &mut out);
        if let Err(error) = refreshed {
            self.refused.push(error);
        }
        self.push(&out);
        refreshed
    }

    pub fn send(&mut self, now: Now, data: &[u8]) -> Result<(), Error> {
        let mut out = Vec::new();
        self.session.send(now, data, &mut out)?;
        self.sent.push(data.to_vec());
        self.push(&out);
        Ok(())
    }

    pub fn close(&mut self, now: Now) {
        let mut out = Vec::new();
        let closed = self.session.close(now, CloseReason::Done, &mut out);
        closed.expect("may close");
        self.push(&out);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now) -> Due {
        let mut out = Vec::new();
        let due = self.session.handle_timeout(now, &mut out);
        self.push(&out);
        if due == Due::Refresh {
            let _ = self.refresh(now);
        }
        due
    }
}

pub struct Talk {
    pub ends: [End; 2],
    pub now: Now,
}

impl Talk {
    pub fn new(setting: &Setting) -> Self {
        Self::between(setting, setting, 1)
    }

    /// A confirmed association; the seed gives its ephemeral keys and those of its refreshes.
    pub fn between(a: &Setting, b: &Setting, seed: u64) -> Self {
        let parties = [a.initiator(), b.responder()];
        let (mut first, mut second) = (support::rng(seed), support::rng(seed + 1));
        Self::made_by(parties, a.backend, [&mut first, &mut second], seed + 1000)
    }

    /// An association whose ephemeral keys `rngs` give; the seed gives those of its refreshes.
    pub fn made_by(
        [initiator, responder]: [(Local, Credential); 2],
        backend: Backend,
        rngs: [&mut dyn CryptoRng; 2],
        seed: u64,
    ) -> Self {
        let now = support::now(0);
        let (local_a, credential) = initiator;
        let (credentials_a, id) = support::table(credential);
        let entry = (id, credentials_a.find(id).expect("inserted").clone());
        let (local_b, credential) = responder;
        let (credentials_b, _) = support::table(credential);
        let (mut forth, mut back, mut confirm) = (Vec::new(), Vec::new(), Vec::new());
        let [first, second] = rngs;
        let label = SessionLabel::default();
        let initiator =
            StreamInitiator::new(now, first, &local_a, backend, entry, label, &mut forth);
        let initiate = &forth[2..];
        let responder = StreamResponder::receive(
            now,
            second,
            &local_b,
            backend,
            &credentials_b,
            initiate,
            &mut back,
        );
        let initiator = initiator
            .and_then(|initiator| initiator.receive(now, &back[2..], &mut confirm))
            .expect("completes");
        let [rng_a, rng_b] = [support::rng(seed), support::rng(seed + 1)];
        let end = |session, local, credentials, rng| End {
            session,
            local,
            credentials,
            rng,
            sent: Vec::new(),
            delivered: Vec::new(),
            frames: VecDeque::new(),
            closed: None,
            refused: Vec::new(),
        };
        let mut talk = Self {
            ends: [
                end(initiator, local_a, credentials_a, rng_a),
                end(responder.expect("completes"), local_b, credentials_b, rng_b),
            ],
            now,
        };
        talk.ends[INITIATOR].push(&confirm);
        talk.settle().expect("confirms");
        talk
    }

    pub fn at(&mut self, seconds: u64) {
        self.now = support::now(seconds);
    }

    pub fn send(&mut self, from: usize, data: &[u8]) {
        self.ends[from].send(self.now, data).expect("may send");
    }

    /// The initiator refreshes; nothing is delivered yet.
    pub fn begin_refresh(&mut self) {
        let begun = self.ends[INITIATOR].refresh(self.now);
        begun.expect("may refresh");
    }

    /// A refresh from its beginning to its end.
    pub fn refresh(&mut self) {
        let before = self.refreshes();
        self.begin_refresh();
        self.settle().expect("opens");
        assert_eq!(self.refreshes(), (before.0 + 1, before.1 + 1));
    }

    pub fn refreshes(&self) -> (u64, u64) {
        let count = |end: &End| end.session.refreshes();
        (count(&self.ends[INITIATOR]), count(&self.ends[RESPONDER]))
    }

    /// Delivers the oldest frame of `from`; false when there is none.
    pub fn deliver(&mut self, from: usize) -> Result<bool, Error> {
        match self.ends[from].frames.pop_front() {
            Some(frame) => self.deliver_frame(from, frame).map(|()| true),
            None => Ok(false),
        }
    }

    /// Delivers a frame as if it came from `from`.
    pub fn deliver_frame(&mut self, from: usize, mut frame: Vec<u8>) -> Result<(), Error> {
        let [initiator, responder] = &mut self.ends;
        let (from, to) = match from {
            INITIATOR => (initiator, responder),
            _ => (responder, initiator),
        };
        let mut out = Vec::new();
        let opened = to.session.receive(self.now, &mut frame, &mut out);
        to.push(&out);
        match opened? {
            Opened::Data(data) => {
                assert!(from.closed.is_none(), "something after the end");
                let expected = from.sent.get(from.delivered.len());
                assert_eq!(expected.map(Vec::as_slice), Some(data), "not what is next");
                from.delivered.push(data.to_vec());
            }
            Opened::Closed(reason) => from.closed = Some(reason),
            Opened::Refresh => {
                let _ = to.refresh(self.now);
            }
            Opened::Refreshed | Opened::Granted | Opened::Control => {}
        }
        Ok(())
    }

    /// Delivers, in turns, until nothing is on its way.
    pub fn settle(&mut self) -> Result<(), Error> {
        while self.deliver(INITIATOR)? | self.deliver(RESPONDER)? {}
        Ok(())
    }

    /// Everything that was sent has been delivered, and nothing else.
    pub fn assert_whole(&self) {
        for end in &self.ends {
            assert_eq!(end.sent.len(), end.delivered.len(), "something is missing");
        }
    }
}
