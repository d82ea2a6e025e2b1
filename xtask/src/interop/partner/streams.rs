//! The gateway on TCP: the Python peer makes associations with it, and it with the Python peer.
//!
//! It is the shipped carriage, `refpoint-transport`, whose keyring grants handles and redeems them. What an
//! association carries is lines, each of which gets one back:
//!
//! | line | answer |
//! |---|---|
//! | `state` | a JSON object: `resumed`, `epochs`, an `exported` key |
//! | `call PORT` | the same; then it connects to that port, as initiator, and is asked there too |
//! | `close` | the same; then it closes |

use std::path::Path;

use anyhow::{Context as _, bail};
use refpoint_association::CloseReason;
use refpoint_keys::{EntityId, ReferencePoint};
use refpoint_transport::{Connector, Error, Keyring, SecureStream, accept};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::keyring;

type Secure = SecureStream<TcpStream>;

/// Prints its address and serves whoever connects.
pub(crate) fn run(file: &Path) -> anyhow::Result<()> {
    let (local, credentials) = keyring::read(file)?;
    let keyring = Keyring::new(local, credentials);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.context("cannot bind a socket")?;
        println!("{}", listener.local_addr()?);
        crate::end_with_the_input();
        loop {
            let (io, _) = listener.accept().await?;
            begin(keyring.clone(), answer(keyring.clone(), io));
        }
    })
}

/// Serves an association, when it is made.
fn begin(keyring: Keyring, made: impl Future<Output = Result<Secure, Error>> + Send + 'static) {
    tokio::spawn(async move {
        let served = match made.await {
            Ok(stream) => serve(keyring, stream).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = served {
            eprintln!("{error:#}");
        }
    });
}

async fn answer(keyring: Keyring, io: TcpStream) -> Result<Secure, Error> {
    accept(io, &keyring).await
}

async fn call(keyring: Keyring, peer: EntityId, port: u16) -> Result<Secure, Error> {
    let connector = Connector::new(keyring, ReferencePoint::X, peer);
    connector.connect("127.0.0.1", port).await
}

async fn serve(keyring: Keyring, stream: Secure) -> anyhow::Result<()> {
    let (mut stream, mut line) = (BufReader::new(stream), String::new());
    while stream.read_line(&mut line).await? > 0 {
        let answer = format!("{}\n", state(stream.get_ref())?);
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
        match line.trim_end().split_once(' ') {
            None if line == "state\n" => {}
            None if line == "close\n" => stream.get_ref().association().close(CloseReason::Done),
            Some(("call", port)) => {
                let peer = stream.get_ref().association().peer().entity;
                let called = call(keyring.clone(), peer, port.parse()?);
                begin(keyring.clone(), called);
            }
            _ => bail!("no errand is called {}", line.trim_end()),
        }
        line.clear();
    }
    Ok(())
}

fn state(stream: &Secure) -> anyhow::Result<Value> {
    let mut exported = [0; 32];
    stream.export(b"interop", b"python", &mut exported)?;
    let epochs = stream.epochs();
    Ok(json!({
        "resumed": stream.association().was_resumed(),
        "epochs": [epochs.0, epochs.1],
        "exported": exported.map(|byte| format!("{byte:02x}")).concat(),
    }))
}
