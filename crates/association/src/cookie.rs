use core::net::SocketAddr;

use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use refpoint_wire::{COOKIE_LEN, Cookie, InitiateHeader};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How long a cookie is good for at least, in milliseconds; at most twice as long.
const BUCKET: u64 = 15_000;

/// Makes and checks cookies without keeping any state about whom they were given to.
pub(crate) struct CookieKey(Zeroizing<[u8; 32]>);

impl CookieKey {
    pub(crate) fn new(rng: &mut dyn CryptoRng) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *key);
        Self(key)
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `HMAC-SHA-256(key, time bucket ‖ address ‖ header without cookie)`, its first 16 bytes.
    fn at(&self, bucket: u64, from: SocketAddr, header: &InitiateHeader) -> Cookie {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(&bucket.to_be_bytes());
        match from {
            SocketAddr::V4(address) => mac.update(&address.ip().octets()),
            SocketAddr::V6(address) => mac.update(&address.ip().octets()),
        }
        mac.update(&from.port().to_be_bytes());
        // The initiator draws a new index with its new ephemeral: only what stays is bound.
        mac.update(
            &InitiateHeader {
                cookie: None,
                index: None,
                ..*header
            }
            .encode(),
        );
        let bytes = mac.finalize().into_bytes();
        Cookie(*bytes.first_chunk::<COOKIE_LEN>().expect("32 bytes hold 16"))
    }

    pub(crate) fn make(&self, now: u64, from: SocketAddr, header: &InitiateHeader) -> Cookie {
        self.at(now / BUCKET, from, header)
    }

    /// Whether the header's cookie was made for this address and header, not long ago.
    pub(crate) fn verify(&self, now: u64, from: SocketAddr, header: &InitiateHeader) -> bool {
        let Some(cookie) = header.cookie else {
            return false;
        };
        let bucket = now / BUCKET;
        [bucket, bucket.saturating_sub(1)]
            .iter()
            .any(|bucket| self.at(*bucket, from, header).0.ct_eq(&cookie.0).into())
    }
}

impl core::fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CookieKey(..)")
    }
}
