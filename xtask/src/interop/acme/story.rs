//! The honest story: what a gateway, a core, a sensor and an application do with each other.

use core::time::Duration;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail};

use super::line::Tally;
use super::message::Message;
use super::originator::{Answer, Originator, Request};
use super::report::Report;
use super::wiring::Wiring;

/// The largest body under test.
pub(super) const LARGEST: usize = 1 << 20;

/// How long a notification or a registration may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The name under which the gateway is registered at the core.
pub(super) const REGISTRATION: &str = "/cse-in/id-mn";

/// The sensor's data, seen from the gateway and through the core.
pub(super) const DATA: &str = "/cse-mn/sensor/data/la";
pub(super) const DATA_THROUGH_CORE: &str = "/~/id-mn/cse-mn/sensor/data/la";

/// Tells the story and checks every step; `marker` is in every content.
pub(super) fn tell(wiring: &mut Wiring, marker: &str, report: &mut Report) {
    let Wiring { sensor, app, .. } = *wiring;
    report.check("gateway and core register with each other", || {
        registered(wiring)
    });
    report.check("AE creates itself, container and instance", || {
        create(&sensor, marker)
    });
    report.check("retrieval at the gateway", || {
        sensor
            .expect(&Request::retrieve(DATA), 2000)
            .and_then(|answer| content(&answer, marker))
    });
    report.check("retrieval through the core", || {
        application(&app)?;
        app.expect(&Request::retrieve(DATA_THROUGH_CORE), 2000)
            .and_then(|answer| content(&answer, marker))
    });
    report.check("retrieval from the core by the AE", || {
        let answer = sensor.expect(&Request::retrieve("/~/id-in/cse-in/app/inbox"), 2000)?;
        answer
            .text("/m2m:cnt/rn")
            .map(|name| format!("container {name}"))
    });
    report.check("subscription, and notification to the AE", || {
        notified(wiring, marker)
    });
    report.check("notification through the core", || {
        notified_through_core(wiring, marker)
    });
    report.check("non-blocking request at the gateway", || {
        non_blocking(&sensor, DATA, marker)
    });
    report.check("non-blocking request through the core", || {
        non_blocking(&app, DATA_THROUGH_CORE, marker)
    });
    report.check("non-blocking request answered by notification", || {
        asynchronous(wiring, marker)
    });
    report.check("1 MiB at the gateway", || {
        large(&sensor, "/cse-mn/sensor/data", &sensor, DATA, marker)
    });
    report.check("1 MiB down through the core", || {
        let to = "/~/id-mn/cse-mn/sensor/data";
        large(&app, to, &app, DATA_THROUGH_CORE, marker)
    });
    report.check("1 MiB up through the gateway", || {
        let to = "/~/id-in/cse-in/app/inbox";
        large(&sensor, to, &app, "/cse-in/app/inbox/la", marker)
    });
    report.check("request and response equal at both sockets", || {
        let mut tally = Tally::default();
        wiring.lines.compare_all(&mut tally)?;
        tally.outcome(40, 6, 3)
    });
}

fn registered(wiring: &mut Wiring) -> anyhow::Result<String> {
    let begun = Instant::now();
    loop {
        wiring.check()?;
        let gateway = wiring.core_operator.ask(&Request::retrieve(REGISTRATION))?;
        let core = wiring
            .gateway_operator
            .ask(&Request::retrieve("/cse-mn/id-in"))?;
        if gateway.code() == Some(2000) && core.code() == Some(2000) {
            for (answer, line) in [(gateway, &wiring.lines.down), (core, &wiring.lines.up)] {
                let (known, wanted) = (
                    answer.text("/m2m:csr/poa/0")?,
                    format!("http://{}", line.egress().address()),
                );
                anyhow::ensure!(
                    known == wanted,
                    "a CSE is known at {known}, past the egress at {wanted}"
                );
            }
            return Ok("either is known to the other at an egress".to_owned());
        }
        if begun.elapsed() > PATIENCE {
            bail!("no registration within {} s", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn create(sensor: &Originator, marker: &str) -> anyhow::Result<String> {
    let ae = r#"{"m2m:ae":{"rn":"sensor","api":"Ncom.example.sensor","rr":true,"srv":["4"]}}"#;
    sensor.expect(&Request::create("/cse-mn", 2, ae), 2001)?;
    let readers = r#"{"m2m:acp":{"rn":"readers","pv":{"acr":[{"acor":["CSensor1","/id-in/CApp"],"acop":63}]},"pvs":{"acr":[{"acor":["CSensor1"],"acop":63}]}}}"#;
    sensor.expect(&Request::create("/cse-mn/sensor", 1, readers), 2001)?;
    let container = r#"{"m2m:cnt":{"rn":"data","mni":5,"acpi":["cse-mn/sensor/readers"]}}"#;
    sensor.expect(&Request::create("/cse-mn/sensor", 3, container), 2001)?;
    let answer = sensor.expect(
        &Request::create("/cse-mn/sensor/data", 4, instance(marker)),
        2001,
    )?;
    content(&answer, marker)
}

/// The application registers at the core, with a container that the sensor may use.
fn application(app: &Originator) -> anyhow::Result<()> {
    let ae = r#"{"m2m:ae":{"rn":"app","api":"Ncom.example.app","rr":true,"srv":["4"]}}"#;
    app.expect(&Request::create("/cse-in", 2, ae), 2001)?;
    let writers = r#"{"m2m:acp":{"rn":"writers","pv":{"acr":[{"acor":["CApp","/id-mn/CSensor1","/id-mn"],"acop":63}]},"pvs":{"acr":[{"acor":["CApp"],"acop":63}]}}}"#;
    app.expect(&Request::create("/cse-in/app", 1, writers), 2001)?;
    let container = r#"{"m2m:cnt":{"rn":"inbox","mni":5,"acpi":["cse-in/app/writers"]}}"#;
    app.expect(&Request::create("/cse-in/app", 3, container), 2001)?;
    Ok(())
}

fn notified(wiring: &Wiring, marker: &str) -> anyhow::Result<String> {
    let point_of_access = wiring.lines.to_sensor.egress().address();
    let subscription = subscription("watch", &format!("http://{point_of_access}/n"));
    wiring.sensor.expect(
        &Request::create("/cse-mn/sensor/data", 23, subscription),
        2001,
    )?;
    let verification = |message: &Message| contains(message, "\"vrq\"");
    wiring
        .sensor_hears
        .wait_for(PATIENCE, verification)
        .context("no verification request came")?;
    let news = format!("{marker}-news");
    wiring.sensor.expect(
        &Request::create("/cse-mn/sensor/data", 4, instance(&news)),
        2001,
    )?;
    let notification = wiring
        .sensor_hears
        .wait_for(PATIENCE, |message| contains(message, &news));
    let notification = notification.context("no notification came")?;
    Ok(format!(
        "from {}",
        notification.text("x-m2m-origin").unwrap_or_default()
    ))
}

/// A subscription at the gateway for the application: its notifications go up and out at the core.
fn notified_through_core(wiring: &Wiring, marker: &str) -> anyhow::Result<String> {
    let point_of_access = wiring.lines.to_app.egress().address();
    let reachable = format!(r#"{{"m2m:ae":{{"poa":["http://{point_of_access}"]}}}}"#);
    wiring
        .app
        .expect(&Request::update("/cse-in/app", reachable), 2004)?;
    let writable = r#"{"m2m:ae":{"acpi":["cse-in/app/writers"]}}"#;
    wiring
        .app
        .expect(&Request::update("/cse-in/app", writable), 2004)?;
    let subscription = subscription("report", "/id-in/CApp");
    wiring.sensor.expect(
        &Request::create("/cse-mn/sensor/data", 23, subscription),
        2001,
    )?;
    let news = format!("{marker}-report");
    wiring.sensor.expect(
        &Request::create("/cse-mn/sensor/data", 4, instance(&news)),
        2001,
    )?;
    let notification = wiring
        .app_hears
        .wait_for(PATIENCE, |message| contains(message, &news));
    let notification = notification.context("no notification came")?;
    Ok(format!(
        "from {}",
        notification.text("x-m2m-origin").unwrap_or_default()
    ))
}

/// A request with `rt=1`: the answer is fetched later.
fn non_blocking(who: &Originator, target: &str, marker: &str) -> anyhow::Result<String> {
    let answer = who.expect(&Request::retrieve(&format!("{target}?rt=1")), 1001)?;
    let uri = answer.text("/m2m:uri")?;
    let begun = Instant::now();
    loop {
        let request = who.expect(&Request::retrieve(&format!("/{uri}")), 2000)?;
        if request.text("/m2m:req/rs")? == "1" {
            let content = request.text("/m2m:req/ors/pc/m2m:cin/con")?;
            anyhow::ensure!(
                content.contains(marker),
                "the result is not what was asked for: {content}"
            );
            return Ok(format!("{uri} completed"));
        }
        if begun.elapsed() > PATIENCE {
            bail!("{uri} was not completed within {} s", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A request with `rt=2`: the answer comes as a notification.
fn asynchronous(wiring: &Wiring, marker: &str) -> anyhow::Result<String> {
    let point_of_access = wiring.lines.to_app.egress().address();
    let request = Request::retrieve(&format!("{DATA_THROUGH_CORE}?rt=2"));
    let request = request.with("X-M2M-RTU", &format!("http://{point_of_access}/late"));
    wiring.app.expect(&request, 1002)?;
    let late = |message: &Message| message.target() == "/late" && contains(message, marker);
    let notification = wiring
        .app_hears
        .wait_for(PATIENCE, late)
        .context("no answer came")?;
    Ok(format!(
        "from {}",
        notification.text("x-m2m-origin").unwrap_or_default()
    ))
}

/// Creates an instance whose request is exactly [`LARGEST`], and reads it back.
fn large(
    writer: &Originator,
    to: &str,
    reader: &Originator,
    from: &str,
    marker: &str,
) -> anyhow::Result<String> {
    let rest = LARGEST - instance("").len();
    let text = format!("{marker} large {to} ").repeat(rest / 32);
    let body = instance(&text[..rest]);
    writer.expect(&Request::create(to, 4, body.clone()), 2001)?;
    let answer = reader.expect(&Request::retrieve(from), 2000)?;
    anyhow::ensure!(
        answer.text("/m2m:cin/con")? == text[..rest],
        "what was read is not what was written"
    );
    Ok(format!(
        "{} bytes there, {} back",
        body.len(),
        answer.body().len()
    ))
}

/// A content instance; `content` needs no escapes.
pub(super) fn instance(content: &str) -> String {
    format!(r#"{{"m2m:cin":{{"cnf":"text/plain:0","con":"{content}"}}}}"#)
}

pub(super) fn subscription(name: &str, to: &str) -> String {
    format!(r#"{{"m2m:sub":{{"rn":"{name}","nu":["{to}"],"nct":1,"enc":{{"net":[3]}}}}}}"#)
}

/// Fails unless the instance in `answer` has the marker.
pub(super) fn content(answer: &Answer, marker: &str) -> anyhow::Result<String> {
    let content = answer.text("/m2m:cin/con")?;
    anyhow::ensure!(
        content.contains(marker),
        "the content is not what was written: {content}"
    );
    Ok(format!("{} bytes", answer.body().len()))
}

pub(super) fn contains(message: &Message, text: &str) -> bool {
    message
        .body
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}
