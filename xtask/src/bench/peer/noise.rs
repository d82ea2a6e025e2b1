//! snow with its default resolver, the same patterns.

use snow::{Builder, HandshakeState, Keypair, params::NoiseParams};

use crate::measure::{Sides, Stopwatch};

const PSK: [u8; 32] = [7; 32];
const PROLOGUE: [u8; 80] = [1; 80];

/// Two ends and their static keys, where the pattern has them.
pub(crate) struct Noise {
    params: NoiseParams,
    slot: u8,
    statics: Option<(Keypair, Keypair)>,
    /// Whether the responder knows the initiator's static key beforehand.
    knows_initiator: bool,
}

impl Noise {
    pub(crate) fn new(pattern: &str) -> anyhow::Result<Self> {
        let params: NoiseParams = pattern.parse()?;
        let name = params.handshake.pattern.as_str();
        let pair = || Builder::new(params.clone()).generate_keypair();
        let statics = if name == "NN" {
            None
        } else {
            Some((pair()?, pair()?))
        };
        let slot = if name == "NN" { 0 } else { 2 };
        let knows_initiator = name == "KK";
        Ok(Self {
            params,
            slot,
            statics,
            knows_initiator,
        })
    }

    fn state(&self, initiates: bool) -> Result<HandshakeState, snow::Error> {
        let mut builder = Builder::new(self.params.clone())
            .prologue(&PROLOGUE)?
            .psk(self.slot, &PSK)?;
        if let Some((initiator, responder)) = &self.statics {
            let (own, peer) = if initiates {
                (initiator, responder)
            } else {
                (responder, initiator)
            };
            builder = builder.local_private_key(&own.private)?;
            if initiates || self.knows_initiator {
                builder = builder.remote_public_key(&peer.public)?;
            }
        }
        if initiates {
            builder.build_initiator()
        } else {
            builder.build_responder()
        }
    }

    pub(crate) fn batch(&self, operations: usize) -> Sides {
        self.handshakes(operations).expect("both ends agree")
    }

    fn handshakes(&self, operations: usize) -> Result<Sides, snow::Error> {
        let mut watch = Stopwatch::default();
        let offers = watch.first(|| {
            let offer = |_| {
                let (mut state, mut message) = (self.state(true)?, [0; 256]);
                let length = state.write_message(&[], &mut message)?;
                Ok((state, message, length))
            };
            (0..operations)
                .map(offer)
                .collect::<Result<Vec<_>, snow::Error>>()
        })?;
        let answers = watch.second(|| {
            let answer = |(_, message, length): &(_, [u8; 256], usize)| {
                let (mut state, mut payload) = (self.state(false)?, [0; 256]);
                state.read_message(&message[..*length], &mut payload)?;
                let mut message = [0; 256];
                let length = state.write_message(&[], &mut message)?;
                Ok((state.into_transport_mode()?, message, length))
            };
            offers
                .iter()
                .map(answer)
                .collect::<Result<Vec<_>, snow::Error>>()
        })?;
        let finished = watch.first(|| {
            let finish = |((mut state, ..), (_, message, length)): (
                (HandshakeState, _, _),
                &(_, [u8; 256], usize),
            )| {
                state.read_message(&message[..*length], &mut [0; 256])?;
                state.into_transport_mode()
            };
            offers
                .into_iter()
                .zip(&answers)
                .map(finish)
                .collect::<Result<Vec<_>, snow::Error>>()
        })?;
        drop((answers, finished));
        Ok(watch.mean(operations))
    }
}
