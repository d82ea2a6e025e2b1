//! Ids: their forms, what they name, and that one entity has one id.

use proptest::prelude::*;
use refpoint_keys::{EntityId, EntityKind, Error};

const PROVIDER: &str = "sp.example.com";

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("the test's ids are well formed")
}

fn gateway() -> EntityId {
    id("//sp.example.com/id-mn")
}

#[test]
fn the_first_name_decides_what_an_id_names() {
    for (text, kind) in [
        ("//sp.example.com/id-in", EntityKind::Cse),
        ("//sp.example.com/Cse", EntityKind::Cse),
        ("//sp.example.com/nse", EntityKind::Cse),
        ("//op.example.com/nsegw", EntityKind::Cse),
        ("//op.example.com/NSE-scef", EntityKind::Cse),
        ("//op.example.com/nse-scef", EntityKind::Nse),
        ("//sp.example.com/id-mn/CSensor1", EntityKind::Ae),
        ("//sp.example.com/SSensor1", EntityKind::Ae),
    ] {
        assert_eq!(id(text).kind(), kind, "{text}");
        assert_eq!(id(text).as_str(), text);
    }
}

#[test]
fn malformed_ids_are_refused() {
    for (text, error) in [
        ("", Error::MalformedEntityId),
        ("id-in", Error::MalformedEntityId),
        ("/id-in", Error::MalformedEntityId),
        ("//sp.example.com", Error::MalformedEntityId),
        ("//sp.example.com/", Error::MalformedEntityId),
        ("//sp.example.com/id-in/", Error::MalformedEntityId),
        ("//sp.example.com//CSensor1", Error::MalformedEntityId),
        ("//sp.example.com/id-mn/Sensor1", Error::MalformedEntityId),
        ("//sp.example.com/id-mn/C", Error::MalformedEntityId),
        ("//sp.example.com/id-mn/CA/CB", Error::MalformedEntityId),
        ("//sp.example.com/S", Error::MalformedEntityId),
        ("//sp.example.com/SSensor1/CA", Error::MalformedEntityId),
        ("//sp.example.com/nse-", Error::MalformedEntityId),
        ("//sp.example.com/nse-scef/CA", Error::MalformedEntityId),
        ("//sp.example.com/.", Error::MalformedEntityId),
        ("//sp.example.com/..", Error::MalformedEntityId),
        ("//sp.example.com/../CA", Error::MalformedEntityId),
        ("//sp.example.com/id in", Error::IllegalCharacter),
        ("//sp.example.com/id%2Din", Error::IllegalCharacter),
        ("//sp.example.com/id-mn/C*", Error::IllegalCharacter),
        ("//sp.example.com/id\u{202e}in", Error::IllegalCharacter),
        ("//sp.example.com/id-in\0", Error::IllegalCharacter),
        ("///id-in", Error::MalformedServiceProvider),
        ("//sp..example.com/id-in", Error::MalformedServiceProvider),
        ("//.example.com/id-in", Error::MalformedServiceProvider),
        ("//-sp.example.com/id-in", Error::MalformedServiceProvider),
        ("//sp_1.example.com/id-in", Error::MalformedServiceProvider),
        (
            "//bücher.example.com/id-in",
            Error::MalformedServiceProvider,
        ),
    ] {
        assert_eq!(EntityId::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn an_id_has_at_most_255_bytes() {
    let longest = format!("//a/{}", "x".repeat(251));
    assert_eq!(id(&longest).as_str().len(), EntityId::MAX);
    assert_eq!(
        EntityId::parse(&format!("{longest}x")),
        Err(Error::EntityIdTooLong)
    );
    let relative = format!("/{}", "x".repeat(252));
    assert_eq!(
        EntityId::resolve(&relative, "a", None),
        Err(Error::EntityIdTooLong)
    );
}

#[test]
fn the_provider_is_kept_in_lower_case_and_names_as_they_are() {
    assert_eq!(
        id("//SP.Example.com/Id-MN/CSensor1").as_str(),
        "//sp.example.com/Id-MN/CSensor1"
    );
}

#[test]
fn every_form_of_an_id_resolves_to_the_absolute_one() {
    for (text, absolute) in [
        ("CSensor1", "//sp.example.com/id-mn/CSensor1"),
        ("SSensor1", "//sp.example.com/SSensor1"),
        ("/id-mn/CSensor1", "//sp.example.com/id-mn/CSensor1"),
        ("/id-in", "//sp.example.com/id-in"),
        ("/SSensor1", "//sp.example.com/SSensor1"),
        (
            "//other.example.org/id-in/CA",
            "//other.example.org/id-in/CA",
        ),
    ] {
        let resolved = EntityId::resolve(text, PROVIDER, Some(&gateway()));
        assert_eq!(resolved, Ok(id(absolute)), "{text}");
    }
}

#[test]
fn a_stem_with_c_needs_a_cse_of_the_provider() {
    let without = EntityId::resolve("CSensor1", PROVIDER, None);
    assert_eq!(without, Err(Error::StemWithoutCse));
    for cse in ["//other.example.org/id-mn", "//sp.example.com/SMeter"] {
        let resolved = EntityId::resolve("CSensor1", PROVIDER, Some(&id(cse)));
        assert_eq!(resolved, Err(Error::NotLocalCse), "{cse}");
    }
}

#[test]
fn requests_for_a_stem_and_resource_addresses_are_no_ids() {
    for text in [
        "C",
        "S",
        "",
        "cse-in",
        "cse-in/ae",
        "/",
        "CA/CB",
        "/id-mn/cse-mn",
        "-/ae",
    ] {
        assert_eq!(
            EntityId::resolve(text, PROVIDER, Some(&gateway())),
            Err(Error::MalformedEntityId),
            "{text:?}"
        );
    }
}

#[test]
fn an_ae_with_a_c_stem_is_at_its_cse_and_no_other() {
    let sensor = id("//sp.example.com/id-mn/CSensor1");
    assert_eq!(sensor.cse(), Some(gateway()));
    assert!(sensor.is_at(&gateway()));
    assert!(gateway().is_at(&gateway()));
    assert!(!sensor.is_at(&id("//sp.example.com/id-m")));
    assert!(!sensor.is_at(&id("//sp.example.com/id-mn2")));
    assert!(!sensor.is_at(&id("//other.example.org/id-mn")));
    assert!(!sensor.is_at(&sensor));
    assert!(!id("//sp.example.com/SSensor1").is_at(&gateway()));
    assert_eq!(id("//sp.example.com/SSensor1").cse(), None);
    assert_eq!(id("//sp.example.com/nse-scef").cse(), None);
}

#[test]
fn letters_that_nfkc_leaves_alone_are_legal_in_names() {
    assert_eq!(
        id("//sp.example.com/käse-1").as_str(),
        "//sp.example.com/käse-1"
    );
}

/// K2: with the feature, all spellings of an id become the one that enters the derivations.
#[cfg(feature = "normalize")]
#[test]
fn k2_ids_are_brought_to_nfkc_before_they_are_taken_apart() {
    let spelled = id("//sp.example.com/ka\u{308}se");
    assert_eq!(spelled, id("//sp.example.com/k\u{e4}se"));
    let fullwidth = id("\u{ff0f}\u{ff0f}sp.example.com/id-mn\u{ff0f}\u{ff23}Sensor1");
    assert_eq!(fullwidth.as_str(), "//sp.example.com/id-mn/CSensor1");
    assert_eq!(fullwidth.kind(), EntityKind::Ae);
    assert_eq!(
        EntityId::parse("//sp.example.com/\u{2025}"),
        Err(Error::MalformedEntityId),
        "a two dot leader is two dots"
    );
}

/// K2: without the feature, ids are ASCII or in NFKC already; what is surely not is refused.
#[cfg(not(feature = "normalize"))]
#[test]
fn k2_ids_that_are_not_taken_as_they_are_are_refused_without_the_tables() {
    for text in [
        "//sp.example.com/ka\u{308}se",
        "//sp.example.com/id-mn\u{ff0f}CSensor1",
        "//sp.example.com/\u{2025}",
    ] {
        assert_eq!(EntityId::parse(text), Err(Error::IllegalCharacter));
    }
}

prop_compose! {
    fn any_id()(
        provider in "[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\\.[a-z]{1,10}){0,3}",
        path in prop_oneof![
            "[a-mo-zA-RT-Z~_][A-Za-z0-9._~-]{0,30}",
            "nse-[A-Za-z0-9._~-]{1,30}",
            "S[A-Za-z0-9._~äßéЖ中-]{1,30}",
            "[a-mC][A-Za-z0-9._~-]{0,30}/C[A-Za-z0-9._~äßéЖ中-]{1,30}",
        ],
    ) -> EntityId {
        id(&format!("//{provider}/{path}"))
    }
}

proptest! {
    #[test]
    fn what_is_displayed_parses_to_the_same_id(id in any_id()) {
        prop_assert_eq!(EntityId::parse(&format!("{id}")), Ok(id.clone()));
    }

    #[test]
    fn the_relative_forms_resolve_back(id in any_id()) {
        let provider = id.service_provider();
        prop_assert_eq!(EntityId::resolve(id.to_sp_relative(), provider, None), Ok(id.clone()));
        if let Some(stem) = id.to_stem() {
            let cse = id.cse();
            prop_assert_eq!(EntityId::resolve(stem, provider, cse.as_ref()), Ok(id.clone()));
        }
        prop_assert_eq!(id.to_stem().is_some(), id.kind() == EntityKind::Ae);
    }

    #[test]
    fn any_text_is_refused_or_has_one_canonical_form(text in "\\PC{0,40}", prefix in "(//a/|//|/|)") {
        let text = format!("{prefix}{text}");
        for id in [EntityId::parse(&text), EntityId::resolve(&text, PROVIDER, Some(&gateway()))]
            .into_iter()
            .flatten()
        {
            prop_assert_eq!(EntityId::parse(id.as_str()), Ok(id.clone()));
            prop_assert!(id.as_str().len() <= EntityId::MAX);
        }
    }
}
