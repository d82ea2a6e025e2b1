//! The store in a directory: a redb database, and beside it the key file.

mod database;
mod overlay;
mod place;
mod row;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use refpoint_keys::UtcTime;

pub(crate) use database::{Claimed, Guarded};
use place::{Place, Places};

use crate::bucket::{Bucket, BucketKey};
use crate::key_file::{self, KeyFile, Slot};
use crate::secret::random;
use crate::{
    BucketLength, Change, Claim, Committed, Entry, Error, HandleId, Replayed, StandingKeys, Store,
};

const HANDLES: TableDefinition<u64, &[u8]> = TableDefinition::new("handles");
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
    /// Whether the key file still has to follow `keys`.
    unwritten: bool,
    slot: Slot,
    bucket: BucketLength,
    database: Guarded,
    /// Where the rows lie; `None` after an error, until they are looked for.
    places: Option<Places>,
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
            unwritten: false,
            slot,
            bucket: options.bucket,
            database,
            places: None,
            _directory: directory,
        })
    }

    /// Looks for the rows if where they lie is not known.
    fn locate(&mut self) -> Result<(), Error> {
        if self.places.is_none() {
            self.places = Some(self.database.with(places)?);
        }
        Ok(())
    }

    /// Runs `work` on the database. After an error it is not known what is on the disk.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Database, &KeyFile, &mut Places) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        self.locate()?;
        let mut places = self.places.take().unwrap_or_default();
        let worked = self
            .database
            .with(|database| work(database, &self.keys, &mut places))?;
        self.places = Some(places);
        Ok(worked)
    }

    /// Makes keys for the buckets that these changes need, durable before any entry is sealed
    /// under them.
    fn prepare(&mut self, changes: &[Change]) -> Result<(), Error> {
        let buckets = changes.iter().filter_map(|change| match change {
            Change::Issued { entry, .. } => Some(self.bucket.bucket(entry.expiry())),
            Change::Gone(_) => None,
        });
        let added = self.keys.buckets.add(buckets);
        self.unwritten |= *added.as_ref().unwrap_or(&true);
        added?;
        self.write_keys()
    }

    /// Brings the key file up to date. If that fails, the next call tries again, before anything
    /// else is done.
    fn write_keys(&mut self) -> Result<(), Error> {
        if self.unwritten {
            self.slot.replace(&self.keys)?;
            self.unwritten = false;
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
        let mut nonces = vec![[0; BucketKey::NONCE]; changes.len()];
        random(nonces.as_flattened_mut())?;
        let length = self.bucket;
        self.write(|database, keys, places| {
            let plan = places.plan(changes, &keys.buckets, |entry| {
                length.bucket(entry.expiry())
            });
            let transaction = database.begin_write()?;
            {
                let mut handles = transaction.open_table(HANDLES)?;
                for place in &plan.removed {
                    handles.remove(place.code())?;
                }
                for ((place, id, entry), nonce) in plan.inserted.iter().zip(&nonces) {
                    if let Some(key) = keys.buckets.key(place.bucket()) {
                        let row = row::seal(&keys.store, key, *place, (*id, entry), nonce);
                        handles.insert(place.code(), &row[..])?;
                    }
                }
            }
            transaction.commit()?;
            places.carried_out(&plan);
            Ok(Committed {
                skipped: plan.skipped,
            })
        })
    }

    fn claim(&mut self, id: HandleId) -> Result<Claim, Error> {
        self.write(|database, keys, places| {
            let place = places.place(id);
            let Some(place) = place.filter(|at| keys.buckets.key(at.bucket()).is_some()) else {
                return Ok(Claim::Lost);
            };
            let transaction = database.begin_write()?;
            transaction.open_table(HANDLES)?.remove(place.code())?;
            transaction.commit()?;
            places.remove(id);
            Ok(Claim::Won)
        })
    }

    fn replay(
        &mut self,
        now: UtcTime,
        each: &mut dyn FnMut(HandleId, Entry),
    ) -> Result<Replayed, Error> {
        self.write(|database, keys, places| replay(database, keys, places, now, each))
    }

    fn expire(&mut self, now: UtcTime) -> Result<(), Error> {
        self.unwritten |= self.keys.buckets.drop_over(now);
        self.write_keys()?;
        self.write(|database, keys, places| {
            // Those whose key an earlier start has destroyed are among them.
            let over: BTreeSet<Bucket> = places.without_key(&keys.buckets);
            if over.is_empty() {
                return Ok(());
            }
            let transaction = database.begin_write()?;
            {
                let mut handles = transaction.open_table(HANDLES)?;
                for bucket in &over {
                    handles.retain_in(Place::all(*bucket), |_, _| false)?;
                }
            }
            transaction.commit()?;
            places.remove_buckets(&over);
            Ok(())
        })
    }
}

/// The rows, if there were ever any.
fn rows(database: &Database) -> Result<Option<ReadOnlyTable<u64, &'static [u8]>>, redb::Error> {
    match database.begin_read()?.open_table(HANDLES) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

/// Finds where the rows lie.
fn places(database: &Database) -> Result<Places, redb::Error> {
    let mut places = Places::default();
    if let Some(rows) = rows(database)? {
        for row in rows.iter()? {
            let (place, row) = row?;
            if let Some(id) = row::id(row.value()) {
                places.found(id, Place::from_code(place.value()));
            }
        }
    }
    Ok(places)
}

fn replay(
    database: &Database,
    keys: &KeyFile,
    places: &Places,
    now: UtcTime,
    each: &mut dyn FnMut(HandleId, Entry),
) -> Result<Replayed, redb::Error> {
    let mut replayed = Replayed::default();
    let Some(rows) = rows(database)? else {
        return Ok(replayed);
    };
    for row in rows.iter()? {
        let (place, row) = row?;
        let place = Place::from_code(place.value());
        let Some(key) = keys.buckets.key(place.bucket()) else {
            replayed.expired += 1;
            continue;
        };
        match row::open(&keys.store, key, place, row.value()) {
            Some((id, entry)) if entry.expiry() > now && places.is_at(id, place) => {
                replayed.entries += 1;
                each(id, entry);
            }
            Some(_) => replayed.expired += 1,
            None => replayed.unreadable += 1,
        }
    }
    Ok(replayed)
}
