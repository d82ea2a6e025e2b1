use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::task::Waker;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use refpoint_association::{Authenticated, CloseReason, StreamSession};
use refpoint_primitive::Peer;
use tokio::sync::{Semaphore, mpsc, watch};

/// A handle of an association: who is at the other end now, whether it still holds, and a way to end it.
///
/// All clones are the same association. It is what a tonic service finds in the extensions of its requests, captured
/// once per connection; since the handle is shared, a refresh, a revocation or the end shows in it all the same.
///
/// ```
/// # use refpoint_transport::Association;
/// fn originator<T>(request: &tonic::Request<T>) -> Option<String> {
///     let association = request.extensions().get::<Association>()?;
///     (!association.is_closed()).then(|| association.peer().entity.to_string())
/// }
/// ```
#[derive(Clone)]
pub struct Association(Arc<Shared>);

struct Shared {
    authenticated: RwLock<Authenticated>,
    refreshes: AtomicU64,
    was_resumed: bool,
    /// Someone wants a refresh.
    renewing: AtomicBool,
    ending: OnceLock<CloseReason>,
    closed: watch::Sender<bool>,
    wakers: Mutex<[Option<Waker>; 2]>,
    places: OnceLock<Arc<Semaphore>>,
    /// Who carries it on datagrams and hears when it shall end: at most once, so that nothing piles up.
    carrier: Option<mpsc::UnboundedSender<Association>>,
}

/// Which task waits: a stream may be read and written by two.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Read,
    Write,
}

impl Association {
    /// The association on a stream.
    pub(crate) fn of_stream(session: &StreamSession, was_resumed: bool) -> Self {
        Self::new(session.peer().clone(), was_resumed, None)
    }

    /// The associations with a peer on datagrams, each succeeding the one before.
    pub(crate) fn of_datagrams(peer: Authenticated, carrier: mpsc::UnboundedSender<Self>) -> Self {
        Self::new(peer, false, Some(carrier))
    }

    fn new(
        peer: Authenticated,
        was_resumed: bool,
        carrier: Option<mpsc::UnboundedSender<Self>>,
    ) -> Self {
        Self(Arc::new(Shared {
            authenticated: RwLock::new(peer),
            refreshes: AtomicU64::new(0),
            was_resumed,
            renewing: AtomicBool::new(false),
            ending: OnceLock::new(),
            closed: watch::Sender::new(false),
            wakers: Mutex::default(),
            places: OnceLock::new(),
            carrier,
        }))
    }

    /// What the handshake proved, the latest one if the association was refreshed.
    #[must_use]
    pub fn authenticated(&self) -> Authenticated {
        let current = &self.0.authenticated;
        current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The peer, as the layers X, Y and Z want it.
    #[must_use]
    pub fn peer(&self) -> Peer {
        let authenticated = self.authenticated();
        Peer {
            entity: authenticated.entity().clone(),
            point: authenticated.point(),
            role: authenticated.role().peer(),
        }
    }

    /// Whether nothing is carried any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.0.closed.borrow() || self.0.ending.get().is_some()
    }

    /// Ends the association: the peer is told the reason, then reads and writes fail at both ends.
    ///
    /// This returns at once. What was written before and waits still may not arrive.
    pub fn close(&self, reason: CloseReason) {
        // The first reason stands.
        if self.0.ending.set(reason).is_ok() {
            self.wake();
            if let Some(carrier) = &self.0.carrier {
                // Gone: then it is closed already.
                let _ = carrier.send(self.clone());
            }
        }
    }

    /// Waits for the end.
    pub async fn closed(&self) {
        let mut closed = self.0.closed.subscribe();
        // The sender lives in `self`.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// How often a newer association has taken its place, under the same handle: on streams by a refresh inside it, on
    /// datagrams in whatever way.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.0.refreshes.load(Ordering::Relaxed)
    }

    /// Whether its stream began by redeeming a handle of an earlier association, instead of a full handshake. On
    /// datagrams, where associations follow each other under one handle, the statistics tell instead.
    #[must_use]
    pub fn was_resumed(&self) -> bool {
        self.0.was_resumed
    }

    /// A newer association has taken its place.
    pub(crate) fn succeed(&self, peer: Authenticated) {
        let current = &self.0.authenticated;
        *current.write().unwrap_or_else(PoisonError::into_inner) = peer;
        self.0.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks whoever reads from its stream for a refresh.
    pub(crate) fn renew(&self) {
        self.0.renewing.store(true, Ordering::Relaxed);
        self.wake_side(Side::Read);
    }

    /// Whether someone has asked for a refresh: once for each time.
    pub(crate) fn takes_renewal(&self) -> bool {
        self.0.renewing.load(Ordering::Relaxed) && self.0.renewing.swap(false, Ordering::Relaxed)
    }

    /// Whether its carrier knows by itself when its credential goes.
    pub(crate) fn is_of_datagrams(&self) -> bool {
        self.0.carrier.is_some()
    }

    /// Whether someone wants it to end.
    pub(crate) fn ending(&self) -> Option<CloseReason> {
        self.0.ending.get().copied()
    }

    /// The carriage has let go of it.
    pub(crate) fn mark_closed(&self) {
        self.0.closed.send_replace(true);
    }

    /// The places of the peer's requests under way.
    pub(crate) fn places(&self, most: usize) -> &Arc<Semaphore> {
        let places = &self.0.places;
        places.get_or_init(|| Arc::new(Semaphore::new(most)))
    }

    /// Wakes this task when someone wants it to end.
    pub(crate) fn register(&self, side: Side, waker: &Waker) {
        let mut wakers = self.wakers();
        match &mut wakers[side as usize] {
            Some(registered) => registered.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }

    pub(crate) fn wake(&self) {
        let wakers = core::mem::take(&mut *self.wakers());
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    pub(crate) fn wake_side(&self, side: Side) {
        let waker = self.wakers()[side as usize].take();
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn downgrade(&self) -> WeakAssociation {
        WeakAssociation(Arc::downgrade(&self.0))
    }

    fn wakers(&self) -> std::sync::MutexGuard<'_, [Option<Waker>; 2]> {
        self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Association {
    /// Whether both are handles of the same association.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Association {}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Association")
            .field("peer", &self.peer())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Does not keep the handle alive.
#[derive(Clone)]
pub(crate) struct WeakAssociation(std::sync::Weak<Shared>);

impl WeakAssociation {
    pub(crate) fn upgrade(&self) -> Option<Association> {
        self.0.upgrade().map(Association)
    }
}

impl fmt::Debug for WeakAssociation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakAssociation")
    }
}
