use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refpoint_association::{Config, Error as AssociationError, Statistics};
use refpoint_keys::EntityId;
use refpoint_primitive::{ExchangeId, Failure, RequestId, Retransmission};
use refpoint_x::proto;
use socket2::SockRef;
use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use crate::handler::Handler;
use crate::{Association, Keyring, X};

mod asking;
mod device_file;
mod driver;
mod outgoing;
mod peers;
mod persistence;
mod renewing;
mod sieve;
mod socket;
mod strangers;

pub use device_file::DeviceFile;
pub use persistence::{DeviceStorage, HandleLog, Persistence};

use driver::Driver;
use socket::Socket;

/// What a record needs around its content at most: type, index, sequence, tag.
const RECORD: usize = 1 + 4 + 4 + 16;

/// Bounds of X on UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramLimits {
    /// How long an asker waits for an answer unless it says otherwise.
    pub patience: Duration,
    /// The most bytes of a datagram, UDP payload.
    pub largest: usize,
    /// The most requests of peers that are executed at a time. What comes on top is dropped; its asker repeats it.
    pub executing: usize,
    /// When requests are repeated, and how many may wait.
    pub retransmission: Retransmission,
    /// The most bytes that packets without an association take, with what it takes to keep them, while they wait for
    /// records to be served, for a tenth of a second: a third for Resumes and answers, one for Initiates that say by which
    /// key, or bring a cookie, and one for other Initiates. Who comes on top is dropped, and repeats.
    pub strangers: usize,
    /// How many bytes of packets the system is asked to keep while nobody reads them; it may grant fewer.
    pub receive_buffer: usize,
}

impl Default for DatagramLimits {
    /// Nine seconds, 1200 bytes (which fits every path of IPv6), 1024 requests, repetitions as `refpoint-primitive` has
    /// them, 4 MiB of strangers (some 10 000 Initiates of either kind), 4 MiB in the system.
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(9),
            largest: refpoint_x::Datagram::DEFAULT_LIMIT,
            executing: 1024,
            retransmission: Retransmission::default(),
            strangers: 1 << 22,
            receive_buffer: 4 << 20,
        }
    }
}

/// Why a request on UDP has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DatagramError {
    /// The request does not fit.
    #[error(
        "{size} bytes do not fit into a datagram of at most {limit} bytes: send less, or use gRPC over an association on a stream"
    )]
    TooLarge {
        /// What it takes with everything around it.
        size: usize,
        /// [`DatagramLimits::largest`].
        limit: usize,
    },
    /// It was not answered, or could not be sent.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl DatagramError {
    /// What to tell the originator.
    #[must_use]
    pub const fn failure(self) -> Failure {
        match self {
            Self::TooLarge { .. } => Failure::TooLarge,
            Self::Failed(failure) => failure,
        }
    }
}

/// X on UDP: all associations of this entity behind one socket, with requests both ways.
///
/// A task drives it ([`Datagrams::start`]); this is its handle. A request is repeated until its answer comes; the peer
/// executes it once ([`Handler`] asks the layer, whose ledger knows repetitions, also those after a lost answer). When an
/// association is lost, requests go on over the next one.
///
/// When the last handle is dropped, the associations are closed and the task ends.
#[derive(Clone)]
pub struct Datagrams {
    commands: mpsc::Sender<Command>,
    up: Up,
    limits: DatagramLimits,
    local: SocketAddr,
}

/// The peers that can be asked.
type Up = Arc<Mutex<HashMap<EntityId, Association>>>;

fn lock(up: &Up) -> MutexGuard<'_, HashMap<EntityId, Association>> {
    up.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Command {
    Ask(Box<Ask>),
    Reach(EntityId, SocketAddr),
    Forget(EntityId),
    Renew(EntityId),
    RenewAll(Duration),
    Statistics(oneshot::Sender<Statistics>),
}

struct Ask {
    peer: EntityId,
    request: proto::ExchangeRequest,
    request_id: RequestId,
    patience: Duration,
    answer: oneshot::Sender<Result<proto::ExchangeResponse, Failure>>,
}

impl Datagrams {
    /// Starts to drive `socket`: associations are made by the keyring's credentials for X, `handler` answers what peers ask.
    ///
    /// Records come first, and what anybody may have sent after them, of which Resumes do not wait behind Initiates. Under a
    /// flood of that, Linux is told to drop part of it on arrival, by a filter that takes the place of one that the socket
    /// may have, and the socket is looked at every other millisecond.
    ///
    /// # Errors
    /// [`AssociationError::Config`] when `limits.largest` is out of range, or the socket is of no use.
    pub fn start(
        socket: UdpSocket,
        keyring: &Keyring,
        config: Config,
        handler: impl Handler<X>,
        limits: DatagramLimits,
    ) -> Result<Self, AssociationError> {
        Self::start_persistent(
            socket,
            keyring,
            config,
            handler,
            limits,
            Persistence::default(),
        )
    }

    /// As [`Datagrams::start`], with what an earlier process left: peers resume their associations,
    /// and this end resumes its own.
    ///
    /// # Errors
    /// As [`Datagrams::start`].
    pub fn start_persistent(
        socket: UdpSocket,
        keyring: &Keyring,
        config: Config,
        handler: impl Handler<X>,
        limits: DatagramLimits,
        persistence: Persistence,
    ) -> Result<Self, AssociationError> {
        let config = config
            .with_backend(keyring.backend())
            .with_max_datagram(limits.largest)?;
        let local = socket.local_addr();
        let local = local.map_err(|_| AssociationError::Config("socket"))?;
        enlarge(&socket, limits.receive_buffer);
        let socket = Socket::new(socket).map_err(|_| AssociationError::Config("socket"))?;
        let (commands, commanded) = mpsc::channel(256);
        let up = Up::default();
        let driver = Driver::new(
            socket,
            keyring,
            config,
            Arc::new(handler),
            (limits, persistence),
            up.clone(),
        );
        tokio::spawn(driver.run(commanded));
        Ok(Self {
            commands,
            up,
            limits,
            local,
        })
    }

    /// Where it receives.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Makes an association with `peer` at this address, and the next one whenever it has none, until [`Datagrams::forget`].
    /// Who is not named so has to come by itself.
    pub async fn reach(&self, peer: EntityId, at: SocketAddr) {
        let _ = self.commands.send(Command::Reach(peer, at)).await;
    }

    /// Closes the association with `peer`, and makes none any more.
    pub async fn forget(&self, peer: EntityId) {
        let _ = self.commands.send(Command::Forget(peer)).await;
    }

    /// Makes a new association inside the one with `peer`, before its time.
    pub async fn renew(&self, peer: EntityId) {
        let _ = self.commands.send(Command::Renew(peer)).await;
    }

    /// Has every association replaced by a new one inside it within about so long, evenly: what to do when keys may have
    /// become known to others. Those that a peer has made it is told to renew, each at its own time; whoever has not in
    /// the end is told again.
    pub async fn renew_all(&self, within: Duration) {
        let _ = self.commands.send(Command::RenewAll(within)).await;
    }

    /// The association with `peer`, if there is one. Its handle stays the same through renewals.
    #[must_use]
    pub fn association(&self, peer: &EntityId) -> Option<Association> {
        lock(&self.up).get(peer).cloned()
    }

    /// The peers that can be asked now.
    #[must_use]
    pub fn peers(&self) -> Vec<EntityId> {
        lock(&self.up).keys().cloned().collect()
    }

    /// What the end point has done and dropped.
    pub async fn statistics(&self) -> Statistics {
        let (answer, answered) = oneshot::channel();
        let _ = self.commands.send(Command::Statistics(answer)).await;
        answered.await.unwrap_or_default()
    }

    /// Asks `peer`, and waits for as long as the limits say.
    ///
    /// # Errors
    /// As [`Datagrams::exchange_within`].
    pub async fn exchange(
        &self,
        peer: &EntityId,
        request: proto::ExchangeRequest,
    ) -> Result<proto::ExchangeResponse, DatagramError> {
        self.exchange_within(self.limits.patience, peer, request)
            .await
    }

    /// Asks `peer`, and waits for `patience`, which the request tells the peer.
    ///
    /// # Errors
    /// [`DatagramError::TooLarge`], or [`DatagramError::Failed`] with [`Failure::Malformed`] for a request that cannot be
    /// read, [`Failure::NoAssociation`] without an association and a way to make one, [`Failure::PeerUnreachable`] when
    /// none could be made until the patience was over since nobody answers there,
    /// [`Failure::QueueFull`], [`Failure::Timeout`], [`Failure::UnusableAnswer`], [`Failure::Stopping`].
    pub async fn exchange_within(
        &self,
        patience: Duration,
        peer: &EntityId,
        mut request: proto::ExchangeRequest,
    ) -> Result<proto::ExchangeResponse, DatagramError> {
        let milliseconds = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        request.patience_ms = milliseconds.max(1);
        // The number's length is fixed: this is the size for any.
        let room = self.limits.largest - RECORD;
        match refpoint_x::Datagram::request(ExchangeId::new(1), request.clone(), room) {
            Err(refpoint_x::Error::TooLarge { size, .. }) => {
                let (size, limit) = (size + RECORD, self.limits.largest);
                return Err(DatagramError::TooLarge { size, limit });
            }
            Err(_) => return Err(Failure::Malformed.into()),
            Ok(_) => {}
        }
        let read = refpoint_x::exchange::read_request(request.clone());
        let read = read.map_err(|_| Failure::Malformed)?;
        let request_id = read.message().checked().request_id.clone();
        let (answer, answered) = oneshot::channel();
        let ask = Command::Ask(Box::new(Ask {
            peer: peer.clone(),
            request,
            request_id,
            patience,
            answer,
        }));
        self.commands
            .send(ask)
            .await
            .map_err(|_| Failure::Stopping)?;
        let answer = answered.await.map_err(|_| Failure::Stopping)?;
        answer.map_err(DatagramError::from)
    }
}

/// Asks the system to keep so many bytes of packets, if it keeps fewer.
fn enlarge(socket: &UdpSocket, bytes: usize) {
    let socket = SockRef::from(socket);
    if socket.recv_buffer_size().is_ok_and(|size| size < bytes) {
        let asked = socket.set_recv_buffer_size(bytes);
        let granted = socket.recv_buffer_size();
        tracing::debug!(?asked, ?granted, "receive buffer");
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams")
            .field("local", &self.local)
            .field("up", &lock(&self.up).len())
            .finish_non_exhaustive()
    }
}
