use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    agreement::{self, PrivateKey, UnparsedPublicKey},
};
use refpoint_wire::Suite;

use crate::Error;

pub(crate) struct Private {
    key: PrivateKey,
    public: [u8; 32],
}

impl Private {
    pub(super) fn new(secret: &[u8; 32]) -> Result<Self, Error> {
        let key = PrivateKey::from_private_key(&agreement::X25519, secret)
            .map_err(|_| Error::Backend("private key"))?;
        let computed = key
            .compute_public_key()
            .map_err(|_| Error::Backend("public key"))?;
        let public = computed
            .as_ref()
            .try_into()
            .map_err(|_| Error::Backend("public key"))?;
        Ok(Self { key, public })
    }

    pub(super) fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(super) fn agree(&self, peer: &[u8; 32], out: &mut [u8; 32]) -> Result<(), snow::Error> {
        // AWS-LC itself refuses an all-zero result.
        let peer = UnparsedPublicKey::new(&agreement::X25519, peer);
        agreement::agree(&self.key, peer, snow::Error::Dh, |secret| {
            out.copy_from_slice(secret);
            Ok(())
        })
    }
}

/// 608 bytes of C heap, wiped by AWS-LC when freed.
pub(crate) struct Key(LessSafeKey);

impl Key {
    pub(super) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        let algorithm = match suite {
            Suite::ChaChaPoly => &CHACHA20_POLY1305,
            Suite::AesGcm => &AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, key).expect("both suites take keys of 32 bytes");
        Self(LessSafeKey::new(key))
    }

    #[inline]
    pub(super) fn seal(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], ()> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), data)
            .map_err(|_| ())?;
        tag.as_ref().try_into().map_err(|_| ())
    }

    #[inline]
    pub(super) fn open(&self, nonce: [u8; 12], aad: &[u8], sealed: &mut [u8]) -> Result<(), ()> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0
            .open_in_place(nonce, Aad::from(aad), sealed)
            .map(|_| ())
            .map_err(|_| ())
    }
}
