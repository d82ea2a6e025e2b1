//! How the key file is replaced, so that there is a whole one at every moment and little is left
//! of the one before.
//!
//! ```text
//! keys.new   written, synced                    a crash here: the old one holds
//! keys.old   a second name of the old one
//! keys       := keys.new, by rename; synced     from here on the new one holds
//! keys.old   overwritten with zeros, synced, removed
//! ```
//!
//! Overwriting reaches the blocks where the file system writes in place (ext4 and XFS do; Btrfs,
//! ZFS, F2FS, flash translation layers and snapshots do not).

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{KeyFile, LONGEST};
use crate::{Error, KeyFileProblem};

/// A place where a key file is kept.
#[derive(Clone, Debug)]
pub(crate) struct Slot(PathBuf);

impl Slot {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Clears away what a crash in the middle of [`Slot::replace`] left.
    ///
    /// For the holder of the store's lock only.
    pub(crate) fn recover(&self) -> Result<(), Error> {
        wipe(&self.beside(".new"))?;
        let old = self.beside(".old");
        // With no file of the proper name, the old one is not ours to destroy.
        let (Ok(current), Ok(other)) = (fs::metadata(&self.0), fs::metadata(&old)) else {
            return Ok(());
        };
        if (current.dev(), current.ino()) == (other.dev(), other.ino()) {
            return fs::remove_file(&old).map_err(Error::io(&old));
        }
        wipe(&old)
    }

    /// Makes `keys` the file's contents, durable when this returns, and the former ones
    /// unreadable.
    pub(crate) fn replace(&self, keys: &KeyFile) -> Result<(), Error> {
        self.replace_bytes(&keys.encode())
    }

    /// As [`Slot::replace`], for a file that holds something else.
    pub(crate) fn replace_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        let (new, old) = (self.beside(".new"), self.beside(".old"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(Error::io(&new))?;
        let written = file
            .write_all(bytes)
            .and_then(|()| file.sync_all())
            .and_then(|()| self.exchange(&new, &old));
        if written.is_err() {
            // Otherwise the next attempt finds it in its way.
            wipe(&new)?;
        }
        let former = written.map_err(Error::io(&self.0))?;
        if let Some(former) = former {
            zero(&former).map_err(Error::io(&old))?;
            remove_if_there(&old)?;
        }
        Ok(())
    }

    /// Puts `new` into the place; the former file, if there was one.
    fn exchange(&self, new: &Path, old: &Path) -> io::Result<Option<File>> {
        let former = match OpenOptions::new().write(true).open(&self.0) {
            Ok(former) => Some(former),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if former.is_some() {
            // A name by which the next start finds it, should this process end before it is
            // wiped. Where the file system has no links, the open file must do.
            let _ = fs::hard_link(&self.0, old);
        }
        fs::rename(new, &self.0)?;
        sync_directory(&self.0)?;
        Ok(former)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.0);
        name.push(suffix);
        name.into()
    }
}

/// Reads a key file; `None` when there is none.
pub(crate) fn read(slot: &Slot) -> Result<Option<KeyFile>, Error> {
    let path = slot.path();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path)(error)),
    };
    refuse_readable(path, &file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    file.take(LONGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path))?;
    let problem = |problem: KeyFileProblem| Error::KeyFile {
        path: path.to_owned(),
        problem,
    };
    KeyFile::decode(&bytes).map(Some).map_err(problem)
}

/// Refuses a file that others than its owner can read.
pub(crate) fn refuse_readable(path: &Path, file: &File) -> Result<(), Error> {
    let mode = file.metadata().map_err(Error::io(path))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Readable {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

/// Makes a rename in the directory of `path` durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

/// Overwrites a file with zeros and removes it, if it is there.
fn wipe(path: &Path) -> Result<(), Error> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => zero(&file).map_err(Error::io(path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io(path)(error)),
    }
    remove_if_there(path)
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}

/// Overwrites all of a file in place.
fn zero(mut file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Slot) {
        let directory = tempfile::tempdir().unwrap();
        let slot = Slot::new(directory.path().join("keys"));
        (directory, slot)
    }

    fn names(directory: &tempfile::TempDir) -> Vec<String> {
        let names = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_replaced_file_is_overwritten() {
        let (directory, slot) = place();
        let first = KeyFile::generate().unwrap();
        slot.replace(&first).unwrap();
        // A second name keeps the former file's blocks in sight.
        let former = directory.path().join("former");
        fs::hard_link(slot.path(), &former).unwrap();
        assert_eq!(fs::read(&former).unwrap(), *first.encode());
        let second = KeyFile::generate().unwrap();
        slot.replace(&second).unwrap();
        assert_eq!(fs::read(&former).unwrap(), vec![0; first.encode().len()]);
        assert_eq!(fs::read(slot.path()).unwrap(), *second.encode());
        assert_eq!(names(&directory), ["former", "keys"]);
        assert_eq!(fs::metadata(slot.path()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_crash_before_the_rename_leaves_the_old_file_and_after_it_the_new_one() {
        let (directory, slot) = place();
        let (first, second) = (KeyFile::generate().unwrap(), KeyFile::generate().unwrap());
        let (new, old) = (slot.beside(".new"), slot.beside(".old"));
        let holds = |keys: &KeyFile| {
            slot.recover().unwrap();
            assert_eq!(read(&slot).unwrap().unwrap().encode(), keys.encode());
            assert_eq!(names(&directory), ["keys"]);
            slot.replace(keys).unwrap();
        };
        slot.replace(&first).unwrap();

        // Half of the new one is written.
        fs::write(&new, &second.encode()[..50]).unwrap();
        holds(&first);
        // It is complete, and the old one has its second name.
        fs::write(&new, &*second.encode()).unwrap();
        fs::hard_link(slot.path(), &old).unwrap();
        holds(&first);
        // It has taken the place, and the old one is not overwritten yet, or half.
        for written in [&first.encode()[..], &[0; 10]] {
            fs::write(&old, written).unwrap();
            fs::write(slot.path(), &*second.encode()).unwrap();
            let former = directory.path().join("former");
            fs::hard_link(&old, &former).unwrap();
            slot.recover().unwrap();
            assert!(fs::read(&former).unwrap().iter().all(|&byte| byte == 0));
            fs::remove_file(former).unwrap();
            holds(&second);
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_directory, slot) = place();
        slot.replace(&KeyFile::generate().unwrap()).unwrap();
        fs::set_permissions(slot.path(), fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read(&slot).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }
}
