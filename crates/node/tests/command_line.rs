//! The `refpoint` binary, as somebody at a terminal meets it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("refpoint-{}-{name}", std::process::id()));
        std::fs::create_dir_all(path.join("keys")).expect("a directory");
        Self(path)
    }

    /// Runs `refpoint` in this place with the words of `line`.
    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_refpoint"))
            .args(line.split_whitespace())
            .current_dir(&self.0)
            .output()
            .expect("run")
    }

    fn succeeds(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }

    fn fails(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(!output.status.success(), "{line} succeeded");
        String::from_utf8(output.stderr).expect("text")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn secret(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a key file");
    text.lines()
        .find_map(|line| line.strip_prefix("secret: "))
        .expect("a secret")
        .to_owned()
}

#[test]
fn the_help_names_every_command() {
    let place = Place::new("help");
    let help = place.succeeds("--help");
    for word in ["demo", "node", "keys", "inspect", "oneM2M"] {
        assert!(help.contains(word), "{help}");
    }
    for line in [
        "node --help",
        "keys --help",
        "keys new connection --help",
        "keys derive public --help",
        "keys record --help",
        "inspect --help",
    ] {
        assert!(place.succeeds(line).len() > 200, "{line}");
    }
}

#[test]
fn the_keys_of_the_example_are_made_and_its_node_accepts_them() {
    let place = Place::new("keys");
    place.succeeds("keys new static --entity //acme.example.com/id-mn --out keys/mn.static");
    place.succeeds("keys new static --entity //acme.example.com/id-in --out keys/in.static");
    place.succeeds("keys derive public --static keys/in.static --out keys/in.public");
    place.succeeds("keys new connection --point y --id 6d6e2d69 --for 90d --entity //acme.example.com/id-mn --entity //acme.example.com/id-in --out keys/mn-in.connection");
    place.succeeds("keys new root --entity //acme.example.com/id-mn --out keys/mn.root");
    place.succeeds("keys derive connection --root keys/mn.root --peer //acme.example.com/id-mn/CSensor1 --point x --for 90d --out keys/mn-sensor1.connection");
    std::fs::write(place.0.join("mn.toml"), include_str!("../examples/mn.toml")).expect("a file");
    assert!(
        place
            .succeeds("node --config mn.toml --check")
            .contains("with 2 peers")
    );

    let shown = place
        .succeeds("keys show keys/in.static keys/in.public keys/mn-in.connection keys/mn.root");
    assert_eq!(shown.matches("public: ").count(), 2, "{shown}");
    assert!(shown.contains("id: 6d6e2d69\npoint: y\n"), "{shown}");
    for key in ["in.static", "mn-in.connection", "mn.root"] {
        assert!(
            !shown.contains(&secret(&place.0.join("keys").join(key))),
            "{key} was shown"
        );
    }
    assert!(
        place
            .fails("keys new static --entity //acme.example.com/id-mn --out keys/mn.static")
            .contains("keys/mn.static")
    );

    // Another entity's key under the right name.
    std::fs::remove_file(place.0.join("keys/mn.static")).expect("removed");
    place.succeeds("keys new static --entity //acme.example.com/id-other --out keys/mn.static");
    assert!(
        place
            .fails("node --config mn.toml --check")
            .contains("not the static key of //acme.example.com/id-mn")
    );
}

#[test]
fn an_authority_vouches_for_two_end_points_and_their_nodes_believe_it_alone() {
    let place = Place::new("end-to-end");
    let authority = |name: &str| {
        place.succeeds(&format!(
            "keys new signing --entity //acme.example.com/{name} --out keys/{name}.signing"
        ));
        place.succeeds(&format!(
            "keys derive verifying --signing keys/{name}.signing --out keys/{name}.verifying"
        ));
    };
    let record = |name: &str, authority: &str| {
        place.succeeds(&format!(
            "keys record --authority keys/{authority}.signing --public keys/{name}.public \
             --verifying keys/{name}.verifying --for 365d --out keys/{name}.record"
        ));
    };
    authority("authority");
    for (name, entity) in [
        ("sensor1", "//acme.example.com/id-mn/CSensor1"),
        ("display", "//acme.example.com/id-in/CDisplay"),
    ] {
        for line in [
            format!("keys new static --entity {entity} --out keys/{name}.static"),
            format!("keys derive public --static keys/{name}.static --out keys/{name}.public"),
            format!("keys new signing --entity {entity} --out keys/{name}.signing"),
            format!(
                "keys derive verifying --signing keys/{name}.signing --out keys/{name}.verifying"
            ),
        ] {
            place.succeeds(&line);
        }
        record(name, "authority");
    }
    place.succeeds("keys new application --for 90d --entity //acme.example.com/id-mn/CSensor1 --entity //acme.example.com/id-in/CDisplay --out keys/sensor1-display.application");
    place.succeeds("keys new connection --point x --for 90d --entity //acme.example.com/id-mn --entity //acme.example.com/id-mn/CSensor1 --out keys/mn-sensor1.connection");
    place.succeeds("keys new connection --point x --for 90d --entity //acme.example.com/id-in --entity //acme.example.com/id-in/CDisplay --out keys/in-display.connection");
    for (name, text) in [
        (
            "sealed-sensor.toml",
            include_str!("../examples/sealed-sensor.toml"),
        ),
        ("display.toml", include_str!("../examples/display.toml")),
    ] {
        std::fs::write(place.0.join(name), text).expect("a file");
        let accepted = place.succeeds(&format!("node --config {name} --check"));
        assert!(accepted.contains("with 1 peers"), "{accepted}");
    }
    let shown = place.succeeds("keys show keys/sensor1.record keys/sensor1-display.application keys/sensor1.signing keys/authority.verifying");
    assert!(shown.contains("refpoint-key: record\nentity: //acme.example.com/id-mn/CSensor1\n"));
    for key in ["sensor1-display.application", "sensor1.signing"] {
        let secret = secret(&place.0.join("keys").join(key));
        assert!(!shown.contains(&secret), "{key} was shown");
    }

    // A record that another has signed, and another entity's.
    let remade = |make: &dyn Fn()| {
        std::fs::remove_file(place.0.join("keys/sensor1.record")).expect("removed");
        make();
        place.fails("node --config display.toml --check")
    };
    authority("impostor");
    let refused = remade(&|| record("sensor1", "impostor"));
    assert!(refused.contains("keys/sensor1.record"), "{refused}");
    let refused = remade(&|| {
        let display = place.0.join("keys/display.record");
        std::fs::copy(display, place.0.join("keys/sensor1.record")).expect("copied");
    });
    assert!(
        refused.contains("not the record of //acme.example.com/id-mn/CSensor1"),
        "{refused}"
    );
    // Whose verifying key is not the public key's owner's gets no record.
    let refused = place.fails("keys record --authority keys/authority.signing --public keys/sensor1.public --verifying keys/display.verifying --for 1d --out keys/none");
    assert!(refused.contains("not the verifying key"), "{refused}");
}

#[test]
fn both_holders_of_a_root_key_derive_the_same_connection_key() {
    let place = Place::new("derive");
    place.succeeds("keys new root --entity //acme.example.com/id-mn --out keys/root");
    let line = "keys derive connection --root keys/root --peer //acme.example.com/id-in --point y --id 01 --from 2026-11-23T00:00:00Z --until 2027-11-23T00:00:00Z --out keys/";
    place.succeeds(&format!("{line}a"));
    place.succeeds(&format!("{line}b"));
    assert_eq!(
        secret(&place.0.join("keys/a")),
        secret(&place.0.join("keys/b"))
    );
    assert_ne!(
        secret(&place.0.join("keys/a")),
        secret(&place.0.join("keys/root"))
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let place = Place::new("wrong");
    std::fs::write(
        place.0.join("node.toml"),
        "[node]\nentity = \"//acme.example.com/id-mn\"\ndrian = \"1s\"\n",
    )
    .expect("a file");
    let error = place.fails("node --config node.toml");
    assert!(
        error.contains("node.toml: line 3: drian: unknown field"),
        "{error}"
    );
    let error = place.fails("node --config none.toml");
    assert_eq!(error.matches("none.toml").count(), 1, "{error}");
    let error = place.fails("keys show keys/none");
    assert_eq!(error.matches("No such file").count(), 1, "{error}");
    place.run("keys new root --entity //a.example/id-a --out keys/twice");
    let error = place.fails("keys new root --entity //a.example/id-a --out keys/twice");
    assert!(
        error.contains("keys/twice: it exists, and no key is overwritten"),
        "{error}"
    );
    assert!(
        place
            .fails("keys new connection --point y --entity //a.example/id-a --out keys/k")
            .contains("--until")
    );
    assert!(
        place
            .fails("keys new connection --point y --for 1d --entity //a.example/id-a --out keys/k")
            .contains("twice")
    );
    assert!(
        place
            .fails("keys new root --entity id-a --out keys/k")
            .contains("not an entity id")
    );
    std::fs::write(place.0.join("notes.txt"), "hello").expect("a file");
    assert!(
        place
            .fails("inspect notes.txt")
            .contains("notes.txt: not a pcap file")
    );
}
