//! Associations over TCP: bytes both ways, an end that is authenticated, reads and writes that can be cancelled.

#[path = "support/support.rs"]
mod support;

use std::io::{ErrorKind, IoSlice};

use refpoint_association::{CloseReason, Error};
use refpoint_keys::{Profile, ReferencePoint};
use refpoint_transport::{association_error, connect};
use support::{LOOPBACKS, Setting, associate, in_time, secure_pair, tcp_pair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(step).collect()
}

#[tokio::test]
async fn a_mebibyte_goes_both_ways_at_once_over_ipv4_and_ipv6() {
    for address in LOOPBACKS {
        for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
            let setting = Setting {
                profile,
                ..Setting::default()
            };
            let (a, b) = associate(&setting, tcp_pair(address).await).await;
            let (up, down) = (noise(1 << 20), noise((1 << 20) + 77));
            let exchange = |stream: support::Secure, send: Vec<u8>| async move {
                let (mut read, mut write) = tokio::io::split(stream);
                let sent = async {
                    write.write_all(&send).await.expect("writes");
                    write.flush().await.expect("flushes");
                };
                let mut received = vec![0; (1 << 20) + 77];
                let received = async {
                    let wanted = if send.len() == 1 << 20 {
                        received.len()
                    } else {
                        1 << 20
                    };
                    read.read_exact(&mut received[..wanted])
                        .await
                        .expect("reads");
                    received.truncate(wanted);
                    received
                };
                tokio::join!(sent, received).1
            };
            let both = async {
                tokio::join!(
                    exchange(a.expect("associates"), up.clone()),
                    exchange(b.expect("associates"), down.clone()),
                )
            };
            let (at_a, at_b) = in_time(both).await;
            assert!(at_a == down && at_b == up, "{address} {profile:?}");
        }
    }
}

#[tokio::test]
async fn both_ends_know_each_other_and_export_the_same_key() {
    let (a, b) = secure_pair(&Setting::default()).await;
    let (at_a, at_b) = (a.association().peer(), b.association().peer());
    assert_eq!(at_a.entity.as_str(), support::CORE);
    assert_eq!(at_b.entity.as_str(), support::GATEWAY);
    assert_eq!(at_a.point, ReferencePoint::Y);
    let (mut x, mut y) = ([0; 32], [1; 32]);
    a.export(b"label", b"", &mut x).expect("alive");
    b.export(b"label", b"", &mut y).expect("alive");
    assert_eq!(x, y);
}

#[tokio::test]
async fn an_orderly_end_is_an_end() {
    let (mut a, mut b) = secure_pair(&Setting::default()).await;
    a.write_all(b"last words").await.expect("writes");
    a.shutdown().await.expect("shuts down");
    let mut received = Vec::new();
    b.read_to_end(&mut received).await.expect("ends in order");
    assert_eq!(received, b"last words");
    assert!(b.association().is_closed());
    let refused = b.write(b"too late").await.expect_err("it was closed");
    assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
    assert_eq!(b.read(&mut [0; 1]).await.expect("still the end"), 0);
}

#[tokio::test]
async fn an_end_without_a_close_is_a_truncation() {
    let (mut a, mut b) = secure_pair(&Setting::default()).await;
    // Nothing is left unread, or the system would reset the connection, which is another error.
    b.write_all(b"?").await.expect("writes");
    a.read_exact(&mut [0; 1]).await.expect("reads");
    a.write_all(b"half of").await.expect("writes");
    a.flush().await.expect("flushes");
    drop(a);
    let mut received = Vec::new();
    let error = b
        .read_to_end(&mut received)
        .await
        .expect_err("is truncated");
    assert_eq!(received, b"half of");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(association_error(&error), Some(Error::Truncated));
    let again = b.read(&mut [0; 1]).await.expect_err("stays so");
    assert_eq!(association_error(&again), Some(Error::Truncated));
}

#[tokio::test]
async fn a_stranger_is_refused_at_both_ends() {
    let right = Setting::default();
    let wrong = [
        Setting {
            key: [8; 32],
            ..right.clone()
        },
        Setting {
            key_id: b"k2".to_vec(),
            ..right.clone()
        },
        Setting {
            point: ReferencePoint::X,
            ..right.clone()
        },
        Setting {
            initiator: "//sp.example.com/id-other",
            ..right.clone()
        },
        Setting {
            profile: Profile::Pinned,
            ..right.clone()
        },
    ];
    for wrong in wrong {
        let (a, b) = tcp_pair(LOOPBACKS[0]).await;
        let (initiator, credential) = wrong.initiator();
        let (responder, _) = right.responder();
        let (a, b) = in_time(async {
            tokio::join!(
                connect(a, &initiator, credential, Default::default()),
                refpoint_transport::accept(b, &responder),
            )
        })
        .await;
        let refused = b.expect_err("is refused").association();
        assert_eq!(refused, Some(Error::Authentication));
        let refused = a.expect_err("gets no answer");
        let is_end = matches!(&refused, refpoint_transport::Error::Io(error)
            if error.kind() == ErrorKind::ConnectionReset);
        assert!(
            is_end || refused.association() == Some(Error::Truncated),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn dropped_reads_lose_nothing() {
    let (mut a, mut b) = secure_pair(&Setting::default()).await;
    let sent = noise(300_000);
    let writer = {
        let sent = sent.clone();
        tokio::spawn(async move {
            for chunk in sent.chunks(977) {
                a.write_all(chunk).await.expect("writes");
                a.flush().await.expect("flushes");
                tokio::task::yield_now().await;
            }
            a.shutdown().await.expect("shuts down");
        })
    };
    let mut received = Vec::new();
    let mut dropped = 0;
    let mut buffer = [0; 313];
    loop {
        let read = tokio::select! {
            biased;
            read = b.read(&mut buffer) => Some(read.expect("reads")),
            () = core::future::ready(()) => None,
        };
        match read {
            Some(0) => break,
            Some(count) => received.extend_from_slice(&buffer[..count]),
            None => {
                dropped += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    writer.await.expect("finishes");
    assert!(received == sent);
    assert!(dropped > 0, "no read was ever dropped");
}

#[tokio::test]
async fn of_a_dropped_write_goes_out_what_was_accepted_and_no_more() {
    let (mut a, mut b) = secure_pair(&Setting::default()).await;
    let data = noise(50_000);
    let mut accepted = Vec::new();
    // Until the socket and what may wait before it are full.
    loop {
        tokio::select! {
            biased;
            count = a.write(&data) => accepted.extend_from_slice(&data[..count.expect("writes")]),
            () = core::future::ready(()) => break,
        }
    }
    let writer = tokio::spawn(async move { a.shutdown().await });
    let mut received = Vec::new();
    in_time(b.read_to_end(&mut received))
        .await
        .expect("ends in order");
    writer.await.expect("finishes").expect("shuts down");
    assert!(
        received == accepted,
        "{} of {} bytes",
        received.len(),
        accepted.len()
    );
}

#[tokio::test]
async fn small_parts_of_a_write_share_a_record() {
    let (mut a, mut b) = secure_pair(&Setting::default()).await;
    let parts = [IoSlice::new(b"a"), IoSlice::new(b""), IoSlice::new(b"bc")];
    assert_eq!(a.write_vectored(&parts).await.expect("writes"), 3);
    a.flush().await.expect("flushes");
    let mut buffer = [0; 8];
    assert_eq!(b.read(&mut buffer).await.expect("reads"), 3);
    assert_eq!(&buffer[..3], b"abc");
}

#[tokio::test]
async fn closing_the_handle_ends_a_waiting_read_and_tells_the_peer() {
    let (mut a, mut b) = secure_pair(&Setting::default()).await;
    let handle = a.association().clone();
    let reader = tokio::spawn(async move { a.read(&mut [0; 1]).await });
    tokio::task::yield_now().await;
    handle.close(CloseReason::Replaced);
    let ended = in_time(reader).await.expect("runs").expect_err("was ended");
    assert_eq!(
        association_error(&ended),
        Some(Error::Closed(CloseReason::Replaced))
    );
    assert_eq!(b.read(&mut [0; 1]).await.expect("an authenticated end"), 0);
    handle.closed().await;
}

#[tokio::test]
async fn a_revocation_closes_its_own_associations_only() {
    let setting = Setting::default();
    let other = Setting {
        key_id: b"k2".to_vec(),
        key: [9; 32],
        ..setting.clone()
    };
    let (keyring, first) = setting.responder();
    let credential = other.credential(support::CORE, support::GATEWAY);
    keyring
        .update(|_, credentials| credentials.insert(credential))
        .expect("another key id");
    let mut streams = Vec::new();
    for setting in [&setting, &other] {
        let (a, b) = tcp_pair(LOOPBACKS[0]).await;
        let (initiator, credential) = setting.initiator();
        let (a, b) = tokio::join!(
            connect(a, &initiator, credential, Default::default()),
            refpoint_transport::accept(b, &keyring),
        );
        streams.push((a.expect("associates"), b.expect("associates")));
    }
    assert_eq!(keyring.associations(), 2);
    keyring.update(|_, credentials| credentials.remove(first));
    let (a, b) = &mut streams[0];
    let revoked = in_time(b.read(&mut [0; 1])).await.expect_err("is revoked");
    assert_eq!(
        association_error(&revoked),
        Some(Error::Closed(CloseReason::Revoked))
    );
    assert_eq!(a.read(&mut [0; 1]).await.expect("an authenticated end"), 0);
    let (a, b) = &mut streams[1];
    a.write_all(b"goes on").await.expect("writes");
    a.flush().await.expect("flushes");
    b.read_exact(&mut [0; 7]).await.expect("reads");
    assert_eq!(keyring.associations(), 1);
}

#[tokio::test]
async fn the_end_of_the_key_closes_the_stream() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let setting = Setting {
        expires: now.expect("after 1970").as_secs() + 2,
        ..Setting::default()
    };
    let (mut a, mut b) = secure_pair(&setting).await;
    let (mut x, mut y) = ([0; 1], [0; 1]);
    let ends = async { tokio::join!(a.read(&mut x), b.read(&mut y)) };
    let (at_a, at_b) = in_time(ends).await;
    // Whose timer fires first tells the other.
    let ends = [at_a, at_b].map(|end| match end {
        Ok(count) => count == 0,
        Err(error) => association_error(&error) == Some(Error::Limit("time")),
    });
    assert_eq!(ends, [true, true]);
}
