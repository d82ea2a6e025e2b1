//! oneM2M primitives: what the security layers of X, Y and Z share.
