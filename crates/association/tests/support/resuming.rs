//! A device and a gateway that make streams, and what each keeps of them.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use core::time::Duration;

use rand_core::CryptoRng;
use refpoint_association::{
    Backend, CredentialId, Credentials, Error, Grants, HandleChange, HandleId, HeldHandle,
    IssuedHandles, Local, Modes, Now, Opened, Policy, SessionLabel, StoredHandle, StreamAnswer,
    StreamInitiator, StreamResponder, StreamSession, StreamUnconfirmed,
};

use super::support::{self, Setting, now};

pub const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
pub const MODES: [Modes; 2] = [Modes::BOTH, Modes::FRESH];

pub fn setting(modes: Modes) -> Setting {
    Setting {
        policy: Policy::default().with_resumption(modes, WEEK),
        ..Setting::default()
    }
}

/// The initiator and the handle that it holds.
pub struct Device {
    pub local: Local,
    pub credentials: Credentials,
    pub id: CredentialId,
    pub backend: Backend,
    pub rng: Box<dyn CryptoRng>,
    pub held: Option<Box<HeldHandle>>,
}

impl Device {
    pub fn new(setting: &Setting, seed: u64) -> Self {
        Self::with_rng(setting, support::rng(seed))
    }

    pub fn with_rng(setting: &Setting, rng: impl CryptoRng + 'static) -> Self {
        let (local, credential) = setting.initiator();
        let (credentials, id) = support::table(credential);
        Self {
            local,
            credentials,
            id,
            backend: setting.backend,
            rng: Box::new(rng),
            held: None,
        }
    }

    /// Its first packet: a Resume if it holds a handle.
    pub fn begin(&mut self, now: Now) -> Result<(StreamInitiator, Vec<u8>), Error> {
        let mut out = Vec::new();
        let entry = self.credentials.find(self.id).expect("inserted").clone();
        let (entry, label) = ((self.id, entry), SessionLabel::default());
        let Self {
            local,
            backend,
            rng,
            ..
        } = self;
        let initiator = match &self.held {
            Some(held) => StreamInitiator::resume(now, rng, local, *backend, entry, held, &mut out),
            None => StreamInitiator::new(now, rng, local, *backend, entry, label, &mut out),
        };
        initiator.map(|initiator| (initiator, out))
    }

    /// Takes what answers its confirmation; true if that has told of a handle.
    pub fn hears(&mut self, now: Now, session: &mut StreamSession, mut frame: Vec<u8>) -> bool {
        let opened = session.receive(now, &mut frame, &mut Vec::new());
        let granted = opened.expect("opens") == Opened::Granted;
        if granted {
            self.held = session.take_handle(now);
        }
        granted
    }

    /// What it would keep in its flash.
    pub fn flash(&self) -> Vec<u8> {
        self.held
            .as_ref()
            .expect("a handle")
            .expose_bytes()
            .to_vec()
    }

    pub fn reads(&mut self, now: Now, flash: &[u8]) {
        let held = HeldHandle::from_bytes(now, flash).expect("well-formed");
        self.held = Some(Box::new(held));
    }
}

/// The responder, and what its store is told.
pub struct Gateway {
    pub local: Local,
    pub credentials: Credentials,
    pub id: CredentialId,
    pub backend: Backend,
    pub rng: Box<dyn CryptoRng>,
    pub grants: Grants,
    pub issued: Vec<StoredHandle>,
    pub gone: Vec<HandleId>,
}

impl Gateway {
    pub fn new(setting: &Setting, seed: u64) -> Self {
        Self::with_rng(setting, support::rng(seed))
    }

    pub fn with_rng(setting: &Setting, mut rng: impl CryptoRng + 'static) -> Self {
        let (local, credential) = setting.responder();
        let (credentials, id) = support::table(credential);
        Self {
            local,
            credentials,
            id,
            backend: setting.backend,
            grants: Grants::new(IssuedHandles::new(16, &mut rng)),
            rng: Box::new(rng),
            issued: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Killed and started again, with the key that belongs to its store and this much of what was
    /// in it; gives how many of these are of use.
    pub fn restart(&mut self, now: Now, stored: &[StoredHandle]) -> usize {
        let key = *self.grants.issued().expose_key();
        let mut table = IssuedHandles::new(16, &mut *self.rng).with_key(key);
        let restored = stored
            .iter()
            .filter(|stored| table.restore(now, &self.credentials, stored).is_ok())
            .count();
        self.grants = Grants::new(table);
        restored
    }

    /// Answers a Resume; none when it is refused.
    pub fn resume(
        &mut self,
        now: Now,
        frame: &[u8],
    ) -> Result<(Option<StreamUnconfirmed>, Vec<u8>), Error> {
        let (answer, mut out) = self.read(now, frame)?;
        let StreamAnswer::Resumed(redemption) = answer else {
            return Ok((None, out));
        };
        let rng = &mut *self.rng;
        let answered = redemption.answer(now, rng, &self.local, self.backend, &mut out)?;
        Ok((Some(answered), out))
    }

    /// Reads a Resume: what of it needs the tables.
    pub fn read(&mut self, now: Now, frame: &[u8]) -> Result<(StreamAnswer, Vec<u8>), Error> {
        assert!(StreamResponder::resumes(&frame[2..]));
        let mut out = Vec::new();
        let tables = (&self.credentials, &mut self.grants);
        let answer = StreamResponder::resume(
            now,
            &mut *self.rng,
            &self.local,
            self.backend,
            tables,
            &frame[2..],
            &mut out,
        );
        answer.map(|answer| (answer, out))
    }

    /// Answers an Initiate, the first frame or one that follows a refusal.
    pub fn answer(
        &mut self,
        now: Now,
        frame: &[u8],
    ) -> Result<(StreamUnconfirmed, Vec<u8>), Error> {
        let mut out = Vec::new();
        let answered = StreamResponder::answer(
            now,
            &mut *self.rng,
            &self.local,
            self.backend,
            &self.credentials,
            &frame[2..],
            &mut out,
        );
        answered.map(|answered| (answered, out))
    }

    /// Answers the first frame of a stream.
    pub fn answered(&mut self, now: Now, frame: &[u8]) -> (StreamUnconfirmed, Vec<u8>) {
        if !StreamResponder::resumes(&frame[2..]) {
            return self.answer(now, frame).expect("it is genuine");
        }
        match self.resume(now, frame).expect("it is genuine") {
            (Some(answered), out) => (answered, out),
            (None, _) => panic!("refused"),
        }
    }

    /// Refuses a Resume.
    pub fn refused(&mut self, now: Now, frame: &[u8]) -> Vec<u8> {
        match self.resume(now, frame).expect("it is well-formed") {
            (None, out) => out,
            (Some(_), _) => panic!("answered"),
        }
    }

    pub fn confirm(
        &mut self,
        now: Now,
        answered: StreamUnconfirmed,
        frame: &[u8],
    ) -> Result<(StreamSession, Vec<u8>), Error> {
        let (mut frame, mut out) = (frame.to_vec(), Vec::new());
        let Self {
            grants,
            issued,
            gone,
            ..
        } = self;
        let mut note = |change| note(change, issued, gone);
        let session = answered.confirm(now, grants, &mut frame, &mut note, &mut out);
        session.map(|session| (session, out))
    }

    /// Grants what a refreshed association is resumed by.
    pub fn grant(&mut self, now: Now, session: &mut StreamSession) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let Self {
            grants,
            issued,
            gone,
            ..
        } = self;
        let mut note = |change| note(change, issued, gone);
        session.grant(now, grants, &mut note, &mut out)?;
        Ok(out)
    }
}

fn note(change: HandleChange, issued: &mut Vec<StoredHandle>, gone: &mut Vec<HandleId>) {
    match change {
        HandleChange::Issued(stored) => issued.push(stored),
        HandleChange::Gone(id) => gone.push(id),
        _ => panic!("another change"),
    }
}

/// A stream between both, by the handle if there is one; its frames up to the answer of the
/// confirmation.
pub struct Made {
    pub device: StreamSession,
    pub gateway: StreamSession,
    pub frames: [Vec<u8>; 4],
}

pub fn connect(at: u64, device: &mut Device, gateway: &mut Gateway) -> Made {
    let now = now(at);
    let (initiator, forth) = device.begin(now).expect("may begin");
    let (answered, back) = gateway.answered(now, &forth);
    assert_eq!(answered.resumes(), initiator.resumes());
    let mut confirmation = Vec::new();
    let initiator = initiator.receive(now, &back[2..], &mut confirmation);
    let confirmed = gateway.confirm(now, answered, &confirmation);
    let (responder, answer) = confirmed.expect("it is genuine");
    let mut initiator = initiator.expect("it is genuine");
    assert!(
        initiator.take_handle(now).is_none(),
        "before the responder has proved itself"
    );
    assert!(
        device.hears(now, &mut initiator, answer.clone()),
        "no grant"
    );
    Made {
        device: initiator,
        gateway: responder,
        frames: [forth, back, confirmation, answer],
    }
}

impl Made {
    /// Both ends are heard, and export the same.
    pub fn talks(&mut self, at: u64) {
        for up in [true, false] {
            let (from, to) = match up {
                true => (&mut self.device, &mut self.gateway),
                false => (&mut self.gateway, &mut self.device),
            };
            let mut frame = Vec::new();
            from.send(now(at), b"hello", &mut frame).expect("may send");
            let opened = to.receive(now(at), &mut frame, &mut Vec::new());
            assert_eq!(opened, Ok(Opened::Data(b"hello")));
        }
        let [mut a, mut b] = [[0; 32]; 2];
        self.device.export(b"l", b"c", &mut a).expect("alive");
        self.gateway.export(b"l", b"c", &mut b).expect("alive");
        assert_eq!(a, b);
    }
}
