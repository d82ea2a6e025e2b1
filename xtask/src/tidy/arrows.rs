//! Which crate may depend on which: the architecture, as a table.

use anyhow::Context as _;
use serde_json::Value;

use super::Finding;
use crate::shell;

const PREFIX: &str = "refpoint-";

/// A crate and those of ours that it may depend on; who stands further down is never allowed above.
///
/// In tests it may use `sim`, too, and itself with other features.
const ARROWS: [(&str, &[&str]); 12] = [
    ("sim", &[]),
    ("keys", &[]),
    ("wire", &["keys"]),
    ("primitive", &["keys"]),
    ("association", &["keys", "wire"]),
    ("x", LAYER),
    ("y", LAYER),
    ("z", LAYER),
    ("e2e", &["keys", "wire", "primitive", "association"]),
    (
        "transport",
        &["keys", "wire", "primitive", "association", "x", "y", "z"],
    ),
    ("store", &["keys", "association"]),
    (
        "node",
        &[
            "sim",
            "keys",
            "wire",
            "primitive",
            "association",
            "x",
            "y",
            "z",
            "e2e",
            "transport",
            "store",
        ],
    ),
];

/// X, Y and Z: siblings, so the same arrows.
const LAYER: &[&str] = &["keys", "primitive", "association"];

/// What a pure crate must not even link: time, entropy and IO are arguments there.
const IMPURE: [&str; 13] = [
    "async-std",
    "chrono",
    "getrandom",
    "hyper",
    "libc",
    "mio",
    "rand",
    "rustix",
    "smol",
    "socket2",
    "time",
    "tokio",
    "web-time",
];

/// The crates that read nothing: no clock, no entropy, no socket, no file, no environment.
pub(super) const PURE: [&str; 8] = [
    "keys",
    "wire",
    "association",
    "primitive",
    "x",
    "y",
    "z",
    "e2e",
];

/// A package of the workspace.
pub(super) struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    tests_only: bool,
}

/// The workspace's packages, from their manifests.
pub(super) fn packages() -> anyhow::Result<Vec<Package>> {
    let metadata =
        shell::output(shell::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    Ok(packages.iter().map(package).collect())
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let dependencies = value["dependencies"].as_array().into_iter().flatten();
    Package {
        name: text(&value["name"]),
        dependencies: dependencies
            .map(|dependency| Dependency {
                name: text(&dependency["name"]),
                tests_only: dependency["kind"] == "dev",
            })
            .collect(),
    }
}

/// Checks every dependency of every crate of ours against the table.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let Some(name) = package.name.strip_prefix(PREFIX) else {
            continue;
        };
        if name == "fuzz" {
            continue; // it drives them all
        }
        let place = format!("crates/{name}/Cargo.toml");
        let Some((_, allowed)) = ARROWS.iter().find(|(of, _)| *of == name) else {
            let advice = "enter the crate into the table of arrows (xtask/src/tidy/arrows.rs)";
            findings.push(Finding::new(place, advice));
            continue;
        };
        for dependency in &package.dependencies {
            match dependency.name.strip_prefix(PREFIX) {
                Some(ours) => {
                    let in_tests = dependency.tests_only && (ours == "sim" || ours == name);
                    if !allowed.contains(&ours) && !in_tests {
                        let advice = format!("{name} must not depend on {ours}");
                        findings.push(Finding::new(&place, advice));
                    }
                }
                None => {
                    let impure = IMPURE.contains(&dependency.name.as_str());
                    if PURE.contains(&name) && impure && !dependency.tests_only {
                        let advice = format!("{name} is pure and must not use {}", dependency.name);
                        findings.push(Finding::new(&place, advice));
                    }
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, dependency: &str, tests_only: bool) -> usize {
        let dependency = Dependency {
            name: dependency.into(),
            tests_only,
        };
        check(&[Package {
            name: name.into(),
            dependencies: vec![dependency],
        }])
        .len()
    }

    #[test]
    fn an_arrow_against_the_picture_is_found() {
        assert_eq!(findings("refpoint-keys", "refpoint-wire", false), 1);
        assert_eq!(
            findings("refpoint-association", "refpoint-primitive", false),
            1
        );
        assert_eq!(findings("refpoint-x", "refpoint-y", false), 1);
        assert_eq!(findings("refpoint-association", "refpoint-x", true), 1);
        assert_eq!(findings("refpoint-x", "refpoint-association", false), 0);
    }

    #[test]
    fn the_simulator_is_for_tests() {
        assert_eq!(findings("refpoint-association", "refpoint-sim", true), 0);
        assert_eq!(
            findings("refpoint-association", "refpoint-association", true),
            0
        );
        assert_eq!(findings("refpoint-association", "refpoint-sim", false), 1);
    }

    #[test]
    fn a_pure_crate_that_links_entropy_is_found() {
        assert_eq!(findings("refpoint-association", "getrandom", false), 1);
        assert_eq!(findings("refpoint-association", "getrandom", true), 0);
        assert_eq!(findings("refpoint-transport", "getrandom", false), 0);
    }

    #[test]
    fn an_unknown_crate_is_found() {
        assert_eq!(findings("refpoint-novelty", "hkdf", false), 1);
    }

    #[test]
    fn the_table_points_one_way() {
        for (index, (_, allowed)) in ARROWS.iter().enumerate() {
            for name in *allowed {
                assert!(ARROWS[..index].iter().any(|(earlier, _)| earlier == name));
            }
        }
    }
}
