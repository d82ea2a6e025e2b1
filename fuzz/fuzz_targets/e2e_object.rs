//! Fuzzes [`refpoint_fuzz::e2e_object`]; on stable it replays the files it is given.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| refpoint_fuzz::e2e_object(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    refpoint_fuzz::replay_arguments(refpoint_fuzz::e2e_object)
}
