//! Noise's one-way patterns, for objects that are sealed while their receiver is away.
//!
//! ```text
//! Kpsk0   -> psk, e, es, ss        with a key that both share: the receiver knows the sender's static key
//! X       -> e, es, s, ss          without: the message brings the sender's static key, encrypted
//! ```
//!
//! `es` and `ss` meet the receiver's key, which is a short-lived pre-key: `refpoint-e2e` decides
//! which, binds everything else by the prologue, and remembers ephemerals against replay.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use rand_core::CryptoRng;
use refpoint_keys::ObjectPsk;
use refpoint_wire::Suite;
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use crate::{
    Backend, Error, PublicKey, StaticKey,
    backend::Resolver,
    handshake::{bleached, draw, failed, read, write},
    scrub::Scrubbed,
};

/// A Noise message has at most 65 535 bytes; `X` takes 96 of them.
pub const MAX_ONE_WAY_PAYLOAD: usize = 65_535 - 96;

/// What both ends of a one-way message agree on beforehand.
#[derive(Clone, Copy, Debug)]
pub struct OneWay<'a> {
    /// Which library computes.
    pub backend: Backend,
    /// Cipher and hash.
    pub suite: Suite,
    /// What must be the same at both ends, or the message does not open.
    pub prologue: &'a [u8],
    /// With it the pattern is `Kpsk0`, without `X`.
    pub psk: Option<&'a ObjectPsk>,
}

/// A one-way message that opened.
pub struct Revealed {
    /// What was sealed.
    pub payload: Zeroizing<Vec<u8>>,
    /// The static key that sealed it: proved, as far as the receiver's own key is not stolen.
    pub sender: PublicKey,
    /// The message's ephemeral key, as it stands there: no other message has it.
    pub ephemeral: [u8; 32],
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revealed")
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

impl OneWay<'_> {
    /// Bytes that a message has more than its payload: 48 in `Kpsk0`, 96 in `X`.
    #[must_use]
    pub const fn overhead(&self) -> usize {
        if self.psk.is_some() { 48 } else { 96 }
    }

    /// Seals `payload` from the owner of `sender` to the owner of `receiver`, after what `out`
    /// holds. The ephemeral key is the next 32 bytes of `rng`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_ONE_WAY_PAYLOAD`], [`Error::Authentication`] when the
    /// receiver's key is of low order.
    pub fn seal(
        &self,
        rng: &mut dyn CryptoRng,
        sender: &StaticKey,
        receiver: PublicKey,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if payload.len() > MAX_ONE_WAY_PAYLOAD {
            return Err(Error::TooLarge {
                size: payload.len(),
                limit: MAX_ONE_WAY_PAYLOAD,
            });
        }
        let entropy = draw(rng);
        bleached(|| {
            let mut state = self.build(sender, Some(receiver), entropy, true)?;
            write(&mut state, payload, out)
        })
    }

    /// Opens `message` with the key of the receiver. `sender` is its sender's key in `Kpsk0`; in
    /// `X` the message reveals it, and the caller checks whose it is.
    ///
    /// # Errors
    /// [`Error::Authentication`] when anything differs from what was sealed;
    /// [`Error::Incomplete`] in `Kpsk0` without `sender`.
    pub fn open(
        &self,
        receiver: &StaticKey,
        sender: Option<PublicKey>,
        message: &[u8],
    ) -> Result<Revealed, Error> {
        let ephemeral = *message.first_chunk().ok_or(Error::Authentication)?;
        if self.psk.is_some() && sender.is_none() {
            return Err(Error::Incomplete("public key of the sender"));
        }
        let sender = sender.filter(|_| self.psk.is_some());
        bleached(|| {
            // A receiver draws nothing.
            let mut state = self.build(receiver, sender, Zeroizing::new([0; 32]), false)?;
            let payload = read(&mut state, message)?;
            let sender = state
                .get_remote_static()
                .and_then(|key| key.try_into().ok())
                .map(PublicKey::new)
                .ok_or(Error::Authentication)?;
            Ok(Revealed {
                payload,
                sender,
                ephemeral,
            })
        })
    }

    const fn pattern(&self) -> &'static str {
        match (self.psk.is_some(), self.suite) {
            (true, Suite::ChaChaPoly) => "Noise_Kpsk0_25519_ChaChaPoly_SHA256",
            (true, Suite::AesGcm) => "Noise_Kpsk0_25519_AESGCM_SHA256",
            (false, Suite::ChaChaPoly) => "Noise_X_25519_ChaChaPoly_SHA256",
            (false, Suite::AesGcm) => "Noise_X_25519_AESGCM_SHA256",
        }
    }

    fn build(
        &self,
        own: &StaticKey,
        remote: Option<PublicKey>,
        entropy: Zeroizing<[u8; 32]>,
        sends: bool,
    ) -> Result<Scrubbed<HandshakeState>, Error> {
        if own.backend() != self.backend {
            return Err(Error::Backend(
                "the static key is bound to the other backend",
            ));
        }
        let resolver = Resolver {
            backend: self.backend,
            entropy,
            static_key: Some(own.shared()),
        };
        let params = self.pattern().parse();
        let params = params.map_err(|_| Error::Backend("pattern"))?;
        let mut builder = Builder::with_resolver(params, Box::new(resolver))
            .prologue(self.prologue)
            .and_then(|builder| builder.local_private_key(&[]))
            .map_err(failed)?;
        if let Some(remote) = &remote {
            builder = builder
                .remote_public_key(remote.as_bytes())
                .map_err(failed)?;
        }
        if let Some(psk) = self.psk {
            builder = builder.psk(0, psk.expose_bytes()).map_err(failed)?;
        }
        let state = Scrubbed::try_new(|| {
            if sends {
                builder.build_initiator()
            } else {
                builder.build_responder()
            }
        });
        state.map_err(|_| Error::Incomplete("static or public key"))
    }
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;
    use std::{format, vec};

    use rand_core::{TryCryptoRng, TryRng};
    use refpoint_keys::{ApplicationKey, EntityId, KeyId, UtcTime, Validity};
    use serde_json::Value;

    use super::*;
    use crate::backend::X25519;

    const BACKENDS: [Backend; 2] = [Backend::AwsLc, Backend::RustCrypto];
    const SUITES: [Suite; 2] = [Suite::ChaChaPoly, Suite::AesGcm];

    struct Injected([u8; 32]);

    impl TryRng for Injected {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(0)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(0)
        }

        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
            out.copy_from_slice(&self.0);
            Ok(())
        }
    }

    impl TryCryptoRng for Injected {}

    fn key(backend: Backend, bytes: [u8; 32]) -> StaticKey {
        StaticKey::from_bytes(&bytes, backend).expect("a key")
    }

    fn psk(bytes: [u8; 32]) -> ObjectPsk {
        let (a, b) = (id("//sp.example/CA"), id("//sp.example/CB"));
        let until = Validity::until(UtcTime::from_secs(1));
        let key_id = KeyId::new(b"k").expect("an id");
        ApplicationKey::from_bytes(bytes, key_id, &a, &b, until)
            .and_then(|key| key.object_psk(&a, &b))
            .expect("two ids")
    }

    fn id(text: &str) -> EntityId {
        EntityId::parse(text).expect("an id")
    }

    #[test]
    fn x_gives_cacophonys_vectors_and_kpsk0_too() {
        let text = include_str!("../tests/vectors/one_way.json");
        let file: Value = serde_json::from_str(text).expect("JSON");
        let vectors = file["vectors"].as_array().expect("a list");
        assert_eq!(vectors.len(), 4);
        for (vector, backend) in vectors.iter().flat_map(|v| BACKENDS.map(|b| (v, b))) {
            let bytes =
                |name: &str| hex::decode(vector[name].as_str().expect("a text")).expect("hex");
            let array = |name: &str| <[u8; 32]>::try_from(bytes(name)).expect("32 bytes");
            let name = vector["protocol_name"].as_str().expect("a name");
            let suite = SUITES[usize::from(name.contains("AESGCM"))];
            // The vector's PSK is no key of our hierarchy: it goes to snow as the code above does it.
            let sender = X25519::new(backend, &array("sender_static")).expect("a key");
            let resolver = Resolver {
                backend,
                entropy: Zeroizing::new(array("ephemeral")),
                static_key: Some(alloc::sync::Arc::new(sender)),
            };
            let prologue = bytes("prologue");
            let shared = psk([1; 32]);
            let one_way = OneWay {
                backend,
                suite,
                prologue: &prologue,
                psk: name.contains("Kpsk0").then_some(&shared),
            };
            assert_eq!(one_way.pattern(), name);
            let mut sealed = Vec::new();
            if let Some(psk) = vector.get("psk") {
                let psk = hex::decode(psk.as_str().expect("a text")).expect("hex");
                let receiver = bytes("receiver_public");
                let mut state =
                    Builder::with_resolver(name.parse().expect("a name"), Box::new(resolver))
                        .prologue(&prologue)
                        .and_then(|builder| builder.local_private_key(&[]))
                        .and_then(|builder| builder.remote_public_key(&receiver))
                        .and_then(|builder| {
                            builder.psk(0, psk.as_slice().try_into().expect("32 bytes"))
                        })
                        .and_then(Builder::build_initiator)
                        .expect("complete");
                write(&mut state, &bytes("payload"), &mut sealed).expect("room");
            } else {
                let receiver = key(backend, array("receiver_static"));
                assert_eq!(receiver.public_key().as_bytes(), &array("receiver_public"));
                let sender = key(backend, array("sender_static"));
                let mut rng = Injected(array("ephemeral"));
                let to = receiver.public_key();
                one_way
                    .seal(&mut rng, &sender, to, &bytes("payload"), &mut sealed)
                    .expect("room");
                let revealed = one_way.open(&receiver, None, &sealed).expect("it opens");
                assert_eq!(*revealed.payload, bytes("payload"));
                assert_eq!(revealed.sender, sender.public_key());
            }
            assert_eq!(sealed, bytes("ciphertext"), "{name} {backend:?}");
        }
    }

    #[test]
    fn what_is_sealed_opens_with_the_right_keys_on_either_backend_and_no_other() {
        let (shared, other) = (psk([1; 32]), psk([2; 32]));
        for (suite, with_psk) in SUITES.into_iter().flat_map(|s| [(s, true), (s, false)]) {
            for (from, to) in [(BACKENDS[0], BACKENDS[1]), (BACKENDS[1], BACKENDS[0])] {
                let (sender, receiver) = (key(from, [3; 32]), key(to, [4; 32]));
                let sealing = OneWay {
                    backend: from,
                    suite,
                    prologue: b"all that both know",
                    psk: with_psk.then_some(&shared),
                };
                let opening = OneWay {
                    backend: to,
                    ..sealing
                };
                let who = Some(sender.public_key());
                let mut sealed = Vec::new();
                let mut rng = Injected([9; 32]);
                sealing
                    .seal(
                        &mut rng,
                        &sender,
                        receiver.public_key(),
                        b"21.5",
                        &mut sealed,
                    )
                    .expect("room");
                assert_eq!(sealed.len(), 4 + sealing.overhead());
                let revealed = opening.open(&receiver, who, &sealed).expect("it opens");
                assert_eq!(revealed.payload.as_slice(), b"21.5");
                assert_eq!(Some(revealed.sender), who);
                assert_eq!(revealed.ephemeral, sealed[..32]);

                let what = format!("{suite:?}, psk {with_psk}");
                let refuses = |opening: OneWay<'_>, receiver: &StaticKey, who, sealed: &[u8]| {
                    let opened = opening.open(receiver, who, sealed);
                    assert_eq!(opened.err(), Some(Error::Authentication), "{what}");
                };
                refuses(
                    OneWay {
                        prologue: b"else",
                        ..opening
                    },
                    &receiver,
                    who,
                    &sealed,
                );
                refuses(opening, &key(to, [5; 32]), who, &sealed);
                if with_psk {
                    let psk = Some(&other);
                    refuses(OneWay { psk, ..opening }, &receiver, who, &sealed);
                    let stranger = key(to, [6; 32]).public_key();
                    refuses(opening, &receiver, Some(stranger), &sealed);
                }
                let psk = if with_psk { None } else { Some(&shared) };
                refuses(OneWay { psk, ..opening }, &receiver, who, &sealed);
                for bit in 0..sealed.len() * 8 {
                    let mut altered = sealed.clone();
                    altered[bit / 8] ^= 1 << (bit % 8);
                    refuses(opening, &receiver, who, &altered);
                }
                (0..sealed.len()).for_each(|cut| refuses(opening, &receiver, who, &sealed[..cut]));
            }
        }
    }

    #[test]
    fn a_payload_beyond_a_noise_message_is_refused() {
        let backend = Backend::AwsLc;
        let (sender, receiver) = (key(backend, [3; 32]), key(backend, [4; 32]));
        let one_way = OneWay {
            backend,
            suite: Suite::AesGcm,
            prologue: &[],
            psk: None,
        };
        let seal = |size: usize| {
            let (mut rng, mut out) = (Injected([9; 32]), Vec::new());
            let to = receiver.public_key();
            one_way.seal(&mut rng, &sender, to, &vec![0; size], &mut out)
        };
        assert_eq!(seal(MAX_ONE_WAY_PAYLOAD), Ok(()));
        assert!(matches!(
            seal(MAX_ONE_WAY_PAYLOAD + 1),
            Err(Error::TooLarge { .. })
        ));
    }
}
