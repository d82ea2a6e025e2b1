use getrandom::SysRng;
use rand_core::UnwrapErr;

/// The system's randomness. It panics when the system has none, which after start-up does not
/// happen on any system that tokio runs on; to go on without would be worse.
pub(crate) fn system() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}
