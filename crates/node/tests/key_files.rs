//! Key files: what is written is read, what others can read is refused, what is shown is public.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use refpoint_node::key_file::{KeyFile, KeyFileError};

const CONNECTION: &str = "# a comment
refpoint-key: connection
id: 6d6e2d69
point: y
entity: //acme.example.com/id-in
entity: //acme.example.com/id-mn
not-before: 2026-11-23T08:00:00Z
not-after: 2027-02-21T08:00:00Z
secret: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
";
const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A directory of its own that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("refpoint-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_written_is_read() {
    let place = Place::new("key-written");
    for (name, text) in [
        ("connection", CONNECTION.to_owned()),
        (
            "root",
            format!("refpoint-key: root\nentity: //a.example/id-in\nsecret: {SECRET}\n"),
        ),
        (
            "static",
            format!("refpoint-key: static\nentity: //a.example/id-in\nsecret: {SECRET}\n"),
        ),
        (
            "public",
            format!("refpoint-key: public\nentity: //a.example/id-in\npublic: {SECRET}\n"),
        ),
        (
            "signing",
            format!("refpoint-key: signing\nentity: //a.example/id-in\nsecret: {SECRET}\n"),
        ),
        (
            "verifying",
            format!("refpoint-key: verifying\nentity: //a.example/id-in\npublic: {SECRET}\n"),
        ),
        (
            "application",
            CONNECTION
                .replace("connection", "application")
                .replace("point: y\n", ""),
        ),
        (
            "record",
            "refpoint-key: record\nentity: //a.example/id-in\nrecord: 0a0b\n".to_owned(),
        ),
    ] {
        let path = place.0.join(name);
        KeyFile::parse(&text)
            .expect(name)
            .create(&path)
            .expect(name);
        let read = KeyFile::load(&path).expect(name);
        assert_eq!(
            read.to_text().as_str(),
            text.trim_start_matches("# a comment\n"),
            "{name}"
        );
        assert!(
            KeyFile::parse(&text).expect(name).create(&path).is_err(),
            "{name} was overwritten"
        );
        if !["public", "verifying", "record"].contains(&name) {
            assert!(!read.public_part().contains(SECRET), "{name}");
            assert!(!format!("{read:?}").contains("0001"), "{name}");
        }
    }
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let place = Place::new("key-modes");
    let path = place.0.join("key");
    std::fs::write(&path, CONNECTION).expect("a file");
    for (mode, fine) in [
        (0o600, true),
        (0o400, true),
        (0o640, false),
        (0o604, false),
        (0o660, false),
        (0o601, false),
    ] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        match KeyFile::load(&path) {
            Ok(_) => assert!(fine, "{mode:o} was taken"),
            Err(problem) => {
                assert!(
                    matches!(problem.problem(), KeyFileError::Readable(_)) && !fine,
                    "{mode:o}: {problem}"
                );
                assert!(problem.to_string().contains("chmod 600"), "{problem}");
            }
        }
    }
}

#[test]
fn a_public_key_may_be_read_by_everybody() {
    let place = Place::new("key-public");
    let path = place.0.join("key");
    std::fs::write(
        &path,
        format!("refpoint-key: public\nentity: //a.example/id-in\npublic: {SECRET}\n"),
    )
    .expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    assert!(matches!(KeyFile::load(&path), Ok(KeyFile::Public { .. })));
}

#[test]
fn a_line_that_cannot_be_used_is_named() {
    for (old, new, says) in [
        (
            "refpoint-key: connection",
            "refpoint-key: session",
            "first line",
        ),
        ("id: 6d6e2d69\n", "", "id is missing"),
        ("id: 6d6e2d69", "id: xyz", "line 3: write 1 to 32 bytes"),
        ("point: y", "point: mca", "line 4: write x"),
        (
            "point: y",
            "point: y\npoint: y",
            "line 5: this line stands there twice",
        ),
        (
            "point: y",
            "colour: red",
            "line 4: this kind of key has no such line",
        ),
        (
            "entity: //acme.example.com/id-mn\n",
            "",
            "entity is missing",
        ),
        (
            "//acme.example.com/id-mn",
            "//acme.example.com/id-in",
            "two different",
        ),
        ("not-after: 2027", "not-after: 2025", "validity is empty"),
        (
            "not-after: 2027-02-21T08:00:00Z",
            "not-after: tomorrow",
            "line 8: write a time",
        ),
        ("1c1d1e1f", "1c1d1e", "line 9: write 64"),
    ] {
        let error = KeyFile::parse(&CONNECTION.replacen(old, new, 1))
            .expect_err(new)
            .to_string();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("0001"), "{error}");
    }
}
