//! `cargo xtask thumb`: the crates that a microcontroller uses build without `std`.

use anyhow::Context as _;

use crate::shell;

const TARGET: &str = "thumbv7em-none-eabi";

/// Package and the features it needs there.
const CRATES: [(&str, &[&str]); 6] = [
    ("refpoint-keys", &[]),
    ("refpoint-wire", &[]),
    ("refpoint-primitive", &[]),
    ("refpoint-association", &["rustcrypto"]),
    ("refpoint-x", &[]),
    ("refpoint-e2e", &["rustcrypto"]),
];

/// Checks each crate for the target, which is added when it is missing.
pub(crate) fn run() -> anyhow::Result<()> {
    add_target()?;
    for (package, features) in CRATES {
        let mut check = shell::cargo();
        check.args([
            "check",
            "--target",
            TARGET,
            "--package",
            package,
            "--no-default-features",
        ]);
        if !features.is_empty() {
            check.args(["--features", &features.join(",")]);
        }
        shell::run(&mut check)?;
    }
    Ok(())
}

fn add_target() -> anyhow::Result<()> {
    let libraries = shell::output(shell::command("rustc").args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]))?;
    if std::path::Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    shell::run(shell::command("rustup").args(["target", "add", TARGET])).context(
        "the target is missing and cannot be added: install it with rustup, or with the packages of this Rust",
    )
}
