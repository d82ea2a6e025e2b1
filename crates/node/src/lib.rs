//! The refpoint node: a sidecar that secures the reference points of an unmodified CSE.

mod drain;
pub mod http;

pub use drain::{Drain, DrainSignal};
