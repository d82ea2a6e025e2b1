//! Targets of `refpoint-primitive`: messages, their HTTP form, the ledger and the exchanges.

mod exchange;
mod http;
mod ledger;
mod message;

pub use exchange::primitive_exchange;
pub use http::primitive_http;
pub use ledger::primitive_ledger;
pub use message::primitive_message;
