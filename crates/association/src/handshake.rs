//! The Noise handshake: snow makes it, and only that.
//!
//! snow's known pitfalls end here: keys have fixed lengths, the PSK is set for exactly the slot
//! that the pattern has, buffers have room for every tag, nothing is read from a state before it
//! is finished except what the next step needs, and its memory is wiped.

use alloc::{boxed::Box, vec, vec::Vec};

use refpoint_keys::Profile;
use refpoint_wire::{Suite, Terms};
use snow::{Builder, HandshakeState};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    Backend, Error, PublicKey, StaticKey,
    backend::Resolver,
    schedule::Split,
    scrub::{Scrubbed, bleach_stack},
};

/// What a handshake is made from.
pub(crate) struct Setup<'a> {
    pub(crate) backend: Backend,
    pub(crate) terms: Terms,
    pub(crate) prologue: &'a [u8],
    /// Known at the start in `psk` and `pinned`; in `known` the responder sets it later.
    pub(crate) psk: Option<&'a [u8; 32]>,
    pub(crate) static_key: Option<&'a StaticKey>,
    pub(crate) remote: Option<PublicKey>,
    /// The ephemeral key is made from these bytes.
    pub(crate) entropy: Zeroizing<[u8; 32]>,
}

/// Bytes that the tokens of any message may take: an ephemeral, an encrypted static, two tags.
const TOKENS: usize = 32 + 48 + 32;

fn psk_slot(profile: Profile) -> u8 {
    match profile {
        Profile::Psk => 0,
        Profile::Pinned | Profile::Known => 2,
        Profile::FirstContact => 3,
    }
}

fn pattern(terms: Terms) -> Result<&'static str, Error> {
    Ok(match (terms.profile, terms.suite) {
        (Profile::Psk, Suite::ChaChaPoly) => "Noise_NNpsk0_25519_ChaChaPoly_SHA256",
        (Profile::Psk, Suite::AesGcm) => "Noise_NNpsk0_25519_AESGCM_SHA256",
        (Profile::Pinned, Suite::ChaChaPoly) => "Noise_KKpsk2_25519_ChaChaPoly_SHA256",
        (Profile::Pinned, Suite::AesGcm) => "Noise_KKpsk2_25519_AESGCM_SHA256",
        (Profile::Known, Suite::ChaChaPoly) => "Noise_IKpsk2_25519_ChaChaPoly_SHA256",
        (Profile::Known, Suite::AesGcm) => "Noise_IKpsk2_25519_AESGCM_SHA256",
        (Profile::FirstContact, _) => return Err(Error::NotAllowed("profile")),
    })
}

/// Runs a step in a frame of its own, and wipes the stack that it used.
pub(crate) fn bleached<T>(step: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn apart<T>(step: impl FnOnce() -> T) -> T {
        step()
    }
    let result = apart(step);
    bleach_stack();
    result
}

fn build(setup: &Setup<'_>, initiator: bool) -> Result<Scrubbed<HandshakeState>, Error> {
    // NNpsk0 has no static keys: one that is given must not be looked at.
    let uses_static = setup.terms.profile != Profile::Psk;
    let static_key = setup.static_key.filter(|_| uses_static);
    if static_key.is_some_and(|key| key.backend() != setup.backend) {
        return Err(Error::Backend(
            "the static key is bound to the other backend",
        ));
    }
    let resolver = Resolver {
        backend: setup.backend,
        entropy: setup.entropy.clone(),
        static_key: static_key.map(StaticKey::shared),
    };
    let params = pattern(setup.terms)?
        .parse()
        .map_err(|_| Error::Backend("pattern"))?;
    let mut builder = Builder::with_resolver(params, Box::new(resolver))
        .prologue(setup.prologue)
        .map_err(failed)?;
    if static_key.is_some() {
        builder = builder.local_private_key(&[]).map_err(failed)?;
    }
    let remote = setup.remote.filter(|_| uses_static);
    if let Some(remote) = &remote {
        builder = builder
            .remote_public_key(remote.as_bytes())
            .map_err(failed)?;
    }
    if let Some(psk) = setup.psk {
        builder = builder
            .psk(psk_slot(setup.terms.profile), psk)
            .map_err(failed)?;
    }
    let state = Scrubbed::try_new(|| {
        if initiator {
            builder.build_initiator()
        } else {
            builder.build_responder()
        }
    });
    state.map_err(|_| Error::Incomplete("static or public key"))
}

pub(crate) fn failed(_: snow::Error) -> Error {
    Error::Backend("noise builder")
}

pub(crate) fn write(
    state: &mut HandshakeState,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    out.resize(start + TOKENS + payload.len(), 0);
    let written = state.write_message(payload, &mut out[start..]);
    // The one reason to fail here is a peer's key of low order.
    out.truncate(start + written.map_err(|_| Error::Authentication)?);
    Ok(())
}

pub(crate) fn read(
    state: &mut HandshakeState,
    message: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut payload = Zeroizing::new(vec![0; message.len()]);
    let len = state.read_message(message, &mut payload);
    let len = len.map_err(|_| Error::Authentication)?;
    payload.truncate(len);
    Ok(payload)
}

fn finish(mut state: Scrubbed<HandshakeState>) -> Result<Split, Error> {
    if !state.is_handshake_finished() {
        return Err(Error::Unexpected);
    }
    let hash = state
        .get_handshake_hash()
        .try_into()
        .map_err(|_| Error::Backend("hash"))?;
    let (mut k1, mut k2) = state.dangerously_get_raw_split();
    let split = Split::new(hash, &k1, &k2);
    k1.zeroize();
    k2.zeroize();
    Ok(split)
}

/// An initiator that has written message 1.
pub(crate) struct Initiator(Scrubbed<HandshakeState>);

impl Initiator {
    /// Writes message 1 after what `out` holds.
    pub(crate) fn initiate(
        setup: &Setup<'_>,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        bleached(|| {
            let mut state = build(setup, true)?;
            write(&mut state, payload, out)?;
            Ok(Self(state))
        })
    }

    /// Reads message 2. After an error the state is as before, so that a forged answer does not
    /// keep the genuine one out: both patterns' second messages begin with a clear ephemeral.
    pub(crate) fn read(&mut self, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        bleached(|| read(&mut self.0, message))
    }

    pub(crate) fn finish(self) -> Result<Split, Error> {
        bleached(|| finish(self.0))
    }
}

/// A responder that has read message 1.
pub(crate) struct Responder {
    state: Scrubbed<HandshakeState>,
    profile: Profile,
}

impl Responder {
    /// Reads message 1; gives its payload.
    pub(crate) fn receive(
        setup: &Setup<'_>,
        message: &[u8],
    ) -> Result<(Self, Zeroizing<Vec<u8>>), Error> {
        bleached(|| {
            let mut state = build(setup, false)?;
            let payload = read(&mut state, message)?;
            let profile = setup.terms.profile;
            Ok((Self { state, profile }, payload))
        })
    }

    /// The initiator's static key as message 1 states it: good for a look-up and nothing else
    /// before the initiator's first record.
    pub(crate) fn claimed_static(&self) -> Option<PublicKey> {
        self.state
            .get_remote_static()?
            .try_into()
            .ok()
            .map(PublicKey::new)
    }

    /// Sets the PSK that the look-up found (`known`).
    pub(crate) fn set_psk(&mut self, psk: &[u8; 32]) -> Result<(), Error> {
        self.state
            .set_psk(psk_slot(self.profile).into(), psk)
            .map_err(failed)
    }

    /// Writes message 2 after what `out` holds.
    pub(crate) fn respond(mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<Split, Error> {
        bleached(|| {
            write(&mut self.state, payload, out)?;
            finish(self.state)
        })
    }
}

/// Draws the bytes of an ephemeral key.
pub(crate) fn draw(rng: &mut dyn rand_core::CryptoRng) -> Zeroizing<[u8; 32]> {
    let mut entropy = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *entropy);
    entropy
}
