//! The initiator's side of resumption.

use super::*;

impl Offer {
    /// Writes a Resume: with a new nonce or ephemeral key, never the same twice (rule S2).
    pub(crate) fn resume(
        context: &Context<'_>,
        (wanted, held, mode): (Wanted, &HeldHandle, Mode),
        index: Option<Index>,
        cookie: Option<Cookie>,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let credential = &wanted.credential;
        credential.allows(held.terms, Role::Initiator)?;
        credential.remaining(now)?;
        let no_clock = now.utc.is_none();
        let header = ResumeHeader {
            mode,
            suite: held.suite(),
            point: held.point(),
            no_clock: no_clock && mode == Mode::Light,
            index,
            handle: held.handle,
            cookie,
        };
        let mut packet = header.encode();
        let (local, peer) = (context.local.entity(), credential.peer());
        let redeemed = Redeemed {
            secret: held.secret.copy(),
            session: held.session,
            epoch_bits: held.epoch_bits,
        };
        let kind = match mode {
            Mode::Light => {
                packet.extend_from_slice(&light::draw_nonce(context.local.boot(), rng));
                let covered = prologue(context.carriage, &packet, Some(local), peer, None);
                let exchange = Exchange::new(&held.secret, covered);
                packet.extend_from_slice(exchange.mac());
                Kind::Light(exchange, redeemed)
            }
            Mode::Fresh => {
                let setup = Setup {
                    backend: context.backend,
                    terms: Terms {
                        profile: Profile::Psk,
                        ..held.terms
                    },
                    prologue: &prologue(context.carriage, &packet, Some(local), peer, None),
                    psk: Some(&held.secret.fresh()),
                    static_key: None,
                    remote: None,
                    entropy: handshake::draw(rng),
                };
                let payload = InitiatePayload {
                    initiator: None,
                    limits: credential.policy().limits(),
                    session: SessionLabel::default(),
                    no_clock,
                };
                let handshake = Initiator::initiate(&setup, &payload.encode(), &mut packet)?;
                Kind::Fresh(handshake, redeemed)
            }
        };
        Ok(Self {
            kind,
            terms: held.terms,
            wanted,
            no_clock,
            packet,
        })
    }
}
