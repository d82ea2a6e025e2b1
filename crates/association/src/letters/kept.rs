//! What of a session may outlive its process: the receiving direction (rule E1).
//!
//! ```text
//! kept  = 1 ‖ position (8) ‖ saved at (8) ‖ terms ‖ role ‖ lp(key id) ‖ lp(session) ‖ local (4) ‖ remote (4)
//!         ‖ limits (5) ‖ life left in ms (8) ‖ confirmed ‖ records (8) ‖ bytes (8) ‖ traffic (32)
//!         ‖ epochs (1) ‖ epoch ..
//! epoch = number (8) ‖ key and iv (44) ‖ time left in ms (8; all ones: current) ‖ ranges (4) ‖ (from (4) ‖ to (4)) ..
//! ```

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};

use refpoint_keys::{KeyId, Role, UtcTime};
use refpoint_wire::{Index, SessionLabel, Terms};
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    LetterLimits, LetterSession,
    deep_receiver::{DeepReceiver, Epoch, EpochSecret, KEPT},
    received::Received,
};
use crate::{
    Authenticated, Backend, Credentials, Error, Now, lifetime::Lifetime, policy::Agreed,
    schedule::Traffic,
};

const FORMAT: u8 = 1;
const CURRENT: u64 = u64::MAX;
const FIXED: usize = 192;
const EPOCH: usize = 64;

impl LetterSession {
    /// The receiving direction, secrets included: to be sealed and kept, in one transaction with the
    /// acknowledgement to the mailbox of everything up to `position`. The sending direction is never
    /// kept: a restored snapshot would use its nonces again.
    ///
    /// # Errors
    /// [`Error::Expired`] without a wall clock: how long the process is gone could not be told.
    pub fn to_bytes(&self, now: Now, position: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
        let utc = now.utc.ok_or(Error::Expired)?;
        let now = now.millis();
        let receiver = &self.receiver;
        let ranges: usize = receiver
            .epochs
            .iter()
            .map(|epoch| epoch.received.ranges().len())
            .sum();
        let len = FIXED + EPOCH * receiver.epochs.len() + 8 * ranges;
        let mut out = Zeroizing::new(Vec::with_capacity(len));
        out.push(FORMAT);
        out.extend_from_slice(&position.to_be_bytes());
        out.extend_from_slice(&utc.as_secs().to_be_bytes());
        out.extend_from_slice(&[self.peer.terms.code(), self.peer.role.code()]);
        for name in [self.peer.key_id().as_bytes(), self.peer.session.as_bytes()] {
            out.push(name.len() as u8);
            out.extend_from_slice(name);
        }
        out.extend_from_slice(&self.local.value().to_be_bytes());
        out.extend_from_slice(&self.remote.value().to_be_bytes());
        out.extend_from_slice(&self.agreed.codes());
        out.extend_from_slice(&self.lifetime.hard().saturating_sub(now).to_be_bytes());
        out.push(self.confirmed.into());
        out.extend_from_slice(&receiver.records.to_be_bytes());
        out.extend_from_slice(&receiver.bytes.to_be_bytes());
        out.extend_from_slice(receiver.traffic.expose_bytes());
        out.push(receiver.epochs.len() as u8);
        for epoch in &receiver.epochs {
            let left = epoch
                .until
                .map_or(CURRENT, |until| until.saturating_sub(now));
            let ranges = epoch.received.ranges();
            out.extend_from_slice(&epoch.number.to_be_bytes());
            out.extend_from_slice(epoch.secret.bytes());
            out.extend_from_slice(&left.to_be_bytes());
            out.extend_from_slice(&(ranges.len() as u32).to_be_bytes());
            for (from, to) in ranges {
                out.extend_from_slice(&from.to_be_bytes());
                out.extend_from_slice(&to.to_be_bytes());
            }
        }
        Ok(out)
    }

    /// The receiving direction of a kept session: it opens what is still on its way, and seals nothing
    /// ([`Error::ReceiveOnly`]); to send, make a new session.
    ///
    /// `acknowledged` is what the mailbox knows to be acknowledged last. A state from before that (a
    /// restored snapshot) has a window that would let letters pass which were opened since.
    ///
    /// # Errors
    /// [`Error::Stale`]: discard it. [`Error::NoCredential`] when the credential is gone or does not
    /// allow the session any more, [`Error::Expired`] when it, or the session, is over, or without a wall clock,
    /// [`Error::Unexpected`] when the bytes are none.
    pub fn from_bytes(
        now: Now,
        bytes: &[u8],
        acknowledged: u64,
        backend: Backend,
        credentials: &Credentials,
        limits: LetterLimits,
    ) -> Result<Self, Error> {
        let mut kept = Kept(bytes);
        if kept.array()? != [FORMAT] {
            return Err(Error::Unexpected);
        }
        if kept.u64()? < acknowledged {
            return Err(Error::Stale);
        }
        let utc = now.utc.ok_or(Error::Expired)?;
        let saved = UtcTime::from_secs(kept.u64()?);
        if utc < saved {
            return Err(Error::Expired);
        }
        let away = crate::time::millis(utc.saturating_since(saved));
        let [terms, role] = kept.array()?;
        let (terms, role) = (Terms::try_from(terms)?, Role::try_from(role));
        let role = role.map_err(|_| Error::Unexpected)?;
        let key_id = KeyId::new(kept.counted()?).map_err(|_| Error::Unexpected)?;
        let session = SessionLabel::new(kept.counted()?)?;
        let (local, remote) = (kept.index()?, kept.index()?);
        let agreed = Agreed::from_codes(kept.array()?).ok_or(Error::Unexpected)?;
        let left = kept.u64()?.checked_sub(away).filter(|left| *left > 0);
        let left = left.ok_or(Error::Expired)?;
        let confirmed = kept.array()? == [1];
        let (id, credential) = credentials
            .by_key(terms.point, key_id)
            .ok_or(Error::NoCredential)?;
        credential
            .allows(terms, role)
            .map_err(|_| Error::NoCredential)?;
        let left = core::time::Duration::from_millis(left);
        let remaining = credential
            .remaining(now)?
            .map_or(left, |holds| holds.min(left));
        let receiver = kept.receiver(now.millis(), away, agreed.epoch_bits)?;
        let lifetime = Lifetime::new(now.millis(), &agreed, Some(remaining));
        Ok(Self {
            peer: Authenticated {
                credential: credential.clone(),
                id,
                session,
                terms,
                role,
            },
            backend,
            limits,
            local,
            remote,
            sending: None,
            receiver,
            agreed,
            lifetime,
            renew_at: now.millis(),
            confirmed,
            closed: false,
        })
    }
}

/// Takes fields off the front of what was kept.
struct Kept<'a>(&'a [u8]);

impl<'a> Kept<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Error::Unexpected)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn counted(&mut self) -> Result<&'a [u8], Error> {
        let [len] = self.array()?;
        let split = self.0.split_at_checked(len.into());
        let (taken, rest) = split.ok_or(Error::Unexpected)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    fn index(&mut self) -> Result<Index, Error> {
        Ok(Index::new(self.u32()?, 4)?)
    }

    /// The receiver, of whose retention `away` milliseconds have passed.
    fn receiver(&mut self, now: u64, away: u64, bits: u8) -> Result<DeepReceiver, Error> {
        let (records, bytes) = (self.u64()?, self.u64()?);
        let mut traffic = self.array()?;
        let mut receiver = DeepReceiver {
            traffic: Box::new(Traffic::from_bytes(&traffic)),
            epochs: VecDeque::with_capacity(KEPT),
            bits,
            bytes,
            records,
        };
        traffic.zeroize();
        let [count] = self.array()?;
        for _ in 0..count {
            let number = self.u64()?;
            let secret = Box::new(Zeroizing::new(self.array()?));
            let until = match self.u64()? {
                CURRENT => None,
                left => Some(now.saturating_add(left.saturating_sub(away))),
            };
            let count = self.u32()? as usize;
            let mut ranges = Vec::with_capacity(count.min(self.0.len() / 8));
            for _ in 0..count {
                ranges.push((self.u32()?, self.u32()?));
            }
            receiver.epochs.push_back(Epoch {
                number,
                secret: EpochSecret::from_bytes(&secret),
                received: Received::from_ranges(ranges).ok_or(Error::Unexpected)?,
                until,
            });
        }
        let numbers = || receiver.epochs.iter().map(|epoch| epoch.number);
        let ascending = numbers().zip(numbers().skip(1)).all(|(a, b)| a < b);
        let current = receiver
            .epochs
            .back()
            .is_some_and(|epoch| epoch.until.is_none());
        if !self.0.is_empty() || count as usize > KEPT || !ascending || !current {
            return Err(Error::Unexpected);
        }
        Ok(receiver)
    }
}
