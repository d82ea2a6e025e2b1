//! `cargo xtask package`: every published crate stands alone.

use anyhow::Context as _;

use crate::shell;

/// A package without its default features. One with backends does not compile without any, and
/// says so: it gets the one that needs no `std`.
fn bare(package: &str) -> &'static [&'static str] {
    match package {
        "refpoint-association" | "refpoint-e2e" => {
            &["--no-default-features", "--features", "rustcrypto"]
        }
        _ => &["--no-default-features"],
    }
}

/// Builds and documents each published crate by itself, with and without its default features,
/// then packages them all.
pub(crate) fn run() -> anyhow::Result<()> {
    let packages = published()?;
    for package in &packages {
        for features in [&[][..], bare(package)] {
            // `--lib` and no tests: the features of dev-dependencies must not hide what is missing.
            let check = ["check", "--package", package, "--lib"];
            shell::run(shell::cargo().args(check).args(features))?;
            let doc = ["doc", "--package", package, "--lib", "--no-deps"];
            shell::run(
                shell::cargo()
                    .args(doc)
                    .args(features)
                    .env("RUSTDOCFLAGS", "-D warnings"),
            )?;
        }
    }
    let mut package = shell::cargo();
    package
        .args(["package", "--allow-dirty"])
        .args(SAME_PROFILE);
    for name in &packages {
        package.args(["--package", name]);
    }
    shell::run(&mut package)
}

/// A packaged crate lies outside of the workspace and its profile; with the same profile it finds
/// most of its dependencies built.
const SAME_PROFILE: [&str; 6] = [
    "--config",
    "profile.dev.debug=false",
    "--config",
    "profile.dev.opt-level=1",
    "--config",
    "profile.dev.package.'*'.opt-level=2",
];

/// The packages of the workspace that may be published.
fn published() -> anyhow::Result<Vec<String>> {
    let metadata = shell::metadata()?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    let published = packages
        .iter()
        .filter(|package| package["publish"].is_null());
    Ok(published
        .filter_map(|package| package["name"].as_str())
        .map(str::to_owned)
        .collect())
}
