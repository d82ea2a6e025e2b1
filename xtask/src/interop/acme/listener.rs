//! An entity that is sent requests: an AE's point of access, or an attacker's.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::Context as _;

use super::message::{Kind, Message};

/// Answers every request with 2000 and keeps what it was sent.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Message>>>,
}

impl Listener {
    /// Listens on a free port of the loopback interface; `content` is the body of its answers.
    pub(super) fn start(content: &'static str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .context("cannot listen on the loopback interface")?;
        let address = listener.local_addr()?;
        let heard = Arc::new(Mutex::default());
        let shared = Arc::clone(&heard);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let heard = Arc::clone(&shared);
                // A connection that fails is the sender's to report.
                thread::spawn(move || serve(connection, content, &heard));
            }
        });
        Ok(Self { address, heard })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a request that `wanted` recognises.
    pub(super) fn wait_for(
        &self,
        time: Duration,
        wanted: impl Fn(&Message) -> bool,
    ) -> Option<Message> {
        let deadline = Instant::now() + time;
        loop {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = heard.iter().find(|message| wanted(message)) {
                return Some(found.clone());
            }
            drop(heard);
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn serve(
    mut connection: TcpStream,
    content: &str,
    heard: &Mutex<Vec<Message>>,
) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    while let Some(request) = Message::read(&mut connection, Kind::Request)? {
        let id = request.text("x-m2m-ri").unwrap_or_default();
        let version = request.text("x-m2m-rvi").unwrap_or_default();
        heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nX-M2M-RSC: 2000\r\nX-M2M-RI: {id}\r\nX-M2M-RVI: {version}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{content}",
            content.len(),
        );
        connection.write_all(answer.as_bytes())?;
    }
    Ok(())
}
