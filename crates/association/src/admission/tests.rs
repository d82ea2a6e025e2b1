use proptest::prelude::*;
use std::{collections::BTreeMap, vec::Vec};

use super::*;

fn claim(entity: u64) -> Claim {
    of(entity, Class::Normal, 0)
}

fn of(entity: u64, class: Class, tenant: u16) -> Claim {
    let tenant = Tenant(tenant);
    Claim {
        kind: Claimant::Verified {
            entity,
            class,
            tenant,
        },
        returned: None,
    }
}

fn stranger(address: [u8; 4]) -> Claim {
    let prefix = SourcePrefix::of(address.into());
    Claim {
        kind: Claimant::Unverified { prefix },
        returned: None,
    }
}

fn returned(claim: Claim, slot: SlotTime) -> Claim {
    Claim {
        returned: Some(slot),
        ..claim
    }
}

fn admission(capacity: u32) -> Admission {
    Admission::new(AdmissionConfig::new(capacity).expect("a valid capacity"))
}

/// Asks for all of `claims` at `start`, and brings each back at its slots until it is served.
/// Returns when each was served, in the order of the claims.
fn storm(admission: &mut Admission, start: u64, claims: &[Claim]) -> Vec<u64> {
    let mut due: BTreeMap<(u64, usize), Option<SlotTime>> =
        (0..claims.len()).map(|at| ((start, at), None)).collect();
    let mut served = std::vec![u64::MAX; claims.len()];
    while let Some(((now, at), slot)) = due.pop_first() {
        let claim = Claim {
            returned: slot,
            ..claims[at]
        };
        match admission.request(now, &claim) {
            Verdict::Serve => served[at] = now,
            Verdict::Later(slot) => {
                assert!(slot.millis() > now, "a slot in the past");
                due.insert((slot.millis(), at), Some(slot));
            }
            Verdict::Ignore => {
                due.insert((now + 5_000, at), None);
            }
        }
    }
    served
}

/// The most that any second holds.
fn peak(times: &[u64]) -> usize {
    let mut times = times.to_vec();
    times.sort_unstable();
    let in_a_second = |(at, begin): (usize, &u64)| {
        times[at..]
            .iter()
            .take_while(|time| **time < begin + 1_000)
            .count()
    };
    times.iter().enumerate().map(in_a_second).max().unwrap_or(0)
}

fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = (
        shares.iter().sum::<f64>(),
        shares.iter().map(|x| x * x).sum::<f64>(),
    );
    sum * sum / (shares.len() as f64 * squares)
}

#[test]
fn without_load_everyone_is_served_at_once() {
    let mut admission = admission(100);
    for second in 0..50 {
        let verdict = admission.request(second * 100, &claim(second));
        assert_eq!(verdict, Verdict::Serve);
    }
    assert_eq!(
        admission.request(9_000, &stranger([192, 0, 2, 1])),
        Verdict::Serve
    );
}

#[test]
fn a_storm_drains_at_capacity_in_two_attempts_each() {
    let mut admission = admission(1_000);
    let claims: Vec<_> = (0..20_000).map(claim).collect();
    let served = storm(&mut admission, 7, &claims);
    let last = served.iter().max().copied().unwrap_or(0);
    assert!(
        (20_000..=21_000).contains(&last),
        "{last} ms for 20 s of work"
    );
    assert!(peak(&served) <= 1_000, "{}", peak(&served));
    let statistics = admission.statistics();
    assert_eq!((statistics.displaced, statistics.ignored), (0, 0));
    assert_eq!(statistics.served, 20_000);
}

#[test]
fn hints_are_paid_for_by_slots_that_lie_further_apart() {
    let config = AdmissionConfig::new(1_000).and_then(|config| config.with_hint_cost(500));
    let mut admission = Admission::new(config.expect("a valid configuration"));
    let claims: Vec<_> = (0..2_000).map(claim).collect();
    let last = storm(&mut admission, 0, &claims).into_iter().max();
    assert!(
        last.is_some_and(|last| (2_800..3_000).contains(&last)),
        "{last:?}"
    );
}

#[test]
fn an_entity_that_asks_again_gets_the_same_slot_and_is_charged_once() {
    let mut admission = admission(10);
    let _ = storm(&mut admission, 0, &[]);
    let first = (0..40)
        .map(|entity| admission.request(0, &claim(entity)))
        .last();
    let backlog = admission.backlog(0);
    for again in 1..20 {
        let verdict = admission.request(again * 150, &claim(39));
        assert!(
            verdict == Verdict::Ignore || Some(verdict) == first,
            "{verdict:?}"
        );
    }
    assert_eq!(admission.backlog(0), backlog);
    assert!(admission.statistics().repeated >= 1);
}

#[test]
fn who_does_not_heed_hints_does_not_delay_those_who_do() {
    let heeding: Vec<_> = (0..2_000).map(claim).collect();
    let alone = storm(&mut admission(200), 0, &heeding);
    let mut admission = admission(200);
    let mut due: BTreeMap<(u64, u64), Option<SlotTime>> =
        (0..2_000).map(|entity| ((0, entity), None)).collect();
    let mut last = 0;
    let mut hammered = 0;
    while let Some(((now, entity), slot)) = due.pop_first() {
        // A hundred others ask every 10 ms, whatever they are told, as long as this lasts.
        for other in 0..100 {
            if now / 10 > hammered {
                let _ = admission.request(now, &claim(1_000_000 + other));
            }
        }
        hammered = now / 10;
        let slotless = claim(entity);
        match admission.request(
            now,
            &Claim {
                returned: slot,
                ..slotless
            },
        ) {
            Verdict::Serve => last = now,
            Verdict::Later(slot) => {
                let _ = due.insert((slot.millis(), entity), Some(slot));
            }
            Verdict::Ignore => {
                let _ = due.insert((now + 1_000, entity), slot);
            }
        }
    }
    let alone = alone.into_iter().max().unwrap_or(0);
    assert!(
        last <= alone + alone / 10 + 1_000,
        "{last} ms, {alone} ms without them"
    );
}

#[test]
fn an_emergency_goes_first_through_the_middle_of_a_storm() {
    let mut admission = admission(1_000);
    for entity in 0..10_000 {
        let _ = admission.request(0, &claim(entity));
    }
    let emergencies: Vec<_> = (0..200)
        .map(|entity| of(50_000 + entity, Class::Emergency, 0))
        .collect();
    let served = storm(&mut admission, 100, &emergencies);
    assert!(
        served.iter().all(|at| *at < 2_500),
        "{:?}",
        served.iter().max()
    );
}

#[test]
fn a_storm_of_one_tenant_does_not_starve_another() {
    let config = AdmissionConfig::new(1_000).and_then(|config| config.with_tenants(&[1, 1, 1]));
    let mut admission = Admission::new(config.expect("a valid configuration"));
    let count = [30_000, 2_000, 2_000];
    let claims: Vec<_> = (0..34_000_u64)
        .map(|entity| {
            let tenant = if entity < 30_000 {
                0
            } else {
                1 + (entity % 2) as u16
            };
            of(entity, Class::Normal, tenant)
        })
        .collect();
    let served = storm(&mut admission, 0, &claims);
    let by = |tenant: u16, until: u64| {
        let theirs = claims.iter().zip(&served).filter(|(claim, at)| {
            matches!(claim.kind, Claimant::Verified { tenant: Tenant(of), .. } if of == tenant)
                && **at < until
        });
        theirs.count() as f64
    };
    // While all three have work, each gets its third; none less than what the quotas leave it.
    let shares: Vec<_> = (0..3)
        .map(|tenant| by(tenant, 6_000).min(2_000.0))
        .collect();
    assert!(jain(&shares) >= 0.95, "{shares:?} of {count:?}");
    assert!(peak(&served) <= 1_000);
    let last = served.iter().max().copied().unwrap_or(0);
    assert!(last <= 38_000, "nothing is left idle: {last} ms");
}

#[test]
fn a_tenant_that_comes_late_has_its_quota_at_once() {
    let config = AdmissionConfig::new(1_000).and_then(|config| config.with_tenants(&[1, 1]));
    let mut admission = Admission::new(config.expect("a valid configuration"));
    let mut due: BTreeMap<(u64, u64), (Claim, Option<SlotTime>)> = (0..10_000)
        .map(|entity| ((0, entity), (of(entity, Class::Normal, 0), None)))
        .chain((0..1_000).map(|entity| {
            (
                (2_000, 20_000 + entity),
                (of(20_000 + entity, Class::Normal, 1), None),
            )
        }))
        .collect();
    let (mut last_of_late, mut served, mut attempts) = (0, Vec::new(), 0);
    while let Some(((now, entity), (claim, slot))) = due.pop_first() {
        attempts += 1;
        match admission.request(
            now,
            &Claim {
                returned: slot,
                ..claim
            },
        ) {
            Verdict::Serve => {
                served.push(now);
                if entity >= 20_000 {
                    last_of_late = now;
                }
            }
            Verdict::Later(slot) => {
                let _ = due.insert((slot.millis(), entity), (claim, Some(slot)));
            }
            Verdict::Ignore => {
                let _ = due.insert((now + 1_000, entity), (claim, None));
            }
        }
    }
    assert!(last_of_late < 5_500, "{last_of_late} ms");
    assert!(peak(&served) <= 1_000, "{}", peak(&served));
    assert!(attempts <= 24_000, "{attempts} attempts of 11 000 entities");
}

#[test]
fn strangers_have_a_tenth_while_others_wait_and_forged_ones_keep_nothing() {
    let mut admission = admission(1_000);
    for entity in 0..40_000 {
        let _ = admission.request(0, &claim(entity));
    }
    let (backlog, bookings) = (admission.backlog(0), admission.bookings());
    let mut honest: BTreeMap<(u64, u8), Option<SlotTime>> =
        (0..50).map(|host| ((200, host), None)).collect();
    let mut served = Vec::new();
    for now in 1..30_000 {
        // Forged requests come before and after those of the honest, by turns.
        for turn in 0..21 {
            if turn != now * 8 % 21 {
                let from = stranger([10, turn as u8, (now % 256) as u8, 1]);
                assert_ne!(admission.request(now, &from), Verdict::Serve);
                continue;
            }
            while let Some(entry) = honest.first_entry() {
                if entry.key().0 > now {
                    break;
                }
                let ((_, host), slot) = entry.remove_entry();
                let from = stranger([203, host, 113, 1]);
                match admission.request(
                    now,
                    &Claim {
                        returned: slot,
                        ..from
                    },
                ) {
                    Verdict::Serve => served.push(now),
                    Verdict::Later(slot) => {
                        let _ = honest.insert((slot.millis(), host), Some(slot));
                    }
                    Verdict::Ignore => {
                        let _ = honest.insert((now + 211 + u64::from(host), host), None);
                    }
                }
            }
        }
    }
    assert!(
        served.len() >= 30,
        "{} of 50 strangers served",
        served.len()
    );
    assert!(peak(&served) <= 100);
    assert!(
        admission.bookings() <= bookings,
        "nothing is kept of strangers"
    );
    assert!(admission.backlog(0) <= backlog, "and nothing charged");
}

#[test]
fn one_prefix_does_not_take_what_all_strangers_share() {
    let mut admission = admission(1_000);
    for entity in 0..50_000 {
        let _ = admission.request(0, &claim(entity));
    }
    let from = stranger([192, 0, 2, 1]);
    let due = |now: u64| returned(from, SlotTime::from_millis(now));
    let served =
        (1_000..11_000).filter(|now| admission.request(*now, &due(*now)) == Verdict::Serve);
    let served = served.count();
    assert!((100..=140).contains(&served), "{served} in ten seconds");
}

#[test]
fn a_slot_given_before_a_restart_is_honoured_once() {
    let slot = SlotTime::from_millis(60_000);
    let mut restarted = admission(100);
    let early = restarted.request(20_000, &returned(claim(1), slot));
    assert_eq!(early, Verdict::Later(slot), "its place is kept");
    assert_eq!(
        restarted.request(60_100, &returned(claim(1), slot)),
        Verdict::Serve
    );
    for entity in 2..200 {
        let _ = restarted.request(60_200, &claim(entity));
    }
    let again = restarted.request(60_300, &returned(claim(1), slot));
    assert!(matches!(again, Verdict::Later(_)), "{again:?}");
}

#[test]
fn who_misses_its_slot_has_a_grace_and_then_a_new_slot() {
    let mut admission = admission(10);
    let mut slots = Vec::new();
    for entity in 0..300 {
        match admission.request(0, &claim(entity)) {
            Verdict::Later(slot) => slots.push((entity, slot)),
            verdict => assert_eq!(verdict, Verdict::Serve),
        }
    }
    let (early, late) = (slots[10], slots[12]);
    let at = early.1.millis() + 4_000;
    assert_eq!(
        admission.request(at, &returned(claim(early.0), early.1)),
        Verdict::Serve
    );
    let missed = returned(claim(late.0), late.1);
    let verdict = admission.request(late.1.millis() + 8_000, &missed);
    assert!(
        matches!(verdict, Verdict::Later(slot) if slot.millis() > 30_000),
        "{verdict:?}"
    );
}

#[test]
fn slots_out_of_sight_are_clamped_and_nothing_is_promised_for_them() {
    let config = AdmissionConfig::new(1)
        .map(|config| config.with_longest(core::time::Duration::from_secs(60)));
    let mut admission = Admission::new(config.expect("a valid capacity"));
    for entity in 0..1_000 {
        match admission.request(0, &claim(entity)) {
            Verdict::Later(slot) => assert!(slot.millis() <= 60_000),
            Verdict::Serve | Verdict::Ignore => {}
        }
    }
    assert!(admission.bookings() <= 61, "{}", admission.bookings());
    assert!(admission.backlog(0) <= 62_000, "{}", admission.backlog(0));
}

#[test]
fn bookings_are_bounded_and_end_with_their_slots() {
    let config = AdmissionConfig::new(100).map(|config| config.with_bookings(500));
    let mut admission = Admission::new(config.expect("a valid capacity"));
    for entity in 0..2_000 {
        let _ = admission.request(0, &claim(entity));
    }
    assert_eq!(admission.bookings(), 500);
    let _ = admission.request(60_000, &claim(9_999));
    assert_eq!(admission.bookings(), 0);
}

fn any_claim() -> impl Strategy<Value = (Claim, bool)> {
    let class = prop_oneof![9 => Just(Class::Normal), 1 => Just(Class::Emergency)];
    let verified =
        (0_u64..400, class, 0_u16..4).prop_map(|(entity, class, tenant)| of(entity, class, tenant));
    let unverified = any::<[u8; 4]>().prop_map(stranger);
    (prop_oneof![8 => verified, 2 => unverified], any::<bool>())
}

proptest! {
    #[test]
    fn no_second_holds_more_than_the_capacity_and_no_slot_lies_in_the_past(
        capacity in prop_oneof![Just(10_u32), Just(100), Just(1_000)],
        requests in prop::collection::vec((0_u64..20, any_claim()), 1..2_000),
    ) {
        let config = AdmissionConfig::new(capacity)?.with_tenants(&[3, 1, 1])?.with_bookings(200);
        let mut admission = Admission::new(config);
        let mut slots = BTreeMap::new();
        let (mut now, mut served) = (0, Vec::new());
        for (pause, (claim, returns)) in requests {
            now += pause;
            let slot = match claim.kind {
                Claimant::Verified { entity, .. } if returns => slots.get(&entity).copied(),
                _ => returns.then_some(SlotTime::from_millis(now)),
            };
            match admission.request(now, &Claim { returned: slot, ..claim }) {
                Verdict::Serve => served.push(now),
                Verdict::Later(slot) => {
                    prop_assert!(slot.millis() > now && slot.millis() <= now + 3_600_000);
                    if let Claimant::Verified { entity, .. } = claim.kind {
                        slots.insert(entity, slot);
                    }
                }
                Verdict::Ignore => {}
            }
            prop_assert!(admission.bookings() <= 200);
        }
        prop_assert!(peak(&served) <= capacity as usize, "{} of {}", peak(&served), capacity);
    }

    #[test]
    fn no_two_entities_of_a_tenant_share_a_slot(capacity in 1_u32..1_000, count in 1_u64..2_000) {
        let mut admission = admission(capacity);
        let mut slots = Vec::new();
        for entity in 0..count {
            if let Verdict::Later(slot) = admission.request(0, &claim(entity)) {
                slots.push(slot.millis());
            }
        }
        // The last eighth of what is in sight holds those that nothing was promised to.
        slots.retain(|slot| *slot < 3_100_000);
        prop_assert!(peak(&slots) <= capacity as usize);
    }

    #[test]
    fn any_time_is_survived(now: u64, slot: u64, then: u64) {
        let mut admission = admission(100);
        for entity in 0..20 {
            let _ = admission.request(now, &returned(claim(entity), SlotTime::from_millis(slot)));
            let _ = admission.request(then, &stranger([192, 0, 2, 1]));
        }
    }
}
