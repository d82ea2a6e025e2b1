//! Reports that the network has promised.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use refpoint_keys::EntityId;

use crate::{Ask, LocationRequest, Reference, Reply, Request, Response, TriggerRequest};

/// The triggers and series of location reports that networks have accepted: only these they may report about, each only
/// about its own.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    until: BTreeMap<Subject, Duration>,
    expiries: BTreeSet<(Duration, Subject)>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    network: EntityId,
    kind: Kind,
    reference: Reference,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Trigger,
    Location,
}

/// How long after its end a report may still come: the exchange lifetime of RFC 7252, 4.8.2.
const GRACE: Duration = Duration::from_secs(247);

impl Expectations {
    /// Above this, those that end first are given up.
    pub(crate) const MOST: usize = 1 << 16;

    /// The network has answered `request`: remembers what it promised thereby.
    pub(crate) fn answered(
        &mut self,
        now: Duration,
        network: &EntityId,
        request: &Request,
        response: &Response,
    ) {
        let (kind, reference, duration) = match (request.ask(), response.reply()) {
            (
                Ask::Trigger(TriggerRequest::Create(trigger) | TriggerRequest::Replace(_, trigger)),
                Some(Reply::Trigger(report)),
            ) => (Kind::Trigger, &report.reference, trigger.validity),
            (
                Ask::Location(LocationRequest::Repeatedly { duration, .. }),
                Some(Reply::Location(response)),
            ) => match &response.reference {
                Some(reference) => (Kind::Location, reference, *duration),
                None => return,
            },
            _ => return,
        };
        let subject = Subject {
            network: network.clone(),
            kind,
            reference: reference.clone(),
        };
        let end = now.saturating_add(duration).saturating_add(GRACE);
        if let Some(former) = self.until.insert(subject.clone(), end) {
            self.expiries.remove(&(former, subject.clone()));
        }
        self.expiries.insert((end, subject));
        while self.until.len() > Self::MOST {
            self.remove_first();
        }
    }

    /// Whether the network may report this; everything that is no report, it may.
    pub(crate) fn allow(&mut self, now: Duration, network: &EntityId, ask: &Ask) -> bool {
        self.expire(now);
        let (kind, reference) = match ask {
            Ask::TriggerReport(report) => (Kind::Trigger, &report.reference),
            Ask::LocationReport(report) => (Kind::Location, &report.reference),
            _ => return true,
        };
        let subject = Subject {
            network: network.clone(),
            kind,
            reference: reference.clone(),
        };
        self.until.contains_key(&subject)
    }

    pub(crate) fn expire(&mut self, now: Duration) {
        while self.first().is_some_and(|end| end <= now) {
            self.remove_first();
        }
    }

    pub(crate) fn first(&self) -> Option<Duration> {
        self.expiries.first().map(|first| first.0)
    }

    /// Nothing is expected from this network any more.
    pub(crate) fn forget(&mut self, network: &EntityId) {
        self.until.retain(|subject, _| subject.network != *network);
        self.expiries
            .retain(|(_, subject)| subject.network != *network);
    }

    fn remove_first(&mut self) {
        if let Some((_, subject)) = self.expiries.pop_first() {
            self.until.remove(&subject);
        }
    }
}
