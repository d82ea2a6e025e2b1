//! Z (Mcn): the security layer between service node and underlying network.
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod generated;
mod key;

/// The generated messages of `refpoint.z.v1`, for those who carry them; inside, domain types are used.
pub mod proto {
    pub use crate::generated::*;
}
