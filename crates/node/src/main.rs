//! The `refpoint` binary.
fn main() {}
