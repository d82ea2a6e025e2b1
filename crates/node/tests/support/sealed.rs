//! AEs that know nothing of end to end, each behind a node, and the CSE between them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use refpoint_association::{Backend, PublicKey, StaticKey};
use refpoint_e2e::{EntityRecord, SigningKey};
use refpoint_keys::{
    ApplicationKey, ConnectionKey, EntityId, KeyId, ReferencePoint, UtcTime, Validity,
};
use refpoint_node::config::Config;
use refpoint_node::demo::{Ae, Answer, Cse, CseOptions};
use refpoint_node::http::{Authority, HttpLimits, Server};
use refpoint_node::key_file::{KeyFile, StaticSecret};
use refpoint_node::{Associations, Drain, DrainSignal, Node, Transported};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub(crate) const CORE: &str = "//sp.example.com/id-in";
pub(crate) const SENSOR: &str = "//sp.example.com/id-in/CSensor";
pub(crate) const DISPLAY: &str = "//sp.example.com/id-in/CDisplay";
pub(crate) const LOGGER: &str = "//sp.example.com/id-in/CLogger";
const AES: [(&str, u8); 3] = [(SENSOR, 1), (DISPLAY, 2), (LOGGER, 3)];

/// The name that the ends bind their content to.
pub(crate) const TARGET: &str = "//sp.example.com/id-in/cse-in/sensor/data";
/// What no message has by chance.
pub(crate) const MARKER: &str = "marker-5f1d-plaintext";

pub(crate) fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("an id")
}

fn stem(entity: &str) -> &str {
    entity.rsplit('/').next().expect("a name")
}

fn url(address: SocketAddr) -> Authority {
    format!("http://{address}").parse().expect("an authority")
}

fn validity() -> Validity {
    Validity::until(UtcTime::from_secs(4_000_000_000))
}

/// A directory with everybody's keys, which goes with the test.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("refpoint-{}-{name}", std::process::id());
        let place = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&place.0).expect("a directory");
        let authority = SigningKey::from_bytes([0xaa; 32]);
        let verifying = KeyFile::Verifying {
            entity: id("//sp.example.com/authority"),
            key: *authority.verifying_key().as_bytes(),
        };
        place.write("authority.verifying", &verifying);
        for (entity, byte) in AES {
            place.keys(entity, byte, &authority);
        }
        let key_id = KeyId::new(b"ka01").expect("an id");
        let (a, b) = (id(SENSOR), id(DISPLAY));
        let key = ApplicationKey::from_bytes([0x77; 32], key_id, &a, &b, validity());
        place.write("sensor-display", &KeyFile::Application(key.expect("a key")));
        place
    }

    fn keys(&self, name: &str, byte: u8, authority: &SigningKey) {
        let (entity, stem) = (id(name), stem(name));
        let key = StaticKey::from_bytes(&[byte; 32], Backend::AwsLc).expect("a key");
        let public = *key.public_key().as_bytes();
        let signing = SigningKey::from_bytes([byte ^ 0xff; 32]);
        let record = EntityRecord::pinned(entity.clone(), PublicKey::new(public), validity())
            .with_signing_key(signing.verifying_key())
            .issue(authority)
            .expect("complete");
        let key_id = KeyId::new(&[byte]).expect("an id");
        let point = ReferencePoint::X;
        let link =
            ConnectionKey::from_bytes([byte; 32], key_id, point, &id(CORE), &entity, validity());
        let secret = |byte| StaticSecret::new([byte; 32]);
        let files = [
            ("link", KeyFile::Connection(link.expect("a key"))),
            (
                "static",
                KeyFile::Static {
                    entity: entity.clone(),
                    key: secret(byte),
                },
            ),
            (
                "public",
                KeyFile::Public {
                    entity: entity.clone(),
                    key: public,
                },
            ),
            (
                "signing",
                KeyFile::Signing {
                    entity: entity.clone(),
                    key: secret(byte ^ 0xff),
                },
            ),
            ("record", KeyFile::Record { entity, record }),
        ];
        for (kind, file) in files {
            self.write(&format!("{stem}.{kind}"), &file);
        }
    }

    fn write(&self, name: &str, file: &KeyFile) {
        file.create(&self.0.join(name)).expect("a file");
    }

    pub(crate) fn config(&self, text: &str) -> Config {
        Config::parse(text, &self.0).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn core(&self, cse: SocketAddr) -> Config {
        let mut text = format!(
            "[node]\nentity = \"{CORE}\"\ndrain = \"3s\"\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\ncarriage = \"tcp\"\npoints = [\"x\"]\n\
             [[ingress]]\ncse = \"http://{cse}\"\npoints = [\"x\"]\n"
        );
        for (entity, _) in AES {
            text.push_str(&format!(
                "[[peer]]\nentity = \"{entity}\"\npoint = \"x\"\ninitiator = \"peer\"\nprofiles = [\"psk\"]\n\
                 connection_key = \"{}.link\"\n[[egress]]\nlisten = \"127.0.0.1:0\"\npeer = \"{entity}\"\n",
                stem(entity)
            ));
        }
        self.config(&text)
    }

    /// The configuration of an AE's node, with more lines for its end to end.
    pub(crate) fn device(
        &self,
        entity: &str,
        ae: SocketAddr,
        core: SocketAddr,
        more: &str,
    ) -> Config {
        let stem = stem(entity);
        self.config(&format!(
            "[node]\nentity = \"{entity}\"\nstatic_key = \"{stem}.static\"\ndrain = \"3s\"\n\
             [[ingress]]\ncse = \"http://{ae}\"\npoints = [\"x\"]\n\
             [[peer]]\nentity = \"{CORE}\"\npoint = \"x\"\ninitiator = \"self\"\naddress = \"{core}\"\n\
             profiles = [\"psk\"]\nconnection_key = \"{stem}.link\"\n\
             [[egress]]\nlisten = \"127.0.0.1:0\"\npeer = \"{CORE}\"\n{more}"
        ))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The CSE with its node, and somebody who reaches the CSE without a node: who sees what a gateway sees, and does to it what
/// a gateway could.
pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) gateway: Arc<Ae>,
    core: Option<Node<Transported>>,
    _cse: DrainSignal,
}

impl World {
    pub(crate) async fn new(name: &str) -> Self {
        let place = Place::new(name);
        let server = bind().await;
        let address = server.local_addr().expect("an address");
        let options = CseOptions {
            id: id(CORE),
            name: "cse-in".into(),
            registrar: None,
            providers: HashMap::new(),
            point_of_access: url(address).to_string(),
        };
        let (signal, drain) = Drain::new();
        let cse = Cse::new(options, HttpLimits::default());
        tokio::spawn(server.run(Arc::new(cse), drain));
        let core = Node::start(place.core(address)).await.expect("a node");
        let gateway = Ae::new("CAdmin", url(address), HttpLimits::default());
        Self {
            place,
            gateway,
            core: Some(core),
            _cse: signal,
        }
    }

    fn core(&self) -> &Node<Transported> {
        self.core.as_ref().expect("it runs")
    }

    /// An AE behind a node of its own; registered, with a container for its pre-keys.
    pub(crate) async fn device(&self, entity: &'static str, end_to_end: &str) -> Device {
        let server = bind().await;
        let ae_address = server.local_addr().expect("an address");
        let core = self.core().associations().addresses()[0];
        let config = self.place.device(entity, ae_address, core, end_to_end);
        let node = Node::start(config.clone()).await.expect("a node");
        let egress = node.egress_addresses().next().expect("an egress");
        let ae = Ae::new(stem(entity), url(egress), HttpLimits::default());
        let (signal, drain) = Drain::new();
        tokio::spawn(server.run(Arc::new(Arc::clone(&ae)), drain));
        let at = AES.iter().position(|(name, _)| *name == entity);
        let to_ae = self.core().egress_addresses().nth(at.expect("an AE"));
        let device = Device {
            entity,
            ae,
            config,
            node: Some(node),
            _ae: signal,
        };
        let name = stem(entity).trim_start_matches('C').to_lowercase();
        let poa = format!("http://{}", to_ae.expect("an egress"));
        let registration = json!({"m2m:ae": {"rn": name, "api": "Napp", "rr": true, "poa": [poa]}});
        created(device.ae.create("/cse-in", 2, &registration).await);
        for container in ["pre-keys", "data", "box"] {
            let container = json!({"m2m:cnt": {"rn": container}});
            created(
                device
                    .ae
                    .create(&format!("/cse-in/{name}"), 3, &container)
                    .await,
            );
        }
        device
    }

    /// What a container's latest instance is to the CSE.
    pub(crate) async fn stored(&self, path: &str) -> Value {
        let answer = self.gateway.retrieve(path).await.expect("an answer");
        assert_eq!(answer.code, 2000, "{path}");
        answer.content["m2m:cin"].clone()
    }

    /// Puts an instance into a container, as a gateway could.
    pub(crate) async fn put(&self, container: &str, instance: Value) {
        let content = json!({ "m2m:cin": instance });
        created(self.gateway.create(container, 4, &content).await);
    }

    /// Waits until the AE's pre-key is published.
    pub(crate) async fn pre_key(&self, path: &str) -> Value {
        until("a pre-key", async || {
            let answer = self.gateway.retrieve(path).await.expect("an answer");
            answer.code == 2000
        })
        .await;
        self.stored(path).await
    }

    pub(crate) async fn stop(mut self) {
        assert!(self.core.take().expect("it runs").stop().await, "in time");
    }
}

pub(crate) fn created(answer: Result<Answer, refpoint_node::http::ClientError>) -> Value {
    let answer = answer.expect("an answer");
    assert_eq!(answer.code, 2001, "{}", answer.content);
    answer.content
}

async fn bind() -> Server {
    let any = ([127, 0, 0, 1], 0).into();
    let server = Server::bind(any, HttpLimits::default());
    server.await.expect("a port")
}

/// An AE and its node.
pub(crate) struct Device {
    pub(crate) entity: &'static str,
    pub(crate) ae: Arc<Ae>,
    config: Config,
    node: Option<Node<Transported>>,
    _ae: DrainSignal,
}

impl Device {
    /// Creates a contentInstance; what the AE is answered.
    pub(crate) async fn publish(&self, container: &str, content: &str) -> Value {
        let instance = json!({"m2m:cin": {"con": content, "lbl": [content]}});
        created(self.ae.create(container, 4, &instance).await)["m2m:cin"].clone()
    }

    /// Retrieves: the content, or the result code of the refusal.
    pub(crate) async fn read(&self, path: &str) -> Result<String, i32> {
        let answer = self.ae.retrieve(path).await.expect("an answer");
        match answer.content["m2m:cin"]["con"].as_str() {
            Some(content) if answer.code == 2000 => Ok(content.to_owned()),
            _ => {
                assert!(!answer.content.to_string().contains("con\""));
                Err(answer.code)
            }
        }
    }

    /// The contents of which the AE was notified.
    pub(crate) fn told(&self) -> Vec<String> {
        let notified = self.ae.notifications();
        let content = |told: &Value| {
            let con = &told["m2m:sgn"]["nev"]["rep"]["m2m:cin"]["con"];
            con.as_str().map(str::to_owned)
        };
        notified.iter().filter_map(content).collect()
    }

    /// Subscribes to a container.
    pub(crate) async fn subscribe(&self, container: &str) {
        let me = id(self.entity).to_sp_relative().to_owned();
        let subscription =
            json!({"m2m:sub": {"rn": format!("sub-{}", stem(self.entity)), "nu": [me]}});
        created(self.ae.create(container, 23, &subscription).await);
    }

    /// The node ends.
    pub(crate) async fn halt(&mut self) {
        let node = self.node.take().expect("it runs");
        let address = node.egress_addresses().next();
        assert!(node.stop().await, "in time");
        self.config.egress[0].listen = address.expect("an egress");
    }

    /// Another goes on at the same place, by the same configuration.
    pub(crate) async fn go_on(&mut self) {
        self.node = Some(Node::start(self.config.clone()).await.expect("a node"));
    }

    pub(crate) async fn stop(mut self) {
        assert!(self.node.take().expect("it runs").stop().await, "in time");
    }
}

/// Waits until it holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "not in time: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// What a sensor's node is told: that its data are sealed for `to`, known by its record, or also by the application key.
pub(crate) fn sensor(to: &[&str], application_key: bool) -> String {
    let key = if application_key {
        "application_key = \"sensor-display\"\n"
    } else {
        ""
    };
    let mut text =
        "[end_to_end]\nauthority = \"authority.verifying\"\nsigning_key = \"CSensor.signing\"\n"
            .to_owned();
    for entity in to {
        let stem = stem(entity);
        let name = stem.trim_start_matches('C').to_lowercase();
        text.push_str(&format!(
            "[[contact]]\nentity = \"{entity}\"\nrecord = \"{stem}.record\"\n\
             pre_key = \"/id-in/cse-in/{name}/pre-keys/la\"\n{key}"
        ));
    }
    let to: Vec<_> = to.iter().map(|entity| format!("{entity:?}")).collect();
    text.push_str(&format!(
        "[[sealed]]\nresources = [\"cse-in/sensor/data\"]\ntarget = \"{TARGET}\"\nto = [{}]\n",
        to.join(", ")
    ));
    text
}

/// What a receiver's node is told: that the sensor's data are to be opened.
pub(crate) fn receiver(entity: &str, application_key: bool, more: &str) -> String {
    let key = if application_key {
        "application_key = \"sensor-display\"\n"
    } else {
        ""
    };
    let stem = stem(entity);
    let name = stem.trim_start_matches('C').to_lowercase();
    format!(
        "[end_to_end]\nauthority = \"authority.verifying\"\nsigning_key = \"{stem}.signing\"\n\
         publish = \"cse-in/{name}/pre-keys\"\n{more}\n\
         [[contact]]\nentity = \"{SENSOR}\"\nrecord = \"CSensor.record\"\n{key}\
         [[sealed]]\nresources = [\"cse-in/sensor/data\", \"/id-in/cse-in/sensor/data\"]\ntarget = \"{TARGET}\"\n\
         from = [\"{SENSOR}\"]\n"
    )
}

/// What a node is told that has sessions with `peer` about the sensor's data, which it seals `to` it or takes `from` it.
pub(crate) fn correspondent(peer: &str, way: &str, more: &str) -> String {
    let own = if peer == SENSOR { "display" } else { "sensor" };
    let (stem, name) = (
        stem(peer),
        stem(peer).trim_start_matches('C').to_lowercase(),
    );
    format!(
        "[end_to_end]\npoll = \"100ms\"\n{more}\n\
         [[contact]]\nentity = \"{peer}\"\npublic_key = \"{stem}.public\"\napplication_key = \"sensor-display\"\n\
         letters_to = \"/id-in/cse-in/{name}/box\"\nletters_from = \"cse-in/{own}/box\"\n\
         [[sealed]]\nresources = [\"cse-in/sensor/data\"]\ntarget = \"{TARGET}\"\n{way} = [\"{peer}\"]\nform = \"session\"\n"
    )
}
