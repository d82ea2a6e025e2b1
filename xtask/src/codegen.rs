//! Writes the Rust code that is generated from `proto/` (and, with `--check`, only compares it).
//!
//! Nothing else than this program is needed: protox compiles the protos, so there is no protoc; the output is checked
//! in, so no crate has a `build.rs`. Each package becomes one file in the `generated` folder of the crate that owns it,
//! in terms of `core` and `alloc` only; the services' stubs need tonic and go to `transport`, in terms of the messages
//! that X, Y and Z own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use prost_build::{Config, Module};
use protox::prost_reflect::prost_types::FileDescriptorSet;

use crate::shell;

/// A protobuf package and where its messages live.
struct Package {
    name: &'static str,
    folder: &'static str,
    /// The module's path from other crates; only for packages that others import.
    path: &'static str,
    service: bool,
}

const PACKAGES: [Package; 6] = [
    Package {
        name: "refpoint.association.v1",
        folder: "crates/wire/src/generated",
        path: "",
        service: false,
    },
    Package {
        name: "refpoint.primitive.v1",
        folder: "crates/primitive/src/generated",
        path: "::refpoint_primitive::proto",
        service: false,
    },
    Package {
        name: "refpoint.e2e.v1",
        folder: "crates/e2e/src/generated",
        path: "",
        service: false,
    },
    Package {
        name: "refpoint.x.v1",
        folder: "crates/x/src/generated",
        path: "::refpoint_x::proto",
        service: true,
    },
    Package {
        name: "refpoint.y.v1",
        folder: "crates/y/src/generated",
        path: "::refpoint_y::proto",
        service: true,
    },
    Package {
        name: "refpoint.z.v1",
        folder: "crates/z/src/generated",
        path: "::refpoint_z::proto",
        service: true,
    },
];

/// Where the stubs of the services go.
const STUBS: &str = "crates/transport/src/generated";

const HEADER: &str = "// Written by `cargo xtask codegen` from proto/; do not edit.\n";

/// Writes the generated code, or, with `check`, fails where it is not what would be written.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let root = shell::root();
    let expected = generate(&root)?;
    let mut stale = Vec::new();
    for (path, code) in &expected {
        if fs::read_to_string(root.join(path)).ok().as_ref() != Some(code) {
            stale.push(path.clone());
        }
    }
    let orphans = orphans(&root, &expected)?;
    if check {
        if let Some(path) = stale.iter().chain(&orphans).next() {
            bail!(
                "{} is not what proto/ gives: run `cargo xtask codegen` and commit the result",
                path.display()
            );
        }
        return Ok(());
    }
    for path in stale {
        let file = root.join(&path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, &expected[&path]).with_context(|| format!("write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    for path in orphans {
        fs::remove_file(root.join(&path)).with_context(|| format!("remove {}", path.display()))?;
        println!("removed {}", path.display());
    }
    Ok(())
}

/// Every generated file, by its path from the root.
fn generate(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let proto = root.join("proto");
    let mut files = Vec::new();
    collect(&proto, "proto", &mut files)?;
    files.sort();
    let descriptors = protox::compile(&files, [&proto]).context("compile proto/")?;

    let mut output = BTreeMap::new();
    for package in &PACKAGES {
        let mut config = Config::new();
        config.btree_map(["."]);
        // Bodies may be large: they stay slices of the buffer they arrived in.
        config.bytes([".refpoint.primitive.v1"]);
        for other in PACKAGES
            .iter()
            .filter(|other| other.name != package.name && !other.path.is_empty())
        {
            config.extern_path(format!(".{}", other.name), other.path);
        }
        // Keys may travel in these: their bytes stay out of every log.
        config.skip_debug([".refpoint.z.v1.KeyResponse"]);
        add(
            &mut output,
            package.folder,
            config,
            &descriptors,
            package.name,
        )?;

        if package.service {
            let mut config = Config::new();
            for other in PACKAGES.iter().filter(|other| !other.path.is_empty()) {
                config.extern_path(format!(".{}", other.name), other.path);
            }
            let stubs = tonic_prost_build::configure().build_transport(false);
            config.service_generator(stubs.service_generator());
            add(&mut output, STUBS, config, &descriptors, package.name)?;
        }
    }
    Ok(output)
}

/// Generates the package `name` and puts its file into `folder`.
fn add(
    output: &mut BTreeMap<PathBuf, String>,
    folder: &str,
    mut config: Config,
    descriptors: &FileDescriptorSet,
    name: &str,
) -> anyhow::Result<()> {
    let module = Module::from_protobuf_package_name(name);
    // All files go in, since messages refer to each other; only this package's module comes out.
    let requests = descriptors
        .file
        .iter()
        .map(|file| {
            (
                Module::from_protobuf_package_name(file.package()),
                file.clone(),
            )
        })
        .collect();
    let mut generated = config
        .generate(requests)
        .with_context(|| format!("generate {name}"))?;
    let Some(code) = generated.remove(&module) else {
        bail!("{name} has no file in proto/")
    };
    let path = Path::new(folder).join(format!("{name}.rs"));
    output.insert(path, format!("{HEADER}{code}"));
    Ok(())
}

/// The checked-in files that nothing generates any more.
fn orphans(root: &Path, expected: &BTreeMap<PathBuf, String>) -> anyhow::Result<Vec<PathBuf>> {
    let mut orphans = Vec::new();
    for folder in PACKAGES.iter().map(|package| package.folder).chain([STUBS]) {
        let Ok(entries) = fs::read_dir(root.join(folder)) else {
            continue;
        };
        for entry in entries {
            let path = Path::new(folder).join(entry?.file_name());
            if !expected.contains_key(&path) {
                orphans.push(path);
            }
        }
    }
    Ok(orphans)
}

/// Adds the names of all `.proto` files below `folder`, as their imports spell them.
fn collect(folder: &Path, top: &str, files: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, top, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            let names: Vec<_> = path
                .iter()
                .map(|name| name.to_string_lossy().into_owned())
                .collect();
            let start = names
                .iter()
                .rposition(|name| name == top)
                .map_or(0, |at| at + 1);
            files.push(names[start..].join("/"));
        }
    }
    Ok(())
}
