/// Counts how often a marker occurs in bytes that arrive in pieces, overlapping occurrences included.
#[derive(Debug, Clone)]
pub struct MarkerSearch {
    marker: Vec<u8>,
    /// The end of what was searched, one byte shorter than the marker: an occurrence may have begun there.
    tail: Vec<u8>,
}

impl MarkerSearch {
    /// A search for `marker`; an empty marker occurs nowhere.
    pub fn new(marker: &[u8]) -> Self {
        Self {
            marker: marker.to_vec(),
            tail: Vec::new(),
        }
    }

    /// How many occurrences end within `piece`.
    pub fn count(&mut self, piece: &[u8]) -> u64 {
        if self.marker.is_empty() {
            return 0;
        }
        self.tail.extend_from_slice(piece);
        let found = self
            .tail
            .windows(self.marker.len())
            .filter(|window| *window == self.marker)
            .count();
        let keep = self.tail.len().min(self.marker.len() - 1);
        self.tail.drain(..self.tail.len() - keep);
        found as u64
    }
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
}
