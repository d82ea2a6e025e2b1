//! The handles that this node issues and holds, between the associations and the store that keeps them.
//!
//! ```text
//! directory/datagrams    issued to peers on UDP
//!           streams      issued to peers on TCP, of all listeners
//!           held         held for streams that this node makes
//! ```
//!
//! What datagrams and streams issue is kept apart: each is a table of its own, and a handle is redeemed in one.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use refpoint_association::HandleChange;
use refpoint_keys::UtcTime;
use refpoint_store::{Batching, Journal, Redb, RedbOptions};
use refpoint_transport::{DeviceFile, HandleLog, Persistence};

use crate::config::{Carriage, Config, Initiator, Store};
use crate::utc;

/// What an earlier process has left in a node's store, for those who go on with it.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) datagrams: Persistence,
    pub(super) streams: Persistence,
    pub(super) handles: Vec<Handles>,
}

impl Left {
    /// Opens the store of `config`, if it has one: as much of it as there is use for.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let mut left = Self::default();
        let Some(store) = &config.store else {
            return Ok(left);
        };
        let listens = |carriage| config.listen.iter().any(|table| table.carriage == carriage);
        if listens(Carriage::Udp) {
            let (handles, persistence) = Handles::open(store, "datagrams")?;
            left.datagrams = persistence;
            left.handles.push(handles);
        }
        if listens(Carriage::Tcp) {
            let (handles, persistence) = Handles::open(store, "streams")?;
            left.streams = persistence;
            left.handles.push(handles);
        }
        let connects = config
            .peers
            .iter()
            .any(|peer| peer.carriage == Carriage::Tcp && peer.initiator != Initiator::Peer);
        if connects {
            let path = store.directory.join("held");
            let context = || format!("the store in {}", path.display());
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&store.directory)
                .with_context(context)?;
            let held = DeviceFile::open(&path).with_context(context)?;
            left.streams = left.streams.with_device(held);
        }
        Ok(left)
    }
}

/// A part of the store, written behind by the one table of handles that was started on it.
#[derive(Debug, Clone)]
pub(super) struct Handles(Arc<Mutex<Journal>>);

impl Handles {
    /// Opens a part, and returns what a table of handles needs to go on where an earlier process stopped.
    fn open(store: &Store, part: &str) -> anyhow::Result<(Self, Persistence)> {
        let directory = store.directory.join(part);
        let context = || format!("the store in {}", directory.display());
        let mut options = RedbOptions::default().with_bucket_length(store.bucket);
        if let Some(keys) = &store.key_directory {
            let path: PathBuf = keys.join(format!("{part}.keys"));
            options = options.with_key_file(path, store.missing_keys);
        }
        let now = utc::now();
        let redb = Redb::open(&directory, now, &options).with_context(context)?;
        let opened = Journal::open(redb, now, Batching::default()).with_context(context)?;
        let (journal, kept) = opened;
        tracing::info!(directory = %directory.display(), handles = kept.handles.len(), "store opened");
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
