//! Three attacks that succeed against ACME alone, because it believes `X-M2M-Origin`.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::Context as _;

use super::breakage::Breakage;
use super::line::Line;
use super::listener::Listener;
use super::originator::{Originator, Request};
use super::report::Report;
use super::story::{DATA, DATA_THROUGH_CORE, REGISTRATION, content};
use super::wiring::Wiring;

/// `ORIGINATOR_NOT_AUTHENTICATED`, `SECURITY_ASSOCIATION_REQUIRED` (TS-0004).
const NOT_AUTHENTICATED: u16 = 4106;
const ASSOCIATION_REQUIRED: u16 = 4107;

/// The registration as it is seen by who is not the core's operator.
const THEIR_REGISTRATION: &str = "/~/id-in/cse-in/id-mn";

/// Whom the strangers claim to be.
#[derive(Debug, Clone, Copy)]
struct Claims {
    administrator: &'static str,
    sensor: &'static str,
    gateway: &'static str,
}

impl Claims {
    fn new(breakage: Option<Breakage>) -> Self {
        if breakage == Some(Breakage::HarmlessAttacks) {
            return Self {
                administrator: "CStranger",
                sensor: "CStranger",
                gateway: "CStranger",
            };
        }
        Self {
            administrator: "CAdmin",
            sensor: "/id-mn/CSensor1",
            gateway: "/id-mn",
        }
    }
}

/// Shows that the attacks succeed without associations.
pub(super) fn succeed(
    wiring: &Wiring,
    marker: &str,
    breakage: Option<Breakage>,
    report: &mut Report,
) {
    let (claims, doors) = (Claims::new(breakage), wiring.doors);
    report.check("attack succeeds: reading as CAdmin", || {
        let stranger = Originator::new(claims.administrator, doors.gateway);
        content(&stranger.expect(&Request::retrieve(DATA), 2000)?, marker)
    });
    report.check("attack succeeds: reading as /id-mn/CSensor1", || {
        let stranger = Originator::new(claims.sensor, doors.core);
        content(
            &stranger.expect(&Request::retrieve(DATA_THROUGH_CORE), 2000)?,
            marker,
        )
    });
    report.check("attack succeeds: taking the gateway's place", || {
        let attacker = Listener::start(r#"{"m2m:cin":{"con":"forged"}}"#)?;
        let stranger = Originator::new(claims.gateway, doors.core_as_cse);
        stranger.expect(&Request::delete(THEIR_REGISTRATION), 2002)?;
        stranger.expect(&registration(attacker.address()), 2001)?;
        let answer = wiring.app.ask(&Request::retrieve(DATA_THROUGH_CORE))?;
        let request = attacker.wait_for(Duration::from_secs(5), |message| {
            message.target().contains("sensor")
        });
        request.context("the application's request did not go to the attacker")?;
        anyhow::ensure!(
            answer.text("/m2m:cin/con")? == "forged",
            "the application did not get the forged content"
        );
        Ok("the application reads what the attacker wrote".to_owned())
    });
}

/// Shows that the same attacks are refused, and nothing of them reaches a CSE.
pub(super) fn refused(
    wiring: &mut Wiring,
    marker: &str,
    breakage: Option<Breakage>,
    report: &mut Report,
) {
    let (claims, doors) = (Claims::new(breakage), wiring.doors);
    let before = wiring
        .core_operator
        .expect(&Request::retrieve(REGISTRATION), 2000);
    let before = before.and_then(|answer| answer.text("/m2m:csr"));

    // As themselves the strangers get through, so that what is refused below is refused for the claim alone.
    let (lines, strangers) = (
        &wiring.lines,
        [
            (
                "AE at gateway",
                Originator::new("CStranger", doors.gateway),
                "/cse-mn",
                &wiring.lines.sensor,
            ),
            (
                "AE at core",
                Originator::new("CStranger", doors.core),
                "/cse-in",
                &wiring.lines.app,
            ),
            (
                "CSE at core",
                Originator::new("/id-rogue", doors.core_as_cse),
                "/~/id-in/cse-in",
                &wiring.lines.up,
            ),
        ],
    );
    for (name, stranger, base, line) in strangers {
        report.check(&format!("stranger gets through as itself: {name}"), || {
            line.ingress().take()?;
            let answer = stranger.ask(&Request::retrieve(base))?;
            anyhow::ensure!(
                reached(line, stranger.id(), base)?,
                "the CSE was not asked; answered {:?}",
                answer.code()
            );
            Ok(format!(
                "the CSE itself answers {}",
                answer.code().unwrap_or_default()
            ))
        });
    }

    let attacks = [
        (
            "reading as CAdmin, over X",
            claims.administrator,
            doors.gateway,
            Request::retrieve(DATA),
            &lines.sensor,
        ),
        (
            "reading as /id-mn/CSensor1, over X",
            claims.sensor,
            doors.core,
            Request::retrieve(DATA_THROUGH_CORE),
            &lines.app,
        ),
        (
            "reading as /id-mn/CSensor1, over Y",
            claims.sensor,
            doors.core_as_cse,
            Request::retrieve(DATA_THROUGH_CORE),
            &lines.up,
        ),
        (
            "deleting the registration, over X",
            claims.gateway,
            doors.core,
            Request::delete(THEIR_REGISTRATION),
            &lines.app,
        ),
        (
            "deleting the registration, over Y",
            claims.gateway,
            doors.core_as_cse,
            Request::delete(THEIR_REGISTRATION),
            &lines.up,
        ),
        (
            "re-creating the registration, over X",
            claims.gateway,
            doors.core,
            registration(doors.link),
            &lines.app,
        ),
        (
            "re-creating the registration, over Y",
            claims.gateway,
            doors.core_as_cse,
            registration(doors.link),
            &lines.up,
        ),
    ];
    for (name, claim, door, request, line) in attacks {
        report.check(&format!("refused with 4106: {name}"), || {
            line.ingress().take()?;
            refuse(
                &Originator::new(claim, door),
                &request,
                NOT_AUTHENTICATED,
                marker,
            )?;
            anyhow::ensure!(
                !reached(line, claim, request.target())?,
                "the CSE was asked all the same"
            );
            Ok("nothing reached the CSE".to_owned())
        });
    }
    report.check("refused with 4107: reading without association", || {
        let unknown = Originator::new(claims.administrator, doors.unknown);
        refuse(
            &unknown,
            &Request::retrieve(DATA),
            ASSOCIATION_REQUIRED,
            marker,
        )
    });
    report.check("no answer: plain HTTP at an association's port", || {
        plain(doors.link)
    });
    for (node, peer) in [
        ("gateway", "/id-mn/CStranger"),
        ("core", "/id-in/CStranger"),
        ("core", "/id-rogue"),
    ] {
        report.check(&format!("reported by the {node}'s node: {peer}"), || {
            wiring
                .nodes
                .as_ref()
                .context("there are no nodes")?
                .report(node, peer)
        });
    }
    report.check("the gateway has kept its place", || {
        let after = wiring
            .core_operator
            .expect(&Request::retrieve(REGISTRATION), 2000)?;
        anyhow::ensure!(
            after.text("/m2m:csr")? == before?,
            "the registration is not what it was"
        );
        content(
            &wiring
                .app
                .expect(&Request::retrieve(DATA_THROUGH_CORE), 2000)?,
            marker,
        )
    });
}

/// Fails unless `request` is refused with `code`, and without the data.
fn refuse(
    stranger: &Originator,
    request: &Request,
    code: u16,
    marker: &str,
) -> anyhow::Result<String> {
    let answer = stranger.expect(request, code)?;
    let leaked = answer
        .body()
        .windows(marker.len())
        .any(|window| window == marker.as_bytes());
    anyhow::ensure!(!leaked, "the refusal has the data in it");
    Ok(format!("answered {code}"))
}

/// Whether a request of `originator` for `target` was seen behind the line's ingress.
fn reached(line: &Line, originator: &str, target: &str) -> anyhow::Result<bool> {
    let exchanges = line.ingress().take()?;
    Ok(exchanges.iter().any(|exchange| {
        exchange.request.text("x-m2m-origin").as_deref() == Some(originator)
            && exchange.request.target() == target
    }))
}

/// Fails if whoever listens at `address` answers HTTP.
fn plain(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /cse-mn HTTP/1.1\r\nHost: a\r\nX-M2M-Origin: CAdmin\r\nX-M2M-RI: 1\r\nX-M2M-RVI: 4\r\n\r\n")?;
    let mut answer = [0; 64];
    // An error is a connection that was cut off, or on which nothing came.
    let count = stream.read(&mut answer).unwrap_or(0);
    anyhow::ensure!(
        !answer[..count].starts_with(b"HTTP"),
        "answered {}",
        answer[..count].escape_ascii()
    );
    Ok(format!("{count} bytes came back"))
}

/// The gateway's registration with another point of access.
fn registration(point_of_access: SocketAddr) -> Request {
    let body = format!(
        r#"{{"m2m:csr":{{"rn":"id-mn","rr":true,"cst":2,"csz":["application/json"],"srv":["2a","3","4","5"],"spi":"//acme.example.com","csi":"/id-mn","cb":"/id-mn/cse-mn","dcse":[],"poa":["http://{point_of_access}"]}}}}"#,
    );
    Request::create("/~/id-in/cse-in", 16, body)
}
