use core::fmt;
use std::io;

use refpoint_association::{HandleChange, HeldHandle, ReservedSlot, ResponderKeys, StoredHandle};
use refpoint_keys::UtcTime;
use zeroize::Zeroizing;

/// Where the handles that this end issues outlive its process: `refpoint-store` has one.
pub trait HandleLog: Send {
    /// Takes a change, to make it durable later. It must not wait for a disk.
    fn write(&mut self, change: HandleChange);

    /// Tells the time, often: what has expired can be forgotten.
    fn tell(&mut self, now: UtcTime);
}

/// Where a device keeps what brings it back, after a loss of power, with one `light` exchange.
///
/// What is kept here is as secret as the connection key. Nonces are never among it (rule S2).
pub trait DeviceStorage: Send {
    /// Which boot of the device this is: counted, and durable, before it is told.
    fn boot(&self) -> u64;

    /// The handles that were kept, as [`HeldHandle::expose_bytes`] gave them.
    fn held(&self) -> Vec<Zeroizing<Vec<u8>>>;

    /// Keeps a handle instead of the one of the same peer and session; durable when it returns.
    ///
    /// # Errors
    /// When the medium fails: the device goes on, and makes a full handshake after its next boot.
    fn save(&mut self, held: &HeldHandle) -> io::Result<()>;

    /// The slots that were kept, as [`ReservedSlot::to_bytes`] gave them.
    fn slots(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Keeps the slot that a busy peer has given, instead of the one for the same key and session, until a handle of
    /// these comes or it is past; durable when it returns. A storage without this asks for another slot after its next
    /// boot.
    ///
    /// # Errors
    /// When the medium fails.
    fn reserve(&mut self, _slot: &ReservedSlot) -> io::Result<()> {
        Ok(())
    }
}

/// What the associations of a socket, or the streams of a keyring, leave behind for the next start, and find there: each
/// its own.
///
/// Without any, every peer makes a full handshake after a restart.
#[derive(Default)]
pub struct Persistence {
    pub(crate) log: Option<Box<dyn HandleLog>>,
    pub(crate) keys: Option<ResponderKeys>,
    pub(crate) issued: Vec<StoredHandle>,
    pub(crate) device: Option<Box<dyn DeviceStorage>>,
}

impl Persistence {
    /// With the handles that this end issues: `keys` and `issued` are what the last process left,
    /// `log` takes what changes.
    #[must_use]
    pub fn with_issued(
        mut self,
        keys: ResponderKeys,
        issued: Vec<StoredHandle>,
        log: impl HandleLog + 'static,
    ) -> Self {
        self.keys = Some(keys);
        self.issued = issued;
        self.log = Some(Box::new(log));
        self
    }

    /// With the handles that this end holds, as a device.
    #[must_use]
    pub fn with_device(mut self, storage: impl DeviceStorage + 'static) -> Self {
        self.device = Some(Box::new(storage));
        self
    }
}

impl fmt::Debug for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persistence")
            .field("issued", &self.issued.len())
            .field("has_device", &self.device.is_some())
            .finish_non_exhaustive()
    }
}
