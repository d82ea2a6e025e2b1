//! Those that refpoint is measured against, as their users have them.

pub(crate) mod certificates;
pub(crate) mod noise;
pub(crate) mod primitives;
pub(crate) mod tls;
#[cfg(feature = "wireguard")]
pub(crate) mod tunnel;
