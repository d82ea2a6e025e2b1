//! The pre-keys of others, fetched like any content; and our own, published like any content.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use refpoint_e2e::{PreKey, Recipient};
use refpoint_keys::{EntityId, UtcTime};
use tokio::time::{sleep, timeout};

use super::asking;
use super::instance::{self, PRE_KEY_TYPE};
use super::keys::Known;
use super::refused::Refused;
use super::{EndToEnd, blocking};
use crate::carrier::Carrier;
use crate::drain::Drain;
use crate::{entropy, utc};

/// A pre-key that was fetched is not asked for again for so long.
const FRESH: Duration = Duration::from_secs(600);

/// Between two attempts to publish: at first, and at last.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Whom to seal for, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Recipients(Mutex<HashMap<EntityId, (Recipient, Instant)>>);

impl Recipients {
    /// The one to seal for, and whether it is fresh.
    fn known(&self, entity: &EntityId, now: UtcTime) -> Option<(Recipient, bool)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (recipient, since) = all.get(entity)?;
        let holds = recipient.until() > now;
        holds.then(|| (recipient.clone(), since.elapsed() < FRESH))
    }

    fn insert(&self, recipient: &Recipient) {
        let entry = (recipient.clone(), Instant::now());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(recipient.id().clone(), entry);
    }
}

impl EndToEnd {
    /// Whom to seal for at `entity`: with its present pre-key, fetched if need be.
    pub(super) async fn recipient<C: Carrier>(
        &self,
        carrier: &C,
        known: &Known,
    ) -> Result<Recipient, Refused> {
        let (entity, now) = (&known.contact.entity, utc::now());
        let before = match self.recipients.known(entity, now) {
            Some((recipient, true)) => return Ok(recipient),
            Some((recipient, false)) => Some(recipient),
            None => None,
        };
        match self.fetch(carrier, known, now).await {
            Ok(recipient) => {
                self.recipients.insert(&recipient);
                Ok(recipient)
            }
            Err(refused) => {
                self.report(&refused, entity.as_str());
                before.ok_or(Refused::NoPreKey(
                    "it cannot be fetched, or is not the receiver's",
                ))
            }
        }
    }

    async fn fetch<C: Carrier>(
        &self,
        carrier: &C,
        known: &Known,
        now: UtcTime,
    ) -> Result<Recipient, Refused> {
        let to = known.contact.pre_key.as_deref();
        let to = to.ok_or(Refused::NoPreKey("the contact has no pre_key"))?;
        let instance = asking::retrieve(carrier, &self.from, to).await?;
        let pre_key = PreKey::decode(&instance::binary(&instance, PRE_KEY_TYPE)?)?;
        Ok(known.recipient(&pre_key, now)?)
    }

    /// Makes, publishes and destroys this end point's pre-keys, until `drain` begins.
    pub async fn tend<C: Carrier>(self: Arc<Self>, carrier: C, drain: Drain) {
        let mut due: Vec<Place> = self.places();
        let mut pause = PATIENCE.0;
        loop {
            match blocking(&self, Self::rotate).await {
                Ok(true) => due = self.places(),
                Ok(false) => {}
                Err(refused) => tracing::error!(%refused, "pre-keys are not renewed"),
            }
            let mut failed = Vec::new();
            for place in due {
                let published = timeout(self.patience, self.publish(&carrier, &place)).await;
                match published.unwrap_or(Err(Refused::Peer(refpoint_primitive::Failure::Timeout)))
                {
                    Ok(()) => tracing::info!(to = place.to, "a pre-key is published"),
                    Err(refused) => {
                        tracing::info!(%refused, to = place.to, "a pre-key is not published yet");
                        failed.push(place);
                    }
                }
            }
            due = failed;
            pause = if due.is_empty() {
                PATIENCE.0
            } else {
                (pause * 2).min(PATIENCE.1)
            };
            let until = if due.is_empty() { PATIENCE.1 } else { pause };
            tokio::select! {
                () = sleep(until) => {}
                // The AE has made something: perhaps the container that was not there.
                () = self.made.notified(), if !due.is_empty() => {}
                () = drain.begun() => return,
            }
        }
    }

    /// Makes and destroys what is due; whether there is something to publish.
    fn rotate(&self) -> Result<bool, Refused> {
        let mut state = self.state();
        let renewed = state
            .opener
            .ring_mut()
            .tend(utc::now(), &mut entropy::system())?;
        if renewed {
            state.keep()?;
        }
        Ok(renewed)
    }

    async fn publish<C: Carrier>(&self, carrier: &C, place: &Place) -> Result<(), Refused> {
        let pre_key = {
            let state = self.state();
            let (ring, owner) = (state.opener.ring(), state.opener.id());
            let contact = place.contact.map(|at| &self.known[at]);
            match (contact.and_then(|known| known.key.as_ref()), &self.signing) {
                (Some(key), _) => ring.vouched(owner, key)?,
                (None, Some(signing)) => ring.signed(owner, signing)?,
                (None, None) => return Err(Refused::NoPreKey("nothing signs it")),
            }
        };
        let body = instance::body_of(&pre_key.encode(), PRE_KEY_TYPE);
        asking::create(carrier, &self.from, &place.to, body).await
    }

    /// Where pre-keys are published.
    fn places(&self) -> Vec<Place> {
        let to_all = self.settings.publish.iter().map(|to| Place {
            to: to.clone(),
            contact: None,
        });
        let known = self.known.iter().enumerate();
        let to_one = known.filter_map(|(at, known)| {
            let to = known.contact.publish.clone()?;
            let contact = Some(at);
            Some(Place { to, contact })
        });
        to_all.chain(to_one).collect()
    }
}

/// A container in which a pre-key is published.
#[derive(Debug)]
struct Place {
    to: String,
    /// For whom alone, by its place among the contacts.
    contact: Option<usize>,
}
