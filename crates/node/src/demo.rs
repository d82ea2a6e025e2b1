//! What `refpoint demo` is made of besides nodes: a small oneM2M CSE and an AE, both speaking plain HTTP.
//!
//! They stand for the products that a node is put beside. They believe whatever originator a request names, as
//! the open-source CSEs do by default: that is what the control run shows, and what the nodes put right.

mod ae;
mod cse;

pub use ae::{Ae, Answer};
pub use cse::{Cse, CseOptions, NextHop, Seen};
