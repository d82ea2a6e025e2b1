use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use rand_core::CryptoRng;
use refpoint_wire::{Carriage, Index, Packet, SessionLabel};
use sha2::{Digest as _, Sha256};

use super::{LetterLimits, LetterSession};
use crate::{
    Backend, Credential, CredentialId, Credentials, Error, Local, Now,
    negotiation::{Context, Offer, Request, Wanted},
    prologue::push_field,
};

/// What an end point's associations by letters have in common.
#[derive(Clone, Copy, Debug)]
pub struct LetterPost<'a> {
    /// Who speaks.
    pub local: &'a Local,
    /// Which library computes.
    pub backend: Backend,
    /// What the letters are about, as both ends spell it; bound into the handshake.
    pub target: &'a [u8],
    /// How long letters may be on their way.
    pub limits: LetterLimits,
}

impl LetterPost<'_> {
    /// `binding = SHA-256("refpoint/1 letters" ‖ f(target))`.
    fn binding(&self) -> [u8; 32] {
        let mut bound = b"refpoint/1 letters".to_vec();
        push_field(&mut bound, self.target);
        Sha256::digest(&bound).into()
    }

    const fn context<'a>(&'a self, binding: &'a [u8; 32]) -> Context<'a> {
        Context {
            local: self.local,
            backend: self.backend,
            carriage: Carriage::Letter,
            binding: Some(binding),
        }
    }
}

/// An initiator whose Initiate is on its way.
pub struct LetterInitiator {
    /// None once an authenticated answer was read.
    offer: Option<Offer>,
    index: Index,
    since: u64,
    fraction: u32,
}

impl LetterInitiator {
    /// Makes an Initiate: [`packet`](Self::packet). `index` has 4 bytes, random ones, and is not used
    /// again.
    ///
    /// # Errors
    /// What the credential lacks, does not allow, or that it has expired.
    pub fn new(
        now: Now,
        rng: &mut dyn CryptoRng,
        post: &LetterPost<'_>,
        (id, credential): (CredentialId, Arc<Credential>),
        session: SessionLabel,
        index: Index,
    ) -> Result<Self, Error> {
        let binding = post.binding();
        let wanted = Wanted {
            credential,
            id,
            session,
        };
        let context = post.context(&binding);
        let offer = Offer::new(&context, wanted, Some(index), None, now, rng)?;
        Ok(Self {
            offer: Some(offer),
            index,
            since: now.millis(),
            fraction: rng.next_u32(),
        })
    }

    /// The Initiate; repeat it as it is until it is answered (rule H2). Empty once it was.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        self.offer.as_ref().map_or(&[], |offer| &offer.packet)
    }

    /// The index by which this end wants to be addressed.
    #[must_use]
    pub const fn index(&self) -> Index {
        self.index
    }

    /// Reads a Respond. One that does not open changes nothing: the genuine one may follow. The session
    /// is to send its first letter at once, empty if need be: it confirms (rule H6).
    ///
    /// # Errors
    /// Why it does not open, or, if it does, why no session comes of it: then nothing else will.
    pub fn receive(
        &mut self,
        now: Now,
        post: &LetterPost<'_>,
        respond: &[u8],
    ) -> Result<LetterSession, Error> {
        let message = match Packet::parse(respond)? {
            Packet::Respond { index, message } if index == Some(self.index) => message,
            _ => return Err(Error::Unexpected),
        };
        let offer = self.offer.as_mut().ok_or(Error::Unexpected)?;
        let answered = offer.answer(post.backend, None, message)?;
        let offer = self.offer.take().ok_or(Error::Unexpected)?;
        let binding = post.binding();
        let agreement = offer.finish(&post.context(&binding), answered, now)?;
        let when = (self.since, now, self.fraction);
        LetterSession::new(agreement, post.backend, post.limits, self.index, when)
    }
}

impl fmt::Debug for LetterInitiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LetterInitiator")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// Answers Initiates.
#[derive(Debug)]
pub struct LetterResponder;

impl LetterResponder {
    /// Reads an Initiate and writes the Respond after what `out` holds. The session seals nothing
    /// before the initiator's first record (rule H6); it is `None` for a sender that nobody knows,
    /// who gets an answer all the same (rule H3).
    ///
    /// The caller remembers the answer by the hash of the Initiate and repeats it (rule H2), and bounds
    /// how many unconfirmed sessions it keeps (rule H5). `index` as for [`LetterInitiator::new`].
    ///
    /// # Errors
    /// [`Error::Authentication`], whatever is wrong.
    pub fn receive(
        now: Now,
        rng: &mut dyn CryptoRng,
        post: &LetterPost<'_>,
        credentials: &Credentials,
        initiate: &[u8],
        index: Index,
        out: &mut Vec<u8>,
    ) -> Result<Option<LetterSession>, Error> {
        let Packet::Initiate(initiate) = Packet::parse(initiate)? else {
            return Err(Error::Unexpected);
        };
        if initiate.header.index.map(Index::wire_len) != Some(4) {
            return Err(Error::Authentication);
        }
        let binding = post.binding();
        let context = post.context(&binding);
        let request = Request::receive(&context, credentials, &initiate, now, rng)?;
        let (packet, agreement) = request.respond(&context, Some(index), now)?;
        out.extend_from_slice(&packet);
        let when = (now.millis(), now, 0);
        agreement
            .map(|agreement| LetterSession::new(agreement, post.backend, post.limits, index, when))
            .transpose()
    }
}
