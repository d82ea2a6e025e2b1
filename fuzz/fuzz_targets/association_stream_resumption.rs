//! Fuzzes [`refpoint_fuzz::association_stream_resumption`]; on stable it replays the files it is given.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| refpoint_fuzz::association_stream_resumption(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    refpoint_fuzz::replay_arguments(refpoint_fuzz::association_stream_resumption)
}
