//! A virtual clock and a seeded lossy link, for tests and simulations.
