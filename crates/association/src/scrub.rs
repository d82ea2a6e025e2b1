//! Wiping what snow leaves: its state holds PSK, chaining key and hash in arrays of its own, which
//! neither it nor a resolver wipes (Trail of Bits, TOB-SNOW-8).
#![allow(
    unsafe_code,
    reason = "the bytes of a dropped value can only be wiped through its memory"
)]

use alloc::boxed::Box;
use core::{
    fmt,
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
};

use zeroize::Zeroize;

/// A boxed value whose memory is wiped after the value is dropped.
pub(crate) struct Scrubbed<T>(Box<MaybeUninit<T>>);

impl<T> Scrubbed<T> {
    /// Boxes what `make` returns. Copies that the compiler left on the stack are the caller's:
    /// see [`bleach_stack`].
    pub(crate) fn try_new<E>(make: impl FnOnce() -> Result<T, E>) -> Result<Self, E> {
        let mut place = Box::new(MaybeUninit::uninit());
        place.write(make()?);
        Ok(Self(place))
    }

    /// Boxes what `make` returns, made on a [clean stack](on_clean_stack).
    pub(crate) fn new(make: impl FnOnce() -> T) -> Self {
        on_clean_stack(|| {
            let mut place = Box::new(MaybeUninit::uninit());
            place.write(make());
            Self(place)
        })
    }
}

impl<T: fmt::Debug> fmt::Debug for Scrubbed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T> Deref for Scrubbed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the value was written in `try_new` and lives until `drop`.
        unsafe { self.0.assume_init_ref() }
    }
}

impl<T> DerefMut for Scrubbed<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; `&mut self` makes it exclusive.
        unsafe { self.0.assume_init_mut() }
    }
}

impl<T> Drop for Scrubbed<T> {
    fn drop(&mut self) {
        // SAFETY: the value is initialised and never used again.
        unsafe { drop_and_wipe(&mut self.0) };
    }
}

/// Drops the value in `place` and wipes its bytes.
///
/// # Safety
/// `place` is initialised, and its value is not used again.
unsafe fn drop_and_wipe<T>(place: &mut MaybeUninit<T>) {
    // SAFETY: the caller's promise.
    unsafe { place.assume_init_drop() };
    let bytes: *mut MaybeUninit<u8> = place.as_mut_ptr().cast();
    // SAFETY: `place` spans size_of::<T>() bytes, any of which may be viewed as uninitialised, and
    // it is borrowed exclusively.
    unsafe { core::slice::from_raw_parts_mut(bytes, size_of::<T>()) }.zeroize();
}

/// Bytes of stack that a handshake step may have used below its caller's frame.
const STACK: usize = if cfg!(target_os = "none") {
    2 * 1024
} else {
    16 * 1024
};

/// Overwrites the stack below the caller, where copies of keys may have been left.
#[inline(never)]
pub(crate) fn bleach_stack() {
    // Whoever is handed the array could read it, so the zeros must be there. One memset: volatile
    // stores, byte by byte, took two microseconds a call.
    core::hint::black_box(&mut [0_u8; STACK]);
}

/// Makes something in stack memory that holds zeros only. A value has bytes that it does not use,
/// such as those of an enum's larger variants: they keep what lay there, be it the secret of
/// somebody else, and take it along to wherever the value is moved. `make` has to move it itself.
pub(crate) fn on_clean_stack<T>(make: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn apart<T>(make: impl FnOnce() -> T) -> T {
        make()
    }
    bleach_stack();
    apart(make)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_dropped_value_is_zero() {
        let mut place = MaybeUninit::new([0xa5_u8; 64]);
        // SAFETY: `place` is initialised and only its bytes are looked at afterwards.
        unsafe { drop_and_wipe(&mut place) };
        // SAFETY: wiping has initialised every byte, to zero.
        let bytes = unsafe { place.assume_init() };
        assert_eq!(bytes, [0; 64]);
    }
}
