//! The pure crates read nothing: no clock, no entropy, no socket, no file, no environment.
//!
//! Tests may; what ships may not. [`super::arrows`] checks what they link.

use super::Finding;
use super::arrows::PURE;
use super::rust;
use super::tree::{File, Tree};

/// Modules of `std` that reach outside the process (or read its time).
const OUTSIDE: [&str; 9] = [
    "env", "fs", "io", "net", "os", "process", "thread", "time", "random",
];

/// Names that reach outside wherever they come from; `HashMap`'s default state draws entropy.
const NAMES: [&str; 13] = [
    "HashMap",
    "HashSet",
    "Instant::now",
    "OsRng",
    "RandomState",
    "SysRng",
    "SystemTime",
    "dbg!",
    "eprint!",
    "eprintln!",
    "getrandom",
    "print!",
    "println!",
];

/// Every pure crate says so to the compiler.
pub(super) fn no_std(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in PURE {
        let path = format!("crates/{name}/src/lib.rs");
        let lacks = |text| !rust::without_text(text).contains("#![no_std]");
        if tree.text(&path).is_some_and(lacks) {
            findings.push(Finding::new(path, "say #![no_std]: the crate is pure"));
        }
    }
    findings
}

/// Nothing that ships in a pure crate names the outside.
pub(super) fn reads_nothing(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| ships_pure(file)) {
        let code = rust::shipped(&file.text);
        for name in NAMES {
            for at in rust::words(&code, name) {
                findings.push(finding(file, &code, at, name));
            }
        }
        for (at, module) in std_modules(&code) {
            if OUTSIDE.contains(&module) {
                findings.push(finding(file, &code, at, &format!("std::{module}")));
            }
        }
    }
    findings
}

fn finding(file: &File, code: &str, at: usize, name: &str) -> Finding {
    let advice = format!("{name}: take time, entropy and bytes as arguments, this crate is pure");
    Finding::at(&file.path, rust::line(code, at), advice)
}

fn ships_pure(file: &File) -> bool {
    let pure = PURE
        .iter()
        .any(|name| file.path.starts_with(&format!("crates/{name}/src/")));
    pure && file.path.ends_with(".rs")
        && !file.path.ends_with("tests.rs")
        && !file.path.contains("/tests/")
}

/// The modules of `std` that the code names, grouped imports included.
fn std_modules(code: &str) -> Vec<(usize, &str)> {
    let mut modules = Vec::new();
    for at in rust::words(code, "std") {
        let Some(path) = code[at + "std".len()..].trim_start().strip_prefix("::") else {
            continue;
        };
        let path = path.trim_start();
        let offset = code.len() - path.len();
        if let Some(group) = path.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut start = true;
            for (index, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    _ if start && !c.is_whitespace() => {
                        modules.push((offset + 1 + index, first_name(&group[index..])));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            modules.push((offset, first_name(path)));
        }
    }
    modules
}

fn first_name(path: &str) -> &str {
    let end = path
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(path.len());
    &path[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(code: &str) -> usize {
        reads_nothing(&Tree::sample(&[("crates/keys/src/a.rs", code)])).len()
    }

    #[test]
    fn clocks_sockets_files_environment_and_entropy_are_found() {
        for code in [
            "use std::time::Duration;",
            "use std::{\n    fmt, net::SocketAddr,\n};",
            "let a = std :: fs::read(p);",
            "let a = std::env::var(p);",
            "let now = Instant::now();",
            "let map = HashMap::new();",
            "getrandom::fill(&mut bytes)?;",
            "println!();",
        ] {
            assert_eq!(count(code), 1, "{code}");
        }
    }

    #[test]
    fn core_comments_and_tests_are_fine() {
        assert_eq!(
            count("use core::net::SocketAddr; // not std::net::UdpSocket"),
            0
        );
        assert_eq!(count("#[cfg(test)]\nmod tests { use std::fs; }"), 0);
        assert_eq!(count("use std::{collections::BTreeMap, error::Error};"), 0);
        assert_eq!(count("fn f(instant: Instant, println: u8) {}"), 0);
    }

    #[test]
    fn only_pure_crates_are_asked() {
        let code = "use std::net::UdpSocket;";
        assert!(reads_nothing(&Tree::sample(&[("crates/node/src/a.rs", code)])).is_empty());
    }

    #[test]
    fn a_pure_crate_without_no_std_is_found() {
        let tree = |text| Tree::sample(&[("crates/keys/src/lib.rs", text)]);
        assert_eq!(no_std(&tree("//! #![no_std]")).len(), 1);
        assert_eq!(no_std(&tree("#![no_std]")).len(), 0);
    }
}
