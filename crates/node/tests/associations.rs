//! Nodes with real associations between them, over real sockets.

#[path = "support/sockets.rs"]
mod support;

use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use refpoint_association::Backend;
use refpoint_keys::{ConnectionKey, EntityId, KeyId, ReferencePoint, UtcTime, Validity};
use refpoint_node::config::Config;
use refpoint_node::http::{Handler, HttpLimits, Request, Response, Server};
use refpoint_node::key_file::{KeyFile, StaticSecret};
use refpoint_node::{Associations, Drain, DrainSignal, Node, Transported};
use support::send_and_read_all;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

const IN: &str = "//sp.example.com/id-in";
const MN: &str = "//sp.example.com/id-mn";
const OTHER: &str = "//sp.example.com/id-other";

type Running = Node<Transported>;

/// A CSE that notes what it is asked, and answers when it is let.
#[derive(Debug, Clone)]
struct Cse {
    name: &'static str,
    asked: Arc<Mutex<Vec<String>>>,
    open: Arc<Semaphore>,
}

impl Handler for Cse {
    async fn handle(&self, request: Request) -> Response {
        let from = request.headers.text("X-M2M-Origin").unwrap_or_default();
        let line = format!("{} {} {from}", request.method, request.target);
        self.asked.lock().expect("no panic").push(line);
        let _place = self.open.acquire().await.expect("never closed");
        let mut response = Response::new(200);
        response.headers.push("X-M2M-RSC", "2000");
        let id = request.headers.first("X-M2M-RI").expect("an id").to_vec();
        response.headers.push("X-M2M-RI", id);
        response.body = self.name.into();
        response
    }
}

impl Cse {
    async fn start(name: &'static str) -> (Self, SocketAddr, DrainSignal) {
        let cse = Self {
            name,
            asked: Arc::default(),
            open: Arc::new(Semaphore::new(100)),
        };
        let server = Server::bind(([127, 0, 0, 1], 0).into(), HttpLimits::default());
        let server = server.await.expect("a port");
        let address = server.local_addr().expect("an address");
        let (signal, drain) = Drain::new();
        tokio::spawn(server.run(Arc::new(cse.clone()), drain));
        (cse, address, signal)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// A directory with keys, which goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place =
            Self(std::env::temp_dir().join(format!("refpoint-{}-{name}", std::process::id())));
        std::fs::create_dir_all(&place.0).expect("a directory");
        for (byte, name) in [(1, IN), (2, MN), (3, OTHER)] {
            place.static_key(byte, name);
        }
        place.connection_key("mn-in", 4, MN);
        place.connection_key("other-in", 5, OTHER);
        place
    }

    fn static_key(&self, byte: u8, entity: &str) {
        let name = entity.rsplit('/').next().expect("a name");
        let entity = id(entity);
        let secret = [byte; 32];
        let key = refpoint_association::StaticKey::from_bytes(&secret, Backend::AwsLc);
        let key = *key.expect("a key").public_key().as_bytes();
        let public = KeyFile::Public {
            entity: entity.clone(),
            key,
        };
        let key = StaticSecret::new(secret);
        let files = [
            ("public", public),
            ("static", KeyFile::Static { entity, key }),
        ];
        for (kind, file) in files {
            let path = self.0.join(format!("{name}.{kind}"));
            file.create(&path).expect("a file");
        }
    }

    fn connection_key(&self, name: &str, byte: u8, entity: &str) {
        let validity = Validity::until(UtcTime::from_secs(4_000_000_000));
        let key_id = KeyId::new(&[byte]).expect("an id");
        let (point, ours, theirs) = (ReferencePoint::Y, id(IN), id(entity));
        let key = ConnectionKey::from_bytes([byte; 32], key_id, point, &ours, &theirs, validity);
        let file = KeyFile::Connection(key.expect("a key"));
        file.create(&self.0.join(name)).expect("a file");
    }

    fn config(&self, text: &str) -> Config {
        Config::parse(text, &self.0).expect("a configuration")
    }

    /// The core's: it knows `registrees`, and has an egress to the first.
    fn core(&self, cse: SocketAddr, registrees: &[&str], policy: &str) -> Config {
        let mut text = format!(
            "[node]\nentity = \"{IN}\"\nstatic_key = \"id-in.static\"\ndrain = \"3s\"\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\ncarriage = \"tcp\"\npoints = [\"y\"]\n\
             [[ingress]]\ncse = \"http://{cse}\"\npoints = [\"y\"]\n\
             [[egress]]\nlisten = \"127.0.0.1:0\"\npeer = \"{MN}\"\n"
        );
        for entity in registrees {
            let name = entity.rsplit("/id-").next().expect("a name");
            text.push_str(&format!(
                "[[peer]]\nentity = \"{entity}\"\npoint = \"y\"\ninitiator = \"peer\"\nprofiles = [\"known\"]\n\
                 connection_key = \"{name}-in\"\npublic_key = \"id-{name}.public\"\nrelation = \"registree\"\n{policy}\n"
            ));
        }
        self.config(&text)
    }

    /// A gateway's.
    fn gateway(&self, entity: &str, cse: SocketAddr, core: SocketAddr) -> Config {
        let name = entity.rsplit("/id-").next().expect("a name");
        self.config(&format!(
            "[node]\nentity = \"{entity}\"\nstatic_key = \"id-{name}.static\"\ndrain = \"3s\"\n\
             [[ingress]]\ncse = \"http://{cse}\"\npoints = [\"y\"]\n\
             [[egress]]\nlisten = \"127.0.0.1:0\"\npeer = \"{IN}\"\n\
             [[peer]]\nentity = \"{IN}\"\npoint = \"y\"\naddress = \"{core}\"\ninitiator = \"self\"\n\
             profiles = [\"known\"]\nconnection_key = \"{name}-in\"\npublic_key = \"id-in.public\"\nrelation = \"registrar\"\n"
        ))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("an id")
}

async fn start(config: Config) -> Running {
    Node::start(config).await.expect("a node")
}

fn listens(node: &Running) -> SocketAddr {
    node.associations().addresses()[0]
}

fn egress(node: &Running) -> SocketAddr {
    node.egress_addresses().next().expect("an egress")
}

/// Asks through an egress; returns the result code and the body.
async fn ask(egress: SocketAddr, target: &str, from: &str, request_id: &str) -> (String, String) {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-M2M-Origin: {from}\r\nX-M2M-RI: {request_id}\r\n\r\n"
    );
    let answer = timeout(
        Duration::from_secs(20),
        send_and_read_all(egress, request.as_bytes()),
    );
    let answer = answer.await.expect("in time");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let code = head
        .lines()
        .find_map(|line| line.strip_prefix("X-M2M-RSC: "));
    (code.unwrap_or_default().to_owned(), body.to_owned())
}

/// Waits until it holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "not in time: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn answered(by: &str) -> (String, String) {
    ("2000".to_owned(), by.to_owned())
}

#[tokio::test]
async fn both_directions_of_y_share_one_association_and_nobody_speaks_for_others() {
    let place = Place::new("both-directions");
    let (core_cse, core_address, _core) = Cse::start("core").await;
    let (gateway_cse, gateway_address, _gateway) = Cse::start("gateway").await;
    let core = start(place.core(core_address, &[MN, OTHER], "")).await;
    let gateway = start(place.gateway(MN, gateway_address, listens(&core))).await;
    let other = start(place.gateway(OTHER, gateway_address, listens(&core))).await;

    let up = ask(egress(&gateway), "/~/id-in/cse", "/id-mn", "1").await;
    assert_eq!(up, answered("core"));
    let ae = ask(egress(&gateway), "/~/id-in/cse", "/id-mn/CSensor1", "2").await;
    assert_eq!(ae, answered("core"));
    let down = ask(egress(&core), "/~/id-mn/cse", "/id-in/COperator", "3").await;
    assert_eq!(down, answered("gateway"));
    assert_eq!(gateway.associations().live(), 1);
    assert_eq!(
        core.associations().live(),
        2,
        "the gateway's and the other's"
    );
    assert_eq!(gateway_cse.asked(), ["GET /~/id-mn/cse /id-in/COperator"]);

    let before = core_cse.asked();
    for from in ["/id-mn", "/id-mn/CSensor1", "/id-in", "CAdmin"] {
        let (code, _) = ask(egress(&other), "/~/id-in/cse", from, from).await;
        assert_eq!(code, "4106", "{from}");
    }

    // A repeated request is executed once.
    let again = ask(egress(&gateway), "/~/id-in/cse", "/id-mn", "1").await;
    assert_eq!(again, answered("core"));
    assert_eq!(core_cse.asked(), before);
    for node in [other, gateway, core] {
        assert!(node.stop().await, "in time");
    }
}

#[tokio::test]
async fn a_reload_keeps_associations_and_drops_those_of_removed_or_changed_peers() {
    let place = Place::new("reload-associations");
    let (_, address, _cse) = Cse::start("cse").await;
    let both = place.core(address, &[MN, OTHER], "");
    let mut core = start(both.clone()).await;
    let gateway = start(place.gateway(MN, address, listens(&core))).await;
    let other = start(place.gateway(OTHER, address, listens(&core))).await;
    let (of_gateway, of_other) = (egress(&gateway), egress(&other));
    let ok =
        async |egress, from| ask(egress, "/~/id-in/cse", from, &unique()).await == answered("cse");
    until("two associations", async || core.associations().live() == 2).await;

    core.reload(both.clone()).await.expect("reloaded");
    sleep(Duration::from_millis(200)).await;
    assert_eq!(core.associations().live(), 2);

    // The other is revoked: its association goes and none comes; the gateway's stays in use.
    core.reload(place.core(address, &[MN], ""))
        .await
        .expect("reloaded");
    until("one association", async || core.associations().live() == 1).await;
    assert!(ok(of_gateway, "/id-mn").await);
    let (code, _) = ask(of_other, "/~/id-in/cse", "/id-other", &unique()).await;
    assert!(["5103", "4107", "5000"].contains(&code.as_str()), "{code}");

    // It is admitted again, and comes back by itself.
    core.reload(both).await.expect("reloaded");
    until("the other is back", async || {
        ok(of_other, "/id-other").await
    })
    .await;

    // Another policy is another credential: a new association, without anybody's doing.
    let changed = place.core(address, &[MN, OTHER], "policy = { lifetime = \"1h\" }");
    core.reload(changed).await.expect("reloaded");
    until("both are back", async || {
        ok(of_gateway, "/id-mn").await && ok(of_other, "/id-other").await
    })
    .await;
    for node in [other, gateway, core] {
        assert!(node.stop().await, "in time");
    }
}

/// Request ids are used once.
fn unique() -> String {
    use core::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

#[tokio::test]
async fn a_stop_lets_what_is_under_way_be_answered_in_both_directions() {
    let place = Place::new("drain");
    let (cse, address, _cse) = Cse::start("cse").await;
    let core = start(place.core(address, &[MN], "")).await;
    let gateway = start(place.gateway(MN, address, listens(&core))).await;
    let (up, down) = (egress(&gateway), egress(&core));
    assert_eq!(
        ask(up, "/~/id-in/cse", "/id-mn", "1").await,
        answered("cse")
    );
    let all = cse.open.acquire_many(100).await.expect("never closed");
    let asked = [
        tokio::spawn(async move { ask(up, "/~/id-in/cse", "/id-mn", "2").await }),
        tokio::spawn(async move { ask(down, "/~/id-mn/cse", "/id-in", "3").await }),
    ];
    until("both arrive", async || cse.asked().len() == 3).await;
    let stopping = tokio::spawn(core.stop());
    sleep(Duration::from_millis(300)).await;
    drop(all);
    for asked in asked {
        assert_eq!(asked.await.expect("no panic"), answered("cse"));
    }
    assert!(stopping.await.expect("no panic"), "in time");
    // Nobody is there any more.
    let (code, _) = ask(up, "/~/id-in/cse", "/id-mn", "4").await;
    assert_eq!(code, "5103");
    assert!(gateway.stop().await, "in time");
}

#[tokio::test]
async fn x_runs_over_udp_in_both_directions_and_says_what_does_not_fit() {
    let place = Place::new("udp");
    let sensor = "//sp.example.com/id-mn/CSensor1";
    let validity = Validity::until(UtcTime::from_secs(4_000_000_000));
    let key_id = KeyId::new(&[9]).expect("an id");
    let (point, ours, theirs) = (ReferencePoint::X, id(MN), id(sensor));
    let key = ConnectionKey::from_bytes([9; 32], key_id, point, &ours, &theirs, validity);
    let file = KeyFile::Connection(key.expect("a key"));
    file.create(&place.0.join("x")).expect("a file");
    let (gateway_cse, gateway_address, _gateway) = Cse::start("gateway").await;
    let (_, sensor_address, _sensor) = Cse::start("sensor").await;
    let config = |entity: &str, peer: &str, cse: SocketAddr, more: &str| {
        place.config(&format!(
            "[node]\nentity = \"{entity}\"\ndrain = \"3s\"\n[[ingress]]\ncse = \"http://{cse}\"\npoints = [\"x\"]\n\
             [[egress]]\nlisten = \"127.0.0.1:0\"\npeer = \"{peer}\"\n\
             [[peer]]\nentity = \"{peer}\"\npoint = \"x\"\ncarriage = \"udp\"\nprofiles = [\"psk\"]\n\
             connection_key = \"x\"\n{more}\n"
        ))
    };
    let listen = "initiator = \"peer\"\n[[listen]]\naddress = \"127.0.0.1:0\"\ncarriage = \"udp\"\npoints = [\"x\"]";
    let gateway = start(config(MN, sensor, gateway_address, listen)).await;
    let reach = format!("initiator = \"self\"\naddress = \"{}\"", listens(&gateway));
    let device = start(config(sensor, MN, sensor_address, &reach)).await;

    let up = ask(egress(&device), "/cse-mn", "CSensor1", "1").await;
    assert_eq!(up, answered("gateway"));
    let down = ask(egress(&gateway), "/", "/id-mn", "2").await;
    assert_eq!(down, answered("sensor"));
    let (code, _) = ask(egress(&device), "/cse-mn", "CSensor2", "3").await;
    assert_eq!(code, "4106");
    let long = format!("/cse-mn/{}", "a".repeat(1300));
    let (code, text) = ask(egress(&device), &long, "CSensor1", "4").await;
    assert_eq!(code, "4102");
    assert!(text.contains("too large"), "{text}");
    assert_eq!(gateway_cse.asked(), ["GET /cse-mn CSensor1"]);

    // What is under way when the gateway stops is answered.
    let all = gateway_cse
        .open
        .acquire_many(100)
        .await
        .expect("never closed");
    let from = egress(&device);
    let asked = tokio::spawn(async move { ask(from, "/cse-mn", "CSensor1", "5").await });
    until("it arrives", async || gateway_cse.asked().len() == 2).await;
    let stopping = tokio::spawn(gateway.stop());
    sleep(Duration::from_millis(300)).await;
    drop(all);
    assert_eq!(asked.await.expect("no panic"), answered("gateway"));
    assert!(stopping.await.expect("no panic"), "in time");
    until("the device hears it", async || {
        device.associations().live() == 0
    })
    .await;
    assert!(device.stop().await, "in time");
}
