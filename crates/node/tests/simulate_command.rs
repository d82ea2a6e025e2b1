//! `refpoint simulate` as an operator calls it.

use std::process::Command;

fn refpoint(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_refpoint"))
        .args(arguments)
        .output()
        .expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_storm_is_printed_and_written_as_json_and_as_a_page_that_needs_nothing_else() {
    let directory = std::env::temp_dir().join(format!("refpoint-simulate-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let (json, html) = (directory.join("storm.json"), directory.join("storm.html"));
    let (ok, out, err) = refpoint(&[
        "simulate",
        "storm",
        "--devices",
        "4000",
        "--capacity",
        "400",
        "--loss",
        "5",
        "--json",
        &json.to_string_lossy(),
        "--html",
        &html.to_string_lossy(),
    ]);
    assert!(ok, "{err}");
    assert!(
        out.contains("reservations") && out.contains("wireguard"),
        "{out}"
    );
    let figures = std::fs::read_to_string(&json).expect("the figures");
    let figures: serde_json::Value = serde_json::from_str(&figures).expect("JSON");
    let strategies = figures.as_array().expect("an array");
    assert_eq!(strategies.len(), 7);
    for key in [
        "p50",
        "p99",
        "attempts_per_device",
        "goodput",
        "peak",
        "lost",
    ] {
        assert!(strategies.iter().all(|one| one.get(key).is_some()), "{key}");
    }
    let page = std::fs::read_to_string(&html).expect("the page");
    assert!(page.contains("<svg") && page.contains("prefers-color-scheme"));
    for outside in ["http", "src=", "href=", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn what_cannot_be_is_refused_with_what_to_write() {
    let (ok, _, err) = refpoint(&["simulate", "storm", "--strategy", "hope"]);
    assert!(!ok && err.contains("reservations"), "{err}");
    let (ok, _, err) = refpoint(&["simulate", "storm", "--loss", "101"]);
    assert!(!ok && err.contains("from 0 to 100"), "{err}");
    let (ok, _, err) = refpoint(&["simulate", "storm", "--devices", "0"]);
    assert!(!ok && err.contains("number of devices"), "{err}");
}
