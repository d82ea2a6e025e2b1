//! What only the operating system and the allocator can tell.
#![allow(
    unsafe_code,
    reason = "an allocator and calls of the C library, both for measuring only"
)]

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    mem::MaybeUninit,
};
use std::alloc::System;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks of it.
pub(crate) struct Counting;

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is handed on to `System` as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

/// How often this thread has allocated in Rust so far.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// The CPU time that this thread has used, in nanoseconds.
pub(crate) fn cpu_time() -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` has room for what the call writes.
    let time = unsafe {
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, time.as_mut_ptr());
        // SAFETY: Linux has this clock since 2.6.12, so the call has filled it.
        time.assume_init()
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Keeps this thread on the CPU that it is on, where the system allows it.
pub(crate) fn pin() {
    // SAFETY: an all-zero set is the empty one; the calls read and write only it.
    unsafe {
        let mut set: libc::cpu_set_t = core::mem::zeroed();
        let Ok(cpu) = usize::try_from(libc::sched_getcpu()) else {
            return;
        };
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// Bytes of the heap in use, what C libraries took included.
pub(crate) fn heap() -> usize {
    // SAFETY: it only reads the allocator's counters.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// The segments that a TCP connection has sent and received so far; 0 where the system does not
/// tell.
pub(crate) fn segments(socket: std::os::fd::RawFd) -> u64 {
    /// Where `struct tcp_info` of Linux has `tcpi_segs_out` and, after it, `tcpi_segs_in`.
    const AT: usize = 136;
    let mut info = [0_u8; 256];
    let mut length = info.len() as libc::socklen_t;
    // SAFETY: the buffer is as long as `length` says, and both outlive the call.
    let told = unsafe {
        libc::getsockopt(
            socket,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if told != 0 || (length as usize) < AT + 8 {
        return 0;
    }
    let segments = |at: usize| info[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
    u64::from(segments(AT)) + u64::from(segments(AT + 4))
}
