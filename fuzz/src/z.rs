//! Targets of `refpoint-z`: requests and responses, who may ask what, and the network's keys.

mod keys;
mod messages;
mod reports;

pub use keys::z_keys;
pub use messages::{z_exchange, z_serve};
pub use reports::z_reports;
