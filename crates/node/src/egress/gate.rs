use core::sync::atomic::{AtomicUsize, Ordering};

use refpoint_primitive::Failure;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Lets a bounded number of requests through at once and a bounded number wait; more are refused, so that none
/// waits longer than it is worth.
#[derive(Debug)]
pub(super) struct Gate {
    places: Semaphore,
    waiting: AtomicUsize,
    queue: usize,
}

impl Gate {
    pub(super) fn new(places: usize, queue: usize) -> Self {
        Self {
            places: Semaphore::new(places),
            waiting: AtomicUsize::new(0),
            queue,
        }
    }

    /// Waits for a place, which is left when the permit is dropped.
    pub(super) async fn enter(&self) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _waiting = Waiting::join(self)?;
        self.places.acquire().await.map_err(|_| Failure::Stopping)
    }
}

/// One that waits; counted out when it is dropped, got through or not.
struct Waiting<'a>(&'a Gate);

impl<'a> Waiting<'a> {
    fn join(gate: &'a Gate) -> Result<Self, Failure> {
        let before = gate.waiting.fetch_add(1, Ordering::SeqCst);
        let waiting = Self(gate);
        if before < gate.queue {
            Ok(waiting)
        } else {
            Err(Failure::QueueFull)
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_the_queue_full_is_refused_and_who_gives_up_leaves_it() {
        let gate = Gate::new(1, 1);
        let inside = gate.enter().await.expect("a place");
        let mut second = Box::pin(gate.enter());
        assert!(
            futures_poll(second.as_mut()).await.is_none(),
            "the second is let in"
        );
        assert!(matches!(gate.enter().await, Err(Failure::QueueFull)));
        drop(second);
        let mut third = Box::pin(gate.enter());
        assert!(
            futures_poll(third.as_mut()).await.is_none(),
            "the third is let in"
        );
        drop(inside);
        assert!(third.await.is_ok());
    }

    /// Polls once.
    async fn futures_poll<F: Future>(future: core::pin::Pin<&mut F>) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = core::future::ready(()) => None,
        }
    }
}
