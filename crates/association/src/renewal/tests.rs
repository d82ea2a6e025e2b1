use proptest::prelude::*;
use std::{collections::BTreeMap, vec::Vec};

use super::*;

const HOUR: u64 = 3_600_000;
const BIN: u64 = 10_000;

/// Renewals in each bin up to `until`, of `count` associations that begin at `pace` milliseconds.
fn renewals(count: u64, pace: u64, life: u64, until: u64) -> Vec<u64> {
    let mut plan = RenewalPlan::new(BIN, 4096);
    let mut due: BTreeMap<(u64, u64), ()> = BTreeMap::new();
    for device in 0..count {
        let now = device * pace;
        let window = plan.plan(now, life, Turn::First);
        due.insert((window.from() + device % window.length(), device), ());
    }
    let mut bins = std::vec![0; usize::try_from(until / BIN).unwrap_or(0)];
    while let Some(((now, device), ())) = due.pop_first() {
        if now >= until {
            break;
        }
        bins[usize::try_from(now / BIN).unwrap_or(0)] += 1;
        let window = plan.plan(now, life, Turn::Later);
        due.insert((window.from() + device % window.length(), device), ());
    }
    bins
}

fn peak_to_mean(bins: &[u64]) -> f64 {
    let peak = bins.iter().copied().max().unwrap_or(0) as f64;
    peak * bins.len() as f64 / bins.iter().sum::<u64>() as f64
}

#[test]
fn renewals_after_a_mass_restart_are_flat_in_the_first_lifetime_and_after() {
    let bins = renewals(20_000, 2, HOUR, 10 * HOUR);
    let (first, later) = bins.split_at(360);
    assert!(peak_to_mean(first) <= 1.2, "{}", peak_to_mean(first));
    assert!(peak_to_mean(later) <= 1.1, "{}", peak_to_mean(later));
}

#[test]
fn a_second_storm_in_the_middle_is_levelled_out_too() {
    let mut plan = RenewalPlan::new(BIN, 4096);
    for _ in 0..10_000 {
        let _ = plan.plan(0, HOUR, Turn::First);
    }
    for _ in 0..10_000 {
        let _ = plan.plan(300_000, HOUR, Turn::First);
    }
    let loads: Vec<_> = (40..160).map(|bin| plan.planned(bin * BIN)).collect();
    let (least, most) = (loads.iter().min(), loads.iter().max());
    assert!(
        least
            .zip(most)
            .is_some_and(|(least, most)| most - least <= 2),
        "{loads:?}"
    );
}

#[test]
fn a_hastened_renewal_moves_and_leaves_room_behind() {
    let mut plan = RenewalPlan::new(BIN, 4096);
    let window = plan.plan(0, HOUR, Turn::Later);
    assert_eq!(plan.planned(window.from()), 1);
    assert_eq!(plan.hasten(500, window, 0), Window::at_once(500));
    assert_eq!(plan.planned(window.from()), 0);
    let soon = plan.hasten(500, window, 60_000);
    assert!(soon.from() >= 500 && soon.end() <= 60_500);
}

#[test]
fn ten_thousand_keys_that_are_compromised_renew_evenly_in_a_quarter_of_an_hour() {
    let mut plan = RenewalPlan::new(BIN, 4096);
    let windows: Vec<_> = (0..10_000)
        .map(|_| plan.plan(0, 8 * HOUR, Turn::First))
        .collect();
    for window in windows {
        let _ = plan.hasten(0, window, HOUR / 4);
    }
    let loads: Vec<_> = (0..90).map(|bin| plan.planned(bin * BIN)).collect();
    assert!(
        loads.iter().all(|load| (108..=115).contains(load)),
        "{loads:?}"
    );
}

proptest! {
    #[test]
    fn a_window_ends_before_half_of_the_life_and_lies_ahead(
        begins in prop::collection::vec((0_u64..100_000, 1_u64..1 << 40, any::<bool>()), 1..100),
    ) {
        let mut plan = RenewalPlan::new(BIN, 256);
        let mut now = 0;
        for (pause, life, first) in begins {
            now += pause;
            let turn = if first { Turn::First } else { Turn::Later };
            let window = plan.plan(now, life, turn);
            prop_assert!(window.from() >= now);
            prop_assert!(window.end() <= now + life / 2);
            prop_assert!(window.from() <= now + 256 * BIN + life / 2);
        }
    }

    #[test]
    fn any_times_are_survived(now: u64, life: u64, then: u64, span: u64) {
        let mut plan = RenewalPlan::default();
        let window = plan.plan(now, life, Turn::First);
        let moved = plan.hasten(then, window, span);
        plan.release(then, moved);
    }
}
