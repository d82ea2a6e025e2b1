//! A session whose packets are hours on their way: `cargo run -p refpoint-e2e --example session`.
//!
//! Two end points that share an application key make a session through whatever keeps and forwards content
//! between them, here a list, and talk in it.

use core::time::Duration;
use std::sync::Arc;

use refpoint_association::{Backend, Credential, CredentialId, Credentials, Local, Now, Policy};
use refpoint_e2e::{Inner, InnerForm, Sessions, Target};
use refpoint_keys::{ApplicationKey, EntityId, KeyId, Profile, UtcTime, Validity};
use refpoint_primitive::{Content, MediaType, RequestId};
use refpoint_sim::Entropy;

const HOUR: u64 = 3_600;

fn end(
    name: &EntityId,
    key: &ApplicationKey,
) -> Result<(Sessions, CredentialId), Box<dyn core::error::Error>> {
    let policy = Policy::default()
        .with_lifetime(Duration::from_secs(10 * 24 * HOUR))?
        .with_ratchet(Some(Duration::from_secs(6 * HOUR)))?;
    let credential = Credential::new(name, Arc::new(key.connection_key()), &[Profile::Psk])?;
    let mut credentials = Credentials::new();
    let peer = credentials.insert(credential.with_policy(policy))?;
    Ok((
        Sessions::new(Local::new(name.clone()), Backend::default(), credentials),
        peer,
    ))
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let rng = &mut Entropy::new(1, "example");
    let sensor = EntityId::parse("//sp.example.com/id-mn/CSensor1")?;
    let display = EntityId::parse("//sp.example.com/id-in/CDisplay1")?;
    let valid = Validity::until(UtcTime::from_secs(1_900_000_000));
    let key = ApplicationKey::from_bytes([7; 32], KeyId::new(b"a001")?, &sensor, &display, valid)?;
    let ((mut a, peer), (mut b, _)) = (end(&sensor, &key)?, end(&display, &key)?);
    let target = Target::new("//sp.example.com/id-in/cse-in/display/readings")?;
    let at = |hour: u64| {
        let seconds = hour * HOUR;
        Now::new(
            Duration::from_secs(seconds),
            UtcTime::from_secs(1_800_000_000 + seconds),
        )
    };
    let reading = |text: &str| -> Result<Inner, Box<dyn core::error::Error>> {
        Ok(Inner {
            target: target.clone(),
            request_id: RequestId::new("r1")?,
            expires: UtcTime::from_secs(1_800_800_000),
            form: InnerForm::Content(Content::new(MediaType::Json, String::from(text))?),
        })
    };

    let (session, initiate) = a.initiate(at(0), rng, peer, &target)?;
    let respond = b
        .receive(at(2), rng, &target, &initiate)?
        .reply
        .ok_or("no answer")?;
    let arrival = a.receive(at(5), rng, &target, &respond)?;
    println!(
        "Initiate {} bytes, Respond {}; established: {}",
        initiate.len(),
        respond.len(),
        arrival.established
    );
    let letter = a.send(at(5), session, reading("21.5")?)?;
    println!(
        "a letter of {} bytes, 26 more than what it holds",
        letter.len()
    );
    let arrival = b.receive(at(9), rng, &target, &letter)?;
    println!("got {:?}", arrival.inner.map(|inner| inner.form));
    let answer = arrival.reply.ok_or("nobody asked")?;
    println!(
        "confirmed: {}",
        a.receive(at(12), rng, &target, &answer)?.confirmed
    );
    println!(
        "again: {}",
        b.receive(at(13), rng, &target, &letter)
            .expect_err("it was opened")
    );
    Ok(())
}
