mod arrival;
mod kept;

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use rand_core::CryptoRng;
use refpoint_association::{
    Backend, CloseReason, CredentialId, Credentials, Index, LetterInitiator, LetterLimits,
    LetterPost, LetterSession, Local, Now, SessionLabel,
};
use refpoint_keys::EntityId;

use crate::{Error, Inner, Padding, Target};

pub use arrival::Arrival;

/// Names a session of a [`Sessions`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u32);

/// Sessions whose initiator has not proved itself yet.
const MOST_UNPROVED: usize = 64;

/// How long an answer to an Initiate is remembered, and an Initiate waits for one.
const PATIENCE: Duration = Duration::from_secs(86_400);

/// The sessions of an end point: associations with other end points, whose packets are opaque
/// content to everybody in between.
///
/// ```text
/// initiate ──▶ Initiate ─▶ (hours) ─▶ receive ──▶ Respond ─▶ (hours) ─▶ receive: established
///                                                                          │ send at once: it confirms
///              receive: answer ◀─ (hours) ◀─ letters ◀──────────────────────┘
/// ```
///
/// All packets travel as [`Sealed::Packet`](crate::Sealed::Packet), with whatever keeps and forwards content.
#[derive(Debug)]
pub struct Sessions {
    local: Local,
    backend: Backend,
    credentials: Credentials,
    limits: LetterLimits,
    padding: Padding,
    offered: BTreeMap<SessionId, Offered>,
    open: BTreeMap<SessionId, Session>,
    /// The answers to Initiates, by their hash, to be repeated (rule H2).
    answers: BTreeMap<[u8; 32], Answer>,
}

#[derive(Debug)]
struct Offered {
    initiator: LetterInitiator,
    peer: EntityId,
    target: Target,
    until: Duration,
}

#[derive(Debug)]
struct Session {
    letters: LetterSession,
    target: Target,
    /// When a responder's session ends that nobody has confirmed.
    unproved_until: Option<Duration>,
    /// The responder has asked for a successor.
    asked: bool,
}

#[derive(Debug)]
struct Answer {
    respond: Vec<u8>,
    until: Duration,
}

/// What is to be done about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Its successor: [`Sessions::initiate`] once more, with the same peer and target.
    Renew(SessionId),
    /// [`Sessions::ask_to_renew`].
    Ask(SessionId),
}

impl Sessions {
    /// An end point without sessions. Its peers are those of `credentials` at
    /// [`ReferencePoint::EndToEnd`](refpoint_keys::ReferencePoint::EndToEnd), made of application keys by
    /// [`ApplicationKey::connection_key`](refpoint_keys::ApplicationKey::connection_key).
    #[must_use]
    pub const fn new(local: Local, backend: Backend, credentials: Credentials) -> Self {
        Self {
            local,
            backend,
            credentials,
            limits: LetterLimits::WEEK,
            padding: Padding::None,
            offered: BTreeMap::new(),
            open: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    /// How long letters may be on their way, and how many at once: as the mailboxes in between.
    #[must_use]
    pub const fn with_limits(mut self, limits: LetterLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Pads what it sends.
    #[must_use]
    pub const fn with_padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Its peers.
    #[must_use]
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Its peers, to add some, or to remove them and [end](Self::end_with) their sessions.
    pub const fn credentials_mut(&mut self) -> &mut Credentials {
        &mut self.credentials
    }

    fn post<'a>(&'a self, target: &'a Target) -> LetterPost<'a> {
        LetterPost {
            local: &self.local,
            backend: self.backend,
            target: target.as_str().as_bytes(),
            limits: self.limits,
        }
    }

    /// Begins a session about `target` with the peer of that credential: the Initiate to post to it.
    ///
    /// # Errors
    /// [`Error::Association`] when the credential is gone, has expired, or does not allow it.
    pub fn initiate(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        credential: CredentialId,
        target: &Target,
    ) -> Result<(SessionId, Vec<u8>), Error> {
        let found = self.credentials.find(credential);
        let found = found
            .ok_or(refpoint_association::Error::NoCredential)?
            .clone();
        let peer = found.peer().clone();
        let (id, index) = self.new_id(rng)?;
        let wanted = (credential, found);
        let post = self.post(target);
        let initiator =
            LetterInitiator::new(now, rng, &post, wanted, SessionLabel::default(), index)?;
        let packet = initiator.packet().to_vec();
        let offered = Offered {
            initiator,
            peer,
            target: target.clone(),
            until: now.monotonic.saturating_add(PATIENCE),
        };
        self.offered.insert(id, offered);
        Ok((id, packet))
    }

    /// A random index that is not in use.
    fn new_id(&self, rng: &mut dyn CryptoRng) -> Result<(SessionId, Index), Error> {
        let mut drawn = (0..16).map(|_| SessionId(rng.next_u32()));
        let free = |id: &SessionId| !self.open.contains_key(id) && !self.offered.contains_key(id);
        let id = drawn.find(free).ok_or(Error::Full("sessions"))?;
        let index = Index::new(id.0, 4).map_err(refpoint_association::Error::Wire)?;
        Ok((id, index))
    }

    /// The Initiates that nobody has answered, to be posted again as they are.
    pub fn unanswered(&self) -> impl Iterator<Item = (SessionId, &EntityId, &Target, &[u8])> {
        self.offered.iter().map(|(id, offered)| {
            let packet = offered.initiator.packet();
            (*id, &offered.peer, &offered.target, packet)
        })
    }

    /// The newest session about `target` in which something can be sent to `peer`: the one that lives longest.
    #[must_use]
    pub fn with(&self, peer: &EntityId, target: &Target) -> Option<SessionId> {
        let sends = self.open.iter().filter(|(_, session)| {
            session.letters.peer().entity() == peer
                && session.target == *target
                && session.letters.may_send()
                && session.unproved_until.is_none()
        });
        let newest = sends.max_by_key(|(_, session)| session.letters.ends_at());
        newest.map(|(id, _)| *id)
    }

    /// What a session is about.
    #[must_use]
    pub fn target(&self, id: SessionId) -> Option<&Target> {
        self.open.get(&id).map(|session| &session.target)
    }

    /// Seals `inner` as the next letter of a session.
    ///
    /// # Errors
    /// [`Error::WrongTarget`] when it is for another target than the session,
    /// [`Error::Association`] when the session is gone, not confirmed, at a limit, or only receives.
    pub fn send(&mut self, now: Now, id: SessionId, inner: Inner) -> Result<Vec<u8>, Error> {
        let padding = self.padding;
        let session = self.session_mut(id)?;
        inner.check(&session.target, now.utc)?;
        let mut content = inner.encode();
        let padded = padding.is_used();
        if padded {
            let mut larger = Vec::with_capacity(padding.padded_len(content.len()));
            larger.extend_from_slice(&content);
            content = larger.into();
            padding.pad(&mut content, 0);
        }
        let mut packet = Vec::new();
        session.letters.seal(now, &content, padded, &mut packet)?;
        Ok(packet)
    }

    /// An empty letter: an established session's first, when there is nothing to say.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn confirm(&mut self, now: Now, id: SessionId) -> Result<Vec<u8>, Error> {
        let mut packet = Vec::new();
        self.session_mut(id)?.letters.answer(now, &mut packet)?;
        Ok(packet)
    }

    /// Asks the initiator for a successor.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn ask_to_renew(&mut self, now: Now, id: SessionId) -> Result<Vec<u8>, Error> {
        let session = self.session_mut(id)?;
        let mut packet = Vec::new();
        session.letters.ask_to_renew(now, &mut packet)?;
        session.asked = true;
        Ok(packet)
    }

    /// Ends a session: the Close to post. What is on its way to here still opens.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn close(
        &mut self,
        now: Now,
        id: SessionId,
        reason: CloseReason,
    ) -> Result<Vec<u8>, Error> {
        let mut packet = Vec::new();
        let letters = &mut self.session_mut(id)?.letters;
        letters.close(now, reason, &mut packet)?;
        Ok(packet)
    }

    /// Wipes every session with `peer`, and everything it was offered.
    pub fn end_with(&mut self, peer: &EntityId) {
        self.open
            .retain(|_, session| session.letters.peer().entity() != peer);
        self.offered.retain(|_, offered| &offered.peer != peer);
    }

    fn session_mut(&mut self, id: SessionId) -> Result<&mut Session, Error> {
        let session = self.open.get_mut(&id);
        Ok(session.ok_or(refpoint_association::Error::NoAssociation)?)
    }

    /// Wipes what is over, and says what is to be done. Call it at [`deadline`](Self::deadline).
    pub fn tend(&mut self, now: Now) -> Vec<Due> {
        let at = now.monotonic;
        self.offered.retain(|_, offered| offered.until > at);
        self.answers.retain(|_, answer| answer.until > at);
        self.open.retain(|_, session| {
            session.unproved_until.is_none_or(|until| until > at) && !session.letters.expire(now)
        });
        let due = self.open.iter().filter(|(_, session)| {
            session.letters.may_send() && session.letters.renew_at() <= at && !session.asked
        });
        due.filter_map(|(id, session)| {
            let initiates = session.letters.peer().role() == refpoint_keys::Role::Initiator;
            let peer = session.letters.peer().entity();
            let mut offered = self.offered.values();
            let under_way =
                |offered: &Offered| offered.peer == *peer && offered.target == session.target;
            match initiates {
                true if offered.any(under_way) => None,
                true => Some(Due::Renew(*id)),
                false if session.unproved_until.is_some() => None,
                false => Some(Due::Ask(*id)),
            }
        })
        .collect()
    }

    /// When to [`tend`](Self::tend) next.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let offered = self.offered.values().map(|offered| offered.until);
        let answers = self.answers.values().map(|answer| answer.until);
        let sessions = self.open.values().flat_map(|session| {
            let letters = &session.letters;
            let renew = (letters.may_send() && !session.asked).then(|| letters.renew_at());
            [Some(letters.deadline()), renew, session.unproved_until]
        });
        offered.chain(answers).chain(sessions.flatten()).min()
    }

    /// The sessions that are open, and with whom.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &LetterSession)> {
        self.open
            .iter()
            .map(|(id, session)| (*id, &session.letters))
    }
}
