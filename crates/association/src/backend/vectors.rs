//! Both backends against vectors that others have published: Wycheproof's for the primitives,
//! cacophony's for the Noise patterns.

use std::vec::Vec;

use std::{format, string::String};

use serde_json::Value;

use super::*;

const BACKENDS: [Backend; 2] = [Backend::AwsLc, Backend::RustCrypto];

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a text")).expect("hexadecimal")
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("of this length")
}

fn rows(text: &str) -> Vec<Vec<Value>> {
    let file: Value = serde_json::from_str(text).expect("JSON");
    serde_json::from_value(file["tests"].clone()).expect("rows")
}

#[test]
fn x25519_gives_wycheproofs_vectors_and_refuses_all_zero_results() {
    let rows = rows(include_str!("../../tests/vectors/x25519.json"));
    assert_eq!(rows.len(), 518);
    for backend in BACKENDS {
        for row in &rows {
            let key = X25519::new(backend, &array(&row[2])).expect("a key");
            let mut shared = [0; 32];
            let agreed = key.agree(&array(&row[1]), &mut shared).is_ok();
            let expected: [u8; 32] = array(&row[3]);
            let what = format!("{backend:?}, test {}", row[0]);
            assert_eq!(agreed, expected != [0; 32], "{what}");
            assert_eq!(shared, expected, "{what}");
        }
    }
}

fn aead(suite: Suite, text: &str, count: usize) {
    let rows = rows(text);
    assert_eq!(rows.len(), count);
    for backend in BACKENDS {
        for row in &rows {
            let (key, nonce) = (array(&row[1]), array(&row[2]));
            let [aad, plain, sealed] = [3, 4, 5].map(|column| bytes(&row[column]));
            let valid = row[6] == "valid";
            let what = format!("{backend:?}, test {}", row[0]);
            let aead = Aead::new(backend, suite, &key);
            let mut data = plain.clone();
            let tag = aead.seal(nonce, &aad, &mut data).expect("short enough");
            data.extend_from_slice(&tag);
            assert_eq!(data == sealed, valid, "{what}");
            let mut data = sealed;
            assert_eq!(aead.open(nonce, &aad, &mut data).is_ok(), valid, "{what}");
            if valid {
                assert_eq!(data[..plain.len()], plain, "{what}");
            }
        }
    }
}

#[test]
fn chacha20_poly1305_gives_wycheproofs_vectors() {
    let text = include_str!("../../tests/vectors/chacha20_poly1305.json");
    aead(Suite::ChaChaPoly, text, 316);
}

#[test]
fn aes_256_gcm_gives_wycheproofs_vectors() {
    let text = include_str!("../../tests/vectors/aes_256_gcm.json");
    aead(Suite::AesGcm, text, 66);
}

/// One end of a vector's handshake; `end` is the prefix of its fields.
fn end(backend: Backend, vector: &Value, end: &str) -> snow::HandshakeState {
    let field = |name: &str| vector.get(format!("{end}_{name}"));
    let name = vector["protocol_name"].as_str().expect("a name");
    let slot = if name.contains("psk0") { 0 } else { 2 };
    let secret = field("static").map(|key| X25519::new(backend, &array(key)).expect("a key"));
    let resolver = Resolver {
        backend,
        entropy: Zeroizing::new(array(field("ephemeral").expect("an ephemeral"))),
        static_key: secret.map(Arc::new),
    };
    let has_static = resolver.static_key.is_some();
    let params = name.parse().expect("a pattern");
    let prologue = bytes(field("prologue").expect("a prologue"));
    let psk = array(&field("psks").expect("a list")[0]);
    let remote = field("remote_static").map(bytes);
    let mut builder = snow::Builder::with_resolver(params, Box::new(resolver))
        .prologue(&prologue)
        .and_then(|builder| builder.psk(slot, &psk))
        .expect("set once");
    if has_static {
        builder = builder.local_private_key(&[]).expect("set once");
    }
    if let Some(remote) = &remote {
        builder = builder.remote_public_key(remote).expect("set once");
    }
    let built = match end {
        "init" => builder.build_initiator(),
        _ => builder.build_responder(),
    };
    built.expect("complete")
}

#[test]
fn every_pattern_gives_cacophonys_vectors() {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/vectors/noise.json")).expect("JSON");
    let vectors = file["vectors"].as_array().expect("a list");
    assert_eq!(vectors.len(), 6);
    for backend in BACKENDS {
        for vector in vectors {
            let mut ends = ["init", "resp"].map(|name| end(backend, vector, name));
            for (turn, message) in (0..).zip(vector["messages"].as_array().expect("a list")) {
                let payload = bytes(&message["payload"]);
                let mut written = [0; 256];
                let len = ends[turn]
                    .write_message(&payload, &mut written)
                    .expect("may write");
                assert_eq!(written[..len], bytes(&message["ciphertext"]));
                let mut read = [0; 256];
                let len = ends[1 - turn].read_message(&written[..len], &mut read);
                assert_eq!(read[..len.expect("opens")], payload);
            }
            let hash: String = hex::encode(ends[0].get_handshake_hash());
            assert_eq!(vector["handshake_hash"], hash);
            assert_eq!(ends[0].get_handshake_hash(), ends[1].get_handshake_hash());
        }
    }
}
