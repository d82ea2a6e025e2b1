//! Security associations on Noise: handshake, key schedule, records and lifetimes, sans-IO.
