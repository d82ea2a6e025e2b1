//! `cargo xtask package`: every published crate stands alone.

use core::fmt::Write as _;
use std::{fs, path::Path};

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
/// then packages them all and builds what is in the packages.
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
    package.args(["package", "--allow-dirty", "--no-verify"]);
    for name in &packages {
        package.args(["--package", name]);
    }
    shell::run(&mut package)?;
    build_from_archives(&packages)
}

/// Compiles what would be uploaded: all archives, unpacked, in a workspace of their own that has
/// nothing else. Cargo's own verification does it for each archive anew, with everything that it
/// depends on, which takes many times as long.
fn build_from_archives(packages: &[String]) -> anyhow::Result<()> {
    let metadata = shell::metadata()?;
    let target = metadata["target_directory"].as_str();
    let target = Path::new(target.context("cargo metadata names no target directory")?);
    let archives = target.join("package");
    let unpacked = archives.join("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    fs::create_dir_all(&unpacked)?;
    let mut manifest =
        "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n[patch.crates-io]\n".to_owned();
    for name in packages {
        let folder = format!("{name}-{VERSION}");
        let archive = archives.join(format!("{folder}.crate"));
        let mut unpack = shell::command("tar");
        unpack.arg("-xzf").arg(&archive).arg("-C").arg(&unpacked);
        shell::run(&mut unpack)?;
        writeln!(manifest, "{name} = {{ path = \"{folder}\" }}")?;
    }
    // With the same profiles they find their dependencies built.
    let ours = fs::read_to_string(shell::root().join("Cargo.toml"))?;
    let profiles = ours.find("[profile.").context("our own profiles")?;
    manifest.push_str(&ours[profiles..]);
    fs::write(unpacked.join("Cargo.toml"), manifest)?;
    // The versions that everything else here is tested with.
    fs::copy(
        shell::root().join("Cargo.lock"),
        unpacked.join("Cargo.lock"),
    )?;
    let mut check = shell::cargo();
    check
        .args(["check", "--workspace", "--offline", "--manifest-path"])
        .arg(unpacked.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target);
    shell::run(&mut check)
}

/// Of the published packages, and of this one: they have one version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

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
