//! Resumption of mode `light`: symmetric only, in the shape that was proved (design 4.5).
//!
//! ```text
//! Resume  = header ‖ nonce(8) ‖ MAC(16)      covered = prologue of header ‖ nonce, with both ids
//!                                            MAC     = HMAC(mac key, covered)[0..16]
//! Resumed = header ‖ nonce(8) ‖ sealed grant h       = SHA-256(covered ‖ MAC ‖ f(header) ‖ nonce)
//!                                            master  = HKDF-Extract(h, light key)
//! ```

use alloc::vec::Vec;

use rand_core::CryptoRng;
use refpoint_keys::{EntityId, Role};
use refpoint_wire::{LightGrant, MAC_LEN, NONCE_LEN, Sequence, Suite, TAG_LEN};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    Backend, Error,
    schedule::{Exporter, LightKey, Master, Resumption, Traffic},
};

/// What a Resume states, and its MAC: the first half of the exchange that makes the master.
pub(crate) struct Exchange {
    covered: Zeroizing<Vec<u8>>,
    mac: [u8; MAC_LEN],
    key: LightKey,
}

impl Exchange {
    /// The initiator's: makes the MAC.
    pub(crate) fn new(secret: &Resumption, covered: Zeroizing<Vec<u8>>) -> Self {
        let (mac, key) = secret.light(&covered);
        Self { covered, mac, key }
    }

    /// The responder's: checks the MAC (rule S1).
    pub(crate) fn verify(
        secret: &Resumption,
        covered: Zeroizing<Vec<u8>>,
        mac: [u8; MAC_LEN],
    ) -> Result<Self, Error> {
        let made = Self::new(secret, covered);
        if made.mac.ct_eq(&mac).into() {
            Ok(made)
        } else {
            Err(Error::Authentication)
        }
    }

    pub(crate) const fn mac(&self) -> &[u8; MAC_LEN] {
        &self.mac
    }

    /// The master of the whole exchange.
    fn master(&self, header: &[u8], nonce: &[u8; NONCE_LEN]) -> Master {
        let hash = Sha256::new()
            .chain_update(&*self.covered)
            .chain_update(self.mac)
            .chain_update((header.len() as u16).to_be_bytes())
            .chain_update(header)
            .chain_update(nonce)
            .finalize();
        self.key.master(&hash.into())
    }

    /// The responder's answer: appends nonce and sealed grant to the Resumed's header in `packet`;
    /// gives the secrets of the association that is made between these two.
    ///
    /// The grant names the handle of that association, so it is made from its exporter.
    pub(crate) fn answer(
        &self,
        (backend, suite): (Backend, Suite),
        nonce: [u8; NONCE_LEN],
        packet: &mut Vec<u8>,
        (initiator, responder): (&EntityId, &EntityId),
        grant: impl FnOnce(&Exporter) -> LightGrant,
    ) -> Result<(Traffic, Traffic, Exporter), Error> {
        let master = self.master(packet, &nonce);
        let key = master.grant_key(backend, suite);
        let secrets = master.into_association(Role::Responder, initiator, responder);
        let mut sealed = grant(&secrets.2).encode();
        packet.extend_from_slice(&nonce);
        let tag = key
            .seal(FIRST, packet, &mut sealed)
            .map_err(|()| Error::Backend("seal"))?;
        packet.extend_from_slice(&sealed);
        packet.extend_from_slice(&tag);
        Ok(secrets)
    }

    /// The initiator reads a Resumed. Whatever does not open changes nothing.
    pub(crate) fn open(
        &self,
        (backend, suite): (Backend, Suite),
        header: &[u8],
        body: &[u8],
    ) -> Result<(Master, LightGrant), Error> {
        let (nonce, sealed) = body
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(Error::Authentication)?;
        let len = sealed
            .len()
            .checked_sub(TAG_LEN)
            .ok_or(Error::Authentication)?;
        let master = self.master(header, nonce);
        let mut covered = header.to_vec();
        covered.extend_from_slice(nonce);
        let mut sealed = sealed.to_vec();
        master
            .grant_key(backend, suite)
            .open(FIRST, &covered, &mut sealed)
            .map_err(|()| Error::Authentication)?;
        let grant = LightGrant::decode(&sealed[..len])?;
        Ok((master, grant))
    }
}

const FIRST: Sequence = Sequence::FIRST;

/// Draws a nonce: from fresh randomness, with the boot counter of a device mixed in, so that even a
/// generator that starts alike after each boot does not repeat it (rule S2).
pub(crate) fn draw_nonce(boot: u64, rng: &mut dyn CryptoRng) -> [u8; NONCE_LEN] {
    let mut random = [0; 32];
    rng.fill_bytes(&mut random);
    let hash = Sha256::new()
        .chain_update(b"refpoint/1 nonce")
        .chain_update(boot.to_be_bytes())
        .chain_update(random)
        .finalize();
    *hash.first_chunk().expect("32 bytes hold 8")
}
