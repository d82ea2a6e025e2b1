//! What a configuration means: references between its tables, and what a reference point demands.

mod end_to_end;
mod peer;
mod policy;

use core::net::SocketAddr;
use core::ops::Range;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use refpoint_keys::ReferencePoint;
use refpoint_store::{BucketLength, MissingKeys};
use toml::Spanned;

use super::error::LineError;
use super::file;
use super::read::Parsed;
use super::{Carriage, Config, Egress, Ingress, Limits, Listen, Peer, Store};

type Checked<T> = Result<T, LineError>;

pub(super) struct Check<'a> {
    text: &'a str,
    directory: &'a Path,
}

impl<'a> Check<'a> {
    pub(super) fn new(text: &'a str, directory: &'a Path) -> Self {
        Self { text, directory }
    }

    pub(super) fn config(&self, file: file::File) -> Checked<Config> {
        let entity = file.node.entity.0;
        let has_static_key = file.node.static_key.is_some();
        let policies = self.policies(file.policy)?;
        let mut peers: Vec<Peer> = Vec::new();
        let mut states = HashSet::new();
        for peer in file.peer {
            let at = peer.entity.span();
            let state_at = peer.state.as_ref().map(Spanned::span);
            let peer = self.peer(peer, &entity, has_static_key, &policies)?;
            if let (Some(at), Some(state)) = (state_at, &peer.state)
                && !states.insert(state.clone())
            {
                return self.refuse(at, "another peer has this state file already");
            }
            if peers
                .iter()
                .any(|other| other.entity == peer.entity && other.point == peer.point)
            {
                return self.refuse(at, "this peer has a table at this reference point already");
            }
            self.distinct_holders(&peer, &peers, at)?;
            peers.push(peer);
        }
        let limits = self.limits(file.limits)?;
        let store = file.store.map(|store| self.store(store, &file.listen));
        // Port 0 is chosen by the operating system, anew each time.
        let mut addresses = HashSet::new();
        let mut is_free = |address: SocketAddr, carriage| {
            address.port() == 0 || addresses.insert((address, carriage))
        };
        let mut listen = Vec::new();
        for table in file.listen {
            let at = table.address.span();
            let table = self.listen(table)?;
            if !is_free(table.address, table.carriage) {
                return self.refuse(at, "this address is listened on already");
            }
            listen.push(table);
        }
        let mut egress = Vec::new();
        for table in file.egress {
            let at = table.listen.span();
            let table = self.egress(table, &peers)?;
            if !is_free(table.listen, Carriage::Tcp) {
                return self.refuse(at, "this address is listened on already");
            }
            egress.push(table);
        }
        let metrics = match file.node.metrics {
            Some(metrics) if !is_free(metrics.get_ref().0, Carriage::Tcp) => {
                return self.refuse(metrics.span(), "this address is listened on already");
            }
            metrics => metrics.map(|metrics| metrics.into_inner().0),
        };
        let tables = end_to_end::Tables {
            end_to_end: file.end_to_end,
            contact: file.contact,
            sealed: file.sealed,
        };
        let end_to_end = self.end_to_end(tables, &entity, (has_static_key, egress.len()))?;
        Ok(Config {
            entity,
            static_key: file
                .node
                .static_key
                .map(|path| self.path(path.into_inner())),
            drain: file
                .node
                .drain
                .map_or(core::time::Duration::from_secs(10), |drain| drain.0),
            metrics,
            log: file.node.log.unwrap_or_else(|| "info".to_owned()),
            limits,
            store: store.transpose()?,
            listen,
            peers,
            egress,
            ingress: self.ingress(file.ingress)?,
            end_to_end,
        })
    }

    fn store(&self, table: file::Store, listen: &[file::Listen]) -> Checked<Store> {
        let at = table.directory.span();
        let on_udp = |listen: &&file::Listen| listen.carriage.0 == Carriage::Udp;
        if listen.iter().filter(on_udp).count() > 1 {
            return self.refuse(
                at,
                "a store is for one [[listen]] with carriage = \"udp\": listen on [::] for IPv4 and IPv6",
            );
        }
        if let (None, Some(missing)) = (&table.key_directory, &table.missing_keys)
            && missing.get_ref().0 == MissingKeys::StartEmpty
        {
            return self.refuse(
                missing.span(),
                "without key_directory the keys go when the directory goes: write \"refuse\"",
            );
        }
        let bucket = match table.bucket {
            None => BucketLength::default(),
            Some(bucket) => match BucketLength::new(bucket.get_ref().0) {
                Ok(length) => length,
                Err(error) => return self.refuse(bucket.span(), error.to_string()),
            },
        };
        let missing_keys = table.missing_keys.map(|missing| missing.into_inner().0);
        Ok(Store {
            directory: self.path(table.directory.into_inner()),
            key_directory: table.key_directory.map(|path| self.path(path)),
            missing_keys: missing_keys.unwrap_or(MissingKeys::Refuse),
            bucket,
        })
    }

    fn listen(&self, table: file::Listen) -> Checked<Listen> {
        let (carriage, span) = (table.carriage.0, table.points.span());
        let points: Vec<_> = table
            .points
            .into_inner()
            .into_iter()
            .map(|point| point.0)
            .collect();
        if points.is_empty() {
            return self.refuse(span, "name at least one reference point");
        }
        if carriage == Carriage::Udp && points.iter().any(|point| *point != ReferencePoint::X) {
            return self.refuse(
                span,
                "only x travels in datagrams: use carriage = \"tcp\" for the others",
            );
        }
        // A listener on TCP offers one gRPC service; Y and Y' have the same.
        let service = |point: &ReferencePoint| match point {
            ReferencePoint::YPrime => ReferencePoint::Y,
            other => *other,
        };
        if points
            .iter()
            .any(|point| service(point) != service(&points[0]))
        {
            return self.refuse(
                span,
                "x, y and z are different services: give each its own [[listen]]",
            );
        }
        Ok(Listen {
            address: table.address.into_inner().0,
            carriage,
            points,
        })
    }

    fn egress(&self, table: file::Egress, peers: &[Peer]) -> Checked<Egress> {
        let (at, entity) = (table.peer.span(), table.peer.into_inner().0);
        let mut known = peers
            .iter()
            .filter(|peer| peer.entity == entity)
            .map(|peer| peer.point);
        let point = match (table.point, known.next(), known.next()) {
            (_, None, _) => return self.refuse(at, "no [[peer]] has this entity"),
            (None, Some(point), None) => point,
            (None, Some(_), Some(_)) => {
                return self.refuse(at, "this peer has several reference points: add point");
            }
            (Some(point), Some(_), _) => {
                if !peers
                    .iter()
                    .any(|peer| peer.entity == entity && peer.point == point.get_ref().0)
                {
                    return self.refuse(
                        point.span(),
                        "no [[peer]] has this entity at this reference point",
                    );
                }
                point.into_inner().0
            }
        };
        let from = table
            .from
            .unwrap_or_default()
            .into_iter()
            .map(|id| id.0)
            .collect();
        Ok(Egress {
            listen: table.listen.into_inner().0,
            peer: entity,
            point,
            from,
        })
    }

    fn ingress(&self, tables: Vec<file::Ingress>) -> Checked<Vec<Ingress>> {
        let mut served = HashSet::new();
        let mut ingress = Vec::new();
        for table in tables {
            let at = table.points.span();
            let points: Vec<_> = table
                .points
                .into_inner()
                .into_iter()
                .map(|point| point.0)
                .collect();
            if points.is_empty() || !points.iter().all(|point| served.insert(*point)) {
                return self.refuse(
                    at,
                    "each reference point has one ingress, each ingress at least one",
                );
            }
            let bearer_token = table.bearer_token.map(|path| self.path(path));
            ingress.push(Ingress {
                cse: table.cse.0,
                points,
                bearer_token,
            });
        }
        Ok(ingress)
    }

    fn limits(&self, table: file::Limits) -> Checked<Limits> {
        let mut limits = Limits::default();
        let sizes = [
            (table.head, &mut limits.http.head, 1 << 10, 1 << 20),
            (table.body, &mut limits.http.body, 1 << 10, 1 << 30),
            (table.datagram, &mut limits.datagram, 256, 65_000),
        ];
        for (size, limit, least, most) in sizes {
            if let Some(size) = size {
                *limit = self.within(size.span(), size.get_ref().0.0, least, most)?;
            }
        }
        let counts = [
            (table.headers, &mut limits.http.headers, 1 << 10),
            (table.connections, &mut limits.http.connections, 1 << 16),
            (table.in_flight, &mut limits.in_flight, 1 << 16),
        ];
        for (count, limit, most) in counts {
            if let Some(count) = count {
                *limit = self.within(count.span(), *count.get_ref() as u64, 1, most)?;
            }
        }
        limits.queue = table.queue.unwrap_or(limits.queue);
        let times = [
            (table.head_time, &mut limits.http.head_time),
            (table.body_time, &mut limits.http.body_time),
            (table.idle_time, &mut limits.http.idle_time),
            (table.connect_time, &mut limits.http.connect_time),
            (table.answer_time, &mut limits.http.answer_time),
            (table.exchange_time, &mut limits.exchange_time),
            (table.renewal_time, &mut limits.renewal_time),
        ];
        for (time, limit) in times {
            *limit = time.map_or(*limit, |Parsed(time)| time);
        }
        Ok(limits)
    }

    fn within(&self, at: Range<usize>, value: u64, least: u64, most: u64) -> Checked<usize> {
        match usize::try_from(value) {
            Ok(fits) if (least..=most).contains(&value) => Ok(fits),
            _ => self.refuse(at, format!("out of range: write {least} to {most}")),
        }
    }

    fn path(&self, path: PathBuf) -> PathBuf {
        self.directory.join(path)
    }

    fn refuse<T>(&self, at: Range<usize>, problem: impl Into<String>) -> Checked<T> {
        Err(LineError::at(self.text, at, problem))
    }
}
