use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use http::Uri;
use prost::Message as _;
use refpoint_primitive::Failure;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::handler::Handler;
use crate::initiator::Initiating;
use crate::responder::Responding;
use crate::{Association, Connector, Error, Limits, Service};

/// A peer that can be asked over an association, whoever made it.
///
/// The initiator's end ([`Link::connect`]) makes the association, keeps it, and makes the next one when it breaks; what
/// keeps it from ending by its age is a refresh inside it. The responder's end comes from [`Links`](crate::Links) and lives as long as its association. All
/// clones are the same link; the initiator's ends when the last is dropped.
pub struct Link<S: Service>(Arc<Inner<S>>);

struct Inner<S: Service> {
    way: Way<S>,
    limits: Limits,
    places: Semaphore,
}

enum Way<S: Service> {
    Initiating(Initiating<S>),
    Responding(Responding<S>),
}

impl<S: Service> Link<S> {
    /// Makes associations with the connector's peer at `target` (`http://HOST:PORT`) from now on; `handler` answers what
    /// the peer asks over them. This returns at once.
    ///
    /// # Errors
    /// [`Error::Target`] when there is no host and port in it, or the connector's reference point is not this service's.
    pub fn connect(
        connector: Connector,
        target: &Uri,
        handler: impl Handler<S>,
        limits: Limits,
    ) -> Result<Self, Error> {
        let initiating = Initiating::start(connector, target, Arc::new(handler), limits)?;
        Ok(Self::new(Way::Initiating(initiating), limits))
    }

    pub(crate) fn responding(responding: Responding<S>, limits: Limits) -> Self {
        Self::new(Way::Responding(responding), limits)
    }

    fn new(way: Way<S>, limits: Limits) -> Self {
        Self(Arc::new(Inner {
            way,
            limits,
            places: Semaphore::new(limits.in_flight),
        }))
    }

    /// Asks the peer, and waits for as long as the limits say.
    ///
    /// # Errors
    /// As [`Link::exchange_within`].
    pub async fn exchange(&self, request: S::Request) -> Result<S::Response, Failure> {
        self.exchange_within(self.0.limits.patience, request).await
    }

    /// Asks the peer, and waits for `patience`, which the request tells the peer.
    ///
    /// It is asked once at most. To drop the future is to give up.
    ///
    /// # Errors
    /// [`Failure::QueueFull`] when too many requests are under way, [`Failure::TooLarge`], [`Failure::NoAssociation`] when
    /// the peer does not prove itself or there is no credential, [`Failure::PeerUnreachable`], [`Failure::Timeout`],
    /// [`Failure::UnusableAnswer`], [`Failure::Stopping`] after [`Link::close`].
    pub async fn exchange_within(
        &self,
        patience: Duration,
        mut request: S::Request,
    ) -> Result<S::Response, Failure> {
        let milliseconds = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        S::set_patience(&mut request, milliseconds.max(1));
        if request.encoded_len() > self.0.limits.largest {
            return Err(Failure::TooLarge);
        }
        let Ok(_place) = self.0.places.try_acquire() else {
            return Err(Failure::QueueFull);
        };
        let exchange = async {
            match &self.0.way {
                Way::Initiating(initiating) => initiating.exchange(request).await,
                Way::Responding(responding) => responding.exchange(request).await,
            }
        };
        timeout(patience, exchange)
            .await
            .unwrap_or(Err(Failure::Timeout))
    }

    /// Tells the peer for whom this end speaks. The initiator's end tells it again over each new association.
    ///
    /// # Errors
    /// [`Failure::PeerUnreachable`] at the responder's end of an association that is over.
    pub async fn announce(&self, announcement: S::Announcement) -> Result<(), Failure> {
        match &self.0.way {
            Way::Initiating(initiating) => initiating.announce(announcement).await,
            Way::Responding(responding) => responding.announce(announcement).await,
        }
    }

    /// Waits until the peer can be asked.
    ///
    /// # Errors
    /// Why it cannot, if an attempt has failed.
    pub async fn ready(&self) -> Result<Association, Failure> {
        match &self.0.way {
            Way::Initiating(initiating) => initiating.ready().await,
            Way::Responding(responding) => responding.ready(),
        }
    }

    /// The association it uses now, if there is one.
    #[must_use]
    pub fn association(&self) -> Option<Association> {
        match &self.0.way {
            Way::Initiating(initiating) => initiating.association(),
            Way::Responding(responding) => responding.ready().ok(),
        }
    }

    /// Asks for a refresh now, before its time: fresh keys inside the association in use, if there is one. Nothing that
    /// is under way notices.
    pub fn renew(&self) {
        if let Some(association) = self.association() {
            association.renew();
        }
    }

    /// Ends the link. Requests under way get some time to be answered, then the association is closed.
    pub fn close(&self) {
        match &self.0.way {
            Way::Initiating(initiating) => initiating.close(),
            Way::Responding(responding) => responding.close(),
        }
    }
}

impl<S: Service> Link<S> {
    /// No more requests are sent over it, if it is a responder's.
    pub(crate) fn stop(&self) {
        if let Way::Responding(responding) = &self.0.way {
            responding.stop();
        }
    }

    /// Whether it is the responder's link over this association.
    pub(crate) fn is_over(&self, association: &Association) -> bool {
        matches!(&self.0.way, Way::Responding(responding) if responding.association() == association)
    }
}

impl<S: Service> Clone for Link<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Service> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("service", &S::NAME)
            .field("association", &self.association())
            .finish_non_exhaustive()
    }
}
