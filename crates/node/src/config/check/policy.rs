//! How long the associations of a peer, or of all peers at a reference point, may live and what they may carry.

use refpoint_association::{Mode, Modes};
use refpoint_keys::ReferencePoint;
use toml::Spanned;

use super::super::PolicyOverrides;
use super::super::file;
use super::{Check, Checked};

/// Rule R5: with fewer, who can inject packets could force refreshes.
const FAILED_OPENS: u64 = 1 << 30;

/// What `[policy.x]` and so on say.
#[derive(Debug, Default)]
pub(super) struct PointPolicies {
    x: PolicyOverrides,
    y: PolicyOverrides,
    y_prime: PolicyOverrides,
    z: PolicyOverrides,
    none: PolicyOverrides,
}

impl PointPolicies {
    pub(super) fn of(&self, point: ReferencePoint) -> &PolicyOverrides {
        match point {
            ReferencePoint::X => &self.x,
            ReferencePoint::Y => &self.y,
            ReferencePoint::YPrime => &self.y_prime,
            ReferencePoint::Z => &self.z,
            ReferencePoint::EndToEnd => &self.none,
        }
    }
}

impl Check<'_> {
    pub(super) fn policies(&self, tables: file::Policies) -> Checked<PointPolicies> {
        Ok(PointPolicies {
            x: self.policy(tables.x)?,
            y: self.policy(tables.y)?,
            y_prime: self.policy(tables.y_prime)?,
            z: self.policy(tables.z)?,
            none: PolicyOverrides::default(),
        })
    }

    pub(super) fn policy(&self, table: file::Policy) -> Checked<PolicyOverrides> {
        let mut policy = PolicyOverrides::default();
        let times = [
            (table.lifetime, &mut policy.lifetime, 10),
            (table.ratchet, &mut policy.ratchet, 2),
            (table.keepalive, &mut policy.keepalive, 1),
            (table.resume_age, &mut policy.resume_age, 60),
        ];
        for (time, place, least) in times {
            let Some(time) = time else { continue };
            if time.get_ref().0.as_secs() < least {
                return self.refuse(time.span(), format!("too short: write at least {least}s"));
            }
            *place = Some(time.into_inner().0);
        }
        policy.resume = table.resume.map(|modes| Modes {
            light: modes.iter().any(|mode| mode.0 == Mode::Light),
            fresh: modes.iter().any(|mode| mode.0 == Mode::Fresh),
        });
        let size = table.bytes.map(|size| (size.span(), size.into_inner().0.0));
        let count =
            |count: Option<Spanned<u64>>| count.map(|count| (count.span(), count.into_inner()));
        let numbers = [
            (size, &mut policy.bytes, 1 << 16),
            (count(table.messages), &mut policy.messages, 16),
            (
                count(table.failed_opens),
                &mut policy.failed_opens,
                FAILED_OPENS,
            ),
        ];
        for (number, place, least) in numbers {
            let Some((at, number)) = number else { continue };
            if number < least {
                return self.refuse(at, format!("too few: write at least {least}"));
            }
            *place = Some(number);
        }
        Ok(policy)
    }
}
