use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use refpoint_keys::{EntityId, KeyId, UtcTime};
use refpoint_wire::{
    Carriage, Handle, HandleGrant, HandleId, LogLimit, PacketHash, SessionLabel, Terms,
};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    Authenticated, Credential, CredentialId, Credentials, Error, Now,
    policy::Agreed,
    schedule::{Exporter, Resumption, hmac},
    time::millis,
};

mod stored;

pub use stored::StoredHandle;
pub(crate) use stored::{DAMAGED, Reader};

/// Redemptions from one full handshake on, after which another is due (rule S5).
const MAX_CHAIN: u16 = 10_000;

/// What is left of the time of a handle that is worth granting, in milliseconds: a second is the least
/// that can be said.
const LEAST: u64 = 1_000;

/// Different Resumes of one handle that are answered on streams (rule S2).
const TRIES: usize = 4;

/// The handles that this end has issued as responder, each redeemed once (rules S2 to S6).
///
/// A redemption happens here, in memory; what changes is told as a [`HandleChange`], for a store
/// that is written behind (rule S7). After a restart [`restore`](Self::restore) takes the stored
/// ones in again.
pub struct IssuedHandles {
    key: HandleKey,
    limit: usize,
    /// Boxed: a table that moves its entries leaves copies of secrets behind, and is searched faster
    /// when they are not in it.
    entries: BTreeMap<HandleId, Box<Entry>>,
    /// The newest handle of each credential; each entry names the one before it.
    newest: BTreeMap<CredentialId, HandleId>,
    /// How many entries make a search for those that are over worth while.
    sweep_at: usize,
}

/// What changes in the table, to be written to what outlives the process.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandleChange {
    /// A handle was issued: keep it until it expires.
    Issued(StoredHandle),
    /// A handle was redeemed, replaced or revoked: forget it.
    Gone(HandleId),
}

/// The key of the tags over handles' ids (rule S6). It belongs with the store: whoever resumes
/// what another process issued needs the same.
#[derive(ZeroizeOnDrop)]
struct HandleKey {
    secret: [u8; 32],
    /// HMAC after its first block; it wipes itself.
    #[zeroize(skip)]
    tags: Box<Hmac<Sha256>>,
    issuer: u8,
}

impl HandleKey {
    fn new(secret: [u8; 32]) -> Self {
        let tags = Hmac::new_from_slice(&secret).expect("HMAC takes keys of any length");
        let issuer = hmac(&secret, &[b"refpoint/1 issuer"])[0];
        Self {
            secret,
            tags: Box::new(tags),
            issuer,
        }
    }

    /// `issuer(1) ‖ HMAC(key, "refpoint/1 handle tag" ‖ id)[0..3]`.
    fn tag(&self, id: HandleId) -> [u8; 4] {
        let tag = (*self.tags).clone().chain_update(b"refpoint/1 handle tag");
        let tag = tag.chain_update(id.0).finalize().into_bytes();
        [self.issuer, tag[0], tag[1], tag[2]]
    }
}

/// A handle that is about to be issued: its secret where it will stay, and its id.
#[derive(Debug)]
pub(crate) struct NewHandle {
    id: HandleId,
    secret: Box<Resumption>,
}

impl NewHandle {
    /// That of an association.
    pub(crate) fn of(exporter: &Exporter) -> Self {
        let secret = Box::new(exporter.resumption());
        let id = secret.handle();
        Self { id, secret }
    }

    pub(crate) const fn id(&self) -> HandleId {
        self.id
    }
}

#[derive(Debug)]
struct Entry {
    secret: Resumption,
    credential: CredentialId,
    /// The revocation generation of the credential when it was issued.
    generation: u32,
    /// When it may no longer be redeemed, and when the chain ends; monotonic milliseconds.
    until: u64,
    chain_until: u64,
    redeemed: u16,
    agreed: Agreed,
    terms: Terms,
    session: SessionLabel,
    carriage: Carriage,
    before: Option<HandleId>,
    /// The Resumes that were answered on streams, if there were any.
    tried: Option<Box<Tried>>,
}

/// Hashes of Resumes, at most [`TRIES`]; apart from the entry, since most have none.
#[derive(Debug, Default)]
struct Tried(Vec<PacketHash>);

/// What a handle carries from one association to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The handle that is redeemed.
    pub(crate) id: HandleId,
    pub(crate) until: u64,
    pub(crate) redeemed: u16,
}

/// What the table knows of a handle that may be redeemed now.
pub(crate) struct Redeemable<'a> {
    pub(crate) secret: &'a Resumption,
    pub(crate) credential_id: CredentialId,
    pub(crate) credential: &'a Arc<Credential>,
    pub(crate) terms: Terms,
    pub(crate) session: SessionLabel,
    pub(crate) agreed: Agreed,
    pub(crate) chain: Chain,
}

impl IssuedHandles {
    /// A table of at most `limit` handles, with a key of its own.
    #[must_use]
    pub fn new(limit: usize, rng: &mut dyn CryptoRng) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *key);
        Self {
            key: HandleKey::new(*key),
            limit,
            entries: BTreeMap::new(),
            newest: BTreeMap::new(),
            sweep_at: 1024,
        }
    }

    /// With the key that the handles of an earlier process, or of another replica, were tagged by.
    #[must_use]
    pub fn with_key(mut self, mut key: [u8; 32]) -> Self {
        self.key = HandleKey::new(key);
        key.zeroize();
        self
    }

    /// The key of the tags, for a store that keeps it with the handles.
    #[must_use]
    pub const fn expose_key(&self) -> &[u8; 32] {
        &self.key.secret
    }

    /// The first byte of all tags that are made here.
    pub(crate) const fn issuer(&self) -> u8 {
        self.key.issuer
    }

    /// Whether it never holds any.
    pub(crate) const fn is_off(&self) -> bool {
        self.limit == 0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the tag is this table's (rule S6), in constant time and before any look-up.
    pub(crate) fn is_tagged(&self, handle: Handle) -> bool {
        self.key.tag(handle.id).ct_eq(&handle.tag).into()
    }

    /// What is behind a handle, if it may be redeemed now (rule S5): it is known and not over, its
    /// credential is still there, valid, unrevoked and of the same terms.
    pub(crate) fn find<'a>(
        &'a self,
        now: Now,
        carriage: Carriage,
        id: HandleId,
        credentials: &'a Credentials,
    ) -> Option<Redeemable<'a>> {
        let entry = self.entries.get(&id)?;
        let credential = credentials.find(entry.credential)?;
        let usable = now.millis() < entry.until
            && entry.carriage == carriage
            && entry.redeemed < MAX_CHAIN
            && entry.generation == credential.generation()
            && credential
                .allows(entry.terms, refpoint_keys::Role::Responder)
                .is_ok()
            && credential.remaining(now).is_ok();
        usable.then_some(Redeemable {
            secret: &entry.secret,
            credential_id: entry.credential,
            credential,
            terms: entry.terms,
            session: entry.session,
            agreed: entry.agreed,
            chain: Chain {
                id,
                until: entry.chain_until,
                redeemed: entry.redeemed + 1,
            },
        })
    }

    /// Whether this Resume, which has come on a stream, is not to be answered, because it was before
    /// or because this handle has led to nothing too often (rule S2).
    ///
    /// Only its owner can make a Resume that verifies, and no owner sends one twice on streams. So
    /// whoever has recorded one makes this end compute nothing by it, and takes no try from the owner,
    /// however often it is sent.
    pub(crate) fn was_tried(&self, id: HandleId, resume: PacketHash) -> bool {
        let tried = self.entries.get(&id).and_then(|entry| entry.tried.as_ref());
        tried.is_some_and(|tried| tried.0.len() >= TRIES || tried.0.contains(&resume))
    }

    /// This Resume, which has verified, is answered on a stream.
    pub(crate) fn note_try(&mut self, id: HandleId, resume: PacketHash) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.tried.get_or_insert_default().0.push(resume);
        }
    }

    /// Redeems a handle: `false` if that was done before (rule S2).
    pub(crate) fn claim(&mut self, id: HandleId, changes: &mut dyn FnMut(HandleChange)) -> bool {
        self.forget(id, changes)
    }

    /// What a grant says of the handle of an association: none when its policy has none, or when
    /// its time would be over.
    pub(crate) fn grant(
        &self,
        now: Now,
        peer: &Authenticated,
        chain: Option<Chain>,
        new: &NewHandle,
    ) -> Option<HandleGrant> {
        let (until, _) = self.ends(now, &peer.credential, chain)?;
        let left = until.saturating_sub(now.millis());
        Some(self.state(peer, new.id, left))
    }

    /// What a grant says of a handle that was issued before, as long as it may be redeemed.
    pub(crate) fn granted(
        &self,
        now: Now,
        peer: &Authenticated,
        id: HandleId,
    ) -> Option<HandleGrant> {
        let left = self.entries.get(&id)?.until.checked_sub(now.millis())?;
        (left >= LEAST).then(|| self.state(peer, id, left))
    }

    fn state(&self, peer: &Authenticated, id: HandleId, left: u64) -> HandleGrant {
        HandleGrant {
            tag: self.key.tag(id),
            modes: peer.credential.policy().resumption(),
            lifetime: LogLimit::at_most(left / 1000),
        }
    }

    /// When a handle that is given now ends, and when its chain does.
    fn ends(&self, now: Now, credential: &Credential, chain: Option<Chain>) -> Option<(u64, u64)> {
        let policy = credential.policy();
        if policy.resumption().is_empty() || self.limit == 0 {
            return None;
        }
        let age = millis(policy.resumption_age());
        let chain_until =
            chain.map_or_else(|| now.millis().saturating_add(age), |chain| chain.until);
        // A date that is not known here is checked when it is redeemed.
        let credential_ends = match credential.remaining(now).ok()? {
            Some(left) => now.millis().saturating_add(millis(left)),
            None => u64::MAX,
        };
        let until = chain_until.min(credential_ends);
        (until >= now.millis().saturating_add(LEAST)).then_some((until, chain_until))
    }

    /// Issues the handle of an association that has just been confirmed. After a full handshake
    /// (`chain` is `None`) the entity's older handles go (rule S5).
    pub(crate) fn issue(
        &mut self,
        now: Now,
        peer: &Authenticated,
        (carriage, agreed, chain): (Carriage, Agreed, Option<Chain>),
        NewHandle { id, secret }: NewHandle,
        changes: &mut dyn FnMut(HandleChange),
    ) {
        if chain.is_none() {
            self.forget_all(peer.id, changes);
        }
        let Some((until, chain_until)) = self.ends(now, &peer.credential, chain) else {
            return;
        };
        self.sweep(now, changes);
        if self.entries.len() >= self.limit {
            return;
        }
        let entry = Entry {
            secret: Resumption::from_bytes([0; 32]),
            credential: peer.id,
            generation: peer.credential.generation(),
            until,
            chain_until,
            redeemed: chain.map_or(0, |chain| chain.redeemed),
            agreed,
            terms: peer.terms,
            session: peer.session,
            carriage,
            before: self.newest.get(&peer.id).copied(),
            tried: None,
        };
        let mut entry = Box::new(entry);
        entry.secret.set(&secret);
        if let Some(utc) = now.utc {
            let stored = StoredHandle::new(id, &entry, &peer.credential, now, utc);
            changes(HandleChange::Issued(stored));
        }
        self.newest.insert(peer.id, id);
        self.entries.insert(id, entry);
    }

    /// Takes in a handle that was stored. One that is over, or whose credential is gone, is left
    /// out.
    ///
    /// # Errors
    /// [`Error::NoCredential`], [`Error::Expired`], [`Error::Full`]: it is of no use here and can be
    /// deleted.
    pub fn restore(
        &mut self,
        now: Now,
        credentials: &Credentials,
        stored: &StoredHandle,
    ) -> Result<(), Error> {
        if self.entries.len() >= self.limit {
            return Err(Error::Full("handles"));
        }
        let (id, mut entry) = stored.entry(now, credentials)?;
        if self.entries.contains_key(&id) {
            return Ok(());
        }
        entry.before = self.newest.insert(entry.credential, id);
        self.entries.insert(id, entry);
        Ok(())
    }

    /// Forgets all handles of a credential: it was removed or revoked.
    pub fn revoke(&mut self, credential: CredentialId, changes: &mut dyn FnMut(HandleChange)) {
        self.forget_all(credential, changes);
    }

    fn forget_all(&mut self, credential: CredentialId, changes: &mut dyn FnMut(HandleChange)) {
        let mut next = self.newest.remove(&credential);
        while let Some(id) = next {
            next = match self.entries.remove(&id) {
                Some(entry) if entry.credential == credential => {
                    changes(HandleChange::Gone(id));
                    entry.before
                }
                // Forgotten already: an entry out of a chain's middle leaves its name behind.
                _ => None,
            };
        }
    }

    fn forget(&mut self, id: HandleId, changes: &mut dyn FnMut(HandleChange)) -> bool {
        let Some(entry) = self.entries.remove(&id) else {
            return false;
        };
        // Take it out of its credential's chain, which is as long as that has sessions.
        if self.newest.get(&entry.credential) == Some(&id) {
            match entry.before {
                Some(before) => self.newest.insert(entry.credential, before),
                None => self.newest.remove(&entry.credential),
            };
        } else {
            let mut at = self.newest.get(&entry.credential).copied();
            while let Some(later) = at.and_then(|at| self.entries.get_mut(&at)) {
                if later.before == Some(id) {
                    later.before = entry.before;
                    break;
                }
                at = later.before;
            }
        }
        changes(HandleChange::Gone(id));
        true
    }

    /// Forgets what is over, seldom enough to cost little a handle.
    fn sweep(&mut self, now: Now, changes: &mut dyn FnMut(HandleChange)) {
        if self.entries.len() < self.sweep_at.min(self.limit) {
            return;
        }
        let over = self.entries.iter();
        let over: Vec<_> = over
            .filter(|(_, entry)| entry.until <= now.millis())
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            self.forget(id, changes);
        }
        self.sweep_at = (2 * self.entries.len()).max(1024);
    }
}

impl fmt::Debug for IssuedHandles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedHandles")
            .field("handles", &self.entries.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
