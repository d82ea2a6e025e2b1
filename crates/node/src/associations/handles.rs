//! The handles that this node issues, between the end point that issues them and the store that keeps them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use refpoint_association::HandleChange;
use refpoint_keys::UtcTime;
use refpoint_store::{Batching, Journal, Redb, RedbOptions};
use refpoint_transport::{HandleLog, Persistence};

use crate::config::Store;
use crate::utc;

/// The store of this node, written behind by the one end point that was started on it.
#[derive(Debug, Clone)]
pub(super) struct Handles(Arc<Mutex<Journal>>);

impl Handles {
    /// Opens the store, and returns what an end point needs to go on where an earlier process stopped.
    pub(super) fn open(store: &Store) -> anyhow::Result<(Self, Persistence)> {
        let context = || format!("the store in {}", store.directory.display());
        let mut options = RedbOptions::default().with_bucket_length(store.bucket);
        if let Some(path) = &store.key_file {
            options = options.with_key_file(path.clone(), store.missing_keys);
        }
        let now = utc::now();
        let redb = Redb::open(&store.directory, now, &options).with_context(context)?;
        let opened = Journal::open(redb, now, Batching::default()).with_context(context)?;
        let (journal, kept) = opened;
        tracing::info!(directory = %store.directory.display(), handles = kept.handles.len(), "store opened");
        let this = Self(Arc::new(Mutex::new(journal)));
        let persistence = Persistence::default().with_issued(kept.keys, kept.handles, this.clone());
        Ok((this, persistence))
    }

    /// Waits until everything that was issued and redeemed is durable.
    pub(super) async fn flush(&self) {
        let this = self.clone();
        let flushed = tokio::task::spawn_blocking(move || this.journal().flush()).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the store is behind: some peers make full handshakes after the next start");
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandleLog for Handles {
    fn write(&mut self, change: HandleChange) {
        self.journal().write(change);
    }

    fn tell(&mut self, now: UtcTime) {
        self.journal().tell(now);
    }
}
