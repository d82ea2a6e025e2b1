//! What the planning tool must show of storms, at sizes that take moments: the same N/C, fewer devices.

use refpoint_node::simulate::{Costs, Network, Outcome, Storm, Strategy};
use refpoint_sim::Chance;

const SEED: u64 = 7;

fn run(storm: &Storm, strategy: Strategy) -> Outcome {
    println!("seed {SEED}");
    let outcome = storm.clone().with_seed(SEED).run(strategy, &mut |_| {});
    println!("{}", outcome.to_json());
    outcome
}

fn p99(outcome: &Outcome) -> f64 {
    outcome.p99.expect("all come back")
}

#[test]
fn reservations_bring_all_back_at_capacity_in_two_attempts_each() {
    for (devices, capacity) in [
        (40_000, 2_000),
        (100_000, 2_000),
        (100_000, 500),
        (100_000, 50),
    ] {
        let storm = Storm::new(devices, capacity).expect("a valid storm");
        let outcome = run(&storm, Strategy::Reservations);
        assert_eq!(outcome.lost, 0);
        assert!(p99(&outcome) <= 1.10 * storm.ideal(), "{}", p99(&outcome));
        assert!(outcome.attempts <= 2.1, "{}", outcome.attempts);
        assert!(outcome.goodput >= 0.95, "{}", outcome.goodput);
        assert!(
            outcome.peak.planned <= 1.0 && outcome.peak.served <= 1.0,
            "{:?}",
            outcome.peak
        );
    }
}

#[test]
fn hints_that_keep_all_processors_busy_for_seconds_do_not_cost_the_capacity() {
    // A sixth of a million devices at 20 000 handshakes a second on six processors.
    let costs = Costs {
        cores: 1.0,
        ..Costs::measured(3_333)
    };
    let storm = Storm::new(166_667, 3_333)
        .expect("a valid storm")
        .with_costs(costs);
    let outcome = run(&storm, Strategy::Reservations);
    assert_eq!(outcome.lost, 0);
    assert!(p99(&outcome) <= 1.10 * storm.ideal(), "{}", p99(&outcome));
    assert!(outcome.attempts <= 2.1, "{}", outcome.attempts);
    assert!(outcome.goodput >= 0.95, "{}", outcome.goodput);
    assert!(
        outcome.peak.planned <= 1.0 && outcome.peak.served <= 1.0,
        "{:?}",
        outcome.peak
    );
}

#[test]
fn loss_and_devices_that_ignore_hints_cost_a_quarter_at_most() {
    for (loss, skew) in [(5, 0), (20, 0), (20, 10)] {
        for (devices, capacity) in [(40_000, 2_000), (100_000, 500)] {
            let network = Network {
                loss: Chance::percent(loss),
                skew,
                ..Network::default()
            };
            let storm = Storm::new(devices, capacity)
                .expect("a valid storm")
                .with_network(network)
                .with_ignoring(Chance::percent(1));
            let outcome = run(&storm, Strategy::Reservations);
            assert_eq!(outcome.lost, 0);
            assert!(p99(&outcome) <= 1.25 * storm.ideal(), "{}", p99(&outcome));
            assert!(outcome.peak.served <= 1.0, "{:?}", outcome.peak);
        }
    }
}

#[test]
fn in_a_storm_of_half_an_hour_loss_costs_a_quarter_at_most_too() {
    let network = Network {
        loss: Chance::percent(20),
        ..Network::default()
    };
    let storm = Storm::new(200_000, 100)
        .expect("a valid storm")
        .with_network(network);
    let outcome = run(&storm, Strategy::Reservations);
    assert_eq!(outcome.lost, 0);
    assert!(p99(&outcome) <= 1.25 * storm.ideal(), "{}", p99(&outcome));
}

#[test]
fn handles_bring_all_back_many_times_faster() {
    let storm = Storm::new(200_000, 4_000).expect("a valid storm");
    let outcome = run(&storm, Strategy::Light);
    assert_eq!(outcome.lost, 0);
    assert!(p99(&outcome) <= storm.ideal() / 5.0, "{}", p99(&outcome));
}

#[test]
fn what_devices_do_today_takes_longer_and_many_more_attempts() {
    let storm = Storm::new(50_000, 1_000).expect("a valid storm");
    let ours = run(&storm, Strategy::Reservations);
    for strategy in Strategy::ALL
        .into_iter()
        .filter(|strategy| !strategy.is_ours())
    {
        let theirs = run(&storm, strategy);
        assert!(
            theirs.attempts > 1.5 * ours.attempts,
            "{strategy}: {}",
            theirs.attempts
        );
        assert!(
            theirs.p99.is_none_or(|seconds| seconds > 1.02 * p99(&ours)),
            "{strategy}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_storm() {
    let storm = Storm::new(5_000, 100).expect("a valid storm");
    let figures = |seed| {
        let outcome = storm
            .clone()
            .with_seed(seed)
            .run(Strategy::FullJitter, &mut |_| {});
        outcome.to_json().to_string()
    };
    assert_eq!(figures(1), figures(1));
    assert_ne!(figures(1), figures(2));
}
