//! What the AE reads and is notified of, opened.

use std::sync::Arc;

use refpoint_e2e::MEDIA_TYPE;
use refpoint_primitive::{Failure, HttpRequest, HttpResponse, Operation};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::instance::Attributes;
use super::places::{Came, Digest, Place, Told};
use super::refused::Refused;
use super::{EndToEnd, asking, blocking, instance, outgoing};
use crate::carrier::Carrier;
use crate::config::SealedResource;
use crate::utc;

/// A notification as the AE gets it. Unless it is [told](Notification::told), what it holds may be notified again.
#[derive(Debug)]
pub struct Notification {
    end: Arc<EndToEnd>,
    request: HttpRequest,
    opened: Vec<Digest>,
}

impl Notification {
    /// What the AE gets.
    pub fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// The AE has taken it: it gets nothing of it a second time, a restart of this node included.
    ///
    /// # Errors
    ///
    /// When that cannot be kept; then it holds until the node ends.
    pub async fn told(mut self) -> Result<(), Failure> {
        let opened = core::mem::take(&mut self.opened);
        let told = blocking(&self.end, move |end| {
            let mut state = end.state();
            opened
                .iter()
                .try_for_each(|digest| state.told(digest, Told::Yes))
        });
        told.await.map_err(|refused| {
            tracing::error!(%refused, "it is not kept that the AE was notified");
            refused.failure()
        })
    }
}

impl Drop for Notification {
    fn drop(&mut self) {
        if self.opened.is_empty() {
            return;
        }
        let mut state = self.end.state();
        for digest in &self.opened {
            // Nothing is kept for what has not happened.
            let _ = state.told(digest, Told::No);
        }
    }
}

impl EndToEnd {
    /// Retrieves, and opens what comes back.
    pub(super) async fn retrieve<C: Carrier>(
        self: &Arc<Self>,
        carrier: &C,
        request: &HttpRequest,
        resource: &SealedResource,
    ) -> Result<HttpResponse, Refused> {
        let response = asking::exchange(carrier, request.clone()).await;
        let response = response.map_err(Refused::Peer)?;
        let (request, resource) = (request.clone(), resource.clone());
        blocking(self, move |end| {
            outgoing::answer(&request, &response, |attributes| {
                end.open_instance(&[&resource], attributes, Came::Read)?;
                Ok(())
            })
        })
        .await
    }

    /// What the AE gets of a request that has come for it; none when nothing of it is to be opened.
    ///
    /// # Errors
    ///
    /// As what it is refused.
    pub async fn arrived(
        self: &Arc<Self>,
        request: &HttpRequest,
    ) -> Result<Option<Notification>, Failure> {
        if request.operation() != Operation::Notify || request.body().is_empty() {
            return Ok(None);
        }
        let (end, asked) = (Arc::clone(self), request.clone());
        let opened = blocking(self, move |_| end.opened(asked)).await;
        opened.map_err(|refused| {
            self.report(&refused, "a notification");
            refused.failure()
        })
    }

    fn opened(self: Arc<Self>, request: HttpRequest) -> Result<Option<Notification>, Refused> {
        let Ok(mut value) = serde_json::from_slice::<Value>(request.body()) else {
            let allowed = self.settings.plain_notifications;
            return if allowed {
                Ok(None)
            } else {
                Err(Refused::Plain)
            };
        };
        let all: Vec<_> = self.settings.sealed.iter().collect();
        let candidates: Vec<_> = all.into_iter().filter(|one| !one.from.is_empty()).collect();
        // Told or not is decided when it is dropped.
        let mut notification = Notification {
            end: Arc::clone(&self),
            request,
            opened: Vec::new(),
        };
        instance::each_with_content(&mut value, &mut |attributes| {
            if !instance::is_sealed(attributes) && self.settings.plain_notifications {
                return Ok(());
            }
            let digest = self.open_instance(&candidates, attributes, Came::Notified)?;
            notification.opened.push(digest);
            Ok(())
        })?;
        if notification.opened.is_empty() && self.settings.plain_notifications {
            return Ok(None);
        }
        // Written anew, so that the AE's parser finds in it what this one has found, and nothing beside it.
        let body = value.to_string();
        let headers = outgoing::rewritten(notification.request.headers(), body.len(), None)?;
        let (method, target) = (
            notification.request.method().clone(),
            notification.request.target().clone(),
        );
        let opened = HttpRequest::new(method, target, headers, body);
        notification.request = opened.map_err(refpoint_e2e::Error::from)?;
        Ok(Some(notification))
    }

    /// Puts what an instance holds sealed in its place.
    fn open_instance(
        &self,
        candidates: &[&SealedResource],
        attributes: &mut Attributes,
        came: Came,
    ) -> Result<Digest, Refused> {
        let sealed = instance::binary(attributes, MEDIA_TYPE)?;
        let (at, place) = ((utc::now(), self.backend), place(attributes));
        let found = {
            let mut state = self.state();
            let found = state.open(at, &self.contacts, candidates, &sealed, (place, came))?;
            if came == Came::Notified {
                state.told(&found.digest, Told::UnderWay)?;
            }
            found
        };
        tracing::debug!(sender = %found.sender, ?came, "sealed content opened");
        metrics::counter!("refpoint_end_to_end_opened_total").increment(1);
        instance::put(attributes, &found.content)?;
        Ok(found.digest)
    }
}

/// Which resource it is: by its parent's identifier and its own.
fn place(attributes: &Attributes) -> Option<Place> {
    let name = |name| attributes.get(name).and_then(Value::as_str);
    let (own, parent) = (name("ri")?, name("pi").unwrap_or_default());
    let mut hash = Sha256::new();
    hash.update((parent.len() as u64).to_be_bytes());
    hash.update(parent);
    hash.update(own);
    hash.finalize().first_chunk().copied()
}
