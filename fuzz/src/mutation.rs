//! A small fuzzer for stable: repeatable, cheap, and blind.

use core::iter;

/// `count` changed copies of `seed`, the same ones every time.
///
/// Each has up to four changes: a bit flipped, a byte set to a telling value, bytes removed,
/// repeated or exchanged, or the end cut off.
pub fn mutations(seed: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed.len() as u64);
    iter::repeat_with(move || {
        let mut data = seed.to_vec();
        for _ in 0..=dice.below(4) {
            change(&mut data, &mut dice);
        }
        data
    })
    .take(count)
}

fn change(data: &mut Vec<u8>, dice: &mut Dice) {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'/', b'\n', b'"'];
    if data.is_empty() {
        data.push(TELLING[dice.below(TELLING.len())]);
        return;
    }
    let at = dice.below(data.len());
    let end = at + dice.below(data.len() - at + 1).min(16);
    match dice.below(6) {
        0 => data[at] ^= 1 << dice.below(8),
        1 => data[at] = TELLING[dice.below(TELLING.len())],
        2 => drop(data.drain(at..end)),
        3 => {
            let copy = data[at..end].to_vec();
            data.splice(at..at, copy);
        }
        4 => {
            let other = dice.below(data.len());
            data.swap(at, other);
        }
        _ => data.truncate(at),
    }
}

/// Xorshift: no more is needed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}
