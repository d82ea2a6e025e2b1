use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use crate::{Association, Service};

/// Who answers what peers ask over associations.
///
/// An async closure that takes an [`Association`] and a request and returns the response is one. Nothing has been checked
/// but who is at the other end: ask the layer of the reference point (its `receive`) before anything is done for
/// [`Association::peer`].
pub trait Handler<S: Service>: Send + Sync + 'static {
    /// Answers a request. It runs to its end even if its asker has given up, so that what was executed is known as
    /// executed; the asker's patience is in the request.
    fn handle(
        &self,
        association: Association,
        request: S::Request,
    ) -> impl Future<Output = S::Response> + Send;

    /// The peer says for whom it speaks. By default, this is ignored.
    fn announced(&self, association: &Association, announcement: S::Announcement) {
        let _ = (association, announcement);
    }
}

impl<S, F, R> Handler<S> for F
where
    S: Service,
    F: Fn(Association, S::Request) -> R + Send + Sync + 'static,
    R: Future<Output = S::Response> + Send,
{
    fn handle(
        &self,
        association: Association,
        request: S::Request,
    ) -> impl Future<Output = S::Response> + Send {
        self(association, request)
    }
}

/// Any handler, behind one type.
pub(crate) type Shared<S> = Arc<dyn Erased<S>>;

pub(crate) trait Erased<S: Service>: Send + Sync {
    fn handle(
        self: Arc<Self>,
        association: Association,
        request: S::Request,
    ) -> Pin<Box<dyn Future<Output = S::Response> + Send>>;

    fn announced(&self, association: &Association, announcement: S::Announcement);
}

impl<S: Service, H: Handler<S>> Erased<S> for H {
    fn handle(
        self: Arc<Self>,
        association: Association,
        request: S::Request,
    ) -> Pin<Box<dyn Future<Output = S::Response> + Send>> {
        Box::pin(async move { Handler::handle(&*self, association, request).await })
    }

    fn announced(&self, association: &Association, announcement: S::Announcement) {
        Handler::announced(self, association, announcement);
    }
}
