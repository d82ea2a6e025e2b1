use tokio::sync::watch;

/// Tells the tasks of a node that it stops: no new work, finish what is under way.
///
/// Clones hear the same signal. The one who began the drain bounds it in time by dropping what has not ended.
#[derive(Debug, Clone)]
pub struct Drain {
    signal: watch::Receiver<bool>,
}

/// The end that begins a [`Drain`]. Dropping it begins the drain too.
#[derive(Debug)]
pub struct DrainSignal {
    signal: watch::Sender<bool>,
}

impl Drain {
    /// A drain that has not begun, and the signal that begins it.
    pub fn new() -> (DrainSignal, Self) {
        let (sender, receiver) = watch::channel(false);
        (DrainSignal { signal: sender }, Self { signal: receiver })
    }

    /// Whether the drain has begun.
    pub fn has_begun(&self) -> bool {
        *self.signal.borrow() || self.signal.has_changed().is_err()
    }

    /// Waits until the drain begins.
    pub async fn begun(&self) {
        // An error means that the signal was dropped, which begins the drain too.
        let _ = self.signal.clone().wait_for(|begun| *begun).await;
    }
}

impl DrainSignal {
    /// Begins the drain.
    pub fn begin(&self) {
        self.signal.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_hears_the_signal_and_its_loss() {
        let (signal, drain) = Drain::new();
        let other = drain.clone();
        assert!(!drain.has_begun());
        signal.begin();
        other.begun().await;
        assert!(drain.has_begun());

        let (signal, drain) = Drain::new();
        drop(signal);
        drain.begun().await;
        assert!(drain.has_begun());
    }
}
