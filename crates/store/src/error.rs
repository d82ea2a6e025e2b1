use std::io;
use std::path::{Path, PathBuf};

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // What was handed over.
    /// Something exceeds what is ever stored.
    #[error("{what} of {size} bytes: at most {most} are stored")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// How long it is, in bytes.
        size: usize,
        /// How long it may be, in bytes.
        most: usize,
    },
    /// A bucket length out of bounds.
    #[error("a bucket is between a minute and a week long, in whole minutes")]
    BucketLength,

    // What was found on the disk. Nothing was changed there.
    /// Another process has the store.
    #[error("{} is in use by another process: stop that one, or give this one a directory of its own", .0.display())]
    InUse(PathBuf),
    /// Others than the owner can read secrets.
    #[error("{} can be read by others (mode {mode:04o}): run chmod 600 on it, and delete the store if it was exposed", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The key file of a store is gone.
    #[error("{} is missing, and without it nothing in the database can be opened: put it back, or delete the database too; every entity then makes a full handshake", .0.display())]
    KeysMissing(PathBuf),
    /// A file that is no key file, or not all of one.
    #[error("{} is not an intact key file of a store ({problem}): put the right one back, or delete it and the database; every entity then makes a full handshake", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: KeyFileProblem,
    },
    /// Database and key file are not of the same store.
    #[error("{} belongs to another store: put the right one back, or delete both files", .0.display())]
    Foreign(PathBuf),
    /// A file that is no database, or a damaged one.
    #[error("{} is not an intact database of a store ({problem}): restore it, or delete it", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A state file that is none, or not intact.
    #[error("{} is not an intact state: restore the newest one, or delete it; pre-keys are then made anew, and what was sealed to the old ones opens no more", .0.display())]
    State(PathBuf),

    // Ours, and the machine's.
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database cannot be read or written.
    #[error("{}: {problem}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The operating system has no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(String),

    /// Changes are not durable yet, because the store fails.
    #[error(
        "{waiting} changes are not durable yet ({problem}): they are kept and tried again; make room, or replace the disk"
    )]
    Behind {
        /// How many.
        waiting: u64,
        /// Why the last attempt failed.
        problem: String,
    },
    /// There is no thread to write behind.
    #[error("no thread for the store from the operating system: {0}")]
    Thread(io::Error),
    /// The thread that writes has ended.
    #[error("the store's thread has ended by a panic: restart the process")]
    Ended,

    // Exhausted.
    /// The store was opened 2^64 times.
    #[error("the store has been opened as often as can be counted")]
    Exhausted,
}

/// What is wrong with the bytes of a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileProblem {
    /// It does not begin as one.
    #[error("it does not begin as one")]
    Foreign,
    /// It has another length than it says.
    #[error("it is cut off or too long")]
    Length,
    /// Its checksum is another.
    #[error("its checksum is wrong")]
    Checksum,
    /// Its bucket keys are not in order, or too many.
    #[error("its bucket keys are not in order")]
    Order,
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
