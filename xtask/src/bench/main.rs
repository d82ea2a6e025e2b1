//! Measures refpoint and its peers side by side; `cargo xtask bench` builds and runs it.

fn main() {}
