//! What the planning tool must show of renewals.

use refpoint_node::simulate::{Network, RenewalOutcome, RenewalStrategy, Renewals};
use refpoint_sim::Chance;

const SEED: u64 = 7;

fn run(renewals: &Renewals, strategy: RenewalStrategy) -> RenewalOutcome {
    println!("seed {SEED}");
    let outcome = renewals.clone().with_seed(SEED).run(strategy, &mut |_| {});
    println!("{}", outcome.to_json());
    outcome
}

#[test]
fn planned_renewals_are_flat_from_the_restart_on() {
    let renewals = Renewals::new(100_000, 2_000, 3_600);
    let outcome = run(&renewals, RenewalStrategy::Planned);
    assert!(outcome.first <= 1.2, "{}", outcome.first);
    assert!(outcome.later <= 1.1, "{}", outcome.later);
    assert_eq!((outcome.lost, outcome.late), (0, 0));
}

#[test]
fn nothing_expires_although_packets_are_lost_and_clocks_run_wrong() {
    let network = Network {
        loss: Chance::percent(20),
        skew: 10,
        ..Network::default()
    };
    let renewals = Renewals::new(200_000, 4_000, 1_800)
        .with_network(network)
        .with_lifetimes(4);
    let outcome = run(&renewals, RenewalStrategy::Planned);
    assert_eq!(outcome.lost, 0);
    assert!(outcome.first <= 1.2, "{}", outcome.first);
    assert!(outcome.later <= 1.1, "{}", outcome.later);
}

#[test]
fn what_is_done_today_has_peaks_or_loses_associations() {
    let renewals = Renewals::new(50_000, 1_000, 3_600);
    let fixed = run(&renewals, RenewalStrategy::Fixed);
    assert!(fixed.first > 10.0 && fixed.later > 10.0);
    let wide = run(&renewals, RenewalStrategy::Wide);
    assert!(wide.first > 1.5);
    let network = Network {
        skew: 15,
        ..Network::default()
    };
    let late = run(&renewals.with_network(network), RenewalStrategy::Late);
    assert!(
        late.lost > 0,
        "a window that ends at 0.9 leaves no room for slow clocks"
    );
}
