use core::time::Duration;

use refpoint_keys::ReferencePoint;

use super::{
    DAY,
    key::{End, Key, lifetime},
    world::{Due, GATEWAY, LAST, World},
};

impl World {
    /// Something befalls a device.
    pub fn fate(&mut self, device: u32) {
        if self.now() >= self.end {
            return;
        }
        let next = self.soon(5 * DAY);
        self.at(next, Due::Fate(device));
        match self.rng.below(100) {
            0..30 => self.power_off(device),
            30..55 => self.cut(device),
            55..70 => {
                self.fates.moves += 1;
                self.relocate(device);
            }
            70..78 => self.revoke(device),
            78..88 => self.renew(device),
            88..92 => self.gateway_notes(device),
            _ => {
                if self.devices[device as usize].pair.point == ReferencePoint::Y {
                    // At the same time, as often as not: a tie.
                    if self.rng.below(2) == 0 {
                        self.devices[device as usize].current = None;
                        self.connect(device);
                    }
                    self.gateway_calls(device);
                }
            }
        }
    }

    fn power_off(&mut self, device: u32) {
        self.fates.reboots += 1;
        self.hosts[device as usize + 1].endpoint = None;
        if self.rng.below(3) == 0 {
            self.fates.policies += 1;
            let changed = self.now();
            let kept = &mut self.devices[device as usize];
            kept.changed = changed;
            kept.before[0] = kept.lifetimes[0];
            kept.lifetimes[0] = lifetime(&mut self.rng);
        }
        self.hinder(device);
        let at = self.now() + self.any_span(2 * 3600);
        self.at(at, Due::PowerOn(device));
    }

    fn cut(&mut self, device: u32) {
        self.fates.outages += 1;
        self.devices[device as usize].cut = true;
        self.hinder(device);
        let at = self.now() + self.any_span(12 * 3600);
        self.at(at, Due::LinkUp(device));
    }

    pub fn link_up(&mut self, device: u32) {
        self.devices[device as usize].cut = false;
        self.hinder(device);
    }

    /// The gateway trusts no handle of this device any more.
    fn revoke(&mut self, device: u32) {
        self.fates.revocations += 1;
        let kept = &mut self.devices[device as usize];
        let newest = kept.keys.len() - 1;
        kept.keys[newest].generation += 1;
        let Some(id) = self.gateway.credentials.remove(&(device, newest)) else {
            return;
        };
        let credential = self.credential(device, End::Gateway, newest);
        let id = self.with(GATEWAY, |endpoint, now, _, out| {
            endpoint.remove_credential(now, id, out);
            endpoint.insert_credential(credential).expect("it was free")
        });
        if let Some(id) = id {
            self.gateway.credentials.insert((device, newest), id);
        }
        self.gateway.current[device as usize] = self.newest(device, End::Gateway);
    }

    fn renew(&mut self, device: u32) {
        self.fates.renewals += 1;
        if let Some(id) = self.gateway.current[device as usize] {
            self.with(GATEWAY, |endpoint, now, rng, out| {
                let _ = endpoint.renew(now, rng, id, out);
            });
        }
    }

    /// A new key comes before the old one expires, or, now and then, too late.
    pub fn plan_rotation(&mut self, device: u32) {
        let kept = &self.devices[device as usize];
        let expires = kept.keys[kept.keys.len() - 1].expires;
        let at = if self.rng.below(10) == 0 {
            expires + self.part(Duration::from_secs(2 * 3600))
        } else {
            expires - Duration::from_secs(3 * 3600) - self.part(DAY)
        };
        self.at(at, Due::KeyMade(device));
    }

    pub fn key_made(&mut self, device: u32) {
        let now = self.now();
        if now >= self.end {
            return;
        }
        let expires = now + 4 * DAY + self.part(8 * DAY);
        let expires = Duration::from_secs(expires.as_secs());
        self.make_key(device, expires);
        let arrives = self.soon(Duration::from_secs(3600));
        self.at(arrives, Due::KeyArrives(device));
        self.plan_rotation(device);
    }

    fn make_key(&mut self, device: u32, expires: Duration) {
        self.fates.rotations += 1;
        let kept = &mut self.devices[device as usize];
        self.fates.expired += u64::from(kept.keys[kept.keys.len() - 1].expires < self.net.now());
        kept.keys.push(Key::new(expires, &mut self.rng));
        let version = kept.keys.len() - 1;
        let credential = self.credential(device, End::Gateway, version);
        let id = self.with(GATEWAY, |endpoint, _, _, _| {
            endpoint
                .insert_credential(credential)
                .expect("another key id")
        });
        if let Some(id) = id {
            self.gateway.credentials.insert((device, version), id);
        }
    }

    pub fn key_arrives(&mut self, device: u32) {
        let version = self.devices[device as usize].keys.len() - 1;
        if self.devices[device as usize].known == version {
            return;
        }
        self.devices[device as usize].known = version;
        let credential = self.credential(device, End::Device, version);
        let id = self.with(device + 1, |endpoint, _, _, _| {
            endpoint
                .insert_credential(credential)
                .expect("another key id")
        });
        if let Some(id) = id {
            self.devices[device as usize]
                .credentials
                .push((version, id));
        }
        self.hinder(device);
        let goes = self.now() + Duration::from_secs(1800) + self.part(Duration::from_secs(7200));
        self.at(goes, Due::KeyGoes(device));
    }

    /// Both ends forget the keys before the newest.
    pub fn key_goes(&mut self, device: u32) {
        let kept = &mut self.devices[device as usize];
        let known = kept.known;
        let old = kept.oldest..known;
        kept.oldest = known;
        let (gone, left) = kept
            .credentials
            .drain(..)
            .partition::<Vec<_>, _>(|(version, _)| *version < known);
        kept.credentials = left;
        for (_, id) in gone {
            self.with(device + 1, |endpoint, now, _, out| {
                endpoint.remove_credential(now, id, out);
            });
        }
        for version in old {
            if let Some(id) = self.gateway.credentials.remove(&(device, version)) {
                self.with(GATEWAY, |endpoint, now, _, out| {
                    endpoint.remove_credential(now, id, out);
                });
            }
        }
        // Who removes a credential knows that its associations are over.
        self.gateway.current[device as usize] = self.newest(device, End::Gateway);
        self.lost(device);
    }

    /// The end of the run: everybody can be reached, has a key, and asks once more.
    pub fn calm(&mut self) {
        self.start_gateway();
        for device in 0..self.devices.len() as u32 {
            let kept = &self.devices[device as usize];
            if kept.keys[kept.keys.len() - 1].expires < self.end + 2 * LAST {
                self.make_key(device, self.end + 4 * DAY);
            }
            self.key_arrives(device);
            self.link_up(device);
            self.power_on(device);
            if !self.is_asking(device) {
                self.ask_within(device, LAST / 2);
            }
        }
    }
}
