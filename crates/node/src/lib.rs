//! The refpoint node: a sidecar that secures the reference points of an unmodified CSE.

pub mod config;
mod drain;
pub mod http;
pub mod inspect;
pub mod key_file;
pub mod pcap;
pub mod tap;
mod utc;

pub use drain::{Drain, DrainSignal};
