//! oneM2M primitives: what the security layers of X, Y and Z share.
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod generated;

/// The generated messages of `refpoint.primitive.v1`, for those who carry them; inside, domain types are used.
pub mod proto {
    pub use crate::generated::*;
}
