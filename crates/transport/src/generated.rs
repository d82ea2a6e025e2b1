//! The stubs of the services, as `cargo xtask codegen` writes them.
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::std_instead_of_core,
    clippy::use_self,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    rustdoc::all
)]

pub mod x {
    include!("generated/refpoint.x.v1.rs");
}

pub mod y {
    include!("generated/refpoint.y.v1.rs");
}

pub mod z {
    include!("generated/refpoint.z.v1.rs");
}
