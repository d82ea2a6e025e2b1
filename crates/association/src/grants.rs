use alloc::boxed::Box;
use core::{fmt, time::Duration};

use refpoint_wire::{Carriage, Grant, Window as StatedWindow};

use crate::{
    Authenticated, HandleChange, IssuedHandles, Lifetime, Now, RenewalPlan, Turn, Window,
    issued::{Chain, NewHandle},
    policy::Agreed,
    schedule::Exporter,
    time::millis,
};

/// What is left of a life that is too short to be planned, in milliseconds: its initiator draws a
/// time between a quarter and a half of it.
const LEAST_PLANNED: u64 = 60_000;

/// What a responder grants, for all its streams together: handles, each redeemed once, and times to
/// renew, so planned that renewals stay flat.
///
/// It is shared by whoever accepts streams, as the credentials are; datagrams have theirs inside
/// the [`Endpoint`](crate::Endpoint).
pub struct Grants {
    issued: IssuedHandles,
    /// Made when this end first is a responder.
    plan: Option<Box<RenewalPlan>>,
}

impl Grants {
    /// Grants of handles from this table.
    #[must_use]
    pub const fn new(issued: IssuedHandles) -> Self {
        Self { issued, plan: None }
    }

    /// The handles.
    #[must_use]
    pub const fn issued(&self) -> &IssuedHandles {
        &self.issued
    }

    /// The handles, to restore or revoke some.
    pub const fn issued_mut(&mut self) -> &mut IssuedHandles {
        &mut self.issued
    }

    /// When the initiator of an association that will live so long should renew it.
    pub(crate) fn window(&mut self, now: Now, life: &Lifetime, turn: Turn) -> Option<StatedWindow> {
        if self.issued.is_off() {
            return None;
        }
        plan(&mut self.plan, now, life, turn)
    }

    /// Issues the handle of an association on a stream that has just been confirmed, and gives what
    /// its initiator is to be told. Without a turn no renewal is planned.
    pub(crate) fn hand_out(
        &mut self,
        now: Now,
        (peer, exporter): (&Authenticated, &Exporter),
        (agreed, life): (Agreed, &Lifetime),
        (chain, turn): (Option<Chain>, Option<Turn>),
        changes: &mut dyn FnMut(HandleChange),
    ) -> Grant {
        let new = NewHandle::of(exporter);
        let handle = self.issued.grant(now, peer, chain, &new);
        let made = (Carriage::Stream, agreed, chain);
        self.issued.issue(now, peer, made, new, changes);
        Grant {
            handle,
            window: turn.and_then(|turn| self.window(now, life, turn)),
        }
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants")
            .field("issued", &self.issued)
            .finish_non_exhaustive()
    }
}

/// Plans a renewal, making the plan if there is none yet.
pub(crate) fn plan(
    plan: &mut Option<Box<RenewalPlan>>,
    now: Now,
    life: &Lifetime,
    turn: Turn,
) -> Option<StatedWindow> {
    let plan = plan.get_or_insert_with(|| Box::new(RenewalPlan::default()));
    let span = life.hard().saturating_sub(now.millis());
    // A window is stated in whole seconds. Of a short life they would leave nothing: the end of
    // a key would bring one refresh after the other.
    (span >= LEAST_PLANNED).then(|| stated(now, plan.plan(now.millis(), span, turn)))
}

/// A window as it is said: counted from now, in seconds.
pub(crate) fn stated(now: Now, window: Window) -> StatedWindow {
    StatedWindow::new(
        Duration::from_millis(window.from().saturating_sub(now.millis())),
        Duration::from_millis(window.length()),
    )
}

/// A window as it is heard: in this end's own time.
pub(crate) fn heard(now: Now, window: StatedWindow) -> Window {
    let from = now.millis().saturating_add(millis(window.from));
    Window::new(from, millis(window.length))
}
