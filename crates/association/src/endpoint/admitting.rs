use refpoint_wire::Cookie;

use super::Endpoint;
use crate::{
    Claim, Claimant, Class, Credential, CredentialId, Now, SlotTime, TokenSubject, Verdict,
};

/// What becomes of a request for a handshake.
pub(crate) enum Decision {
    /// It is answered now.
    Serve,
    /// Its sender comes back in so many milliseconds, with this token.
    Later(Cookie, u32),
    /// Not even a hint.
    Drop,
}

impl Endpoint {
    /// Decides about a request (rules T1, T2). Only what has verified symmetrically is charged to
    /// an entity.
    pub(crate) fn decide(
        &mut self,
        now: Now,
        kind: Claimant,
        subject: TokenSubject<'_>,
        cookie: Option<&Cookie>,
    ) -> Decision {
        let offset = self.utc_offset(now);
        let Some(admission) = &mut self.admission else {
            return Decision::Serve;
        };
        let token = cookie.and_then(|cookie| self.tokens.verify(subject, cookie));
        let returned = token.map(|(_, time)| SlotTime::from_millis(millis_of(time, offset)));
        match admission.request(now.millis(), &Claim { kind, returned }) {
            Verdict::Serve => Decision::Serve,
            Verdict::Ignore => Decision::Drop,
            Verdict::Later(slot) => {
                let class = match kind {
                    Claimant::Verified { class, .. } => class,
                    Claimant::Unverified { .. } => Class::Normal,
                };
                let time = tenths_of(slot.millis(), offset);
                let token = self.tokens.make(subject, class, time);
                let wait = slot.millis().saturating_sub(now.millis());
                Decision::Later(token, u32::try_from(wait).unwrap_or(u32::MAX).max(1))
            }
        }
    }

    /// Charges work that is done without asking: resumptions by `light` are simply served.
    pub(crate) fn charge_light(&mut self, now: Now) {
        if let Some(admission) = &mut self.admission {
            admission.charge(now.millis(), LIGHT_COST);
        }
    }

    /// Tenths of a second from this end's monotonic clock to UTC: the same all the time, so that
    /// what goes into a token comes out of it. Without UTC, tokens end with the process.
    fn utc_offset(&mut self, now: Now) -> i64 {
        if let (None, Some(utc)) = (self.utc_offset, now.utc) {
            let monotonic = now.millis() / TENTH;
            self.utc_offset = Some((utc.as_secs() * 10) as i64 - monotonic as i64);
        }
        self.utc_offset.unwrap_or(0)
    }
}

/// A `light` resumption, in thousandths of a full handshake.
const LIGHT_COST: u32 = 60;

const TENTH: u64 = 100;

fn tenths_of(millis: u64, offset: i64) -> u64 {
    (millis.div_ceil(TENTH)).saturating_add_signed(offset)
}

fn millis_of(tenths: u64, offset: i64) -> u64 {
    tenths.saturating_add_signed(-offset).saturating_mul(TENTH)
}

/// The claim of an entity whose request has verified.
pub(crate) fn verified(id: CredentialId, credential: &Credential) -> Claimant {
    Claimant::Verified {
        entity: id.number().into(),
        class: credential.class(),
        tenant: credential.tenant(),
    }
}
