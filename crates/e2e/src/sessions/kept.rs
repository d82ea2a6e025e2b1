//! What of the sessions may outlive the process (rule E1).

use alloc::{collections::BTreeMap, vec::Vec};

use refpoint_association::{LetterSession, Now};
use zeroize::Zeroizing;

use super::{Session, SessionId, Sessions};
use crate::{Error, Target, layout};

const FORMAT: u8 = 1;

impl Sessions {
    /// The receiving directions of all confirmed sessions, secrets included: to be sealed and kept, in one
    /// transaction with the acknowledgement to the mailbox of everything up to `position`.
    ///
    /// ```text
    /// kept = 1 ‖ sessions (4) ‖ ( f(target) ‖ length (4) ‖ session ) ..
    /// ```
    ///
    /// # Errors
    /// [`Error::Association`] without a wall clock.
    pub fn to_bytes(&self, now: Now, position: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
        let proved = self
            .open
            .values()
            .filter(|session| session.letters.is_confirmed());
        let kept = proved
            .map(|session| Ok((&session.target, session.letters.to_bytes(now, position)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        let each = |(target, bytes): &(&Target, Zeroizing<Vec<u8>>)| {
            6 + target.as_str().len() + bytes.len()
        };
        let len = kept.iter().map(each).sum::<usize>();
        let mut out = Zeroizing::new(Vec::with_capacity(5 + len));
        out.push(FORMAT);
        out.extend_from_slice(&(kept.len() as u32).to_be_bytes());
        for (target, bytes) in kept {
            layout::field(&mut out, target.as_str().as_bytes());
            out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            out.extend_from_slice(&bytes);
        }
        Ok(out)
    }

    /// Adds the sessions of a kept state, which receive what is still on its way and send nothing: to send,
    /// [`initiate`](Sessions::initiate). Sessions that are over, or whose credential is gone, are left out.
    ///
    /// `acknowledged` is what the mailbox knows to be acknowledged last.
    ///
    /// # Errors
    /// [`Error::Stale`] when the state is older than that, with nothing added: discard it. [`Error::Malformed`].
    pub fn restore(&mut self, now: Now, bytes: &[u8], acknowledged: u64) -> Result<(), Error> {
        let mut reader = layout::Reader::new(bytes, "kept sessions");
        if reader.byte()? != FORMAT {
            return Err(Error::Malformed("kept sessions"));
        }
        let mut restored = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let len = u16::from_be_bytes(reader.array()?);
            let target = core::str::from_utf8(reader.take(len.into())?);
            let target = target.map_err(|_| Error::Malformed("kept sessions"))?;
            let target = Target::new(target)?;
            let len = reader.u32()? as usize;
            let kept = reader.take(len)?;
            let letters = LetterSession::from_bytes(
                now,
                kept,
                acknowledged,
                self.backend,
                &self.credentials,
                self.limits,
            );
            use refpoint_association::Error as Cause;
            let letters = match letters {
                Ok(letters) => letters,
                Err(Cause::Stale) => return Err(Error::Stale),
                Err(Cause::Expired | Cause::NoCredential) => continue,
                Err(error) => return Err(error.into()),
            };
            let id = SessionId(letters.index().value());
            let session = Session {
                letters,
                target,
                unproved_until: None,
                asked: false,
            };
            restored.insert(id, session);
        }
        reader.end()?;
        self.open.append(&mut restored);
        Ok(())
    }
}
