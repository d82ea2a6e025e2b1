use alloc::vec::Vec;

use rand_core::CryptoRng;
use refpoint_association::{
    CloseReason, Letter, LetterResponder, LetterSession, Now, OpenedLetter,
};
use sha2::{Digest as _, Sha256};

use super::{Answer, MOST_UNPROVED, PATIENCE, Session, SessionId, Sessions};
use crate::{Error, Inner, Target, padding};

/// What a packet that came brings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The session that it belongs to.
    pub session: Option<SessionId>,
    /// What the peer sent: proved to be its own, for this target, once, and not expired.
    pub inner: Option<Inner>,
    /// To be posted to the peer.
    pub reply: Option<Vec<u8>>,
    /// The peer has answered: send in this session at once, if only [`Sessions::confirm`] (rule H6).
    pub established: bool,
    /// The session is proved from both ends; whatever was sent in an older one and not answered may be
    /// sent again in this.
    pub confirmed: bool,
    /// The peer is done.
    pub closed: Option<CloseReason>,
}

/// The first bit of a record's first byte.
const RECORD: u8 = 0x80;
/// The type of an Initiate, in bits 6 to 3 of a packet's first byte.
const INITIATE: u8 = 1;

impl Sessions {
    /// Takes a packet that came for `target`.
    ///
    /// Keep [`to_bytes`](Sessions::to_bytes), if anything, in one transaction with the acknowledgement
    /// to the mailbox it came from.
    ///
    /// # Errors
    /// Why it is refused. Nothing but a packet that opens changes a session; of what opens and is then
    /// refused (expired, or for something else) no second copy opens.
    pub fn receive(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        target: &Target,
        packet: &[u8],
    ) -> Result<Arrival, Error> {
        match packet.first() {
            None => Err(Error::Malformed("packet")),
            Some(byte) if byte & RECORD != 0 => self.letter(now, target, packet),
            Some(byte) if byte >> 3 == INITIATE => self.initiated(now, rng, target, packet),
            Some(_) => self.responded(now, target, packet),
        }
    }

    fn initiated(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        target: &Target,
        packet: &[u8],
    ) -> Result<Arrival, Error> {
        let hash = Sha256::digest(packet).into();
        let reply = |respond: &Vec<u8>| Arrival {
            reply: Some(respond.clone()),
            ..Arrival::default()
        };
        if let Some(answer) = self.answers.get(&hash) {
            return Ok(reply(&answer.respond));
        }
        let unproved = self
            .open
            .values()
            .filter(|session| session.unproved_until.is_some());
        if unproved.count() >= MOST_UNPROVED || self.answers.len() >= 4 * MOST_UNPROVED {
            return Err(Error::Full("sessions that nobody has confirmed"));
        }
        let (id, index) = self.new_id(rng)?;
        let (post, mut respond) = (self.post(target), Vec::new());
        let letters = LetterResponder::receive(
            now,
            rng,
            &post,
            &self.credentials,
            packet,
            index,
            &mut respond,
        )?;
        let until = now.monotonic.saturating_add(PATIENCE);
        if let Some(letters) = letters {
            let session = Session {
                letters,
                target: target.clone(),
                unproved_until: Some(until),
                asked: false,
            };
            self.open.insert(id, session);
        }
        let arrival = reply(&respond);
        self.answers.insert(hash, Answer { respond, until });
        Ok(arrival)
    }

    fn responded(&mut self, now: Now, target: &Target, packet: &[u8]) -> Result<Arrival, Error> {
        let index = packet.get(1..5).and_then(|index| index.try_into().ok());
        let id = index.map(|index| SessionId(u32::from_be_bytes(index)));
        let id = id.ok_or(Error::Malformed("packet"))?;
        let mut offered = self
            .offered
            .remove(&id)
            .ok_or(refpoint_association::Error::NoAssociation)?;
        let post = self.post(target);
        let letters = if offered.target == *target {
            let session = offered.initiator.receive(now, &post, packet);
            session.map_err(Error::from)
        } else {
            Err(Error::WrongTarget)
        };
        match letters {
            Ok(letters) => {
                let session = Session {
                    letters,
                    target: offered.target,
                    unproved_until: None,
                    asked: false,
                };
                self.open.insert(id, session);
                Ok(Arrival {
                    session: Some(id),
                    established: true,
                    ..Arrival::default()
                })
            }
            Err(error) => {
                // Whatever does not open changes nothing: the genuine answer may follow.
                if !offered.initiator.packet().is_empty() {
                    self.offered.insert(id, offered);
                }
                Err(error)
            }
        }
    }

    fn letter(&mut self, now: Now, target: &Target, packet: &[u8]) -> Result<Arrival, Error> {
        let index = packet.get(1..5).and_then(|index| index.try_into().ok());
        let id = index.map(|index| SessionId(u32::from_be_bytes(index)));
        let id = id.ok_or(Error::Malformed("packet"))?;
        let session = self.session_mut(id)?;
        if session.target != *target {
            return Err(Error::WrongTarget);
        }
        let mut packet = zeroize::Zeroizing::new(packet.to_vec());
        let OpenedLetter {
            letter,
            asks,
            confirms,
        } = session.letters.open(now, &mut packet)?;
        let mut arrival = Arrival {
            session: Some(id),
            confirmed: confirms,
            ..Arrival::default()
        };
        let inner = match letter {
            Letter::Data { content, padded } => Some(read(content, padded, now, target)),
            Letter::Closed(reason) => {
                arrival.closed = Some(reason);
                None
            }
            Letter::Empty | Letter::RenewNow => None,
        };
        session.unproved_until = None;
        if asks {
            let mut answer = Vec::new();
            // What is over cannot answer, and what it brought is taken all the same.
            if session.letters.answer(now, &mut answer).is_ok() {
                arrival.reply = Some(answer);
            }
        }
        if confirms {
            self.succeed(id);
        }
        if arrival.closed.is_some() {
            self.open.remove(&id);
        }
        arrival.inner = inner.transpose()?;
        Ok(arrival)
    }

    /// The confirmation of a new session makes the older ones drain (rule H5): they receive, and send
    /// nothing more.
    fn succeed(&mut self, newer: SessionId) {
        let Some(session) = self.open.get(&newer) else {
            return;
        };
        let peer = session.letters.peer().entity().clone();
        let target = session.target.clone();
        let older = self.open.iter_mut().filter(|(id, session)| {
            **id != newer
                && session.letters.peer().entity() == &peer
                && session.target == target
                && session.letters.is_confirmed()
        });
        older.for_each(|(_, session)| LetterSession::drain(&mut session.letters));
    }
}

fn read(content: &[u8], padded: bool, now: Now, target: &Target) -> Result<Inner, Error> {
    let len = if padded {
        padding::unpadded_len(content)?
    } else {
        content.len()
    };
    let inner = Inner::decode(&content[..len])?;
    inner.check(target, now.utc)?;
    Ok(inner)
}
