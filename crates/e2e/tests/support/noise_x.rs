//! Noise's one-way patterns written out by hand (revision 34), for who has other keys than the rules ask for:
//! the attacker of the tests, and a check of the specification.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, aead::AeadInOut as _};
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

pub fn dh(secret: &[u8; 32], public: &[u8; 32]) -> [u8; 32] {
    StaticSecret::from(*secret)
        .diffie_hellman(&PublicKey::from(*public))
        .to_bytes()
}

pub fn public(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

/// Noise's symmetric state.
pub struct Symmetric {
    ck: [u8; 32],
    h: [u8; 32],
    key: [u8; 32],
    nonce: u64,
}

impl Symmetric {
    pub fn new(name: &str, prologue: &[u8]) -> Self {
        let mut h = [0; 32];
        if name.len() <= 32 {
            h[..name.len()].copy_from_slice(name.as_bytes());
        } else {
            h = Sha256::digest(name).into();
        }
        let mut state = Self {
            ck: h,
            h,
            key: [0; 32],
            nonce: 0,
        };
        state.mix_hash(prologue);
        state
    }

    pub fn mix_hash(&mut self, data: &[u8]) {
        self.h = Sha256::new()
            .chain_update(self.h)
            .chain_update(data)
            .finalize()
            .into();
    }

    pub fn mix_key(&mut self, ikm: &[u8]) {
        let mut out = [0; 64];
        Hkdf::<Sha256>::new(Some(&self.ck), ikm)
            .expand(&[], &mut out)
            .expect("short");
        self.ck.copy_from_slice(&out[..32]);
        self.key.copy_from_slice(&out[32..]);
        self.nonce = 0;
    }

    pub fn mix_key_and_hash(&mut self, ikm: &[u8]) {
        let mut out = [0; 96];
        Hkdf::<Sha256>::new(Some(&self.ck), ikm)
            .expand(&[], &mut out)
            .expect("short");
        self.ck.copy_from_slice(&out[..32]);
        self.mix_hash(&out[32..64]);
        self.key.copy_from_slice(&out[64..]);
        self.nonce = 0;
    }

    pub fn encrypt_and_hash(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.nonce.to_le_bytes());
        let mut sealed = plain.to_vec();
        let tag = ChaCha20Poly1305::new(&self.key.into())
            .encrypt_inout_detached(&nonce.into(), &self.h, sealed.as_mut_slice().into())
            .expect("short");
        sealed.extend_from_slice(&tag);
        self.nonce += 1;
        self.mix_hash(&sealed);
        sealed
    }
}

/// `X` to `receiver`, as the owner of `sender`; `ss` comes from whoever can compute it.
pub fn x(
    prologue: &[u8],
    ephemeral: &[u8; 32],
    sender: &[u8; 32],
    ss: &[u8; 32],
    receiver: &[u8; 32],
    payload: &[u8],
) -> Vec<u8> {
    let mut state = Symmetric::new("Noise_X_25519_ChaChaPoly_SHA256", prologue);
    state.mix_hash(receiver);
    let e = public(ephemeral);
    state.mix_hash(&e);
    state.mix_key(&dh(ephemeral, receiver));
    let s = state.encrypt_and_hash(sender);
    state.mix_key(ss);
    let payload = state.encrypt_and_hash(payload);
    [&e[..], &s, &payload].concat()
}

/// `Kpsk0` from `sender` (its private key) to `receiver`.
pub fn kpsk0(
    prologue: &[u8],
    ephemeral: &[u8; 32],
    sender: &[u8; 32],
    receiver: &[u8; 32],
    psk: &[u8; 32],
    payload: &[u8],
) -> Vec<u8> {
    let mut state = Symmetric::new("Noise_Kpsk0_25519_ChaChaPoly_SHA256", prologue);
    state.mix_hash(&public(sender));
    state.mix_hash(receiver);
    state.mix_key_and_hash(psk);
    let e = public(ephemeral);
    state.mix_hash(&e);
    state.mix_key(&e);
    state.mix_key(&dh(ephemeral, receiver));
    state.mix_key(&dh(sender, receiver));
    let payload = state.encrypt_and_hash(payload);
    [&e[..], &payload].concat()
}
