//! The key schedule (design 4.3): a type a stage, one way only, the older stage consumed.
//!
//! ```text
//! Split (Noise)          master = HKDF-Extract(salt = handshake hash, ikm = k1 ‖ k2)
//!  └─ Master ─┬─ Traffic     i2r 0 ─ Epoch 0 (key, iv)
//!             │               └─ Traffic 1 ─ Epoch 1 ...
//!             ├─ Traffic     r2i 0 ...
//!             └─ Exporter ─ Resumption ─┬─ handle id
//!                                       ├─ keys of the MAC and of hints
//!                                       ├─ PSK of `fresh`
//!                                       └─ Master of `light`
//!
//! Expand(secret, label, context) = HKDF-Expand(secret, length of label (1) ‖ label ‖ context, L)
//! ```
//!
//! The context of the first stage holds both ids, always: `f(initiator) ‖ f(responder)` with `f`
//! as in the prologue. Later stages have none.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use refpoint_keys::{EntityId, Role};
use refpoint_wire::{HandleId, MAC_LEN, RETRY_MAC_LEN, Suite};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{Backend, epoch::EpochKey, prologue::push_field};

enum Label {
    InitiatorToResponder,
    ResponderToInitiator,
    Exporter,
    Export,
    Epoch,
    Ratchet,
    Resumption,
    Handle,
    ResumeMac,
    ResumeHint,
    Light,
    Fresh,
    Grant,
}

impl Label {
    const fn as_bytes(&self) -> &'static [u8] {
        match self {
            Self::InitiatorToResponder => b"refpoint/1 i2r",
            Self::ResponderToInitiator => b"refpoint/1 r2i",
            Self::Exporter => b"refpoint/1 exporter",
            Self::Export => b"refpoint/1 export",
            Self::Epoch => b"refpoint/1 epoch",
            Self::Ratchet => b"refpoint/1 ratchet",
            Self::Resumption => b"refpoint/1 resumption",
            Self::Handle => b"refpoint/1 handle",
            Self::ResumeMac => b"refpoint/1 resume mac",
            Self::ResumeHint => b"refpoint/1 resume hint",
            Self::Light => b"refpoint/1 light",
            Self::Fresh => b"refpoint/1 fresh",
            Self::Grant => b"refpoint/1 grant",
        }
    }
}

fn keyed(secret: &[u8; 32]) -> Hkdf<Sha256> {
    Hkdf::from_prk(secret).expect("a secret has the length of the hash")
}

/// `out = HKDF-Expand(secret, length of label ‖ label ‖ context, length of out)`.
fn expand(secret: &Hkdf<Sha256>, label: Label, context: &[u8], out: &mut [u8]) {
    let label = label.as_bytes();
    secret
        .expand_multi_info(&[&[label.len() as u8], label, context], out)
        .expect("no output here is longer than 255 hashes");
}

/// What Noise's handshake ends in: the hash of the transcript and the two raw keys.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Split {
    hash: [u8; 32],
    keys: [u8; 64],
}

impl Split {
    pub(crate) fn new(hash: [u8; 32], k1: &[u8; 32], k2: &[u8; 32]) -> Self {
        let mut keys = [0; 64];
        keys[..32].copy_from_slice(k1);
        keys[32..].copy_from_slice(k2);
        Self { hash, keys }
    }

    /// `master = HKDF-Extract(salt = handshake hash, ikm = k1 ‖ k2)`.
    pub(crate) fn into_master(self) -> Master {
        Master::extract(&self.hash, &self.keys)
    }
}

fn sealing_key(secret: &Hkdf<Sha256>, label: Label, backend: Backend, suite: Suite) -> EpochKey {
    let mut okm = Zeroizing::new([0; 44]);
    expand(secret, label, &[], &mut *okm);
    EpochKey::from_secret(backend, suite, &okm)
}

/// The secret of one handshake, from which one association's secrets come: as HMAC has it after its
/// first block, which is all that is ever needed of it. Boxed, so that no copy stays where it was
/// moved from; HMAC wipes it.
pub(crate) struct Master(Box<Hkdf<Sha256>>);

impl Master {
    fn extract(salt: &[u8; 32], ikm: &[u8]) -> Self {
        let (mut prk, master) = Hkdf::extract(Some(salt), ikm);
        prk.as_mut_slice().zeroize();
        Self(Box::new(master))
    }

    /// `key(32) ‖ iv(12) = Expand(master, "refpoint/1 grant")`: seals the grant of a Resumed.
    pub(crate) fn grant_key(&self, backend: Backend, suite: Suite) -> EpochKey {
        sealing_key(&self.0, Label::Grant, backend, suite)
    }

    /// `i2r traffic 0, r2i traffic 0, exporter = Expand(master, label, f(initiator) ‖ f(responder))`,
    /// ordered as `role` sends and receives.
    pub(crate) fn into_association(
        self,
        role: Role,
        initiator: &EntityId,
        responder: &EntityId,
    ) -> (Traffic, Traffic, Exporter) {
        let context = context(initiator, responder);
        let derive = |label| {
            let mut out = [0; 32];
            expand(&self.0, label, &context, &mut out);
            out
        };
        let forth = Traffic(derive(Label::InitiatorToResponder));
        let back = Traffic(derive(Label::ResponderToInitiator));
        let exporter = Exporter(derive(Label::Exporter));
        match role {
            Role::Initiator => (forth, back, exporter),
            Role::Responder => (back, forth, exporter),
        }
    }
}

/// `f(initiator) ‖ f(responder)`.
fn context(initiator: &EntityId, responder: &EntityId) -> Vec<u8> {
    let mut context = Vec::with_capacity(128);
    push_field(&mut context, initiator.as_str().as_bytes());
    push_field(&mut context, responder.as_str().as_bytes());
    context
}

/// The traffic secret of one direction and epoch.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Traffic([u8; 32]);

impl Traffic {
    /// `key(32) ‖ iv(12) = Expand(traffic n, "refpoint/1 epoch")`.
    pub(crate) fn epoch_key(&self, backend: Backend, suite: Suite) -> EpochKey {
        sealing_key(&keyed(&self.0), Label::Epoch, backend, suite)
    }

    /// The 44 bytes of that, for who keeps them beyond this secret (letters).
    pub(crate) fn epoch_secret(&self, okm: &mut [u8; 44]) {
        expand(&keyed(&self.0), Label::Epoch, &[], okm);
    }

    /// The secret with these bytes, from a kept state.
    pub(crate) const fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// Its bytes, for a state that the caller seals and keeps.
    pub(crate) const fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `traffic n+1 = Expand(traffic n, "refpoint/1 ratchet")`.
    pub(crate) fn next(&self) -> Self {
        let mut next = Self([0; 32]);
        expand(&keyed(&self.0), Label::Ratchet, &[], &mut next.0);
        next
    }

    /// The same secret in another place; both wipe themselves.
    pub(crate) const fn copy(&self) -> Self {
        Self(self.0)
    }

    /// Replaces this secret by its successor, wiping it.
    pub(crate) fn ratchet(&mut self) {
        *self = self.next();
    }
}

/// The secret from which an association exports keys for other uses.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Exporter([u8; 32]);

impl Exporter {
    /// `Expand(exporter, "refpoint/1 export", f(label) ‖ f(context))`.
    pub(crate) fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) {
        let mut info = Vec::with_capacity(4 + label.len() + context.len());
        push_field(&mut info, label);
        push_field(&mut info, context);
        expand(&keyed(&self.0), Label::Export, &info, out);
    }

    /// `resumption = Expand(exporter, "refpoint/1 resumption")`. Made when it is needed, so that an
    /// association in use keeps one secret less.
    pub(crate) fn resumption(&self) -> Resumption {
        Resumption(derive(&self.0, Label::Resumption))
    }
}

fn derive(secret: &[u8; 32], label: Label) -> [u8; 32] {
    let mut out = [0; 32];
    expand(&keyed(secret), label, &[], &mut out);
    out
}

/// The secret behind a handle: what it takes to resume the association (design 4.5).
#[derive(ZeroizeOnDrop)]
pub(crate) struct Resumption([u8; 32]);

impl Resumption {
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For who keeps it beyond the process, sealed (rule S4).
    pub(crate) const fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) const fn copy(&self) -> Self {
        Self(self.0)
    }

    /// Writes it where it will stay: what is moved leaves a copy behind.
    pub(crate) const fn set(&mut self, secret: &Self) {
        self.0 = secret.0;
    }

    /// `id = Expand(resumption, "refpoint/1 handle", 8)`.
    pub(crate) fn handle(&self) -> HandleId {
        let mut id = [0; 8];
        expand(&keyed(&self.0), Label::Handle, &[], &mut id);
        HandleId(id)
    }

    /// `HMAC(Expand(resumption, "refpoint/1 resume mac"), covered)[0..16]` (rule S1), and what makes
    /// the master of the exchange that it begins.
    pub(crate) fn light(&self, covered: &[u8]) -> ([u8; MAC_LEN], LightKey) {
        let secret = keyed(&self.0);
        let (mut key, mut light) = (Zeroizing::new([0; 32]), LightKey([0; 32]));
        expand(&secret, Label::ResumeMac, &[], &mut *key);
        expand(&secret, Label::Light, &[], &mut light.0);
        let mac = hmac(&key, &[covered]);
        (*mac.first_chunk().expect("32 bytes hold 16"), light)
    }

    /// `HMAC(Expand(resumption, "refpoint/1 resume hint"), covered)[0..8]` (rule T3).
    pub(crate) fn hint(&self, covered: &[u8]) -> [u8; RETRY_MAC_LEN] {
        let key = Zeroizing::new(derive(&self.0, Label::ResumeHint));
        let mac = hmac(&key, &[covered]);
        *mac.first_chunk().expect("32 bytes hold 8")
    }

    /// `PSK of fresh = Expand(resumption, "refpoint/1 fresh")`.
    pub(crate) fn fresh(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(derive(&self.0, Label::Fresh))
    }
}

/// `Expand(resumption, "refpoint/1 light")`: what `light` makes masters of.
#[derive(ZeroizeOnDrop)]
pub(crate) struct LightKey([u8; 32]);

impl LightKey {
    /// `master = HKDF-Extract(salt = hash of the whole exchange, ikm = light key)` (rule S1).
    pub(crate) fn master(&self, hash: &[u8; 32]) -> Master {
        Master::extract(hash, &self.0)
    }
}

/// HMAC-SHA-256.
pub(crate) fn hmac(key: &[u8; 32], message: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

macro_rules! redacted {
    ($($secret:ident),*) => {$(
        impl fmt::Debug for $secret {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($secret), "(..)"))
            }
        }
    )*};
}

redacted!(Split, Master, Traffic, Exporter, Resumption, LightKey);
