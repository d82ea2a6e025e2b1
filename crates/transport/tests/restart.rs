//! X on UDP across restarts: who was there before is back with one exchange of symmetric cost.

#[path = "support/log.rs"]
mod log;
#[path = "support/support.rs"]
mod support;
#[path = "support/x.rs"]
mod x;

use std::io::ErrorKind;
use std::path::Path;

use log::Log;
use refpoint_association::{Config, ReservedSlot};
use refpoint_transport::{Datagrams, DeviceFile, DeviceStorage as _, Keyring, Persistence};
use support::{id, in_time};
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;
use x::{GATEWAY, plain, quick, read, request, setting};

/// Starts in a runtime of its own, which can end without a word.
async fn start(keyring: Keyring, at: String, persistence: Persistence) -> (Runtime, Datagrams) {
    let runtime = Runtime::new().expect("another runtime");
    let started = runtime.spawn(async move {
        let socket = in_time(async {
            loop {
                match UdpSocket::bind(&at).await {
                    Ok(socket) => break socket,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        });
        let (socket, config) = (socket.await, Config::default());
        Datagrams::start_persistent(socket, &keyring, config, plain, quick(), persistence)
    });
    let started = started.await.expect("runs").expect("valid limits");
    (runtime, started)
}

async fn device(flash: &Path) -> (Runtime, Datagrams, u64) {
    let flash = DeviceFile::open(flash).expect("its own file");
    let boot = flash.boot();
    let persistence = Persistence::default().with_device(flash);
    let keyring = setting().initiator().0;
    let (runtime, datagrams) = start(keyring, "127.0.0.1:0".into(), persistence).await;
    (runtime, datagrams, boot)
}

async fn ask(device: &Datagrams, number: usize) {
    let answer = in_time(device.exchange(&id(GATEWAY), request(number, "up"))).await;
    let answer = read(number, answer.expect("is answered"));
    assert_eq!(answer, (200, b"up".to_vec()));
}

#[tokio::test]
async fn neither_a_loss_of_power_nor_a_killed_gateway_costs_a_full_handshake() {
    let directory = tempfile::tempdir().expect("a directory");
    let flash = directory.path().join("device");
    let (log, keyring) = (Log::default(), setting().responder().0);
    let any = "127.0.0.1:0".to_owned();
    let (running, gateway) = start(keyring.clone(), any, log.persistence()).await;
    let at = gateway.local_addr();
    let counts = async |of: &Datagrams| {
        let statistics = of.statistics().await;
        (statistics.answered, statistics.resumed)
    };

    let (power, first, boot) = device(&flash).await;
    assert_eq!(boot, 1);
    first.reach(id(GATEWAY), at).await;
    ask(&first, 1).await;
    assert_eq!(counts(&gateway).await, (1, 0));
    power.shutdown_background();

    let (power, second, boot) = device(&flash).await;
    assert_eq!(boot, 2);
    second.reach(id(GATEWAY), at).await;
    ask(&second, 2).await;
    assert_eq!(counts(&gateway).await, (1, 1));
    assert_eq!(
        log.0.lock().expect("no panic").len(),
        1,
        "the redeemed one is gone"
    );

    running.shutdown_background();
    let (running, again) = start(keyring, at.to_string(), log.persistence()).await;
    ask(&second, 3).await;
    assert_eq!(counts(&again).await, (0, 1));
    for runtime in [power, running] {
        runtime.shutdown_background();
    }
}

#[test]
fn a_device_file_counts_boots_and_is_its_owners_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("device");
    for boot in 1..=3 {
        assert_eq!(DeviceFile::open(&path).expect("opens").boot(), boot);
    }
    let whole = std::fs::read(&path).expect("is there");
    std::fs::write(&path, &whole[..whole.len() - 1]).expect("writes");
    let refused = DeviceFile::open(&path).expect_err("cut off");
    assert_eq!(refused.kind(), ErrorKind::InvalidData);
    assert!(refused.to_string().contains("delete it"), "{refused}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(&path, &whole).expect("writes");
        let mode = std::fs::metadata(&path)
            .expect("is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let open = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&path, open).expect("is ours");
        let refused = DeviceFile::open(&path).expect_err("can be read by others");
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    }
}

/// A slot for key `k1` at this date, as a device keeps it.
fn slot(at: u64) -> ReservedSlot {
    let bytes = [&[2, 1], &[7; 16][..], &at.to_be_bytes(), &[0], b"\x02k1"].concat();
    ReservedSlot::from_bytes(&bytes).expect("well-formed")
}

#[test]
fn a_device_file_keeps_a_slot_until_it_is_past_or_its_device_was_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("device");
    let open = || DeviceFile::open(&path).expect("its own file");
    let utc = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("after 1970");
    let (coming, past) = (slot(utc.as_secs() + 600), slot(utc.as_secs() - 600));
    let mut file = open();
    file.reserve(&past).expect("durable");
    assert_eq!(open().slots().len(), 0, "of no use any more");
    file.reserve(&coming).expect("durable");
    let mut file = open();
    assert_eq!(file.slots(), [coming.to_bytes()]);
    // layout, carriage, terms, modes, epoch ‖ handle ‖ secret ‖ date ‖ session ‖ key id ‖ ids
    let (a, b) = ("//sp.example.com/id-mn/CSensor1", "//sp.example.com/id-mn");
    let ids = [a, b].map(|id| [&[id.len() as u8], id.as_bytes()].concat());
    let end = (utc.as_secs() + 600).to_be_bytes();
    let held = [
        &[1, 1, 0x29, 3, 20],
        &[5; 44][..],
        &end,
        &[0],
        b"\x02k1",
        &ids.concat(),
    ]
    .concat();
    let now = refpoint_association::Now::without_utc(core::time::Duration::ZERO);
    let held = refpoint_association::HeldHandle::from_bytes(now, &held).expect("well-formed");
    file.save(&held).expect("durable");
    assert!(file.slots().is_empty() && open().slots().is_empty());
    assert_eq!(open().held().len(), 1);
}
