//! What `cargo xtask codegen` writes from `proto/refpoint/association/v1`. It stops here.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

include!("generated/refpoint.association.v1.rs");
