//! What a configuration says of end to end when it is right, and what it says about itself when it is not.

use std::path::Path;

use refpoint_e2e::Padding;
use refpoint_keys::EntityId;
use refpoint_node::config::{Config, KnownBy, LineError};

const SENSOR: &str = include_str!("../examples/sealed-sensor.toml");
const DISPLAY: &str = include_str!("../examples/display.toml");

fn refused(text: &str) -> LineError {
    Config::parse(text, Path::new("")).expect_err("the configuration was taken")
}

fn with(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "the example does not contain {old:?}");
    text.replacen(old, new, 1)
}

#[test]
fn the_examples_of_two_end_points_fit_together() {
    let parse = |text| Config::parse(text, Path::new("/etc")).expect("an example");
    let (sensor, display) = (parse(SENSOR), parse(DISPLAY));
    let (seals, opens) = (
        sensor.end_to_end.expect("its end"),
        display.end_to_end.expect("its end"),
    );
    assert_eq!(seals.sealed[0].target, opens.sealed[0].target);
    assert_eq!(seals.sealed[0].to, [display.entity]);
    assert_eq!(opens.sealed[0].from, [sensor.entity]);
    let fetched = seals.contacts[0].pre_key.as_deref().expect("an address");
    let published = opens.publish.as_deref().expect("an address");
    assert_eq!(fetched, format!("/id-in/{published}/la"));
    assert_eq!(
        seals.contacts[0].application_key,
        opens.contacts[0].application_key
    );
    let record = Path::new("/etc/keys/sensor1.record").to_owned();
    assert_eq!(opens.contacts[0].known_by, KnownBy::Record(record));
    assert!(matches!(seals.padding, Padding::Multiple(size) if size.get() == 64));
    assert!(seals.sealed[0].expires <= opens.pre_keys.grace);
    assert!(!opens.plain_notifications);
    let covers = |to| seals.sealed[0].covers(to);
    assert_eq!(covers("cse-mn/sensor/data/la"), Some(18));
    assert_eq!(covers("cse-mn/sensor/database"), None);
}

#[test]
fn what_does_not_fit_together_is_named_with_its_line() {
    let contact = "pre_key = \"/id-in/cse-in/display/pre-keys/la\"\n";
    let key = "application_key = \"keys/sensor1-display.application\"\n";
    for (example, old, new, at, says) in [
        (
            SENSOR,
            "static_key = \"keys/sensor1.static\"\n",
            "",
            "[end_to_end]",
            "needs static_key",
        ),
        (
            SENSOR,
            "[end_to_end]\nauthority = \"keys/authority.verifying\"\npadding = \"64B\" ",
            "",
            "entity",
            "needs the table [end_to_end]",
        ),
        (
            SENSOR,
            "[end_to_end]",
            "[[egress]]\nlisten = \"127.0.0.1:1\"\npeer = \"//acme.example.com/id-mn\"\n[end_to_end]",
            "[end_to_end]",
            "one [[egress]]",
        ),
        (
            SENSOR,
            "padding = \"64B\"",
            "padding = \"64\"",
            "padding",
            "\"padme\"",
        ),
        (
            SENSOR,
            "padding = \"64B\"",
            "padding = \"0B\"",
            "padding",
            "\"padme\"",
        ),
        (SENSOR, contact, "", "to", "needs pre_key"),
        (
            SENSOR,
            "authority = \"keys/authority.verifying\"\n",
            "",
            "entity",
            "needs authority",
        ),
        (
            SENSOR,
            "record = \"keys/display.record\"\n",
            "",
            "entity",
            "record or public_key",
        ),
        (
            SENSOR,
            "record = \"keys/display.record\"\napplication_key = \"keys/sensor1-display.application\"\n",
            "public_key = \"keys/display.public\"\n",
            "entity",
            "add application_key",
        ),
        (
            SENSOR,
            "to = [\"//acme.example.com/id-in/CDisplay\"]",
            "to = [\"//acme.example.com/id-in/COther\"]",
            "to",
            "no [[contact]]",
        ),
        (
            SENSOR,
            "to = [\"//acme.example.com/id-in/CDisplay\"]\n",
            "",
            "resources",
            "to, from or both",
        ),
        (
            SENSOR,
            "resources = [\"cse-mn/sensor/data\",",
            "resources = [\"/~/id-mn/cse-mn\",",
            "resources",
            "as the parameter To",
        ),
        (
            SENSOR,
            "resources = [\"cse-mn/sensor/data\",",
            "resources = [\"\",",
            "resources",
            "as the parameter To",
        ),
        (
            SENSOR,
            "target = \"//acme.example.com/id-mn/cse-mn/sensor/data\"",
            "target = \"\"",
            "target",
            "1 to 255",
        ),
        (
            DISPLAY,
            "signing_key = \"keys/display.signing\"\n",
            "",
            "[end_to_end]",
            "need signing_key",
        ),
        (
            DISPLAY,
            "publish = \"cse-in/display/pre-keys\"\n",
            "",
            "from",
            "publish is needed",
        ),
        (
            DISPLAY,
            key,
            "publish = \"cse-in/display/for-sensor\"\n",
            "publish",
            "application_key",
        ),
        (
            DISPLAY,
            "rotation = \"1d\"",
            "rotation = \"1min\"",
            "[end_to_end]",
            "too many",
        ),
        (
            DISPLAY,
            "entity = \"//acme.example.com/id-mn/CSensor1\"",
            "entity = \"//acme.example.com/id-in/CDisplay\"",
            "entity",
            "own entity",
        ),
    ] {
        let error = refused(&with(example, old, new));
        assert_eq!(error.key, at, "{error}");
        assert!(error.problem.contains(says), "{says}: {error}");
    }
    // Sessions need boxes, and one receiver.
    let session = |text: &str, more: &str| {
        with(
            text,
            "[[sealed]]\n",
            &format!("{more}[[sealed]]\nform = \"session\"\n"),
        )
    };
    let error = refused(&session(SENSOR, ""));
    assert!(
        error.problem.contains("letters_to and letters_from"),
        "{error}"
    );
    let error = refused(&session(SENSOR, "letters_to = \"box\"\n"));
    assert!(
        error.problem.contains("letters_from and application_key"),
        "{error}"
    );
    let boxes =
        "letters_to = \"/id-in/cse-in/display/box\"\nletters_from = \"cse-mn/sensor/box\"\n";
    assert!(Config::parse(&session(SENSOR, boxes), Path::new("")).is_ok());
    let again = DISPLAY.split_once("[[sealed]]").expect("a table").1;
    let error = refused(&format!("{DISPLAY}\n[[sealed]]{again}"));
    assert!(error.problem.contains("another [[sealed]]"), "{error}");
}

#[test]
fn the_example_in_the_documentation_is_a_configuration() {
    let source = include_str!("../src/config.rs");
    let examples = source.split("//! ```toml\n").nth(2).expect("two examples");
    let lines = examples.lines().take_while(|line| *line != "//! ```");
    let example: String = lines
        .map(|line| format!("{}\n", line.strip_prefix("//!").unwrap_or(line)))
        .collect();
    let node = DISPLAY.split_once("[end_to_end]").expect("a table").0;
    let config = Config::parse(&format!("{node}{example}"), Path::new(""));
    let end = config
        .expect("a configuration")
        .end_to_end
        .expect("its end");
    let sensor = EntityId::parse("//acme.example.com/id-mn/CSensor1").expect("an id");
    assert_eq!(end.sealed[0].from, [sensor]);
}
