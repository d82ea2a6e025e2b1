//! What the sensor creates for the application alone, carried by both CSEs.
//!
//! The AEs know nothing of it and do the same in both runs. What the CSEs hold is read from them as their operators do.

use core::time::Duration;
use std::thread;
use std::time::Instant;

use anyhow::bail;
use serde_json::Value;

use super::message::Message;
use super::originator::{Originator, Request};
use super::report::Report;
use super::story::{PATIENCE, contains, content, instance, subscription};
use super::wiring::Wiring;

/// The media type of what is sealed, as ACME keeps it.
const SEALED: &str = "application/vnd.refpoint.sealed:2";
/// `ESPRIM_BAD_MAC` (TS-0004): what a replay is refused with.
const NOT_SEALED: u16 = 4115;

/// The containers, as the sensor and the application address them, and as the operators do who hold them.
const AT_GATEWAY: Place = Place {
    written: "/cse-mn/sensor/sealed",
    read: "/~/id-mn/cse-mn/sensor/sealed/la",
    held: "/cse-mn/sensor/sealed",
};
const LETTERS: Place = Place {
    written: "/cse-mn/sensor/letters",
    read: "/~/id-mn/cse-mn/sensor/letters/la",
    held: "/cse-mn/sensor/letters",
};
const AT_CORE: Place = Place {
    written: "/~/id-in/cse-in/app/sealed",
    read: "/cse-in/app/sealed/la",
    held: "/cse-in/app/sealed",
};

/// What the AEs' nodes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// There are none: the control run.
    Plain,
    /// They seal and open.
    Sealed,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    written: &'static str,
    read: &'static str,
    held: &'static str,
}

/// Tells the story and checks every step; `marker` is in every content.
pub(super) fn tell(wiring: &Wiring, marker: &str, ends: Ends, report: &mut Report) {
    report.check("end to end: containers for the application alone", || {
        prepare(wiring, ends)
    });
    for (name, place) in [("gateway", AT_GATEWAY), ("core", AT_CORE)] {
        report.check(
            &format!("end to end: written and read at the {name}"),
            || {
                let body = instance(marker);
                let answer = wiring
                    .sensor
                    .expect(&Request::create(place.written, 4, body), 2001)?;
                content(&answer, marker)?;
                let read = || wiring.app.expect(&Request::retrieve(place.read), 2000);
                content(&read()?, marker)?;
                // As often as it likes.
                content(&read()?, marker)
            },
        );
    }
    report.check("end to end: notification through the core", || {
        notified(wiring, marker)
    });
    report.check("end to end: three letters of a session", || {
        for number in 1..=3 {
            let letter = format!("{marker}-{number}");
            let create = Request::create(LETTERS.written, 4, instance(&letter));
            wiring.sensor.expect(&create, 2001)?;
            let read = Request::retrieve(LETTERS.read);
            content(&wiring.app.expect(&read, 2000)?, &letter)?;
        }
        Ok("each read at the core".to_owned())
    });
    let held = match ends {
        Ends::Plain => "holds the marker",
        Ends::Sealed => "holds no marker",
    };
    for (name, operator, place) in [
        ("gateway's CSE", &wiring.gateway_operator, AT_GATEWAY),
        ("core's CSE", &wiring.core_operator, AT_CORE),
        ("session's container", &wiring.gateway_operator, LETTERS),
    ] {
        report.check(&format!("end to end: the {name} {held}"), || {
            let (instances, sealed, marked) = stored(operator, place, marker)?;
            anyhow::ensure!(instances > 0, "the CSE holds nothing");
            match ends {
                Ends::Plain => anyhow::ensure!(marked, "it is not in {instances} instances"),
                Ends::Sealed => {
                    anyhow::ensure!(!marked, "it is in {instances} instances");
                    anyhow::ensure!(
                        sealed == instances,
                        "only {sealed} of {instances} instances say that they are sealed"
                    );
                }
            }
            Ok(format!("{instances} instances, {sealed} sealed"))
        });
    }
    match ends {
        Ends::Plain => report.check("end to end: a copy by the gateway is read", || {
            copy(wiring)?;
            content(
                &wiring
                    .app
                    .expect(&Request::retrieve(AT_GATEWAY.read), 2000)?,
                marker,
            )
        }),
        Ends::Sealed => report.check("end to end: a copy by the gateway is refused", || {
            copy(wiring)?;
            let refused = Request::retrieve(AT_GATEWAY.read);
            wiring.app.expect(&refused, NOT_SEALED)?;
            let nodes = wiring.nodes.as_ref();
            let nodes = nodes.ok_or_else(|| anyhow::anyhow!("there are no nodes"))?;
            nodes.report("app", "opened before")
        }),
    }
}

/// Containers that the other AE may use too; and, with nodes, the application's first pre-key.
fn prepare(wiring: &Wiring, ends: Ends) -> anyhow::Result<String> {
    let container = |name: &str, acp: &str| {
        format!(r#"{{"m2m:cnt":{{"rn":"{name}","mni":20,"acpi":["{acp}"]}}}}"#)
    };
    for name in ["sealed", "letters", "box"] {
        let at_gateway = container(name, "cse-mn/sensor/readers");
        wiring
            .sensor
            .expect(&Request::create("/cse-mn/sensor", 3, at_gateway), 2001)?;
    }
    for name in ["sealed", "pre-keys", "box"] {
        let at_core = container(name, "cse-in/app/writers");
        wiring
            .app
            .expect(&Request::create("/cse-in/app", 3, at_core), 2001)?;
    }
    if ends == Ends::Plain {
        return Ok("six containers".to_owned());
    }
    let begun = Instant::now();
    loop {
        let latest = Request::retrieve("/cse-in/app/pre-keys/la");
        let answer = wiring.core_operator.ask(&latest)?;
        if answer.code() == Some(2000) {
            return answer.text("/m2m:cin/cnf");
        }
        if begun.elapsed() > PATIENCE {
            bail!("no pre-key was published within {} s", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn notified(wiring: &Wiring, marker: &str) -> anyhow::Result<String> {
    let subscription = subscription("sealed-report", "/id-in/CApp");
    wiring
        .sensor
        .expect(&Request::create(AT_GATEWAY.written, 23, subscription), 2001)?;
    let news = format!("{marker}-sealed");
    let body = instance(&news);
    wiring
        .sensor
        .expect(&Request::create(AT_GATEWAY.written, 4, body), 2001)?;
    let told = |message: &Message| contains(message, &news);
    let notification = wiring.app_hears.wait_for(PATIENCE, told);
    let Some(notification) = notification else {
        bail!("no notification came");
    };
    let from = notification.text("x-m2m-origin").unwrap_or_default();
    Ok(format!("from {from}"))
}

/// How many instances the CSE holds, how many say that they are sealed, and whether the marker is in any.
fn stored(
    operator: &Originator,
    place: Place,
    marker: &str,
) -> anyhow::Result<(usize, usize, bool)> {
    let all = Request::retrieve(&format!("{}?rcn=4", place.held));
    let answer = operator.expect(&all, 2000)?;
    let marked = answer
        .body()
        .windows(marker.len())
        .any(|window| window == marker.as_bytes());
    let value: Value = serde_json::from_slice(answer.body())?;
    let instances = value.pointer("/m2m:cnt/m2m:cin").and_then(Value::as_array);
    let instances = instances.map(Vec::as_slice).unwrap_or_default();
    let sealed = instances
        .iter()
        .filter(|instance| instance["cnf"] == SEALED);
    Ok((instances.len(), sealed.count(), marked))
}

/// The gateway puts a copy of the latest instance into the container.
fn copy(wiring: &Wiring) -> anyhow::Result<()> {
    let latest = Request::retrieve(&format!("{}/la", AT_GATEWAY.held));
    let answer = wiring.gateway_operator.expect(&latest, 2000)?;
    let body = serde_json::json!({"m2m:cin": {
        "cnf": answer.text("/m2m:cin/cnf")?,
        "con": answer.text("/m2m:cin/con")?,
    }});
    let copy = Request::create(AT_GATEWAY.held, 4, body.to_string());
    wiring.gateway_operator.expect(&copy, 2001)?;
    Ok(())
}
