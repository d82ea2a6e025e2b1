use base64::prelude::{BASE64_STANDARD, Engine};

/// Counts how often a marker occurs in bytes that arrive in pieces, overlapping occurrences included.
///
/// A marker of eight bytes or more is also found in base64, wherever it begins there: to encode is not to conceal.
#[derive(Debug, Clone)]
pub struct MarkerSearch {
    /// The marker, and what it looks like in base64.
    forms: Vec<Vec<u8>>,
    /// The end of what was searched, one byte shorter than the longest form: an occurrence may have begun there.
    tail: Vec<u8>,
}

/// Below this a marker in base64 is so short that it occurs by chance.
const LEAST_IN_BASE64: usize = 8;

impl MarkerSearch {
    /// A search for `marker`; an empty marker occurs nowhere.
    pub fn new(marker: &[u8]) -> Self {
        let mut forms = Vec::new();
        if !marker.is_empty() {
            forms.push(marker.to_vec());
        }
        if marker.len() >= LEAST_IN_BASE64 {
            forms.extend((0..3).map(|before| in_base64(marker, before)));
        }
        Self {
            forms,
            tail: Vec::new(),
        }
    }

    /// How many occurrences end within `piece`.
    pub fn count(&mut self, piece: &[u8]) -> u64 {
        let longest = self.forms.iter().map(Vec::len).max().unwrap_or_default();
        let searched = self.tail.len();
        self.tail.extend_from_slice(piece);
        let ends_in_piece = |form: &Vec<u8>| {
            let from = (searched + 1).saturating_sub(form.len());
            let windows = self
                .tail
                .get(from..)
                .unwrap_or_default()
                .windows(form.len());
            windows.filter(|window| window == form).count() as u64
        };
        let found = self.forms.iter().map(ends_in_piece).sum();
        let keep = self.tail.len().min(longest.saturating_sub(1));
        self.tail.drain(..self.tail.len() - keep);
        found
    }
}

/// The characters that stand for nothing but `marker` in base64, `before` bytes after a multiple of three.
fn in_base64(marker: &[u8], before: usize) -> Vec<u8> {
    let bytes = [&[0; 2][..before], marker].concat();
    let from = (before * 8).div_ceil(6);
    let to = bytes.len() * 8 / 6;
    let text = BASE64_STANDARD.encode(bytes);
    text.as_bytes()[from..to].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_wherever_the_pieces_are_cut() {
        let text = b"..MARKER..MARKMARKERMARKER...MARKE";
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut search = MarkerSearch::new(b"MARKER");
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(
                    pieces.map(|piece| search.count(piece)).iter().sum::<u64>(),
                    3,
                    "{first} {second}"
                );
            }
        }
    }

    #[test]
    fn overlapping_occurrences_count() {
        let mut search = MarkerSearch::new(b"aa");
        assert_eq!(
            b"aaaa"
                .iter()
                .map(|byte| search.count(&[*byte]))
                .sum::<u64>(),
            3
        );
        assert_eq!(MarkerSearch::new(b"").count(b"abc"), 0);
    }

    #[test]
    fn a_marker_is_found_in_base64_wherever_it_begins_and_the_pieces_are_cut() {
        for before in 0..6 {
            let text = [&b"........"[..before], b"THE-MARKER", b"...."].concat();
            let text = BASE64_STANDARD.encode(text);
            for cut in 0..text.len() {
                let (one, other) = text.as_bytes().split_at(cut);
                let mut search = MarkerSearch::new(b"THE-MARKER");
                assert_eq!(search.count(one) + search.count(other), 1, "{text} {cut}");
            }
        }
        let mut search = MarkerSearch::new(b"THE-MARKER");
        assert_eq!(
            search.count(BASE64_STANDARD.encode("THE-MARKET..").as_bytes()),
            0
        );
    }
}
