//! Every seed and every past crash goes through its target's body, and so do mutations of them.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use refpoint_fuzz::{Body, TARGETS, mutations};

/// Enough to find what is shallow, and cheap enough for every `cargo test`.
const MUTATIONS: usize = 100;

#[test]
fn every_seed_and_every_past_crash_replays() {
    let run = |name, body: Body| {
        for file in inputs(name) {
            replay(name, body, &file.display().to_string(), &read(&file));
        }
    };
    TARGETS.iter().for_each(|&(name, body)| run(name, body));
}

#[test]
fn mutated_seeds_replay() {
    for &(name, body) in TARGETS {
        for file in inputs(name) {
            for (number, data) in mutations(&read(&file), MUTATIONS).enumerate() {
                replay(
                    name,
                    body,
                    &format!("mutation {number} of {}", file.display()),
                    &data,
                );
            }
        }
    }
}

#[test]
fn every_target_has_seeds_and_a_file() {
    for (name, _) in TARGETS {
        assert!(
            !files(&folder("seeds").join(name)).is_empty(),
            "add a seed for {name}"
        );
    }
    let mut written: Vec<_> = files(&folder("fuzz_targets"))
        .iter()
        .filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    written.sort();
    let listed: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        written, listed,
        "fuzz_targets/ and TARGETS name the same targets, in order"
    );
}

fn replay(target: &str, body: Body, what: &str, data: &[u8]) {
    if catch_unwind(|| body(data)).is_err() {
        panic!("{target} fails on {what}: {}", data.escape_ascii());
    }
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let kinds = ["seeds", "crashes"];
    kinds
        .iter()
        .flat_map(|kind| files(&folder(kind).join(target)))
        .collect()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The files of a folder, in order; none when there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("the folder is readable").path())
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).expect("the input is readable")
}
