//! The curve operations of a pattern alone, by aws-lc-rs: the floor under our own handshakes.

use anyhow::anyhow;
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};

use crate::measure::{Sides, Stopwatch};

/// One side's keys. Both sides of every pattern here do the same work.
pub(crate) struct Primitives {
    static_key: PrivateKey,
    peer: Vec<u8>,
    agreements: usize,
}

impl Primitives {
    /// One key generation and so many agreements a side.
    pub(crate) fn new(agreements: usize) -> anyhow::Result<Self> {
        let new = || PrivateKey::generate(&X25519).map_err(|_| anyhow!("no key"));
        let peer = new()?.compute_public_key().map_err(|_| anyhow!("no key"))?;
        Ok(Self {
            static_key: new()?,
            peer: peer.as_ref().to_vec(),
            agreements,
        })
    }

    fn side(&self) -> [u8; 32] {
        let ephemeral = PrivateKey::generate(&X25519).expect("keys can be generated");
        let public = ephemeral.compute_public_key().expect("of a good key");
        let mut mixed = [0; 32];
        mixed.copy_from_slice(public.as_ref());
        for round in 0..self.agreements {
            // The ephemeral and the static key in turns, as the patterns do.
            let own = if round % 2 == 0 {
                &ephemeral
            } else {
                &self.static_key
            };
            let peer = UnparsedPublicKey::new(&X25519, &self.peer);
            agree(own, peer, (), |secret| {
                mixed.iter_mut().zip(secret).for_each(|(a, b)| *a ^= b);
                Ok(())
            })
            .expect("good keys agree");
        }
        mixed
    }

    pub(crate) fn batch(&self, operations: usize) -> Sides {
        let mut watch = Stopwatch::default();
        let run = || {
            for _ in 0..operations {
                core::hint::black_box(self.side());
            }
        };
        watch.first(run);
        watch.second(run);
        watch.mean(operations)
    }
}
