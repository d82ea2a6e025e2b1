//! A node that is killed and started again: with a store its devices are back by `light`, without one by full
//! handshakes; a device that lost its power is back by what its state file holds; and streams resume, too.

#[path = "support/sockets.rs"]
mod support;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use refpoint_keys::{ConnectionKey, EntityId, KeyId, ReferencePoint, UtcTime, Validity};
use refpoint_node::config::Config;
use refpoint_node::http::{Handler, HttpLimits, Request, Response, Server};
use refpoint_node::key_file::KeyFile;
use refpoint_node::{Drain, DrainSignal, Node, Transported};
use support::send_and_read_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const GATEWAY: &str = "//sp.example.com/id-mn";
const DEVICES: [&str; 3] = ["CSensor1", "CSensor2", "CSensor3"];

/// Says yes to everything.
struct Yes;

impl Handler for Yes {
    async fn handle(&self, request: Request) -> Response {
        let mut response = Response::new(200);
        response.headers.push("X-M2M-RSC", "2000");
        let id = request.headers.first("X-M2M-RI").expect("an id").to_vec();
        response.headers.push("X-M2M-RI", id);
        response
    }
}

async fn cse() -> (SocketAddr, DrainSignal) {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), HttpLimits::default());
    let server = server.await.expect("a port");
    let address = server.local_addr().expect("an address");
    let (signal, drain) = Drain::new();
    tokio::spawn(server.run(Arc::new(Yes), drain));
    (address, signal)
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        for (number, device) in DEVICES.iter().enumerate() {
            let byte = u8::try_from(number + 1).expect("few");
            let validity = Validity::until(UtcTime::from_secs(4_000_000_000));
            let (ours, theirs) = (id(GATEWAY), id(&entity(device)));
            let key_id = KeyId::new(&[byte]).expect("an id");
            let point = ReferencePoint::X;
            let key =
                ConnectionKey::from_bytes([byte; 32], key_id, point, &ours, &theirs, validity);
            let file = KeyFile::Connection(key.expect("a key"));
            file.create(&place.path().join(device)).expect("a file");
        }
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The gateway's configuration, in a file: it knows `devices`.
    fn gateway(&self, cse: SocketAddr, listen: SocketAddr, devices: &[&str]) -> PathBuf {
        let mut text = format!(
            "[node]\nentity = \"{GATEWAY}\"\ndrain = \"2s\"\nmetrics = \"127.0.0.1:0\"\n\
             [store]\ndirectory = \"state\"\n\
             [[listen]]\naddress = \"{listen}\"\ncarriage = \"udp\"\npoints = [\"x\"]\n\
             [[ingress]]\ncse = \"http://{cse}\"\npoints = [\"x\"]\n"
        );
        for device in devices {
            text.push_str(&format!(
                "[[peer]]\nentity = \"{}\"\npoint = \"x\"\ncarriage = \"udp\"\ninitiator = \"peer\"\n\
                 profiles = [\"psk\"]\nconnection_key = \"{device}\"\n",
                entity(device)
            ));
        }
        let path = self.path().join("gateway.toml");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// A device's, with `more` in its peer's table.
    fn device(&self, name: &str, gateway: SocketAddr, more: &str) -> Config {
        let text = format!(
            "[node]\nentity = \"{}\"\ndrain = \"2s\"\n\
             [[peer]]\nentity = \"{GATEWAY}\"\npoint = \"x\"\ncarriage = \"udp\"\ninitiator = \"self\"\n\
             address = \"{gateway}\"\nprofiles = [\"psk\"]\nconnection_key = \"{name}\"\n{more}\n\
             [[egress]]\nlisten = \"127.0.0.1:0\"\npeer = \"{GATEWAY}\"\n",
            entity(name)
        );
        Config::parse(&text, self.path()).expect("a configuration")
    }
}

fn entity(device: &str) -> String {
    format!("{GATEWAY}/{device}")
}

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("an id")
}

/// The gateway's process.
struct Process {
    child: Child,
    log: BufReader<ChildStderr>,
    metrics: SocketAddr,
    listen: SocketAddr,
}

impl Process {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_refpoint"))
            .args(["node", "--config"])
            .arg(config)
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let metrics = address(&wait_for(&mut log, "metrics listen"));
        let listen = address(&wait_for(&mut log, "associations come in"));
        wait_for(&mut log, "node started");
        Self {
            child,
            log,
            metrics,
            listen,
        }
    }

    fn kill(mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("ended");
    }

    fn hang_up(&mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(sent.expect("kill").success());
        wait_for(&mut self.log, "configuration reloaded");
    }

    /// How many full handshakes and resumptions it has answered, when their sum is `expected`.
    async fn answered(&self, expected: u64) -> (u64, u64) {
        let ask = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let text = send_and_read_all(self.metrics, ask).await;
            let text = String::from_utf8(text).expect("text");
            let counted: HashMap<_, _> = text
                .lines()
                .filter_map(|line| line.rsplit_once(' '))
                .collect();
            let count = |kind: &str| -> u64 {
                let name = format!("refpoint_datagrams_total{{kind=\"{kind}\"}}");
                let count = counted.get(name.as_str());
                count.map_or(0, |count| count.parse().expect("a number"))
            };
            let answered = (count("handshake"), count("resumed"));
            if answered.0 + answered.1 == expected {
                return answered;
            }
            assert!(Instant::now() < end, "{answered:?} of {expected}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(log: &mut impl BufRead, what: &str) -> String {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        assert!(
            log.read_line(&mut line).expect("text") > 0,
            "no {what:?} in: {seen}"
        );
        if line.contains(what) {
            return line;
        }
        seen.push_str(&line);
    }
}

fn address(line: &str) -> SocketAddr {
    let address = line.split("address=").nth(1).expect("an address");
    let address = address.split_whitespace().next().expect("an address");
    address.parse().expect("an address")
}

/// Request ids are used once.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A device in a runtime of its own, which can end without a word.
struct Device {
    runtime: Runtime,
    name: &'static str,
    target: &'static str,
    egress: SocketAddr,
    _node: Node<Transported>,
}

impl Device {
    async fn start(name: &'static str, config: Config) -> Self {
        let runtime = Runtime::new().expect("another runtime");
        let node = runtime.spawn(Node::<Transported>::start(config)).await;
        let node = node.expect("runs").expect("a node");
        let egress = node.egress_addresses().next();
        Self {
            runtime,
            name,
            target: if name == "/id-mn" {
                "/~/id-in/cse"
            } else {
                "/cse"
            },
            egress: egress.expect("an egress"),
            _node: node,
        }
    }

    /// Asks until there is an answer: one request may fall into the time without a gateway.
    async fn ask(&self) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let request = format!(
                "GET {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-M2M-Origin: {}\r\nX-M2M-RI: {}\r\n\r\n",
                self.target,
                self.name,
                NEXT.fetch_add(1, Ordering::Relaxed),
            );
            let answer = send_and_read_all(self.egress, request.as_bytes()).await;
            if String::from_utf8_lossy(&answer).contains("X-M2M-RSC: 2000") {
                return;
            }
            assert!(Instant::now() < end, "{}", String::from_utf8_lossy(&answer));
        }
    }

    fn lose_power(self) {
        self.runtime.shutdown_background();
    }
}

const ANY: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 0);

#[tokio::test]
async fn devices_of_a_killed_node_are_back_by_light_with_its_store_and_by_full_handshakes_without()
{
    let place = Place::new();
    let (cse, _cse) = cse().await;
    let gateway = Process::start(&place.gateway(cse, ANY, &DEVICES));
    let config = place.gateway(cse, gateway.listen, &DEVICES);
    let mut devices = Vec::new();
    for name in DEVICES {
        devices.push(Device::start(name, place.device(name, gateway.listen, "")).await);
    }
    let all_ask = async || {
        for device in &devices {
            device.ask().await;
        }
    };
    all_ask().await;
    assert_eq!(gateway.answered(3).await, (3, 0));
    gateway.kill();

    let gateway = Process::start(&config);
    all_ask().await;
    assert_eq!(gateway.answered(3).await, (0, 3), "with its store");
    gateway.kill();

    std::fs::remove_dir_all(place.path().join("state")).expect("it was there");
    let gateway = Process::start(&config);
    all_ask().await;
    assert_eq!(gateway.answered(3).await, (3, 0), "without it");
    gateway.kill();
    devices.into_iter().for_each(Device::lose_power);
}

#[tokio::test]
async fn a_device_that_lost_its_power_is_back_by_its_state_file_also_after_a_reload() {
    let place = Place::new();
    let (cse, _cse) = cse().await;
    let name = DEVICES[0];
    let mut gateway = Process::start(&place.gateway(cse, ANY, &DEVICES[..2]));
    let start = || {
        let state = place.device(name, gateway.listen, "state = \"flash\"");
        Device::start(name, state)
    };
    let device = start().await;
    device.ask().await;
    device.lose_power();
    let device = start().await;
    device.ask().await;
    assert_eq!(gateway.answered(2).await, (1, 1));
    device.lose_power();

    // Others come and go in the configuration: what this one holds stays good.
    place.gateway(cse, gateway.listen, &[DEVICES[2], name]);
    gateway.hang_up();
    let device = {
        let state = place.device(name, gateway.listen, "state = \"flash\"");
        Device::start(name, state).await
    };
    device.ask().await;
    assert_eq!(gateway.answered(3).await, (1, 2));
    device.lose_power();

    // Without the state file there is nothing to come back by.
    let device = Device::start(name, place.device(name, gateway.listen, "")).await;
    device.ask().await;
    assert_eq!(gateway.answered(4).await, (2, 2));
    device.lose_power();
}

#[tokio::test]
async fn resumption_is_a_matter_of_policy() {
    let place = Place::new();
    let (cse, _cse) = cse().await;
    let name = DEVICES[0];
    let gateway = Process::start(&place.gateway(cse, ANY, &DEVICES));
    let mut expected = 0;
    for (resume, resumed) in [("[]", 0), ("[\"light\"]", 1)] {
        let policy = format!("state = \"flash\"\npolicy = {{ resume = {resume} }}");
        for _ in 0..2 {
            let config = place.device(name, gateway.listen, &policy);
            let device = Device::start(name, config).await;
            device.ask().await;
            expected += 1;
            device.lose_power();
            gateway.answered(expected).await;
        }
        assert_eq!(gateway.answered(expected).await.1, resumed, "{resume}");
    }
}

#[tokio::test]
async fn a_store_or_state_that_cannot_be_used_stops_the_start_with_what_to_do() {
    let place = Place::new();
    let (cse, _cse) = cse().await;
    let path = place.gateway(cse, ANY, &DEVICES);
    let start = async |config| match Node::<Transported>::start(config).await {
        Ok(_) => panic!("it started"),
        Err(error) => format!("{error:#}"),
    };
    let gateway = || Config::load(&path).expect("a configuration");
    let running = Process::start(&path);
    let refused = start(gateway()).await;
    assert!(refused.contains("in use by another process"), "{refused}");
    running.kill();

    let keys = place.path().join("state/datagrams/handles.keys");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&keys, open).expect("ours");
    let refused = start(gateway()).await;
    assert!(refused.contains("run chmod 600"), "{refused}");
    std::fs::remove_file(&keys).expect("ours");
    let refused = start(gateway()).await;
    assert!(
        refused.contains("the store in") && refused.contains("put it back"),
        "{refused}"
    );

    let flash = place.path().join("flash");
    std::fs::write(&flash, "not a device file").expect("a file");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&flash, private).expect("ours");
    let refused = start(place.device(DEVICES[0], ANY, "state = \"flash\"")).await;
    assert!(
        refused.contains("flash") && refused.contains("delete it"),
        "{refused}"
    );
}

/// Passes connections on to `server`, and notes by which packet each begins.
async fn relay(server: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind(ANY).await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let first = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&first);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(server).await else {
                    return;
                };
                // The length of the frame, and the type of its packet.
                let mut begin = [0; 3];
                client.read_exact(&mut begin).await.expect("a packet");
                noted.lock().expect("no panic").push(begin[2] >> 3);
                server.write_all(&begin).await.expect("written");
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (at, first)
}

#[tokio::test]
async fn streams_resume_after_a_restart_of_either_end() {
    const INITIATE: u8 = 1;
    const RESUME: u8 = 4;
    let place = Place::new();
    let (cse, _cse) = cse().await;
    let core = "//sp.example.com/id-in";
    let validity = Validity::until(UtcTime::from_secs(4_000_000_000));
    let key_id = KeyId::new(&[9]).expect("an id");
    let (point, ours, theirs) = (ReferencePoint::Y, id(core), id(GATEWAY));
    let key = ConnectionKey::from_bytes([9; 32], key_id, point, &ours, &theirs, validity);
    let file = KeyFile::Connection(key.expect("a key"));
    file.create(&place.path().join("y")).expect("a file");
    let configure = |listen: SocketAddr| {
        let text = format!(
            "[node]\nentity = \"{core}\"\ndrain = \"2s\"\nmetrics = \"127.0.0.1:0\"\n\
             [store]\ndirectory = \"state\"\n\
             [[listen]]\naddress = \"{listen}\"\ncarriage = \"tcp\"\npoints = [\"y\"]\n\
             [[ingress]]\ncse = \"http://{cse}\"\npoints = [\"y\"]\n\
             [[peer]]\nentity = \"{GATEWAY}\"\npoint = \"y\"\ninitiator = \"peer\"\nprofiles = [\"psk\"]\n\
             connection_key = \"y\"\nrelation = \"registree\"\n"
        );
        let path = place.path().join("core.toml");
        std::fs::write(&path, text).expect("a file");
        path
    };
    let process = Process::start(&configure(ANY));
    let config = configure(process.listen);
    let (relay, first) = relay(process.listen).await;
    let text = format!(
        "[node]\nentity = \"{GATEWAY}\"\ndrain = \"2s\"\n[store]\ndirectory = \"gateway\"\n\
         [[peer]]\nentity = \"{core}\"\npoint = \"y\"\ninitiator = \"self\"\naddress = \"{relay}\"\n\
         profiles = [\"psk\"]\nconnection_key = \"y\"\nrelation = \"registrar\"\n\
         [[egress]]\nlisten = \"127.0.0.1:0\"\npeer = \"{core}\"\n"
    );
    let gateway = || {
        let config = Config::parse(&text, place.path());
        Device::start("/id-mn", config.expect("a configuration"))
    };
    let last = || {
        *first
            .lock()
            .expect("no panic")
            .last()
            .expect("a connection")
    };

    let node = gateway().await;
    node.ask().await;
    assert_eq!(last(), INITIATE);
    process.kill();
    let process = Process::start(&config);
    node.ask().await;
    assert_eq!(last(), RESUME, "the core was killed");
    node.lose_power();
    let node = gateway().await;
    node.ask().await;
    assert_eq!(last(), RESUME, "the gateway was");
    node.lose_power();
    std::fs::remove_dir_all(place.path().join("gateway")).expect("it was there");
    let node = gateway().await;
    node.ask().await;
    assert_eq!(last(), INITIATE, "the gateway has lost its store");
    node.lose_power();
    process.kill();
}
