use getrandom::SysRng;
use rand_core::{Rng as _, UnwrapErr};

/// The system's randomness. It panics when the system has none, which after start-up does not
/// happen on any system that tokio runs on; to go on without would be worse.
pub(crate) fn system() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// Uniformly random bits.
pub(crate) fn draw() -> u32 {
    system().next_u32()
}
