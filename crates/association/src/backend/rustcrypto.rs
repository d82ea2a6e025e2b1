use alloc::boxed::Box;

use aes_gcm::Aes256Gcm;
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{AeadInOut, inout::InOutBuf},
};
use refpoint_wire::Suite;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroize;

pub(crate) struct Private {
    secret: StaticSecret,
    public: [u8; 32],
}

impl Private {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let secret = StaticSecret::from(*secret);
        let public = PublicKey::from(&secret).to_bytes();
        Self { secret, public }
    }

    pub(super) fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(super) fn agree(&self, peer: &[u8; 32], out: &mut [u8; 32]) -> Result<(), snow::Error> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(*peer));
        if !shared.was_contributory() {
            return Err(snow::Error::Dh);
        }
        out.copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

/// Expanded keys wipe themselves on drop (feature `zeroize` of both crates).
pub(crate) enum Key {
    ChaChaPoly(ChaCha20Poly1305),
    AesGcm(Box<Aes256Gcm>),
}

impl Key {
    pub(super) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        match suite {
            Suite::ChaChaPoly => Self::ChaChaPoly(ChaCha20Poly1305::new(key.into())),
            Suite::AesGcm => Self::AesGcm(Box::new(Aes256Gcm::new(key.into()))),
        }
    }

    pub(super) fn seal(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], ()> {
        let (nonce, data) = (&nonce.into(), InOutBuf::from(data));
        let tag = match self {
            Self::ChaChaPoly(key) => key.encrypt_inout_detached(nonce, aad, data),
            Self::AesGcm(key) => key.encrypt_inout_detached(nonce, aad, data),
        };
        tag.map(Into::into).map_err(|_| ())
    }

    pub(super) fn open(&self, nonce: [u8; 12], aad: &[u8], sealed: &mut [u8]) -> Result<(), ()> {
        let (data, tag) = sealed.split_last_chunk_mut::<16>().ok_or(())?;
        let tag = &(*tag).into();
        let nonce = &nonce.into();
        let opened = match self {
            Self::ChaChaPoly(key) => {
                key.decrypt_inout_detached(nonce, aad, InOutBuf::from(&mut *data), tag)
            }
            Self::AesGcm(key) => {
                key.decrypt_inout_detached(nonce, aad, InOutBuf::from(&mut *data), tag)
            }
        };
        opened.map_err(|_| data.zeroize())
    }
}
