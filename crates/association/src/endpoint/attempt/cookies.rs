use alloc::vec::Vec;

use rand_core::CryptoRng;
use refpoint_wire::Cookie;

/// Cookies that Retries have brought, each to be tried once (rule H2).
///
/// The responder's cookie is as good for one try as for another. So what somebody on the path adds
/// by forged Retries does not displace the genuine one for long: when there are too many, chance
/// decides which stay.
#[derive(Debug, Default)]
pub(super) struct Cookies {
    waiting: Vec<Cookie>,
    tried: Vec<Cookie>,
}

const MAX_WAITING: usize = 8;
const MAX_TRIED: usize = 16;

impl Cookies {
    /// Takes note of a cookie; `false` if it waits or was tried already.
    pub(super) fn add(&mut self, cookie: Cookie, rng: &mut dyn CryptoRng) -> bool {
        if self.waiting.contains(&cookie) || self.tried.contains(&cookie) {
            return false;
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(cookie);
        } else {
            let place = below(MAX_WAITING + 1, rng);
            if let Some(displaced) = self.waiting.get_mut(place) {
                *displaced = cookie;
            }
        }
        true
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// One of those that wait, whichever.
    pub(super) fn take(&mut self, rng: &mut dyn CryptoRng) -> Option<Cookie> {
        if self.waiting.is_empty() {
            return None;
        }
        let cookie = self.waiting.swap_remove(below(self.waiting.len(), rng));
        if self.tried.len() == MAX_TRIED {
            self.tried.remove(0);
        }
        self.tried.push(cookie);
        Some(cookie)
    }
}

/// A number below `limit`, which is small.
fn below(limit: usize, rng: &mut dyn CryptoRng) -> usize {
    let mut random = [0; 4];
    rng.fill_bytes(&mut random);
    u32::from_be_bytes(random) as usize % limit
}
