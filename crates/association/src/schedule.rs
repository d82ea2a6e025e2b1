//! The key schedule (design 4.3): a type a stage, one way only, the older stage consumed.
//!
//! ```text
//! Split (Noise)          master = HKDF-Extract(salt = handshake hash, ikm = k1 ‖ k2)
//!  └─ Master ─┬─ Traffic     i2r 0 ─ Epoch 0 (key, iv)
//!             │               └─ Traffic 1 ─ Epoch 1 ...
//!             ├─ Traffic     r2i 0 ...
//!             └─ Exporter
//!
//! Expand(secret, label, context) = HKDF-Expand(secret, length of label (1) ‖ label ‖ context, L)
//! ```
//!
//! The context of the first stage holds both ids, always: `f(initiator) ‖ f(responder)` with `f`
//! as in the prologue. Later stages have none.

use alloc::vec::Vec;
use core::fmt;

use hkdf::Hkdf;
use refpoint_keys::{EntityId, Role};
use refpoint_wire::Suite;
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
        let (mut prk, _) = Hkdf::<Sha256>::extract(Some(&self.hash), &self.keys);
        let master = Master(prk.into());
        prk.as_mut_slice().zeroize();
        master
    }
}

/// The secret of one handshake, from which one association's secrets come.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Master([u8; 32]);

impl Master {
    /// `i2r traffic 0, r2i traffic 0, exporter = Expand(master, label, f(initiator) ‖ f(responder))`,
    /// ordered as `role` sends and receives.
    pub(crate) fn into_association(
        self,
        role: Role,
        initiator: &EntityId,
        responder: &EntityId,
    ) -> (Traffic, Traffic, Exporter) {
        let mut context = Vec::with_capacity(128);
        push_field(&mut context, initiator.as_str().as_bytes());
        push_field(&mut context, responder.as_str().as_bytes());
        let master = keyed(&self.0);
        let derive = |label| {
            let mut out = [0; 32];
            expand(&master, label, &context, &mut out);
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

/// The traffic secret of one direction and epoch.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Traffic([u8; 32]);

impl Traffic {
    /// `key(32) ‖ iv(12) = Expand(traffic n, "refpoint/1 epoch")`.
    pub(crate) fn epoch_key(&self, backend: Backend, suite: Suite) -> EpochKey {
        let mut okm = Zeroizing::new([0; 44]);
        self.epoch_secret(&mut okm);
        EpochKey::from_secret(backend, suite, &okm)
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

redacted!(Split, Master, Traffic, Exporter);
