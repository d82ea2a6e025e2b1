//! A month of associations in virtual time, with random loss, reboots, clocks that run a tenth too
//! fast or too slow, devices without a date, changes of keys and policies: no nonce is used twice,
//! nothing travels under an expired key, no two ends stay in different epochs, nobody is stranded.
//!
//! `cargo xtask long` runs the same with ten thousand.

#[path = "long/long.rs"]
mod long;

use long::{Plan, run};
use refpoint_sim::Violation;

#[test]
fn a_month_of_associations_strands_nobody_and_repeats_no_nonce() {
    let seed = 1;
    let plan = Plan {
        associations: 60,
        at_one_gateway: 30,
        seed,
        ..Plan::default()
    };
    let outcome = run(&plan, 2, &|_, _| {});
    println!("seed {seed}\n{outcome}");
    let (findings, fates) = (&outcome.findings, &outcome.fates);
    for violation in Violation::ALL {
        assert_eq!(findings.count(violation), 0, "seed {seed}: {violation}");
    }
    assert!(outcome.is_complete(), "seed {seed}: not all was checked");
    // What did not happen was not tested.
    assert!(
        findings.heard > 300 * u64::from(plan.associations),
        "seed {seed}"
    );
    for happened in [
        fates.reboots,
        fates.stale,
        fates.outages,
        fates.moves,
        fates.rotations,
        fates.expired,
        fates.revocations,
        fates.policies,
        fates.renewals,
        fates.calls,
        fates.restarts,
        fates.full,
        fates.resumed,
        fates.replaced,
        fates.not_resumed,
        fates.lost,
        fates.replayed,
        findings.ratchets,
    ] {
        assert!(happened > 0, "seed {seed}: {fates}");
    }
}
