//! The demo: a whole M2M system on loopback with an eavesdropper on every link, with associations and without.
//!
//! [`Cse`] and [`Ae`] stand for the products that a node is put beside. They believe whatever originator a request
//! names, as the open-source CSEs do by default: that is what the control run shows, and what the nodes put right.
//! [`World::plain`] links them by plain HTTP, [`World::secured`] by nodes; [`play`] is the same in both,
//! [`age`] shows among nodes that keys do not last.
//! [`demonstrate`] does all of it.

mod ae;
mod cse;
mod lifetimes;
mod ratchets;
mod report;
mod scenario;
mod secured;
mod world;

pub use ae::{Ae, Answer};
pub use cse::{Cse, CseOptions, NextHop, Seen};
pub use lifetimes::age;
pub use report::demonstrate;
pub use scenario::{Outcome, Step, play};
pub use world::{Link, World};
