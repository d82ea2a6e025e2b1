use hmac::{Hmac, KeyInit, Mac};
use sha2::Digest;
use snow::types::Hash;
use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

/// snow's `Hash`. HMAC and HKDF come from RustCrypto as well: they wipe what they hold.
#[derive(Default)]
pub(crate) struct Sha256 {
    digest: sha2::Sha256,
    split: Option<Split>,
}

/// The last split. snow computes it when the last message is through, and again when it is asked
/// for the raw keys: ten compressions, one in a hundred of a handshake.
#[derive(ZeroizeOnDrop)]
struct Split {
    chaining_key: [u8; 32],
    keys: [[u8; 32]; 2],
}

fn keyed(key: &[u8]) -> Hmac<sha2::Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn finish(mac: Hmac<sha2::Sha256>, out: &mut [u8]) {
    let mut bytes = mac.finalize().into_bytes();
    out[..32].copy_from_slice(&bytes);
    zeroize::Zeroize::zeroize(bytes.as_mut_slice());
}

impl Hash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.digest.reset();
    }

    fn input(&mut self, data: &[u8]) {
        self.digest.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.digest.finalize_reset());
    }

    fn hmac(&mut self, key: &[u8], data: &[u8], out: &mut [u8]) {
        finish(keyed(key).chain_update(data), out);
    }

    /// Noise section 4.3, with the key schedule of the second HMAC computed once.
    fn hkdf(
        &mut self,
        chaining_key: &[u8],
        input_key_material: &[u8],
        outputs: usize,
        out1: &mut [u8],
        out2: &mut [u8],
        out3: &mut [u8],
    ) {
        let splits = input_key_material.is_empty() && outputs == 2;
        if let Some(split) = self.split.as_ref().filter(|_| splits)
            && bool::from(split.chaining_key.ct_eq(chaining_key))
        {
            out1[..32].copy_from_slice(&split.keys[0]);
            out2[..32].copy_from_slice(&split.keys[1]);
            return;
        }
        let mut temp = zeroize::Zeroizing::new([0; 32]);
        finish(
            keyed(chaining_key).chain_update(input_key_material),
            &mut *temp,
        );
        let mac = keyed(&*temp);
        finish(mac.clone().chain_update([1]), out1);
        if outputs >= 2 {
            finish(
                mac.clone().chain_update(&out1[..32]).chain_update([2]),
                out2,
            );
        }
        if outputs >= 3 {
            finish(mac.chain_update(&out2[..32]).chain_update([3]), out3);
        }
        if splits {
            let split = self.split.insert(Split {
                chaining_key: [0; 32],
                keys: [[0; 32]; 2],
            });
            split.chaining_key.copy_from_slice(chaining_key);
            split.keys[0].copy_from_slice(&out1[..32]);
            split.keys[1].copy_from_slice(&out2[..32]);
        }
    }
}
