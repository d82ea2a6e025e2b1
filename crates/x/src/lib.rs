//! X (Mca): the security layer between application entity and service node.
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod generated;

/// The generated messages of `refpoint.x.v1`, for those who carry them; inside, domain types are used.
pub mod proto {
    pub use crate::generated::*;
}
