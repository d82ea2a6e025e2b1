//! The demo: a whole M2M system on loopback with an eavesdropper on every link, with associations and without.
//!
//! [`Cse`] and [`Ae`] stand for the products that a node is put beside. They believe whatever originator a request
//! names, as the open-source CSEs do by default: that is what the control run shows, and what the nodes put right.
//! [`World::plain`] links them by plain HTTP, [`World::secured`] by nodes; [`play`] is the same in both,
//! [`age`] shows among nodes that keys do not last.
//! Sensor and operator also seal for each other, with a tap inside the gateway, which tries what it can.
//! Then a core is killed under a thousand devices, and has them all renew. [`demonstrate`] does all of it, and writes
//! a page of HTML.

mod ae;
mod cse;
mod end_to_end;
mod fleet;
mod lifetimes;
mod page;
mod ratchets;
mod report;
mod restart;
mod scenario;
mod secured;
mod temporary;
mod world;

pub use ae::{Ae, Answer};
pub use cse::{Cse, CseOptions, NextHop, Seen};
pub use lifetimes::age;
pub use report::{Stage, demonstrate};
pub use scenario::{Outcome, Step, play};
pub use world::{Link, World};
