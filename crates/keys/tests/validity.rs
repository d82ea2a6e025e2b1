//! When a key holds (what K3 clamps by).

use core::time::Duration;

use proptest::prelude::*;
use refpoint_keys::{Error, UtcTime, Validity};

fn at(seconds: u64) -> UtcTime {
    UtcTime::from_secs(seconds)
}

#[test]
fn a_key_holds_from_its_first_second_until_just_before_its_end() {
    let validity = Validity::new(Some(at(10)), at(20)).unwrap();
    let held: Vec<u64> = (0..30).filter(|t| validity.contains(at(*t))).collect();
    assert_eq!(held, (10..20).collect::<Vec<_>>());
    assert!(Validity::until(at(20)).contains(at(0)));
    assert!(!validity.is_over(at(0)));
    assert!(validity.is_over(at(20)));
}

#[test]
fn k3_nothing_remains_outside_the_validity() {
    let validity = Validity::new(Some(at(10)), at(20)).unwrap();
    for (now, remaining) in [(0, 0), (9, 0), (10, 10), (19, 1), (20, 0), (u64::MAX, 0)] {
        assert_eq!(validity.remaining(at(now)), Duration::from_secs(remaining));
    }
}

#[test]
fn an_empty_validity_cannot_be_made() {
    for end in [9, 10] {
        assert_eq!(
            Validity::new(Some(at(10)), at(end)),
            Err(Error::EmptyValidity)
        );
    }
}

#[test]
fn times_never_wrap() {
    assert_eq!(
        at(u64::MAX - 1).saturating_add(Duration::from_secs(2)),
        at(u64::MAX)
    );
    assert_eq!(at(1).saturating_since(at(2)), Duration::ZERO);
}

fn any_validity() -> impl Strategy<Value = Validity> {
    (proptest::option::of(0u64..20), 0u64..20).prop_filter_map("empty", |(start, end)| {
        Validity::new(start.map(at), at(end)).ok()
    })
}

proptest! {
    #[test]
    fn the_intersection_holds_exactly_when_both_do(a in any_validity(), b in any_validity()) {
        let both = a.intersection(&b);
        for now in (0..25).map(at) {
            let expected = a.contains(now) && b.contains(now);
            prop_assert_eq!(both.is_some_and(|both| both.contains(now)), expected);
        }
    }

    #[test]
    fn a_key_holds_exactly_while_something_remains(validity in any_validity(), now in 0u64..25) {
        prop_assert_eq!(validity.contains(at(now)), !validity.remaining(at(now)).is_zero());
    }
}
