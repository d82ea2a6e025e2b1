//! The messages of `proto/refpoint/e2e/v1`, as `cargo xtask codegen` writes them.
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::use_self,
    missing_docs,
    unreachable_pub,
    rustdoc::all
)]

include!("generated/refpoint.e2e.v1.rs");
