use core::future::Future;
use std::sync::Arc;

use crate::handler::{Handler, Shared};
use crate::limits::{CONNECTION_WINDOW, FRAME_SIZE, STREAM_WINDOW};
use crate::responder::Responder;
use crate::{Incoming, Limits, Links, Service};

/// The responder of one reference point's service: answers what peers ask over the associations that they make, and
/// gives links by which they can be asked.
#[derive(Debug)]
pub struct Server<S: Service> {
    responder: Responder<S>,
    links: Links<S>,
    limits: Limits,
}

impl<S: Service> Server<S> {
    /// A server whose requests `handler` answers.
    #[must_use]
    pub fn new(handler: impl Handler<S>, limits: Limits) -> Self {
        let handler: Shared<S> = Arc::new(handler);
        let links = Links::new();
        Self {
            responder: Responder::new(handler, links.clone(), limits),
            links,
            limits,
        }
    }

    /// The links with peers, as they come and go.
    #[must_use]
    pub fn links(&self) -> Links<S> {
        self.links.clone()
    }

    /// Serves until `stop` is ready; then takes no new associations, lets requests under way be answered, and returns when
    /// every association has ended. Who wants to wait for less time closes them
    /// ([`Keyring::close`](crate::Keyring::close)).
    ///
    /// # Errors
    /// None that is known; the type is tonic's.
    pub async fn serve(
        self,
        incoming: Incoming,
        stop: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let server = tonic::transport::Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_SIZE)
            // One is for `Serve`. What an asker gave up may still be counted here when its next request comes; the
            // handlers' places are what bounds.
            .max_concurrent_streams(u32::try_from(2 * self.limits.in_flight + 1).ok())
            .http2_keepalive_interval(self.limits.keepalive)
            .http2_keepalive_timeout(self.limits.keepalive.map(|interval| interval / 3));
        let links = self.links;
        let stop = async move {
            stop.await;
            links.stop();
        };
        let stub = S::server(self.responder, self.limits.largest);
        server
            .serve_with_incoming_shutdown(stub, incoming, stop)
            .await
    }
}
