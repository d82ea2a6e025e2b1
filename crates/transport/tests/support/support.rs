//! Two parties with their keys, sockets on free ports, and a proxy that tampers.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use core::{net::SocketAddr, time::Duration};
use std::sync::Arc;

use refpoint_association::{
    Backend, Credential, CredentialId, Credentials, Local, Policy, SessionLabel, StaticKey,
};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};
use refpoint_transport::{Error, Keyring, SecureStream, accept, connect};
use tokio::net::{TcpListener, TcpStream};

pub const GATEWAY: &str = "//sp.example.com/id-mn";
pub const CORE: &str = "//sp.example.com/id-in";
pub const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

pub fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("a valid id")
}

/// What two entities share.
#[derive(Clone)]
pub struct Setting {
    pub point: ReferencePoint,
    pub profile: Profile,
    pub policy: Policy,
    pub key: [u8; 32],
    pub key_id: Vec<u8>,
    pub initiator: &'static str,
    pub responder: &'static str,
    /// The end of the key's validity, in seconds since 1970.
    pub expires: u64,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            point: ReferencePoint::Y,
            profile: Profile::Psk,
            policy: Policy::default(),
            key: [7; 32],
            key_id: b"k1".to_vec(),
            initiator: GATEWAY,
            responder: CORE,
            expires: u64::MAX / 2,
        }
    }
}

impl Setting {
    pub fn with_point(point: ReferencePoint) -> Self {
        Self {
            point,
            ..Self::default()
        }
    }

    fn static_key(&self, of: &str) -> StaticKey {
        let seed = if of == self.initiator { 1 } else { 2 };
        StaticKey::from_bytes(&[seed; 32], Backend::default()).expect("a valid key")
    }

    pub fn credential(&self, local: &str, peer: &str) -> Credential {
        let validity = Validity::until(UtcTime::from_secs(self.expires));
        let key_id = KeyId::new(&self.key_id).expect("a valid key id");
        let (a, b) = (id(self.initiator), id(self.responder));
        let key = ConnectionKey::from_bytes(self.key, key_id, self.point, &a, &b, validity);
        let key = Arc::new(key.expect("two entities"));
        Credential::new(&id(local), key, &[self.profile])
            .expect("one of the two")
            .with_public_key(self.static_key(peer).public_key())
            .with_policy(self.policy.clone())
    }

    fn keyring(&self, local: &str, peer: &str) -> (Keyring, CredentialId) {
        let mut credentials = Credentials::new();
        let credential = credentials.insert(self.credential(local, peer));
        let entity = Local::new(id(local)).with_static_key(self.static_key(local));
        (
            Keyring::new(entity, credentials),
            credential.expect("the first one"),
        )
    }

    pub fn initiator(&self) -> (Keyring, CredentialId) {
        self.keyring(self.initiator, self.responder)
    }

    pub fn responder(&self) -> (Keyring, CredentialId) {
        self.keyring(self.responder, self.initiator)
    }
}

pub async fn listen(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

pub async fn tcp_pair(address: &str) -> (TcpStream, TcpStream) {
    let (listener, address) = listen(address).await;
    let (a, b) = tokio::join!(TcpStream::connect(address), listener.accept());
    (a.expect("connects"), b.expect("accepted").0)
}

pub type Secure = SecureStream<TcpStream>;

/// An association over these two ends of a connection.
pub async fn associate(
    setting: &Setting,
    (a, b): (TcpStream, TcpStream),
) -> (Result<Secure, Error>, Result<Secure, Error>) {
    let (initiator, credential) = setting.initiator();
    let (responder, _) = setting.responder();
    tokio::join!(
        connect(a, &initiator, credential, SessionLabel::default()),
        accept(b, &responder),
    )
}

pub async fn secure_pair(setting: &Setting) -> (Secure, Secure) {
    let (a, b) = associate(setting, tcp_pair(LOOPBACKS[0]).await).await;
    (a.expect("associates"), b.expect("associates"))
}

/// Nothing in a test takes that long, unless something hangs.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("nothing hangs")
}
