//! The store in a directory: a redb database, and beside it the key file.

mod database;
mod overlay;
mod row;

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use refpoint_keys::UtcTime;

pub(crate) use database::{Claimed, Guarded};
use row::RowKey;

use crate::bucket::BucketKey;
use crate::key_file::{self, KeyFile, Slot};
use crate::secret::random;
use crate::{
    BucketLength, Change, Claim, Committed, Entry, Error, HandleId, Owner, Replayed, StandingKeys,
    Store,
};

const HANDLES: TableDefinition<u128, &[u8]> = TableDefinition::new("handles");
const KIND: &str = "refpoint handles 1";
const DATABASE: &str = "handles.redb";
const KEYS: &str = "handles.keys";
const LOCK: &str = "handles.lock";

/// Where a [`Redb`] store lies and how it behaves.
#[derive(Clone, Debug)]
pub struct RedbOptions {
    bucket: BucketLength,
    key_file: Option<PathBuf>,
    missing_keys: MissingKeys,
    cache: usize,
}

/// What to do about a database whose key file is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKeys {
    /// Refuse to open the store: somebody should look.
    Refuse,
    /// Start with an empty store: right when the key file lies where a power loss or a reboot takes
    /// it on purpose. Every entity makes a full handshake then.
    StartEmpty,
}

impl Default for RedbOptions {
    /// Buckets of an hour, the key file beside the database, which must be there, 64 MiB of cache.
    fn default() -> Self {
        Self {
            bucket: BucketLength::default(),
            key_file: None,
            missing_keys: MissingKeys::Refuse,
            cache: 64 << 20,
        }
    }
}

impl RedbOptions {
    /// With buckets of another length: of what is issued from now on.
    #[must_use]
    pub const fn with_bucket_length(mut self, length: BucketLength) -> Self {
        self.bucket = length;
        self
    }

    /// With the key file at another place, such as a memory file system or an encrypted volume;
    /// `missing` says what its absence means.
    #[must_use]
    pub fn with_key_file(mut self, path: PathBuf, missing: MissingKeys) -> Self {
        self.key_file = Some(path);
        self.missing_keys = missing;
        self
    }

    /// With so many bytes of cache for the database.
    #[must_use]
    pub const fn with_cache(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }
}

/// A store in a directory of its own: embedded, crash-safe, without set-up.
///
/// ```text
/// handles.redb    the entries, sealed
/// handles.keys    bucket keys and standing keys; replaced as a whole
/// handles.lock    held by the process that has the store open
/// ```
///
/// All are for their owner only. What a crash costs is in the crate's documentation.
#[derive(Debug)]
pub struct Redb {
    keys: KeyFile,
    slot: Slot,
    bucket: BucketLength,
    database: Guarded,
    _directory: Claimed,
}

impl Redb {
    /// Opens the store in `directory`, or makes one, and destroys the keys of the buckets that are
    /// over at `now`.
    ///
    /// Takes as long as it takes to read the whole database once.
    ///
    /// # Errors
    ///
    /// When another process has it, when a file is missing, damaged, of another store or readable
    /// by others, which leaves all files as they are, and when the disk fails.
    pub fn open(directory: &Path, now: UtcTime, options: &RedbOptions) -> Result<Self, Error> {
        let directory = Claimed::claim(directory, LOCK)?;
        let path = directory.path().join(DATABASE);
        let keys = options.key_file.clone();
        let slot = Slot::new(keys.unwrap_or_else(|| directory.path().join(KEYS)));
        let known = key_file::read(&slot)?;
        if known.is_none() && database::exists(&path)? {
            match options.missing_keys {
                MissingKeys::Refuse => return Err(Error::KeysMissing(slot.path().to_owned())),
                MissingKeys::StartEmpty => {
                    std::fs::remove_file(&path).map_err(Error::io(&path))?;
                }
            }
        }
        let mut keys = match known {
            None => KeyFile::generate()?,
            Some(mut keys) => {
                keys.standing.generation = keys.standing.generation.next()?;
                keys
            }
        };
        // A database that is there is looked at before the key file is touched. A new one comes
        // after its keys, so that a crash in between leaves keys without entries.
        let found = match database::exists(&path)? {
            true => Some(Guarded::open(
                path.clone(),
                KIND,
                Some(&keys.store),
                options.cache,
            )?),
            false => None,
        };
        keys.buckets.drop_over(now);
        slot.recover()?;
        slot.replace(&keys)?;
        let database = match found {
            Some(database) => database,
            None => Guarded::open(path, KIND, Some(&keys.store), options.cache)?,
        };
        Ok(Self {
            keys,
            slot,
            bucket: options.bucket,
            database,
            _directory: directory,
        })
    }

    /// Makes keys for the buckets that these changes need, durable before any entry is sealed
    /// under them.
    fn prepare(&mut self, changes: &[Change]) -> Result<(), Error> {
        let buckets = changes.iter().filter_map(|change| match change {
            Change::Issued { entry, .. } => Some(self.bucket.bucket(entry.expiry())),
            Change::Claimed { .. } | Change::Revoked { .. } => None,
        });
        if self.keys.buckets.add(buckets)? {
            self.slot.replace(&self.keys)?;
        }
        Ok(())
    }
}

impl Store for Redb {
    fn standing_keys(&self) -> &StandingKeys {
        &self.keys.standing
    }

    fn commit(&mut self, changes: &[Change]) -> Result<Committed, Error> {
        self.prepare(changes)?;
        let mut tagged: Vec<_> = changes
            .iter()
            .map(|change| (row::owner_tag(&self.keys, change.owner()), change))
            .collect();
        // In the order of the keys, so that each page is touched once; stable, so that an owner's
        // changes stay in theirs.
        tagged.sort_by_key(|(tag, _)| *tag);
        let mut nonces = vec![[0; BucketKey::NONCE]; changes.len()];
        random(nonces.as_flattened_mut())?;
        let (keys, bucket) = (&self.keys, self.bucket);
        self.database.with(|database| {
            let mut committed = Committed::default();
            let transaction = database.begin_write()?;
            {
                let mut handles = transaction.open_table(HANDLES)?;
                for ((tag, change), nonce) in tagged.into_iter().zip(&nonces) {
                    match change {
                        Change::Issued { owner, id, entry } => {
                            let (key, bucket) =
                                (RowKey::new(tag, *id), bucket.bucket(entry.expiry()));
                            let Some(bucket_key) = keys.buckets.key(bucket) else {
                                committed.skipped += 1;
                                continue;
                            };
                            let row =
                                row::seal(keys, (bucket, bucket_key), key, (owner, entry), nonce);
                            handles.insert(key.0, &row[..])?;
                        }
                        Change::Claimed { id, .. } => {
                            handles.remove(RowKey::new(tag, *id).0)?;
                        }
                        Change::Revoked { .. } => {
                            let (first, last) = RowKey::all(tag);
                            handles.retain_in(first.0..=last.0, |_, _| false)?;
                        }
                    }
                }
            }
            transaction.commit()?;
            Ok(committed)
        })
    }

    fn claim(&mut self, owner: &Owner, id: HandleId) -> Result<Claim, Error> {
        let key = RowKey::new(row::owner_tag(&self.keys, owner), id);
        let keys = &self.keys;
        self.database.with(|database| {
            let transaction = database.begin_write()?;
            let removed = {
                let mut handles = transaction.open_table(HANDLES)?;
                let removed = handles.remove(key.0)?;
                removed.is_some_and(|row| {
                    let bucket = row::bucket(row.value());
                    bucket.is_some_and(|bucket| keys.buckets.key(bucket).is_some())
                })
            };
            transaction.commit()?;
            Ok(if removed { Claim::Won } else { Claim::Lost })
        })
    }

    fn replay(
        &mut self,
        now: UtcTime,
        each: &mut dyn FnMut(Owner, HandleId, Entry),
    ) -> Result<Replayed, Error> {
        let keys = &self.keys;
        self.database
            .with(|database| replay(database, keys, now, each))
    }

    fn expire(&mut self, now: UtcTime) -> Result<(), Error> {
        if !self.keys.buckets.drop_over(now) {
            return Ok(());
        }
        self.slot.replace(&self.keys)?;
        let keys = &self.keys;
        self.database.with(|database| {
            let transaction = database.begin_write()?;
            transaction.open_table(HANDLES)?.retain(|_, row| {
                let bucket = row::bucket(row);
                bucket.is_some_and(|bucket| keys.buckets.key(bucket).is_some())
            })?;
            transaction.commit()?;
            Ok(())
        })
    }
}

fn replay(
    database: &Database,
    keys: &KeyFile,
    now: UtcTime,
    each: &mut dyn FnMut(Owner, HandleId, Entry),
) -> Result<Replayed, redb::Error> {
    let mut replayed = Replayed::default();
    let transaction = database.begin_read()?;
    let handles = match transaction.open_table(HANDLES) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(replayed),
        opened => opened?,
    };
    for row in handles.iter()? {
        let (key, row) = row?;
        let bucket = row::bucket(row.value());
        let Some(bucket_key) = bucket.and_then(|bucket| keys.buckets.key(bucket)) else {
            replayed.expired += 1;
            continue;
        };
        match row::open(keys, bucket_key, RowKey(key.value()), row.value()) {
            Some((owner, id, entry)) if entry.expiry() > now => {
                replayed.entries += 1;
                each(owner, id, entry);
            }
            Some(_) => replayed.expired += 1,
            None => replayed.unreadable += 1,
        }
    }
    Ok(replayed)
}
