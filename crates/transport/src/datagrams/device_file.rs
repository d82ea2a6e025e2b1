use core::fmt;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use refpoint_association::{HeldHandle, ReservedSlot, SessionLabel};
use refpoint_keys::KeyId;
use zeroize::Zeroizing;

use super::DeviceStorage;
use crate::clock;

const MAGIC: &[u8] = b"refpoint device 1\n";
/// A device has a handful of handles of some 200 bytes.
const MOST_BYTES: u64 = 1 << 20;

/// A device's handles, slots and boot counter in one file: of one socket, or of the streams of one keyring.
///
/// ```text
/// "refpoint device 1\n"  boot counter (8)  then for each handle or slot: length (2)  bytes
/// ```
///
/// The file is for its owner only (0600) and replaced as a whole: after a loss of power it is the
/// old or the new one. It is not encrypted: put it where connection keys may lie.
pub struct DeviceFile {
    path: PathBuf,
    boot: u64,
    held: BTreeMap<Place, Zeroizing<Vec<u8>>>,
    slots: BTreeMap<Asked, ReservedSlot>,
}

/// By which key, for which session.
type Asked = (Vec<u8>, Vec<u8>);

/// Which handle takes the place of which: peer, connection key, session.
type Place = (String, Vec<u8>, Vec<u8>);

fn place(held: &HeldHandle) -> Place {
    (
        held.responder().as_str().to_owned(),
        held.key_id().as_bytes().to_vec(),
        held.session().as_bytes().to_vec(),
    )
}

fn asked(key: KeyId, session: SessionLabel) -> Asked {
    (key.as_bytes().to_vec(), session.as_bytes().to_vec())
}

impl DeviceFile {
    /// Opens the file, or makes it, and counts this boot. Handles that have expired, or are of
    /// another version, are left out.
    ///
    /// # Errors
    /// When it cannot be read or written, is no such file, or others can read it.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let mut file = Self {
            path: path.into(),
            boot: 0,
            held: BTreeMap::new(),
            slots: BTreeMap::new(),
        };
        match File::open(&file.path) {
            Ok(opened) => file.read(opened)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        file.boot = file.boot.checked_add(1).ok_or_else(|| file.damaged())?;
        file.replace()?;
        Ok(file)
    }

    fn damaged(&self) -> io::Error {
        let text = format!(
            "{} is no intact device file: delete it, and the device makes full handshakes",
            self.path.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, text)
    }

    fn read(&mut self, opened: File) -> io::Result<()> {
        check_mode(&self.path, &opened)?;
        let length = opened.metadata()?.len();
        if length > MOST_BYTES {
            return Err(self.damaged());
        }
        // Of its final size from the start: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize + 1));
        opened.take(length).read_to_end(&mut bytes)?;
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| self.damaged())?;
        let (boot, mut rest) = rest.split_first_chunk().ok_or_else(|| self.damaged())?;
        self.boot = u64::from_be_bytes(*boot);
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = u16::from_be_bytes(*length).into();
            let (entry, after) = after
                .split_at_checked(length)
                .ok_or_else(|| self.damaged())?;
            rest = after;
            if let Ok(held) = HeldHandle::from_bytes(clock::now(), entry) {
                let entry = Zeroizing::new(entry.to_vec());
                self.held.insert(place(&held), entry);
            } else if let Ok(slot) = ReservedSlot::from_bytes(entry)
                && clock::now().utc.is_some_and(|utc| slot.is_ahead(utc))
            {
                self.slots
                    .insert(asked(slot.key_id(), slot.session()), slot);
            }
        }
        match rest {
            [] => Ok(()),
            _ => Err(self.damaged()),
        }
    }

    /// Writes a copy, makes it durable, and lets it take the place of the file.
    fn replace(&self) -> io::Result<()> {
        let slots: Vec<_> = self.slots.values().map(ReservedSlot::to_bytes).collect();
        let entries = || {
            let held = self.held.values().map(|entry| &***entry);
            held.chain(slots.iter().map(Vec::as_slice))
        };
        let length = MAGIC.len() + 8 + entries().map(|entry| 2 + entry.len()).sum::<usize>();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.boot.to_be_bytes());
        for entry in entries() {
            let length = u16::try_from(entry.len()).map_err(|_| self.damaged())?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(entry);
        }
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let copy = PathBuf::from(name);
        match fs::remove_file(&copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&copy)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&copy, &self.path)?;
        let directory = self
            .path
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    let text = format!("{path} can be read by others (mode {mode:04o}): run chmod 600 on it");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

impl DeviceStorage for DeviceFile {
    fn boot(&self) -> u64 {
        self.boot
    }

    fn held(&self) -> Vec<Zeroizing<Vec<u8>>> {
        self.held.values().cloned().collect()
    }

    fn save(&mut self, held: &HeldHandle) -> io::Result<()> {
        self.held.insert(place(held), held.expose_bytes());
        // Who has a handle has been served.
        self.slots.remove(&asked(held.key_id(), held.session()));
        self.replace()
    }

    fn slots(&self) -> Vec<Vec<u8>> {
        self.slots.values().map(ReservedSlot::to_bytes).collect()
    }

    fn reserve(&mut self, slot: &ReservedSlot) -> io::Result<()> {
        let place = asked(slot.key_id(), slot.session());
        if self.slots.get(&place) == Some(slot) {
            return Ok(());
        }
        self.slots.insert(place, slot.clone());
        self.replace()
    }
}

impl fmt::Debug for DeviceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceFile")
            .field("path", &self.path)
            .field("boot", &self.boot)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
