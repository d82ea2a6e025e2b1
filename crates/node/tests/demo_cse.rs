//! The demo's CSE and AE, without nodes: what the control run of the demo does.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use refpoint_keys::EntityId;
use refpoint_node::demo::{Ae, Cse, CseOptions, NextHop};
use refpoint_node::http::{Authority, Handler, HttpLimits, Server};
use refpoint_node::{Drain, DrainSignal};
use serde_json::json;

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("an id")
}

fn url(address: SocketAddr) -> Authority {
    format!("http://{address}").parse().expect("an authority")
}

async fn bind() -> (Server, SocketAddr) {
    let server = Server::bind(
        "127.0.0.1:0".parse().expect("an address"),
        HttpLimits::default(),
    )
    .await
    .expect("a server");
    let address = server.local_addr().expect("an address");
    (server, address)
}

fn serve(server: Server, handler: impl Handler) -> DrainSignal {
    let (signal, drain) = Drain::new();
    tokio::spawn(server.run(Arc::new(handler), drain));
    signal
}

struct System {
    core: Arc<Cse>,
    gateway: Arc<Cse>,
    core_url: Authority,
    gateway_url: Authority,
    _running: [DrainSignal; 2],
}

/// A gateway registered with a core.
async fn system() -> System {
    let ((core_server, core_at), (gateway_server, gateway_at)) = (bind().await, bind().await);
    let core = Cse::new(
        CseOptions {
            id: id("//sp.example.com/id-in"),
            name: "cse-in".into(),
            registrar: None,
            providers: HashMap::new(),
            point_of_access: url(core_at).to_string(),
        },
        HttpLimits::default(),
    );
    let gateway = Cse::new(
        CseOptions {
            id: id("//sp.example.com/id-mn"),
            name: "cse-mn".into(),
            registrar: Some(NextHop {
                id: id("//sp.example.com/id-in"),
                name: "cse-in".into(),
                url: url(core_at),
            }),
            providers: HashMap::new(),
            point_of_access: url(gateway_at).to_string(),
        },
        HttpLimits::default(),
    );
    let running = [
        serve(core_server, Arc::clone(&core)),
        serve(gateway_server, Arc::clone(&gateway)),
    ];
    assert_eq!(gateway.register().await.expect("registered").number(), 2001);
    System {
        core,
        gateway,
        core_url: url(core_at),
        gateway_url: url(gateway_at),
        _running: running,
    }
}

fn ae(name: &str, cse: &Authority) -> Arc<Ae> {
    Ae::new(name, cse.clone(), HttpLimits::default())
}

async fn sensor(system: &System) -> (Arc<Ae>, DrainSignal) {
    let sensor = ae("CSensor1", &system.gateway_url);
    let (server, address) = bind().await;
    let running = serve(server, Arc::clone(&sensor));
    let content = json!({ "m2m:ae": { "rn": "ae1", "api": "Ncom.example.sensor", "rr": true, "poa": [url(address).to_string()] } });
    let answer = sensor
        .create("/cse-mn", 2, &content)
        .await
        .expect("an answer");
    assert_eq!(
        (answer.code, answer.content["m2m:ae"]["aei"].as_str()),
        (2001, Some("CSensor1"))
    );
    (sensor, running)
}

#[tokio::test]
async fn what_a_sensor_publishes_is_retrieved_through_the_core() {
    let system = system().await;
    let (sensor, _running) = sensor(&system).await;
    let container = sensor
        .create("/cse-mn/ae1", 3, &json!({ "m2m:cnt": { "rn": "c1" } }))
        .await
        .expect("an answer");
    assert_eq!(container.code, 2001);
    for value in ["21.0", "21.5"] {
        let answer = sensor
            .create(
                "/cse-mn/ae1/c1",
                4,
                &json!({ "m2m:cin": { "cnf": "text/plain:0", "con": value } }),
            )
            .await
            .expect("an answer");
        assert_eq!(answer.code, 2001);
    }
    let operator = ae("CAdmin", &system.core_url);
    let latest = operator
        .retrieve("/~/id-mn/cse-mn/ae1/c1/la")
        .await
        .expect("an answer");
    assert_eq!(latest.code, 2000);
    assert_eq!(latest.content["m2m:cin"]["con"], "21.5");
    assert_eq!(latest.content["m2m:cin"]["cr"], "CSensor1");
    let absolute = operator
        .retrieve("/_/sp.example.com/id-mn/CSensor1/c1/la")
        .await
        .expect("an answer");
    assert_eq!(absolute.content["m2m:cin"]["con"], "21.5");
    let seen = system.gateway.seen();
    assert_eq!(
        seen.last().and_then(|seen| seen.from.as_deref()),
        Some("/id-in/CAdmin")
    );
    assert!(
        system
            .core
            .seen()
            .iter()
            .any(|seen| seen.from.as_deref() == Some("/id-mn"))
    );
}

#[tokio::test]
async fn a_subscription_at_the_core_is_verified_and_notified_through_the_gateway() {
    let system = system().await;
    let (sensor, _running) = sensor(&system).await;
    let operator = ae("COperator", &system.core_url);
    assert_eq!(
        operator
            .create(
                "/cse-in",
                2,
                &json!({ "m2m:ae": { "rn": "op", "rr": false } })
            )
            .await
            .expect("an answer")
            .code,
        2001
    );
    assert_eq!(
        operator
            .create("/cse-in/op", 3, &json!({ "m2m:cnt": { "rn": "commands" } }))
            .await
            .expect("an answer")
            .code,
        2001
    );

    let content = json!({ "m2m:sub": { "rn": "s1", "nu": ["/id-mn/CSensor1"], "nct": 1, "enc": { "net": [3] } } });
    let subscribed = sensor
        .create("/~/id-in/cse-in/op/commands", 23, &content)
        .await
        .expect("an answer");
    assert_eq!(subscribed.code, 2001);
    assert_eq!(sensor.notifications()[0]["m2m:sgn"]["vrq"], true);

    operator
        .create(
            "/cse-in/op/commands",
            4,
            &json!({ "m2m:cin": { "con": "open" } }),
        )
        .await
        .expect("an answer");
    tokio::time::timeout(Duration::from_secs(10), sensor.notified(2))
        .await
        .expect("no notification");
    assert_eq!(
        sensor.notifications()[1]["m2m:sgn"]["nev"]["rep"]["m2m:cin"]["con"],
        "open"
    );
}

#[tokio::test]
async fn a_subscription_to_somebody_who_does_not_answer_is_refused() {
    let system = system().await;
    let (sensor, _running) = sensor(&system).await;
    let content = json!({ "m2m:sub": { "nu": ["/id-mn/CNobody"] } });
    assert_eq!(
        sensor
            .create("/cse-mn/ae1", 23, &content)
            .await
            .expect("an answer")
            .code,
        5204
    );
}

/// The three attacks of the facts' section 4 succeed here, as against the open-source CSEs: this is the control.
#[tokio::test]
async fn without_a_node_anybody_is_believed() {
    let system = system().await;
    let (_sensor, _running) = sensor(&system).await;
    let stranger = ae("/id-mn", &system.core_url);
    assert_eq!(
        stranger
            .delete("/cse-in/id-mn")
            .await
            .expect("an answer")
            .code,
        2002
    );
    let hijack =
        json!({ "m2m:csr": { "rn": "id-mn", "csi": "/id-mn", "poa": ["http://127.0.0.1:9"] } });
    assert_eq!(
        stranger
            .create("/cse-in", 16, &hijack)
            .await
            .expect("an answer")
            .code,
        2001
    );
    let lost = ae("CAdmin", &system.core_url)
        .retrieve("/~/id-mn/cse-mn")
        .await
        .expect("an answer");
    assert_eq!(lost.code, 5103);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_code() {
    let system = system().await;
    let (sensor, _running) = sensor(&system).await;
    let cin = json!({ "m2m:cin": { "con": "x" } });
    for (target, kind, content, code) in [
        ("/cse-mn/ae1", 4, cin.clone(), 4108),
        ("/cse-mn/none", 3, json!({ "m2m:cnt": {} }), 4004),
        ("/cse-mn/ae1", 3, json!({ "m2m:ae": {} }), 4000),
        ("/cse-mn", 2, json!({ "m2m:ae": { "rn": "again" } }), 4117),
        ("/cse-mn/ae1", 9, json!({ "m2m:grp": {} }), 5001),
        ("/~/id-nowhere/cse", 3, json!({ "m2m:cnt": {} }), 5103),
        (
            "/cse-mn/ae1",
            3,
            json!({ "m2m:cnt": { "rn": "a/b" } }),
            4000,
        ),
    ] {
        assert_eq!(
            sensor
                .create(target, kind, &content)
                .await
                .expect("an answer")
                .code,
            code,
            "{target} {kind}"
        );
    }
    assert_eq!(
        sensor.delete("/cse-mn").await.expect("an answer").code,
        4005
    );
    assert_eq!(
        sensor
            .retrieve("/cse-mn/ae1/la")
            .await
            .expect("an answer")
            .code,
        4004
    );
    assert_eq!(
        sensor.delete("/cse-mn/ae1").await.expect("an answer").code,
        2002
    );
    assert_eq!(
        sensor
            .retrieve("/cse-mn/ae1")
            .await
            .expect("an answer")
            .code,
        4004
    );
}
