//! The derivations of 3GPP that end in a key for an application: GBA (TS 33.220) and AKMA
//! (TS 33.535).
//!
//! ```text
//! BootstrappedKey (Ks)        ── NafKey (Ks_NAF, Ks_int_NAF) ─┐
//! AusfKey (K_AUSF)                                            ├─ NetworkKey ── ConnectionKey
//!  └─ AkmaAnchorKey (K_AKMA)  ── AfKey (K_AF) ────────────────┘
//! ```
//!
//! A real network runs the upper half and hands out the last key; here it is whole, so that a test
//! network can be one.
//!
//! All of them are the KDF of TS 33.220, B.2, with each length L in two bytes, big-endian:
//!
//! ```text
//! KDF(key, FC, P0, P1, ..) = HMAC-SHA-256(key, FC ‖ P0 ‖ L0 ‖ P1 ‖ L1 ‖ ..)
//! ```

use alloc::vec::Vec;
use zeroize::ZeroizeOnDrop;

use crate::Error;
use crate::derivation::hmac_sha256;
use crate::secret::Secret;

/// Ks = CK ‖ IK: what bootstrapping leaves with the device and the BSF.
#[derive(Debug, ZeroizeOnDrop)]
pub struct BootstrappedKey(Secret);

/// `Ks_NAF` or `Ks_int_NAF`: the key of the device and one NAF.
#[derive(Debug, ZeroizeOnDrop)]
pub struct NafKey(Secret);

/// `K_AUSF`: what primary authentication leaves with the device and the home network.
#[derive(Debug, ZeroizeOnDrop)]
pub struct AusfKey(Secret);

/// `K_AKMA`: the anchor of all application keys until the next primary authentication.
#[derive(Debug, ZeroizeOnDrop)]
pub struct AkmaAnchorKey(Secret);

/// `K_AF`: the key of the device and one application function.
#[derive(Debug, ZeroizeOnDrop)]
pub struct AfKey(Secret);

/// Which of the two keys of GBA is meant (TS 33.220, B.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GbaVariant {
    /// `Ks_NAF` (and `Ks_ext_NAF`): the key that the device's own software uses.
    Me,
    /// `Ks_int_NAF`: the key that stays in the card.
    Uicc,
}

/// The name of an application at the network, `NAF_Id` or `AF_ID`: a domain name and five bytes
/// that say which protocol will use the key.
///
/// ```text
/// id = FQDN ‖ Ua(*) protocol identifier
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApplicationFunctionId(Vec<u8>);

impl ApplicationFunctionId {
    /// Joins a domain name and a protocol identifier (TS 33.220, Annex H).
    ///
    /// # Errors
    /// [`Error::TextLength`] unless the name has 1 to 250 bytes.
    pub fn new(fqdn: &str, protocol: [u8; 5]) -> Result<Self, Error> {
        if !(1..=250).contains(&fqdn.len()) {
            return Err(Error::TextLength);
        }
        Ok(Self([fqdn.as_bytes(), &protocol].concat()))
    }

    /// The bytes that enter the derivation, and
    /// [`NetworkKeyRecord::application`](crate::NetworkKeyRecord::application).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl BootstrappedKey {
    /// Takes over Ks, which is CK ‖ IK.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::take(bytes))
    }

    /// The key of the device and one NAF (TS 33.220, B.3).
    ///
    /// ```text
    /// Ks_NAF     = KDF(Ks, 0x01, "gba-me", RAND, IMPI, NAF_Id)
    /// Ks_int_NAF = KDF(Ks, 0x01, "gba-u",  RAND, IMPI, NAF_Id)
    /// ```
    ///
    /// # Errors
    /// [`Error::TextLength`] unless the IMPI has 1 to 255 bytes.
    pub fn naf_key(
        &self,
        variant: GbaVariant,
        rand: &[u8; 16],
        impi: &str,
        naf: &ApplicationFunctionId,
    ) -> Result<NafKey, Error> {
        let variant: &[u8] = match variant {
            GbaVariant::Me => b"gba-me",
            GbaVariant::Uicc => b"gba-u",
        };
        let key = kdf(&self.0, 0x01, &[variant, rand, checked(impi)?, &naf.0]);
        Ok(NafKey(key))
    }
}

impl AusfKey {
    /// Takes over `K_AUSF`.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::take(bytes))
    }

    /// The anchor key (TS 33.535, A.2). The SUPI is written as in TS 33.501, A.7.0.
    ///
    /// ```text
    /// K_AKMA = KDF(K_AUSF, 0x80, "AKMA", SUPI)
    /// ```
    ///
    /// # Errors
    /// [`Error::TextLength`] unless the SUPI has 1 to 255 bytes.
    pub fn akma_anchor_key(&self, supi: &str) -> Result<AkmaAnchorKey, Error> {
        let key = kdf(&self.0, 0x80, &[b"AKMA", checked(supi)?]);
        Ok(AkmaAnchorKey(key))
    }

    /// The temporary name of the anchor key, a part of the A-KID (TS 33.535, A.3). It is public.
    ///
    /// ```text
    /// A-TID = KDF(K_AUSF, 0x81, "A-TID", SUPI)
    /// ```
    ///
    /// # Errors
    /// [`Error::TextLength`] unless the SUPI has 1 to 255 bytes.
    pub fn a_tid(&self, supi: &str) -> Result<[u8; 32], Error> {
        Ok(*kdf(&self.0, 0x81, &[b"A-TID", checked(supi)?]).bytes())
    }
}

impl AkmaAnchorKey {
    /// Takes over `K_AKMA`.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::take(bytes))
    }

    /// The key of the device and one application function (TS 33.535, A.4).
    ///
    /// ```text
    /// K_AF = KDF(K_AKMA, 0x82, AF_ID)
    /// ```
    #[must_use]
    pub fn af_key(&self, af: &ApplicationFunctionId) -> AfKey {
        AfKey(kdf(&self.0, 0x82, &[&af.0]))
    }
}

impl NafKey {
    /// The key's bytes, for [`NetworkKey::new`](crate::NetworkKey::new).
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

impl AkmaAnchorKey {
    /// The key's bytes, for the anchor function that keeps them.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

impl AfKey {
    /// The key's bytes, for [`NetworkKey::new`](crate::NetworkKey::new).
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

fn kdf(key: &Secret, fc: u8, parameters: &[&[u8]]) -> Secret {
    let mut input = Vec::from([fc]);
    for parameter in parameters {
        let length = u16::try_from(parameter.len())
            .expect("parameters are limited to 255 bytes where they are taken");
        input.extend_from_slice(parameter);
        input.extend_from_slice(&length.to_be_bytes());
    }
    let mut derived = Secret::zero();
    hmac_sha256(key, &[&input], derived.bytes_mut());
    derived
}

fn checked(text: &str) -> Result<&[u8], Error> {
    if (1..=255).contains(&text.len()) {
        Ok(text.as_bytes())
    } else {
        Err(Error::TextLength)
    }
}
