//! One content for many receivers: `cargo run -p refpoint-e2e --example group`.
//!
//! A sensor seals one image for three subscribers. The payload is sealed once; each subscriber gets the
//! content key in an object of its own, which also proves the sensor to it.

use refpoint_association::{Backend, StaticKey, Suite};
use refpoint_e2e::{
    Contacts, Delivery, EntityRecord, Group, Opener, PreKeyPolicy, PreKeyRing, Sealed, Sealer,
    SigningKey, Target,
};
use refpoint_keys::{EntityId, UtcTime, Validity};
use refpoint_sim::Entropy;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let rng = &mut Entropy::new(1, "example");
    let (backend, suite) = (Backend::default(), Suite::ChaChaPoly);
    let now = UtcTime::from_secs(1_800_000_000);
    let valid = Validity::until(UtcTime::from_secs(1_900_000_000));
    let sensor = EntityId::parse("//sp.example.com/id-mn/CSensor1")?;
    let (sensor_key, _) = StaticKey::generate(rng, backend)?;
    let record = EntityRecord::pinned(sensor.clone(), sensor_key.public_key(), valid);

    let (mut openers, mut recipients) = (Vec::new(), Vec::new());
    for name in ["CDisplay1", "CDisplay2", "CArchive"] {
        let id = EntityId::parse(&format!("//sp.example.com/id-in/{name}"))?;
        let (key, _) = StaticKey::generate(rng, backend)?;
        let (signing, _) = SigningKey::generate(rng);
        let record = EntityRecord::pinned(id.clone(), key.public_key(), valid)
            .with_signing_key(signing.verifying_key());
        let mut ring = PreKeyRing::new(rng, backend, suite, PreKeyPolicy::default())?;
        ring.tend(now, rng)?;
        recipients.push(ring.signed(&id, &signing)?.verify(&record, now)?);
        openers.push(Opener::new(id, ring));
    }

    let target = Target::new("//sp.example.com/id-mn/cse-mn/camera/images")?;
    let expires = UtcTime::from_secs(1_800_086_400);
    let to = |recipient| Delivery {
        recipient,
        key: None,
        target: &target,
        expires,
    };
    let deliveries: Vec<_> = recipients.iter().map(to).collect();
    let image = vec![0x5a; 200_000];
    let sealer = Sealer::new(sensor, sensor_key);
    let group = Group::seal(&sealer, now, rng, (backend, suite), &deliveries, &image)?;
    let parts: usize = group.parts().iter().map(Vec::len).sum();
    let sealed = Sealed::Group(group).encode();
    println!(
        "{} bytes for an image of {}; {parts} of them for the three",
        sealed.len(),
        image.len()
    );

    let mut contacts = Contacts::new();
    contacts.insert_record(record)?;
    for opener in &mut openers {
        let Sealed::Group(group) = Sealed::decode(&sealed)? else {
            return Err("not a group".into());
        };
        let opened = group.open(opener, (backend, Some(now)), &contacts, &target)?;
        println!(
            "{} opened {} bytes",
            opener.id().as_str(),
            opened.content.len()
        );
    }
    Ok(())
}
