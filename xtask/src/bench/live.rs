//! A core in a process of its own and devices in this one, on loopback: what [`storm`](crate::storm)
//! and [`flood`](crate::flood) measure with.
//!
//! Every device is an end point of its own with an address of its own (127.x.y.z), behind one
//! socket of this process. The core is one end point behind one socket: for [`storm`](crate::storm) one
//! that is driven here, for [`flood`](crate::flood) the one that is shipped. What a device sends is
//! acknowledged when it is durable in the core's mailbox.

mod child;
mod core;
mod datagrams;
mod device;
mod fleet;
mod message;
mod parties;
mod shipped;
mod wording;

use ::core::time::Duration;
use std::{
    sync::LazyLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use refpoint_association::Now;
use refpoint_keys::UtcTime;

pub(crate) use self::{
    child::Child,
    core::{CORE_COMMAND, Options, Returning, open_mailbox, run},
    datagrams::{Inbox, Outgoing, bind},
    fleet::{Fate, Fleet, Plan, Tally},
    message::{INBOX, Message},
    parties::{address, device, entity, key, static_key},
    shipped::{SHIPPED_COMMAND, run as run_shipped},
    wording::Wording,
};

/// The present, by the clocks of this machine. The monotonic one begins with the process.
pub(crate) fn now() -> Now {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Now::new(START.elapsed(), utc())
}

/// The wall clock.
pub(crate) fn utc() -> UtcTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UtcTime::from_secs(since.unwrap_or(Duration::ZERO).as_secs())
}
