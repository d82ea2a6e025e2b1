//! A node from start to stop: keys, reload, drain; and the binary under signals.

#[path = "support/sockets.rs"]
mod support;

use core::time::Duration;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};

use refpoint_association::Backend;
use refpoint_keys::{EntityId, ReferencePoint, UtcTime, Validity};
use refpoint_node::config::Config;
use refpoint_node::key_file::KeyFile;
use refpoint_node::{Associations, Carrier, Drain, Identity, Inbound, Node};
use refpoint_primitive::{Failure, RequestMessage, ResponseMessage};
use support::{canned_server, send_and_read_all};

/// A directory with a configuration and its keys, which goes with the test.
struct Place(PathBuf);

const MN: &str = "//sp.example.com/id-mn";
const IN: &str = "//sp.example.com/id-in";

impl Place {
    fn new(name: &str) -> Self {
        let place =
            Self(std::env::temp_dir().join(format!("refpoint-{}-{name}", std::process::id())));
        std::fs::create_dir_all(&place.0).expect("a directory");
        place.key("key", 7);
        place
    }

    fn key(&self, name: &str, byte: u8) {
        let id = |text| EntityId::parse(text).expect("an id");
        let validity = Validity::until(UtcTime::from_secs(4_000_000_000));
        let key = refpoint_keys::ConnectionKey::from_bytes(
            [byte; 32],
            refpoint_keys::KeyId::new(&[byte]).expect("an id"),
            ReferencePoint::Y,
            &id(MN),
            &id(IN),
            validity,
        );
        KeyFile::Connection(key.expect("a key"))
            .create(&self.0.join(name))
            .expect("a file");
    }

    /// Writes the configuration with more lines for `[[egress]]`, and its `[[ingress]]`.
    fn configure(&self, egress: &str, cse: &str) -> PathBuf {
        let text = format!(
            "[node]\nentity = \"{MN}\"\ndrain = \"2s\"\n\
             [[peer]]\nentity = \"{IN}\"\npoint = \"y\"\naddress = \"127.0.0.1:9\"\ninitiator = \"self\"\n\
             profiles = [\"psk\"]\nconnection_key = \"key\"\nrelation = \"registrar\"\n\
             [[egress]]\nlisten = \"127.0.0.1:0\"\npeer = \"{IN}\"\n{egress}\n\
             [[ingress]]\ncse = \"{cse}\"\npoints = [\"y\"]\n"
        );
        let path = self.0.join("node.toml");
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Leads every request back to the node's own ingress, and notes what it was told.
struct Mirror {
    inbound: Arc<Inbound>,
    told: Mutex<Vec<String>>,
}

struct MirrorCarrier(Arc<Inbound>);

impl Carrier for MirrorCarrier {
    async fn exchange(&self, request: RequestMessage) -> Result<ResponseMessage, Failure> {
        Ok(self.0.serve(ReferencePoint::Y, request).await)
    }
}

impl Associations for Mirror {
    type Carrier = MirrorCarrier;

    async fn start(
        _: &Config,
        identity: Identity,
        inbound: Arc<Inbound>,
        _: Drain,
    ) -> anyhow::Result<Self> {
        let told = identity
            .peers
            .iter()
            .map(|known| format!("start {}", known.credential.key_id()))
            .collect();
        Ok(Self {
            inbound,
            told: Mutex::new(told),
        })
    }

    fn addresses(&self) -> Vec<core::net::SocketAddr> {
        Vec::new()
    }

    fn carrier(&self, _: &EntityId, _: ReferencePoint) -> MirrorCarrier {
        MirrorCarrier(Arc::clone(&self.inbound))
    }

    async fn reload(&self, _: &Config, identity: Identity) -> anyhow::Result<()> {
        let told = identity
            .peers
            .iter()
            .map(|known| format!("reload {}", known.credential.key_id()));
        self.told.lock().expect("no panic").extend(told);
        Ok(())
    }

    async fn close(&self) {
        self.told.lock().expect("no panic").push("close".to_owned());
    }
}

const ASK: &[u8] = b"GET /cse HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-M2M-Origin: CSensor1\r\nX-M2M-RI: 1\r\n\r\n";

fn code(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("X-M2M-RSC: ").map(str::to_owned))
        .unwrap_or_default()
}

#[tokio::test]
async fn a_reload_changes_keys_originators_and_ingress_and_nothing_else() {
    let place = Place::new("reload");
    let answer = b"HTTP/1.1 200 OK\r\nX-M2M-RSC: 2000\r\nContent-Length: 0\r\n\r\n";
    let (first, _first_task) = canned_server(answer, b"\r\n\r\n").await;
    let (second, second_task) = canned_server(answer, b"\r\n\r\n").await;
    let config =
        Config::load(&place.configure("", &format!("http://{first}"))).expect("a configuration");
    let mut node = Node::<Mirror>::start(config).await.expect("a node");
    let address = node.egress_addresses().next().expect("an egress");
    assert_eq!(code(&send_and_read_all(address, ASK).await), "2000");

    // Another allowed originator: the CSE itself only. And another key under the same name.
    std::fs::remove_file(place.0.join("key")).expect("removed");
    place.key("key", 8);
    let path = place.configure(&format!("from = [\"{MN}\"]"), &format!("http://{second}"));
    node.reload(Config::load(&path).expect("a configuration"))
        .await
        .expect("reloaded");
    assert_eq!(code(&send_and_read_all(address, ASK).await), "4106");
    let own = String::from_utf8_lossy(ASK).replace("CSensor1", "/id-mn");
    assert_eq!(
        code(&send_and_read_all(address, own.as_bytes()).await),
        "2000"
    );
    assert!(!second_task.await.expect("no panic").is_empty());

    // A reload that cannot be leaves everything as it is.
    std::fs::remove_file(place.0.join("key")).expect("removed");
    assert!(
        node.reload(Config::load(&path).expect("a configuration"))
            .await
            .is_err()
    );
    assert_eq!(code(&send_and_read_all(address, ASK).await), "4106");
    assert_eq!(
        *node.associations().told.lock().expect("no panic"),
        ["start 07", "reload 08"]
    );
    assert!(node.stop().await);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_waits_for_what_is_under_way_no_longer_than_the_deadline() {
    let place = Place::new("deadline");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let config = Config::load(&place.configure("", &url)).expect("a configuration");
    let node = Node::<Mirror>::start(config).await.expect("a node");
    let address = node.egress_addresses().next().expect("an egress");
    let asked = tokio::spawn(send_and_read_all(address, ASK));
    let (held, _) = silent.accept().await.expect("a connection");
    let begun = tokio::time::Instant::now();
    assert!(!node.stop().await);
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(4)).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
    assert!(asked.await.expect("no panic").is_empty());
    drop(held);
}

#[tokio::test]
async fn a_node_does_not_start_with_the_key_of_others() {
    let place = Place::new("wrong-key");
    let path = place.configure("", "http://127.0.0.1:9");
    let text = std::fs::read_to_string(&path)
        .expect("a file")
        .replace("id-in", "id-other");
    std::fs::write(&path, text).expect("a file");
    let error = Node::<Mirror>::start(Config::load(&path).expect("a configuration"))
        .await
        .err()
        .expect("an error");
    assert!(
        error.to_string().contains(
            "not the connection key of //sp.example.com/id-mn and //sp.example.com/id-other"
        ),
        "{error}"
    );
}

#[test]
fn a_peer_is_the_same_only_while_its_keys_are() {
    let place = Place::new("same");
    let config = Config::load(&place.configure("", "http://127.0.0.1:9")).expect("a configuration");
    let load = |config: &Config| Identity::load(config, Backend::AwsLc).expect("an identity");
    let before = load(&config);
    assert!(before.peers[0].is_same_as(&load(&config).peers[0]));
    // The same id, validity and file: only the secret differs.
    let path = place.0.join("key");
    let text = std::fs::read_to_string(&path)
        .expect("a key")
        .replace("secret: 07", "secret: 08");
    std::fs::write(&path, text).expect("a file");
    assert!(!before.peers[0].is_same_as(&load(&config).peers[0]));
    assert!(
        before
            .known(&before.peers[0].peer.entity, ReferencePoint::Y)
            .is_some()
    );
}

/// The binary, whose log is read line by line.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Running {
    fn start(path: &PathBuf) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_refpoint"))
            .args(["node", "--config"])
            .arg(path)
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, log }
    }

    fn wait_for(&mut self, what: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert!(
                self.log.read_line(&mut line).expect("text") > 0,
                "no {what:?} in: {seen}"
            );
            if line.contains(what) {
                return line;
            }
            seen.push_str(&line);
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_binary_reloads_on_hangup_and_stops_on_terminate() {
    let place = Place::new("signals");
    let path = place.configure("", "http://127.0.0.1:9");
    let mut running = Running::start(&path);
    running.wait_for("node started");
    running.signal("HUP");
    running.wait_for("configuration reloaded");
    std::fs::write(&path, "[node]\nentity = 1\n").expect("a file");
    running.signal("HUP");
    assert!(running.wait_for("not reloaded").contains("line 2: entity"));
    running.signal("TERM");
    running.wait_for("node stops");
    let mut rest = String::new();
    running.log.read_to_string(&mut rest).expect("text");
    assert_eq!(
        running.child.wait().expect("ended").code(),
        Some(0),
        "{rest}"
    );
}

#[test]
fn metrics_are_served_by_their_documented_names() {
    let place = Place::new("metrics");
    let path = place.configure("", "http://127.0.0.1:9");
    let text = std::fs::read_to_string(&path)
        .expect("a file")
        .replace("drain", "metrics = \"127.0.0.1:0\"\ndrain");
    std::fs::write(&path, text).expect("a file");
    let mut running = Running::start(&path);
    let mut address = |listens| -> core::net::SocketAddr {
        let line = running.wait_for(listens);
        line.split("address=")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .expect("an address")
            .parse()
            .expect("an address")
    };
    let (served, egress) = (address("metrics listen"), address("egress listens"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let metrics = runtime.block_on(async {
        // Nobody is at port 9.
        assert_eq!(code(&send_and_read_all(egress, ASK).await), "5103");
        let ask = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        String::from_utf8(send_and_read_all(served, ask).await).expect("text")
    });
    let counted: HashMap<_, _> = metrics
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .collect();
    assert_eq!(
        counted.get("refpoint_egress_requests_total{outcome=\"refused\"}"),
        Some(&"1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("refpoint_egress_seconds_count 1"),
        "{metrics}"
    );
}
