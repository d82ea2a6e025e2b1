mod answering;
mod handles;
mod point;
mod transported;
mod ways;

use core::future::Future;
use core::net::SocketAddr;
use std::sync::Arc;

use refpoint_keys::{EntityId, ReferencePoint};

use crate::carrier::Carrier;
use crate::config::Config;
use crate::drain::Drain;
use crate::identity::Identity;
use crate::inbound::Inbound;

pub use transported::Transported;
pub use ways::Transport;

/// A node's associations with its peers, as far as the node sees them.
///
/// [`Transported`] puts `refpoint-transport` behind it; tests put something simpler there.
pub trait Associations: Sized + Send + Sync + 'static {
    /// What carries requests to one peer.
    type Carrier: Carrier;

    /// Listens and connects as `config` says. What peers ask goes to `inbound`, after the layer of its reference
    /// point has let it through. After `drain` has begun, no new association is made.
    fn start(
        config: &Config,
        identity: Identity,
        inbound: Arc<Inbound>,
        drain: Drain,
    ) -> impl Future<Output = anyhow::Result<Self>> + Send;

    /// Where associations come in, in the order of the configuration's `[[listen]]`.
    fn addresses(&self) -> Vec<SocketAddr>;

    /// What carries requests to `peer` at `point`.
    fn carrier(&self, peer: &EntityId, point: ReferencePoint) -> Self::Carrier;

    /// Takes over peers, keys and policies. Associations with peers that stay as they were go on.
    fn reload(
        &self,
        config: &Config,
        identity: Identity,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Closes every association in an orderly way. The caller bounds the time.
    fn close(&self) -> impl Future<Output = ()> + Send;
}
