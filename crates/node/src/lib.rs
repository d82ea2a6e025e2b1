//! The refpoint node: a sidecar that secures the reference points of an unmodified CSE.
