//! An object for a receiver that is away: `cargo run -p refpoint-e2e --example sealed_object`.
//!
//! A sensor seals a reading to the pre-key that a display has published. Whoever keeps it meanwhile
//! sees a size, a number and an expiry; the display opens it when it comes back, once.

use refpoint_association::{Backend, StaticKey, Suite};
use refpoint_e2e::{
    Contacts, Delivery, EntityRecord, Opener, Padding, PreKey, PreKeyPolicy, PreKeyRing, Sealed,
    Sealer, SigningKey, Target,
};
use refpoint_keys::{EntityId, UtcTime, Validity};
use refpoint_sim::Entropy;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    // A program draws from the system; an example repeats itself.
    let rng = &mut Entropy::new(1, "example");
    let (backend, suite) = (Backend::default(), Suite::ChaChaPoly);
    let now = UtcTime::from_secs(1_800_000_000);
    let valid = Validity::until(UtcTime::from_secs(1_900_000_000));
    let sensor = EntityId::parse("//sp.example.com/id-mn/CSensor1")?;
    let display = EntityId::parse("//sp.example.com/id-in/CDisplay1")?;

    // The authority says whose keys are whose.
    let (authority, _) = SigningKey::generate(rng);
    let (sensor_key, _) = StaticKey::generate(rng, backend)?;
    let (display_key, _) = StaticKey::generate(rng, backend)?;
    let (sensor_signing, _) = SigningKey::generate(rng);
    let (display_signing, _) = SigningKey::generate(rng);
    let of_sensor = EntityRecord::pinned(sensor.clone(), sensor_key.public_key(), valid)
        .with_signing_key(sensor_signing.verifying_key())
        .issue(&authority)?;
    let of_display = EntityRecord::pinned(display.clone(), display_key.public_key(), valid)
        .with_signing_key(display_signing.verifying_key())
        .issue(&authority)?;

    // The display publishes a pre-key and goes away.
    let mut ring = PreKeyRing::new(rng, backend, suite, PreKeyPolicy::default())?;
    ring.tend(now, rng)?;
    let published = ring.signed(&display, &display_signing)?.encode();

    // The sensor seals.
    let record = EntityRecord::verify(&of_display, &authority.verifying_key(), now)?;
    let recipient = PreKey::decode(&published)?.verify(&record, now)?;
    let target = Target::new("//sp.example.com/id-in/cse-in/display/readings")?;
    let delivery = Delivery {
        recipient: &recipient,
        key: None,
        target: &target,
        expires: UtcTime::from_secs(1_800_086_400),
    };
    let sealer = Sealer::new(sensor, sensor_key).with_padding(Padding::Padme);
    let object = sealer.seal(now, rng, &delivery, br#"{"t":21.5}"#)?;
    println!("{} bytes for a gateway to keep", object.len());
    let mailbox = Sealed::Object(object).encode();

    // Hours later the display opens it.
    let later = UtcTime::from_secs(1_800_040_000);
    let mut contacts = Contacts::new();
    contacts.insert_record(EntityRecord::verify(
        &of_sensor,
        &authority.verifying_key(),
        later,
    )?)?;
    let mut opener = Opener::new(display, ring);
    let Sealed::Object(object) = Sealed::decode(&mailbox)? else {
        return Err("not an object".into());
    };
    let opened = opener.open(Some(later), &contacts, &target, &object)?;
    println!(
        "{} says {}",
        opened.sender.as_str(),
        opened.content.escape_ascii()
    );
    println!(
        "again: {}",
        opener
            .open(Some(later), &contacts, &target, &object)
            .expect_err("it was opened")
    );
    Ok(())
}
