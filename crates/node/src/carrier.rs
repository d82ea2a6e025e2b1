use core::future::Future;

use refpoint_primitive::{Failure, RequestMessage, ResponseMessage};

/// What carries a request to one peer and brings its response back: an association, in a node.
///
/// This is the seam between HTTP on the CSE's side and the associations of `refpoint-transport`; tests put a loop
/// in its place.
pub trait Carrier: Send + Sync + 'static {
    /// Carries `request` to the peer and returns its response.
    ///
    /// The caller bounds the time; a carrier must bear being dropped at any await point.
    fn exchange(
        &self,
        request: RequestMessage,
    ) -> impl Future<Output = Result<ResponseMessage, Failure>> + Send;
}
