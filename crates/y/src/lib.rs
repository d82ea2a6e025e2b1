//! Y (Mcc): the security layer between service nodes.
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod generated;

/// The generated messages of `refpoint.y.v1`, for those who carry them; inside, domain types are used.
pub mod proto {
    pub use crate::generated::*;
}
