use core::fmt;
use core::panic::AssertUnwindSafe;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, TableDefinition};

use super::overlay::Overlay;
use crate::Error;
use crate::key_file::{refuse_readable, sync_directory};

/// Which store and which format a database is of.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const KIND: &str = "kind";
const STORE: &str = "store";

/// redb's own first bytes.
const MAGIC: &[u8] = b"redb";

/// A directory that this process alone uses.
#[derive(Debug)]
pub(crate) struct Claimed {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl Claimed {
    /// Makes the directory if need be, for its owner only, and locks it under `name`.
    pub(crate) fn claim(directory: &Path, name: &str) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(Error::io(directory))?;
        let path = directory.join(name);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: directory.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(directory.to_owned())),
            Err(TryLockError::Error(error)) => Err(Error::io(&path)(error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A database file that was found intact, and is opened again after an error.
pub(crate) struct Guarded {
    path: PathBuf,
    cache: usize,
    database: Option<Arc<Database>>,
}

impl Guarded {
    /// Opens the database of the store `store`, or makes one.
    ///
    /// `kind` names the tables and their format. Nothing is changed in a file that is damaged, of
    /// another kind or of another store.
    pub(crate) fn open(
        path: PathBuf,
        kind: &'static str,
        store: Option<&[u8; 16]>,
        cache: usize,
    ) -> Result<Self, Error> {
        let mut guarded = Self {
            path,
            cache,
            database: None,
        };
        if exists(&guarded.path)? {
            guarded.inspect(kind, store)?;
            guarded.database()?;
        } else {
            guarded.create(kind, store)?;
        }
        Ok(guarded)
    }

    /// The database; opened anew if the last use failed.
    pub(crate) fn database(&mut self) -> Result<Arc<Database>, Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                let file = self.file()?;
                let opened = FileBackend::new(file)
                    .and_then(|backend| self.builder().create_with_backend(backend));
                Arc::new(opened.map_err(|error| self.failure(&error))?)
            }
        };
        Ok(self.database.insert(database).clone())
    }

    /// Runs `work` on the database.
    pub(crate) fn with<T>(
        &mut self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let worked = work(&*self.database()?);
        self.judge(worked)
    }

    /// Takes note of how the use of the database went: after an error redb has to be opened anew,
    /// so that is done the next time.
    pub(crate) fn judge<T>(&mut self, worked: Result<T, redb::Error>) -> Result<T, Error> {
        worked.map_err(|error| {
            self.database = None;
            self.failure(&error)
        })
    }

    /// The error that says that this file cannot be used.
    pub(crate) fn failure(&self, problem: &dyn fmt::Display) -> Error {
        Error::Storage {
            path: self.path.clone(),
            problem: problem.to_string(),
        }
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache);
        builder
    }

    fn file(&self) -> Result<File, Error> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        file.map_err(Error::io(&self.path))
    }

    fn create(&mut self, kind: &str, store: Option<&[u8; 16]>) -> Result<(), Error> {
        // Under another name until it is complete: a crash leaves no half of a database.
        let new = self.path.with_extension("new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(&new)(error));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(Error::io(&new))?;
        let made = || -> Result<Database, redb::Error> {
            let database = self
                .builder()
                .create_with_backend(FileBackend::new(file)?)?;
            let transaction = database.begin_write()?;
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert(KIND, kind.as_bytes())?;
                if let Some(store) = store {
                    meta.insert(STORE, &store[..])?;
                }
            }
            transaction.commit()?;
            Ok(database)
        };
        let database = made().map_err(|error| self.failure(&error))?;
        fs::rename(&new, &self.path)
            .and_then(|()| sync_directory(&self.path))
            .map_err(Error::io(&self.path))?;
        self.database = Some(Arc::new(database));
        Ok(())
    }

    /// Reads all of the file, repairs a copy in memory if a crash made that necessary, and checks
    /// whose it is.
    fn inspect(&self, kind: &str, store: Option<&[u8; 16]>) -> Result<(), Error> {
        let mut file = File::open(&self.path).map_err(Error::io(&self.path))?;
        refuse_readable(&self.path, &file)?;
        let mut magic = [0; MAGIC.len()];
        match file.read_exact(&mut magic) {
            Ok(()) if magic == MAGIC => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(Error::io(&self.path)(error));
            }
            _ => return Err(self.damaged("it does not begin as one")),
        }
        let overlay = Overlay::new(file).map_err(Error::io(&self.path))?;
        let mut builder = self.builder();
        builder.set_check_integrity_on_open(true);
        let found = quietly(|| -> Result<_, redb::Error> {
            let database = builder.create_with_backend(overlay)?;
            let meta = database.begin_read()?.open_table(META)?;
            let value = |name| -> Result<Option<Vec<u8>>, redb::Error> {
                Ok(meta.get(name)?.map(|value| value.value().to_vec()))
            };
            Ok((value(KIND)?, value(STORE)?))
        });
        let (found_kind, found_store) = match found {
            Some(Ok(found)) => found,
            Some(Err(redb::Error::DatabaseAlreadyOpen)) => {
                return Err(Error::InUse(self.path.clone()));
            }
            Some(Err(error)) => return Err(self.damaged(&error.to_string())),
            None => return Err(self.damaged("its pages contradict each other")),
        };
        if found_kind.as_deref() != Some(kind.as_bytes()) {
            return Err(self.damaged("it is of another kind or version"));
        }
        if found_store.as_deref() != store.map(<[u8; 16]>::as_slice) {
            return Err(Error::Foreign(self.path.clone()));
        }
        Ok(())
    }

    fn damaged(&self, problem: &str) -> Error {
        Error::Database {
            path: self.path.clone(),
            problem: problem.to_owned(),
        }
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

pub(crate) fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(Error::io(path))
}

/// Runs `work`; `None` if it panics: redb answers some damages so.
fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
