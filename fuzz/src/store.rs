//! Targets of `refpoint-store`: its key file.

use refpoint_store::{KeyFileProblem, KeyFileSummary};

/// Where the number of buckets stands, and where they begin.
const COUNT: usize = 22 + 16 + 8 + 3 * 32;

/// A key file is taken only as a whole, and what is wrong with another is told without its bytes.
pub fn store_key_file(data: &[u8]) {
    match KeyFileSummary::read(data) {
        Ok(summary) => {
            assert!(data.starts_with(b"refpoint store keys 1\n"));
            assert_eq!(data.len(), COUNT + 4 + summary.buckets * 36 + 32);
            assert_eq!(summary.last.is_some(), summary.buckets > 0);
            for length in 0..data.len() {
                assert!(KeyFileSummary::read(&data[..length]).is_err(), "cut off");
            }
            let mut altered = data.to_vec();
            for at in [COUNT - 1, data.len() / 2, data.len() - 1] {
                altered[at] ^= 1;
                assert!(KeyFileSummary::read(&altered).is_err(), "altered");
                altered[at] ^= 1;
            }
        }
        Err(problem) => {
            assert!(
                problem != KeyFileProblem::Foreign || !data.starts_with(b"refpoint store keys 1\n")
            );
            assert!(problem.to_string().is_ascii());
        }
    }
}
