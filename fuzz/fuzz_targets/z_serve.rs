//! Fuzzes [`refpoint_fuzz::z_serve`]; on stable it replays the files it is given.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| refpoint_fuzz::z_serve(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    refpoint_fuzz::replay_arguments(refpoint_fuzz::z_serve)
}
