//! The primitives, behind two resolvers of our own: snow's own pins older crates and wipes nothing.

use alloc::{boxed::Box, sync::Arc};

use refpoint_wire::Suite;
use snow::{
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types::{Cipher, Dh, Hash, Random},
};
use zeroize::Zeroizing;

use crate::{Error, PublicKey, scrub::on_clean_stack};

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(feature = "rustcrypto")]
mod rustcrypto;
mod sha256;
#[cfg(test)]
mod vectors;

#[cfg(not(any(feature = "aws-lc", feature = "rustcrypto")))]
compile_error!("enable a backend of refpoint-association: feature `aws-lc` or `rustcrypto`");

/// Which library computes the primitives. Both may be compiled in; both pass the same tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// AWS-LC by `aws-lc-rs`: verified assembly, the fastest on servers.
    #[cfg(feature = "aws-lc")]
    AwsLc,
    /// The RustCrypto crates: `no_std`.
    #[cfg(feature = "rustcrypto")]
    RustCrypto,
}

impl Default for Backend {
    /// AWS-LC where it is compiled in.
    fn default() -> Self {
        #[cfg(feature = "aws-lc")]
        return Self::AwsLc;
        #[cfg(all(feature = "rustcrypto", not(feature = "aws-lc")))]
        return Self::RustCrypto;
    }
}

/// An X25519 private key, ready for use.
pub(crate) enum X25519 {
    #[cfg(feature = "aws-lc")]
    AwsLc(aws_lc::Private),
    #[cfg(feature = "rustcrypto")]
    RustCrypto(rustcrypto::Private),
}

impl X25519 {
    pub(crate) fn new(backend: Backend, secret: &[u8; 32]) -> Result<Self, Error> {
        match backend {
            #[cfg(feature = "aws-lc")]
            Backend::AwsLc => aws_lc::Private::new(secret).map(Self::AwsLc),
            #[cfg(feature = "rustcrypto")]
            Backend::RustCrypto => Ok(Self::RustCrypto(rustcrypto::Private::new(secret))),
        }
    }

    /// The key in a place of its own, made on a clean stack: the bytes that a backend's key does not
    /// use would take along what lay there.
    pub(crate) fn shared(backend: Backend, secret: &[u8; 32]) -> Result<Arc<Self>, Error> {
        on_clean_stack(|| Ok(Arc::new(Self::new(backend, secret)?)))
    }

    pub(crate) fn public(&self) -> &[u8; 32] {
        match self {
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(key) => key.public(),
            #[cfg(feature = "rustcrypto")]
            Self::RustCrypto(key) => key.public(),
        }
    }

    /// The shared secret; refuses keys of low order, whose result is all zero.
    fn agree(&self, peer: &[u8; 32], out: &mut [u8; 32]) -> Result<(), snow::Error> {
        match self {
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(key) => key.agree(peer, out),
            #[cfg(feature = "rustcrypto")]
            Self::RustCrypto(key) => key.agree(peer, out),
        }
    }
}

/// An expanded AEAD key.
pub(crate) enum Aead {
    #[cfg(feature = "aws-lc")]
    AwsLc(aws_lc::Key),
    #[cfg(feature = "rustcrypto")]
    RustCrypto(rustcrypto::Key),
}

impl Aead {
    pub(crate) fn new(backend: Backend, suite: Suite, key: &[u8; 32]) -> Self {
        match backend {
            #[cfg(feature = "aws-lc")]
            Backend::AwsLc => Self::AwsLc(aws_lc::Key::new(suite, key)),
            #[cfg(feature = "rustcrypto")]
            Backend::RustCrypto => Self::RustCrypto(rustcrypto::Key::new(suite, key)),
        }
    }

    /// Encrypts `data` in place; `Err` only for lengths that no record has.
    #[inline]
    pub(crate) fn seal(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], ()> {
        match self {
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(key) => key.seal(nonce, aad, data),
            #[cfg(feature = "rustcrypto")]
            Self::RustCrypto(key) => key.seal(nonce, aad, data),
        }
    }

    /// Decrypts `sealed` (ciphertext and tag) in place; the plaintext is all but its last 16 bytes.
    #[inline]
    pub(crate) fn open(&self, nonce: [u8; 12], aad: &[u8], sealed: &mut [u8]) -> Result<(), ()> {
        match self {
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(key) => key.open(nonce, aad, sealed),
            #[cfg(feature = "rustcrypto")]
            Self::RustCrypto(key) => key.open(nonce, aad, sealed),
        }
    }
}

/// What snow resolves its primitives from, made anew for each handshake.
///
/// It holds the 32 bytes from which that handshake's one ephemeral key is made (rule H10: no
/// generator is kept), and the static key, so that its public half is not computed again.
pub(crate) struct Resolver {
    pub(crate) backend: Backend,
    pub(crate) entropy: Zeroizing<[u8; 32]>,
    pub(crate) static_key: Option<Arc<X25519>>,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(OneDraw {
            bytes: self.entropy.clone(),
            drawn: false,
        }))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| {
            Box::new(KeyPair {
                backend: self.backend,
                static_key: self.static_key.clone(),
                private: None,
            }) as Box<dyn Dh>
        })
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::<sha256::Sha256>::default() as _)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        let suite = match choice {
            CipherChoice::ChaChaPoly => Suite::ChaChaPoly,
            CipherChoice::AESGCM => Suite::AesGcm,
            #[allow(unreachable_patterns, reason = "snow's features may add ciphers")]
            _ => return None,
        };
        let key = Zeroizing::new([0; 32]);
        Some(Box::new(NoiseCipher {
            backend: self.backend,
            suite,
            key,
        }))
    }
}

/// Gives its bytes once and fails afterwards: a handshake draws exactly one ephemeral key. They are
/// wiped where they lie: taken out of an option, they would stay behind in it.
struct OneDraw {
    bytes: Zeroizing<[u8; 32]>,
    drawn: bool,
}

impl Random for OneDraw {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        if self.drawn || dest.len() != self.bytes.len() {
            return Err(snow::Error::Rng);
        }
        dest.copy_from_slice(&*self.bytes);
        zeroize::Zeroize::zeroize(&mut *self.bytes);
        self.drawn = true;
        Ok(())
    }
}

/// snow's `Dh`: the static key when `set`, an ephemeral one when generated.
struct KeyPair {
    backend: Backend,
    static_key: Option<Arc<X25519>>,
    private: Option<Arc<X25519>>,
}

impl Dh for KeyPair {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    /// Adopts the resolver's static key. `privkey` is a mark without content, so that no copy of
    /// the key is made and a key may stay in a token.
    fn set(&mut self, _privkey: &[u8]) {
        self.private = self.static_key.take();
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(&mut *secret)?;
        let key = X25519::shared(self.backend, &secret);
        self.private = Some(key.map_err(|_| snow::Error::Dh)?);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.private.as_ref().map_or(&[0; 32], |key| key.public())
    }

    fn privkey(&self) -> &[u8] {
        &[]
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let private = self.private.as_ref().ok_or(snow::Error::Dh)?;
        let peer = pubkey.first_chunk().ok_or(snow::Error::Dh)?;
        private.agree(peer, out.first_chunk_mut().ok_or(snow::Error::Dh)?)
    }
}

/// snow's `Cipher`. Holds the key only: most keys of a handshake seal once or never, so that an
/// expanded context is made when it is needed.
struct NoiseCipher {
    backend: Backend,
    suite: Suite,
    key: Zeroizing<[u8; 32]>,
}

impl NoiseCipher {
    fn nonce(&self, counter: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&match self.suite {
            Suite::ChaChaPoly => counter.to_le_bytes(),
            Suite::AesGcm => counter.to_be_bytes(),
        });
        nonce
    }
}

impl Cipher for NoiseCipher {
    fn name(&self) -> &'static str {
        match self.suite {
            Suite::ChaChaPoly => "ChaChaPoly",
            Suite::AesGcm => "AESGCM",
        }
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.key.copy_from_slice(key);
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (body, tail) = out.split_at_mut(plaintext.len());
        body.copy_from_slice(plaintext);
        let tag = Aead::new(self.backend, self.suite, &self.key)
            .seal(self.nonce(nonce), authtext, body)
            .expect("a handshake payload is far below the AEAD's length limit");
        tail[..16].copy_from_slice(&tag);
        plaintext.len() + 16
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        let len = ciphertext
            .len()
            .checked_sub(16)
            .ok_or(snow::Error::Decrypt)?;
        let mut sealed = ciphertext.to_vec();
        Aead::new(self.backend, self.suite, &self.key)
            .open(self.nonce(nonce), authtext, &mut sealed)
            .map_err(|()| snow::Error::Decrypt)?;
        out.get_mut(..len)
            .ok_or(snow::Error::Decrypt)?
            .copy_from_slice(&sealed[..len]);
        zeroize::Zeroize::zeroize(&mut sealed);
        Ok(len)
    }
}

/// The public half of a private key.
pub(crate) fn public_key(key: &X25519) -> PublicKey {
    PublicKey::new(*key.public())
}
