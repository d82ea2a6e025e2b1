//! End to end for an AE that knows nothing of it (CM25): its node seals what it creates and opens what it reads.
//!
//! ```text
//!    this node, beside the AE                     any CSEs, with or without nodes              another AE's node
//!  ┌───────────────────────────┐                                                          ┌──────────────────────┐
//!  │ AE ─ Create con="21.5" ──► seal ── Create con="CpwBMQ..", cnf=".. sealed:2" ──► CSE  │                      │
//!  │                           │                                                     CSE ── Notify, or Retrieve ─► open ─► AE │
//!  └───────────────────────────┘                                                          └──────────────────────┘
//! ```
//!
//! [`crate::config`] says which resources, to whom and from whom. Of what the AE asks for them,
//!
//! * the Create of a contentInstance is sealed: the whole contentInstance, its name and labels too, becomes the content of another
//!   ([`refpoint_e2e::Outer::content_instance`]), for one receiver or as a group for several. The CSE's answer comes back with the
//!   AE's own content in it. Query, response type and other parameters that no node needs stay here;
//! * other Creates with content, and Notifies, are refused: nothing leaves unsealed. Everything else passes as it is;
//! * whatever a Retrieve brings back that holds content is opened, or the answer is refused.
//!
//! Notifications are opened when they hold something sealed; those that hold plain content are refused unless the configuration
//! allows them, since a node in between could put its own there.
//!
//! A resource of the form `session` holds letters in the place of objects: packets of a session of the two ends
//! ([`refpoint_e2e::Sessions`]), which has forward secrecy from letter to letter. It is begun when the AE first creates something
//! there, and renewed by policy, through two containers in which either end posts for the other (`letters_to`, `letters_from`) and
//! looks every few seconds (`poll`). An AE waits for the first session as long as for any answer; if the other end is away
//! meanwhile, it gets 4112 and may try again. Once there is one, letters are sealed whether or not the other end is there.
//!
//! What is refused is reported (a warning `sealed content refused`, and a metric), refused to whoever brought it by
//! [`refpoint_e2e::Error::failure`], and never delivered.
//!
//! # Again and once
//!
//! An object opens once. But an AE reads a resource as often as it likes, so the same object *in the same
//! resource* opens again until it expires; in another resource it is a replay. Of a notification the AE is told once: told
//! again it is a replay, unless the AE did not answer the first time. What was opened where is kept with the pre-keys
//! ([`refpoint_store::StateFile`]) before the AE gets anything, and outlives a restart; without a place to keep it, a
//! restart makes new pre-keys, and what was sealed to the old ones opens no more. A letter can be read again as long as this process
//! lives (the latest 256): after a restart, one that was read is a replay. Of sessions only the receiving direction is kept (rule
//! E1): after a restart, the first Create begins another.
//!
//! # What a node in between still can
//!
//! Drop, delay until the expiry, and answer with an *older* instance that has not expired when the AE asks for the latest: nothing
//! tells the AE's node which is the latest. A notification does not say which of the sealed resources it is about in a way
//! that is proved, other than by its content: the subscription's name in it (`sur`) is not bound.

mod asking;
mod boxes;
mod incoming;
mod instance;
mod keys;
mod letters;
mod outgoing;
mod places;
mod pre_keys;
mod refused;
mod state;

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use refpoint_association::Backend;
use refpoint_e2e::{Contacts, Sealer, SigningKey};
use refpoint_keys::EntityId;
use refpoint_primitive::{Failure, HttpRequest, HttpResponse, Operation, ResourceType};
use refpoint_store::StateFile;
use tokio::sync::Notify;

use crate::carrier::Carrier;
use crate::config::{self, Config, SealedResource};
use keys::{Keys, Known};
use letters::Letters;
use pre_keys::Recipients;
use refused::Refused;
use state::State;

pub use incoming::Notification;

/// An AE's end of what is sealed end to end.
#[derive(Debug)]
pub struct EndToEnd {
    settings: config::EndToEnd,
    /// As whom the AE is known at its CSE.
    from: String,
    backend: Backend,
    patience: Duration,
    sealer: Sealer,
    signing: Option<SigningKey>,
    known: Vec<Known>,
    contacts: Contacts,
    recipients: Recipients,
    state: Mutex<State>,
    /// The AE has made something.
    made: Notify,
    /// There is something to be posted, or to be waited for.
    posted: Notify,
}

impl EndToEnd {
    /// The end that `config` names, if it does; takes the directory of its state.
    ///
    /// # Errors
    ///
    /// When a key cannot be used, or the state is damaged or another process's.
    pub fn open(config: &Config, backend: Backend) -> anyhow::Result<Option<Self>> {
        let Some(settings) = &config.end_to_end else {
            return Ok(None);
        };
        let keys = Keys::load(config, settings, backend)?;
        let letters = Letters::new(&config.entity, backend, settings.padding, &keys.known)?;
        let state = match &settings.state {
            Some(directory) => {
                let file = StateFile::open(directory)?;
                let path = file.path().display().to_string();
                State::kept(keys.opener, letters, file).with_context(|| path)?
            }
            None => State::new(keys.opener, letters),
        };
        let entity = &config.entity;
        let from = entity.to_stem().unwrap_or(entity.to_sp_relative());
        Ok(Some(Self {
            settings: settings.clone(),
            from: from.to_owned(),
            backend,
            patience: config.limits.exchange_time,
            sealer: keys.sealer,
            signing: keys.signing,
            known: keys.known,
            contacts: keys.contacts,
            recipients: Recipients::default(),
            state: Mutex::new(state),
            made: Notify::new(),
            posted: Notify::new(),
        }))
    }

    /// Checks that the keys that `config` names can be used, and takes nothing.
    ///
    /// # Errors
    ///
    /// When one cannot.
    pub fn check(config: &Config, backend: Backend) -> anyhow::Result<()> {
        match &config.end_to_end {
            Some(settings) => Keys::load(config, settings, backend).map(drop),
            None => Ok(()),
        }
    }

    /// Has `carrier` carry a request of the AE: sealed, and with what it brings back opened, where the configuration
    /// says so, else as it is.
    ///
    /// # Errors
    ///
    /// The carrier's failure, or as what the request or its answer is refused.
    pub async fn exchange<C: Carrier>(
        self: &Arc<Self>,
        carrier: &C,
        request: &HttpRequest,
    ) -> Result<HttpResponse, Failure> {
        let Some(resource) = self.resource(request.to()) else {
            return self.pass(carrier, request).await;
        };
        let outcome = match (request.operation(), request.resource_type()) {
            (Operation::Create, Some(ty)) if ty == ResourceType::new(4) => {
                self.create(carrier, request, resource).await
            }
            (Operation::Create, Some(ty)) if HOLDS_CONTENT.contains(&ty.number()) => {
                Err(Refused::Form)
            }
            (Operation::Notify, _) => Err(Refused::Form),
            (Operation::Retrieve, _) => self.retrieve(carrier, request, resource).await,
            _ => return self.pass(carrier, request).await,
        };
        outcome.map_err(|refused| {
            if !matches!(refused, Refused::Peer(_)) {
                self.report(&refused, resource.target.as_str());
            }
            refused.failure()
        })
    }

    async fn pass<C: Carrier>(
        &self,
        carrier: &C,
        request: &HttpRequest,
    ) -> Result<HttpResponse, Failure> {
        let response = asking::exchange(carrier, request.clone()).await?;
        let made = response.result_code() == Some(refpoint_primitive::ResultCode::CREATED);
        if made && request.operation() == Operation::Create {
            self.made.notify_one();
        }
        Ok(response)
    }

    /// What is sealed at `to`: of nested resources the innermost counts.
    fn resource(&self, to: &str) -> Option<&SealedResource> {
        let covering = self.settings.sealed.iter();
        let covering = covering.filter_map(|sealed| Some((sealed.covers(to)?, sealed)));
        let innermost = covering.max_by_key(|(length, _)| *length);
        innermost.map(|(_, sealed)| sealed)
    }

    fn contact(&self, entity: &EntityId) -> Option<&Known> {
        let mut known = self.known.iter();
        known.find(|known| known.contact.entity == *entity)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells this side what was refused, and where.
    fn report(&self, refused: &Refused, place: &str) {
        let code = refused.failure().result_code().number();
        metrics::counter!("refpoint_end_to_end_refused_total", "code" => code.to_string())
            .increment(1);
        tracing::warn!(%place, code, reason = %refused, "sealed content refused");
    }
}

/// Besides contentInstance: timeSeriesInstance, flexContainer and its instance.
const HOLDS_CONTENT: [u32; 3] = [30, 28, 58];

/// Runs what computes and waits for a disk where it holds nothing up.
async fn blocking<T: Send + 'static>(
    end: &Arc<EndToEnd>,
    work: impl FnOnce(&EndToEnd) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let end = Arc::clone(end);
    let task = tokio::task::spawn_blocking(move || work(&end));
    task.await.unwrap_or(Err(Refused::Stopping))
}
