//! One content for several receivers, sealed once.

#[path = "support/support.rs"]
mod support;

use refpoint_association::{Backend, ContentKey, Suite};
use refpoint_e2e::{Delivery, Error, Group, Padding, Recipient, Sealed, Sealer};
use refpoint_keys::ApplicationKey;
use support::{DAY, Party, SENSOR, application_key, target, utc};

const MEMBERS: [&str; 3] = [
    "//sp.example.com/id-in/CDisplay1",
    "//sp.example.com/id-in/CDisplay2",
    "//sp.example.com/id-in/CDisplay3",
];
const BOTH: (Backend, Suite) = (Backend::AwsLc, Suite::AesGcm);

fn setting() -> (Party, Vec<Party>) {
    let sensor = Party::new(SENSOR, 1);
    let mut members: Vec<_> = (10..)
        .zip(MEMBERS)
        .map(|(seed, name)| Party::new(name, seed))
        .collect();
    members.iter_mut().for_each(|member| member.knows(&sensor));
    (sensor, members)
}

fn seal(
    sensor: &mut Party,
    members: &[Party],
    key: Option<&ApplicationKey>,
    content: &[u8],
) -> Group {
    let recipients: Vec<_> = members
        .iter()
        .map(|member| member.recipient(utc(0)))
        .collect();
    let deliveries = deliveries(&recipients, key);
    let sealed = Group::seal(
        &sensor.sealer,
        utc(0),
        &mut sensor.rng,
        BOTH,
        &deliveries,
        content,
    );
    sealed.expect("valid")
}

fn deliveries<'a>(
    recipients: &'a [Recipient],
    first_key: Option<&'a ApplicationKey>,
) -> Vec<Delivery<'a>> {
    let target = Box::leak(Box::new(target()));
    let keys = core::iter::once(first_key).chain(core::iter::repeat(None));
    let to = |(recipient, key)| Delivery {
        recipient,
        key,
        target,
        expires: utc(DAY),
    };
    recipients.iter().zip(keys).map(to).collect()
}

fn reads(member: &mut Party, group: &Group) -> Result<Vec<u8>, Error> {
    let now = (Backend::RustCrypto, Some(utc(0)));
    let opened = group.open(&mut member.opener, now, &member.contacts, &target())?;
    assert_eq!(opened.sender.as_str(), SENSOR);
    Ok(opened.content.to_vec())
}

/// The group's parts as a node in between sees and changes them.
fn taken_apart(group: Group) -> (Vec<u8>, Vec<u8>, Vec<Vec<u8>>) {
    // Fields 1, 2 and 3, each of bytes: read by hand, as an attacker would.
    let encoded = group.encode();
    let (mut rest, mut fields) = (encoded.as_slice(), Vec::new());
    while let [tag, tail @ ..] = rest {
        let (mut len, mut shift, mut tail) = (0, 0, tail);
        while let [byte, after @ ..] = tail {
            len |= usize::from(byte & 0x7f) << shift;
            (shift, tail) = (shift + 7, after);
            if byte & 0x80 == 0 {
                break;
            }
        }
        fields.push((tag >> 3, tail[..len].to_vec()));
        rest = &tail[len..];
    }
    let field = |number| {
        fields
            .iter()
            .filter(move |(of, _)| *of == number)
            .map(|(_, field)| field.clone())
    };
    (
        field(1).next().expect("a head"),
        field(2).next().expect("a ciphertext"),
        field(3).collect(),
    )
}

fn put_together(head: &[u8], ciphertext: &[u8], parts: &[Vec<u8>]) -> Result<Group, Error> {
    let mut group = Vec::new();
    let mut field = |number: u8, bytes: &[u8]| {
        group.push(number << 3 | 2);
        group.extend_from_slice(&[(bytes.len() & 0x7f) as u8 | 0x80, (bytes.len() >> 7) as u8]);
        group.extend_from_slice(bytes);
    };
    field(1, head);
    field(2, ciphertext);
    parts.iter().for_each(|part| field(3, part));
    let len = group.len();
    let mut sealed = vec![2 << 3 | 2, (len & 0x7f) as u8 | 0x80, (len >> 7) as u8];
    sealed.extend_from_slice(&group);
    match Sealed::decode(&sealed)? {
        Sealed::Group(group) => Ok(group),
        other => panic!("{other:?} is no group"),
    }
}

#[test]
fn every_member_reads_it_once_and_the_payload_is_sealed_once() {
    let (mut sensor, mut members) = setting();
    let key = application_key(SENSOR, MEMBERS[0]);
    members[0].shares(&key, &sensor);
    let content = [0x5a; 1_000];
    let group = seal(&mut sensor, &members, Some(&key), &content);
    let sizes: Vec<_> = group.parts().iter().map(Vec::len).collect();
    // The content key, and what an object costs.
    assert_eq!(sizes, [32 + 60, 32 + 135, 32 + 135]);
    let Ok(Sealed::Group(group)) = Sealed::decode(&Sealed::Group(group).encode()) else {
        panic!("it is a group")
    };
    for member in &mut members {
        assert_eq!(reads(member, &group), Ok(content.to_vec()));
        assert_eq!(reads(member, &group), Err(Error::Replayed));
    }
    let mut stranger = Party::new("//sp.example.com/id-in/CDisplay9", 99);
    stranger.knows(&sensor);
    assert!(reads(&mut stranger, &group).is_err());
}

#[test]
fn no_node_in_between_changes_anything_of_it() {
    let (mut sensor, mut members) = setting();
    let (head, ciphertext, parts) = taken_apart(seal(&mut sensor, &members, None, b"21.5"));
    let first = &mut members[0];
    for bit in 0..head.len() * 8 {
        let mut altered = head.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let read =
            put_together(&altered, &ciphertext, &parts).and_then(|group| reads(first, &group));
        assert!(read.is_err(), "bit {bit} of the head");
    }
    for bit in 0..ciphertext.len() * 8 {
        let mut altered = ciphertext.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let group = put_together(&head, &altered, &parts).expect("well-formed");
        assert_eq!(
            reads(first, &group),
            Err(Error::Authentication),
            "bit {bit}"
        );
    }
    let group = put_together(&head, &ciphertext, &parts).expect("well-formed");
    assert_eq!(reads(first, &group), Ok(b"21.5".to_vec()));
}

#[test]
fn parts_and_ciphertexts_of_two_groups_cannot_be_mixed() {
    let (mut sensor, mut members) = setting();
    let (one_head, one, one_parts) = taken_apart(seal(&mut sensor, &members, None, b"open"));
    let (_, other, other_parts) = taken_apart(seal(&mut sensor, &members, None, b"shut"));
    for (ciphertext, parts) in [(&other, &one_parts), (&one, &other_parts)] {
        let mixed = put_together(&one_head, ciphertext, parts).expect("well-formed");
        assert_eq!(reads(&mut members[0], &mixed), Err(Error::Authentication));
    }
    // Nor does a part open as an object of its own, to hand out the content key.
    assert_eq!(
        members[0].reads(utc(0), &one_parts[0]),
        Err(Error::Authentication)
    );
}

/// A member has the content key, so it can make any ciphertext under it; and no part.
#[test]
fn a_member_cannot_forge_the_sender_or_swap_the_ciphertext() {
    let (mut sensor, mut members) = setting();
    let (head, ciphertext, parts) = taken_apart(seal(&mut sensor, &members, None, b"21.5"));
    let mut insider = members.remove(2);
    insider.knows(&sensor);
    // It makes a key and a ciphertext of its own, and keeps the sensor's parts.
    let key = ContentKey::generate(&mut insider.rng);
    let mut forged_head = head.clone();
    forged_head[5..].copy_from_slice(&key.commitment());
    let mut forged = b"99.9".to_vec();
    key.seal(BOTH.0, BOTH.1, &forged_head, &mut forged)
        .expect("short");
    for (head, ciphertext) in [
        (&forged_head, &forged),
        (&head, &forged),
        (&forged_head, &ciphertext),
    ] {
        let group = put_together(head, ciphertext, &parts).expect("well-formed");
        assert_eq!(reads(&mut members[0], &group), Err(Error::Authentication));
    }
    // It seals parts itself, in the sensor's name, with its own static key: found out.
    insider.sealer = Sealer::new(sensor.id, insider.static_key());
    let mut other = Party::new(MEMBERS[2], 12);
    core::mem::swap(&mut other.contacts, &mut members[0].contacts);
    members[0].contacts = other.contacts;
    members[0]
        .contacts
        .insert_record(insider.record())
        .expect("its own key");
    let recipients = [members[0].recipient(utc(0))];
    let group = Group::seal(
        &insider.sealer,
        utc(0),
        &mut insider.rng,
        BOTH,
        &deliveries(&recipients, None),
        b"99.9",
    );
    assert_eq!(
        reads(&mut members[0], &group.expect("valid")),
        Err(Error::Impersonation)
    );
}

/// Without the commitment, a sender could give each member another key for one ciphertext.
#[test]
fn a_key_that_is_not_committed_to_is_not_used() {
    let (mut sensor, mut members) = setting();
    let (head, ciphertext, _) = taken_apart(seal(&mut sensor, &members, None, b"21.5"));
    // The sender itself makes a part, bound to this very ciphertext, that holds another key: the digest
    // is recomputed as the specification says, and the part is sealed by Noise directly.
    let part = rogue::part(&sensor, &members[0], &head, &ciphertext, &[0x66; 32]);
    let group = put_together(&head, &ciphertext, &[part]).expect("well-formed");
    assert_eq!(reads(&mut members[0], &group), Err(Error::Commitment));
    // Were the commitment the rogue key's, the digest would be another, and no genuine part would fit.
}

/// A sender that does not follow the rules, from the specification's text.
mod rogue {
    use refpoint_association::OneWay;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn field(out: &mut Vec<u8>, bytes: &[u8]) {
        out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        out.extend_from_slice(bytes);
    }

    pub(super) fn part(
        sensor: &Party,
        member: &Party,
        head: &[u8],
        ciphertext: &[u8],
        key: &[u8; 32],
    ) -> Vec<u8> {
        let mut bound = b"refpoint/1 group".to_vec();
        field(&mut bound, head);
        bound.extend_from_slice(ciphertext);
        let digest: [u8; 32] = Sha256::digest(&bound).into();
        let number = member.pre_key().number().get();
        let mut object = vec![0b0011_0001];
        object.extend_from_slice(&(number as u16).to_be_bytes());
        object.extend_from_slice(&(utc(DAY).as_secs() as u32).to_be_bytes());
        assert!(number > 0xff, "the seed gives a number of two bytes");
        let mut prologue = b"refpoint/1 object".to_vec();
        let target = target();
        let fields: [&[u8]; 5] = [
            &object,
            b"",
            member.id.as_str().as_bytes(),
            target.as_str().as_bytes(),
            &digest,
        ];
        fields.iter().for_each(|bytes| field(&mut prologue, bytes));
        let sealing = OneWay {
            backend: Backend::default(),
            suite: Suite::ChaChaPoly,
            prologue: &prologue,
            psk: None,
        };
        let id = sensor.id.as_str().as_bytes();
        let payload = [&[id.len() as u8][..], id, key].concat();
        // The receiver's pre-key is public: it stands in what it published.
        let published = refpoint_association::PublicKey::new(pre_key_of(member));
        let mut rng = refpoint_sim::Entropy::new(1, "rogue");
        sealing
            .seal(
                &mut rng,
                &sensor.static_key(),
                published,
                &payload,
                &mut object,
            )
            .expect("short");
        object
    }

    fn pre_key_of(member: &Party) -> [u8; 32] {
        let encoded = member.pre_key().encode();
        let tag = encoded.windows(2).position(|pair| pair == [4 << 3 | 2, 32]);
        let at = tag.expect("a key") + 2;
        encoded[at..at + 32].try_into().expect("32 bytes")
    }
}

#[test]
fn a_group_hides_its_size_as_objects_do_and_needs_receivers_alike() {
    let (mut sensor, mut members) = setting();
    sensor.sealer = sensor.sealer.with_padding(Padding::Padme);
    let group = seal(&mut sensor, &members, None, &[7; 1_000]);
    assert_eq!(reads(&mut members[1], &group), Ok(vec![7; 1_000]));
    let (_, ciphertext, _) = taken_apart(group);
    assert_eq!(ciphertext.len(), 1_024 + 16);
    let recipients: Vec<_> = members
        .iter()
        .map(|member| member.recipient(utc(0)))
        .collect();
    let mut unlike = deliveries(&recipients, None);
    unlike[1].expires = utc(2 * DAY);
    for deliveries in [&unlike[..], &[]] {
        let sealed = Group::seal(
            &sensor.sealer,
            utc(0),
            &mut sensor.rng,
            BOTH,
            deliveries,
            b"x",
        );
        assert_eq!(sealed, Err(Error::Config("group")));
    }
}

#[test]
fn a_member_reads_again_what_it_has_read() {
    let (mut sensor, mut members) = setting();
    let group = seal(&mut sensor, &members, None, b"21.5");
    let again = |member: &mut Party| {
        let at = (Backend::AwsLc, Some(utc(1)));
        let opened = group.open_again(&mut member.opener, at, &member.contacts, &target());
        opened.map(|opened| opened.content.to_vec())
    };
    assert_eq!(again(&mut members[0]), Err(Error::NotOpened));
    assert_eq!(reads(&mut members[0], &group).as_deref(), Ok(&b"21.5"[..]));
    assert_eq!(again(&mut members[0]).as_deref(), Ok(&b"21.5"[..]));
    assert_eq!(reads(&mut members[0], &group), Err(Error::Replayed));
    assert_eq!(again(&mut members[1]), Err(Error::NotOpened));
}
