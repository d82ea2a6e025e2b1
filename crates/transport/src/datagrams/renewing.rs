use core::time::Duration;

use refpoint_association::{AssociationId, Endpoint, Now, Outbox, Window};
use refpoint_keys::Role;

use super::peers::Peers;
use crate::entropy;

/// How often associations are told to renew, at most.
const TIMES: u32 = 3;

/// How long a handshake inside an association may take beyond its time.
const GRACE: Duration = Duration::from_secs(2);

/// The renewal of all associations, before their time.
///
/// An end point does not repeat a control message that is lost, so who has not renewed is told again.
#[derive(Debug, Default)]
pub(super) struct Renewing {
    told: Vec<AssociationId>,
    within: Duration,
    /// When to look who has renewed, and how often they were told.
    look: Option<(Duration, u32)>,
}

impl Renewing {
    /// Has all associations renewed within about so long.
    pub(super) fn start(
        &mut self,
        now: Now,
        within: Duration,
        peers: &Peers,
        endpoint: &mut Endpoint,
        out: &mut dyn Outbox,
    ) {
        self.told = peers.associations();
        self.within = within;
        self.tell(now, 0, endpoint, out);
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.look.map(|(at, _)| at)
    }

    pub(super) fn handle_timeout(
        &mut self,
        now: Now,
        peers: &Peers,
        endpoint: &mut Endpoint,
        out: &mut dyn Outbox,
    ) {
        let Some((_, times)) = self.look.take_if(|(at, _)| *at <= now.monotonic) else {
            return;
        };
        // What was replaced, or is over, is nobody's association any more.
        self.told.retain(|id| peers.owner(*id).is_some());
        if times < TIMES {
            self.tell(now, times, endpoint, out);
        } else if !self.told.is_empty() {
            let associations = self.told.len();
            tracing::warn!(associations, "not renewed, although the peers were told to");
            self.told.clear();
        }
    }

    /// Gives each association its own second of the time.
    fn tell(&mut self, now: Now, times: u32, endpoint: &mut Endpoint, out: &mut dyn Outbox) {
        if self.told.is_empty() {
            return;
        }
        let begun = u64::try_from(now.monotonic.as_millis()).unwrap_or(u64::MAX);
        let (count, seconds) = (self.told.len() as u64, self.within.as_secs().max(1));
        for (number, id) in (0..).zip(&self.told) {
            let role = endpoint.peer(*id).map(|peer| peer.role());
            let told = match role {
                Some(Role::Initiator) => endpoint.renew(now, &mut entropy::system(), *id, out),
                _ => {
                    let from = number * seconds / count * 1_000;
                    let window = Window::new(begun.saturating_add(from), 1_000);
                    endpoint.move_renewal(now, *id, window, out)
                }
            };
            if let Err(error) = told {
                tracing::debug!(%error, "an association is not told to renew");
            }
        }
        let look = now.monotonic + Duration::from_secs(seconds) + GRACE;
        self.look = Some((look, times + 1));
    }
}
