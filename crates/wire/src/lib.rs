//! The packets, records and messages of refpoint associations.
