//! AEs that know nothing of end to end: what one creates, the other reads, and nobody in between.

#[path = "support/sealed.rs"]
mod support;

use serde_json::{Value, json};
use support::{
    DISPLAY, LOGGER, MARKER, SENSOR, World, correspondent, created, receiver, sensor, until,
};

const DATA: &str = "/cse-in/sensor/data";
const LATEST: &str = "/cse-in/sensor/data/la";

/// A sensor and a display that share an application key, or know each other by their records.
async fn pair(name: &str, application_key: bool) -> (World, support::Device, support::Device) {
    let world = World::new(name).await;
    let display = receiver(DISPLAY, application_key, "state = \"state\"");
    let display = world.device(DISPLAY, &display).await;
    let sensor = sensor(&[DISPLAY], application_key);
    let sensor = world.device(SENSOR, &sensor).await;
    world.pre_key("/cse-in/display/pre-keys/la").await;
    (world, sensor, display)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_ae_creates_is_sealed_on_its_way_and_plain_at_the_other_end() {
    for application_key in [false, true] {
        let (world, sensor, display) =
            pair(&format!("sealed-{application_key}"), application_key).await;
        display.subscribe(DATA).await;
        let answered = sensor.publish(DATA, MARKER).await;
        // The AE is answered as if nothing had been done: its own content, and where it lies.
        assert_eq!(
            (&answered["con"], &answered["lbl"]),
            (&json!(MARKER), &json!([MARKER]))
        );
        assert!(
            answered["ri"].is_string() && answered.get("cnf").is_none(),
            "{answered}"
        );

        // The CSE has something else, which says honestly what it is.
        let stored = world.stored(LATEST).await;
        assert_eq!(stored["cnf"], "application/vnd.refpoint.sealed:2");
        assert!(!stored.to_string().contains(MARKER), "{stored}");
        assert!(stored.get("lbl").is_none(), "{stored}");

        // The display was told once, and reads it as often as it likes.
        until("a notification", async || display.told() == [MARKER]).await;
        for path in [LATEST, "/~/id-in/cse-in/sensor/data/la"] {
            assert_eq!(display.read(path).await.as_deref(), Ok(MARKER), "{path}");
        }
        // To the sensor itself it is closed: it was sealed for the display.
        assert_eq!(sensor.read(LATEST).await, Err(4112));
        assert_eq!(display.told(), [MARKER]);
        sensor.stop().await;
        display.stop().await;
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sealing_the_cse_has_the_marker() {
    let world = World::new("control").await;
    let sensor = world.device(SENSOR, "").await;
    sensor.publish(DATA, MARKER).await;
    assert!(world.stored(LATEST).await.to_string().contains(MARKER));
    sensor.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_receivers_share_one_object() {
    let world = World::new("group").await;
    let display = world.device(DISPLAY, &receiver(DISPLAY, false, "")).await;
    let logger = world.device(LOGGER, &receiver(LOGGER, false, "")).await;
    let sensor = world
        .device(SENSOR, &sensor(&[DISPLAY, LOGGER], false))
        .await;
    world.pre_key("/cse-in/display/pre-keys/la").await;
    world.pre_key("/cse-in/logger/pre-keys/la").await;
    // Larger than one object holds.
    let long = MARKER.repeat(4_000);
    for content in [MARKER, &long] {
        sensor.publish(DATA, content).await;
        let stored = world.stored(LATEST).await;
        assert!(!stored.to_string().contains(MARKER));
        for receiver in [&display, &logger] {
            assert_eq!(receiver.read(LATEST).await.as_deref(), Ok(content));
            assert_eq!(receiver.read(LATEST).await.as_deref(), Ok(content));
        }
    }
    for device in [sensor, display, logger] {
        device.stop().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_does_to_it_is_refused_and_never_delivered() {
    let (world, sensor, display) = pair("attacks", true).await;
    display.subscribe(DATA).await;
    sensor.publish(DATA, "first").await;
    let first = world.stored(LATEST).await;
    // Notifications keep no order: each has its time.
    until("a notification", async || display.told().len() == 1).await;
    sensor.publish(DATA, "second").await;
    until("two notifications", async || display.told().len() == 2).await;
    assert_eq!(display.read(LATEST).await.as_deref(), Ok("second"));
    let told = display.ae.notifications().len();

    let sealed = |content: &str| json!({"cnf": first["cnf"], "con": content});
    let content = first["con"].as_str().expect("text");
    let last = content.len() / 2;
    let other = if &content[last..=last] == "A" {
        "B"
    } else {
        "A"
    };
    let altered = format!("{}{other}{}", &content[..last], &content[last + 1..]);
    let attacks = [
        ("a replay in another resource", sealed(content), 4115),
        ("an alteration", sealed(&altered), 4115),
        ("forged and plain", json!({"con": "forged"}), 4115),
        ("plain, and said to be sealed", sealed("forged!!"), 4000),
        (
            "a pre-key in its place",
            world.stored("/cse-in/display/pre-keys/la").await,
            4115,
        ),
    ];
    for (attack, mut instance, code) in attacks {
        if let Value::Object(attributes) = &mut instance {
            attributes.retain(|name, _| name == "cnf" || name == "con");
        }
        world.put(DATA, instance).await;
        assert_eq!(display.read(LATEST).await, Err(code), "{attack}");
    }
    // Nor was the AE told of any of it; the next genuine one still comes.
    sensor.publish(DATA, "third").await;
    until("a third notification", async || {
        display.told().last().is_some_and(|told| told == "third")
    })
    .await;
    assert_eq!(display.told(), ["first", "second", "third"]);
    assert_eq!(display.ae.notifications().len(), told + 1);
    for device in [sensor, display] {
        device.stop().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_unsealed_where_it_must_be_sealed() {
    let (world, sensor, display) = pair("unsealed", true).await;
    // A resource with content that is no contentInstance, one that is not JSON, and a notification.
    for (kind, content) in [
        (28, json!({"hd:temp": {"cnd": "x", "value": MARKER}})),
        (30, json!({"m2m:tsi": {"con": MARKER}})),
        (4, json!({"m2m:cin": MARKER})),
        (4, json!({"m2m:cin": {"con": "x"}, "other": MARKER})),
    ] {
        let answer = sensor.ae.create(DATA, kind, &content).await;
        assert_eq!(answer.expect("an answer").code, 4015, "{content}");
    }
    // Without a pre-key nothing is sealed, and nothing sent.
    world
        .gateway
        .delete("/cse-in/display/pre-keys/la")
        .await
        .expect("an answer");
    let instance = json!({"m2m:cin": {"con": MARKER}});
    let answer = sensor.ae.create(DATA, 4, &instance).await;
    assert_eq!(answer.expect("an answer").code, 4112);
    // One that another has signed is none.
    let forged = json!({"cnf": "application/vnd.refpoint.pre-key:2", "con": "AAAA"});
    world.put("/cse-in/display/pre-keys", forged).await;
    let answer = sensor.ae.create(DATA, 4, &instance).await;
    assert_eq!(answer.expect("an answer").code, 4112);
    let answer = world.gateway.retrieve(LATEST).await.expect("an answer");
    assert_eq!(answer.code, 4004);
    // What holds no content passes.
    created(
        sensor
            .ae
            .create(DATA, 3, &json!({"m2m:cnt": {"rn": "below"}}))
            .await,
    );
    for device in [sensor, display] {
        device.stop().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nothing_and_delivers_nothing_twice() {
    let (world, sensor, mut display) = pair("restart", true).await;
    display.subscribe(DATA).await;
    sensor.publish(DATA, "read before").await;
    until("a notification", async || display.told().len() == 1).await;
    let read = world.stored(LATEST).await;
    sensor.publish(DATA, "not read before").await;
    until("a notification", async || display.told().len() == 2).await;

    display.halt().await;
    display.go_on().await;
    // What was sealed before opens, as often as it is read; what was opened in one resource opens in no other.
    assert_eq!(display.read(LATEST).await.as_deref(), Ok("not read before"));
    assert_eq!(display.read(LATEST).await.as_deref(), Ok("not read before"));
    let replayed = json!({"cnf": read["cnf"], "con": read["con"]});
    world.put(DATA, replayed).await;
    assert_eq!(display.read(LATEST).await, Err(4115));
    // The sensor goes on with the pre-key that it has.
    sensor.publish(DATA, "after").await;
    until("a notification", async || display.told().len() == 3).await;
    assert_eq!(display.told()[2], "after");
    for device in [sensor, display] {
        device.stop().await;
    }
    world.stop().await;
}

/// A sensor and a display that have sessions.
async fn correspondents(name: &str) -> (World, support::Device, support::Device) {
    let world = World::new(name).await;
    let display = world
        .device(DISPLAY, &correspondent(SENSOR, "from", "state = \"state\""))
        .await;
    let sensor = world
        .device(SENSOR, &correspondent(DISPLAY, "to", ""))
        .await;
    (world, sensor, display)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_carries_what_one_creates_to_the_other_though_that_is_away() {
    let (world, sensor, mut display) = correspondents("session").await;
    display.subscribe(DATA).await;
    sensor.publish(DATA, MARKER).await;
    until("a notification", async || display.told() == [MARKER]).await;
    let first = world.stored(LATEST).await;
    assert_eq!(first["cnf"], "application/vnd.refpoint.sealed:2");
    for held in [LATEST, "/cse-in/display/box/la", "/cse-in/sensor/box/la"] {
        let held = world.stored(held).await;
        assert!(!held.to_string().contains(MARKER), "{held}");
    }
    for _ in 0..2 {
        assert_eq!(display.read(LATEST).await.as_deref(), Ok(MARKER));
    }

    // The display is away: letters wait for it, and open in any order.
    display.halt().await;
    let mut waiting = Vec::new();
    for content in ["second", "third"] {
        sensor.publish(DATA, content).await;
        waiting.push(world.stored(LATEST).await);
    }
    display.go_on().await;
    let path = |at: usize| {
        let name = waiting[at]["rn"].as_str().expect("a name");
        format!("{DATA}/{name}")
    };
    for (at, content) in [(1, "third"), (0, "second")] {
        assert_eq!(display.read(&path(at)).await.as_deref(), Ok(content));
    }

    // What was opened before the restart, and what is in another resource, is a replay; what is altered, is nothing.
    let content = first["con"].as_str().expect("text");
    let altered = format!("A{}", &content[1..]);
    for (content, codes) in [(content, [4115, 4115]), (&altered, [4000, 4115])] {
        let copy = json!({"cnf": first["cnf"], "con": content});
        world.put(DATA, copy).await;
        let refused = display.read(LATEST).await.expect_err("it was delivered");
        assert!(codes.contains(&refused), "{refused}");
    }
    sensor.publish(DATA, "fourth").await;
    assert_eq!(display.read(LATEST).await.as_deref(), Ok("fourth"));
    until("a notification", async || {
        display.told().last().is_some_and(|told| told == "fourth")
    })
    .await;
    let mut told = display.told();
    told.sort();
    let before = told.len();
    told.dedup();
    assert_eq!(told.len(), before, "told twice: {told:?}");
    assert!(
        told.iter()
            .all(|told| { [MARKER, "second", "third", "fourth"].contains(&told.as_str()) })
    );
    for device in [sensor, display] {
        device.stop().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_restarts_begins_another_session_and_waits_for_nobody_for_ever() {
    let (world, mut sensor, mut display) = correspondents("session-sender").await;
    sensor.publish(DATA, "before").await;
    assert_eq!(display.read(LATEST).await.as_deref(), Ok("before"));
    sensor.halt().await;
    sensor.go_on().await;
    sensor.publish(DATA, "after").await;
    assert_eq!(display.read(LATEST).await.as_deref(), Ok("after"));

    // Nobody answers: nothing leaves, sealed or not.
    display.halt().await;
    sensor.halt().await;
    sensor.go_on().await;
    let before = world.stored(LATEST).await;
    let instance = json!({"m2m:cin": {"con": MARKER}});
    let answer = sensor.ae.create(DATA, 4, &instance).await;
    assert_eq!(answer.expect("an answer").code, 4112);
    assert_eq!(world.stored(LATEST).await, before);
    // Once it is back, it goes on.
    display.go_on().await;
    sensor.publish(DATA, "at last").await;
    assert_eq!(display.read(LATEST).await.as_deref(), Ok("at last"));
    for device in [sensor, display] {
        device.stop().await;
    }
    world.stop().await;
}
