//! The dictionary beside a plain list of its texts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::query::Pattern;

/// Texts as programs and people write them, few enough of each that they share much.
fn texts() -> impl Strategy<Value = BTreeSet<String>> {
    let text = prop_oneof![
        "(Move|Clone) volume vol_[0-9]{4}",
        "The (volume|LUN) vol_[0-9]{2} is busy; retry later \\(error [0-9]{1,3}\\)",
        "Back up of request [0-9a-f]{16}",
        "[0-9a-f]{4}-[0-9a-f]{2} [0-9]{1,3} files",
        "Complete: [0-9]{1,6} bytes transferred",
        "[a-c*é1-3]{1,6}",
        "é?ü?[0-9]{1,3}é?[0-9a-f]{1,3}x?",
        "(Überprüfung der Größe, ){0,9}[äöü]{1,3}",
        "/a/long/path/that/all/of/these/begin/with/[a-z]{3,200}",
        "sum [0-9a-f]{40} [xy]?",
        "node [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12} of [1-3]",
        "[0-9]{30,40}[a-z ]{200,240}",
        "\u{0}?[ab0-9]{3}\u{0}?",
        any::<String>(),
    ];
    proptest::collection::btree_set(text, 0..600).prop_map(|mut texts| {
        texts.remove("");
        texts
    })
}

fn of(texts: &BTreeSet<String>) -> Texts {
    Texts::build(texts.iter().map(String::as_str).collect::<Vec<_>>().into_iter())
}

fn get(texts: &Texts, index: usize) -> String {
    let mut text = "what stood there".to_owned();
    texts.get(index, &mut text);
    text
}

/// Calls with the test that a pattern makes, and may say that it is one.
pub(super) fn with_test<T>(
    pattern: &str,
    is_pattern: bool,
    call: impl FnOnce(&TextTest<'_>) -> T,
) -> T {
    let literals: Vec<&str> = pattern.split('*').collect();
    let matcher = Pattern::new(pattern);
    call(&TextTest {
        prefix: literals[0],
        suffix: if literals.len() > 1 { literals[literals.len() - 1] } else { "" },
        is_open: literals.len() > 1 && literals.last() == Some(&""),
        literals: literals.into_iter().filter(|literal| !literal.is_empty()).collect(),
        is_pattern,
        passes: &|text| matcher.matches(text),
    })
}

/// The ranges that match, after a check that they are as promised.
fn matching(texts: &Texts, pattern: &str, is_said: bool) -> Vec<usize> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    with_test(pattern, is_said, |test| texts.matching(test, &mut |range| ranges.push(range)));
    assert!(ranges.iter().all(|range| !range.is_empty() && range.end <= texts.len()));
    assert!(ranges.windows(2).all(|two| two[0].end < two[1].start), "{ranges:?}");
    ranges.into_iter().flatten().collect()
}

fn agrees(texts: &Texts, model: &[String], pattern: &str) {
    let matcher = Pattern::new(pattern);
    let expected: Vec<_> = (0..model.len()).filter(|n| matcher.matches(&model[*n])).collect();
    assert_eq!(matching(texts, pattern, true), expected, "{pattern}");
    assert_eq!(matching(texts, pattern, false), expected, "{pattern}");
}

/// Patterns cut out of a text, so that many match something.
fn patterns(text: &str, cuts: &[(usize, usize)]) -> Vec<String> {
    let chars: Vec<char> = text.chars().filter(|c| *c != '*').collect();
    let part = |(from, len): (usize, usize)| {
        let from = from % (chars.len() + 1);
        chars[from..(from + len).min(chars.len())].iter().collect::<String>()
    };
    let [first, second] = [part(cuts[0]), part(cuts[1])];
    let head: String = chars.iter().take(cuts[2].1).collect();
    let tail: String = chars.iter().skip(chars.len().saturating_sub(cuts[1].1)).collect();
    vec![
        format!("*{tail}"),
        format!("{head}*{tail}"),
        format!("*{first}*{tail}"),
        format!("*{first}*"),
        format!("{head}*"),
        format!("*{first}*{second}*"),
        format!("{head}*{first}"),
        format!("*{second}"),
        format!("{head}*{second}*"),
        first.chars().map(|c| format!("*{c}")).collect::<String>() + "*",
        chars.iter().collect(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_text_is_found_in_its_place(texts in texts(), others in texts()) {
        let built = of(&texts);
        let model: Vec<String> = texts.iter().cloned().collect();
        prop_assert_eq!(built.len(), model.len());
        for (index, text) in model.iter().enumerate() {
            prop_assert_eq!(&get(&built, index), text);
            prop_assert_eq!(built.lower_bound(text), index);
        }
        for other in others.iter().map(String::as_str).chain(["", "\u{10ffff}"]) {
            let expected = model.partition_point(|text| text.as_str() < other);
            prop_assert_eq!(built.lower_bound(other), expected);
            for (index, text) in model.iter().enumerate().step_by(7) {
                prop_assert_eq!(built.compare(index, other), text.as_str().cmp(other));
            }
        }
    }

    #[test]
    fn what_matches_is_what_passes(
        texts in texts(),
        cuts in proptest::collection::vec(
            (any::<prop::sample::Index>(), proptest::array::uniform3((0..40_usize, 0..9_usize))),
            20,
        ),
        random in proptest::collection::vec("[a-c*é1-3]{0,4}", 10),
    ) {
        let built = of(&texts);
        let model: Vec<String> = texts.iter().cloned().collect();
        for (text, cuts) in cuts {
            let text = if model.is_empty() { "" } else { &model[text.index(model.len())] };
            patterns(text, &cuts).iter().for_each(|pattern| agrees(&built, &model, pattern));
        }
        random.iter().for_each(|pattern| agrees(&built, &model, pattern));
    }

    #[test]
    fn merging_is_building_from_what_is_used(
        parts in proptest::collection::vec(texts(), 0..5),
        keep in 1..5_usize,
    ) {
        let built: Vec<Texts> = parts.iter().map(of).collect();
        let used = |part: usize, index: usize| (part + index).is_multiple_of(keep);
        let (merged, new) = Texts::merge(&built.iter().collect::<Vec<_>>(), &used);
        let mut expected = BTreeSet::new();
        for (part, texts) in parts.iter().enumerate() {
            let used = texts.iter().enumerate().filter(|(index, _)| used(part, *index));
            expected.extend(used.map(|(_, text)| text.clone()));
        }
        let expected: Vec<String> = expected.into_iter().collect();
        let all: Vec<String> = (0..merged.len()).map(|index| get(&merged, index)).collect();
        prop_assert_eq!(&all, &expected);
        prop_assert_eq!(new.len(), parts.len());
        for (part, texts) in parts.iter().enumerate() {
            prop_assert_eq!(new[part].len(), texts.len());
            for (index, text) in texts.iter().enumerate() {
                let place = used(part, index).then(|| expected.binary_search(text).unwrap());
                let place = place.map_or(u16::MAX, |place| u16::try_from(place).unwrap());
                prop_assert_eq!(new[part][index], place);
            }
        }
    }
}

#[test]
fn it_holds_as_many_texts_as_codes_can_tell_apart() {
    let text = |n: usize| match n % 4 {
        0 => format!("Move volume vol_{n:05}"),
        1 => format!("{n:05} files transferred"),
        2 => format!("Back up of request {:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        _ => format!("{} é {n:05}", "free text ".repeat(n % 7)),
    };
    let texts: BTreeSet<String> = (0..65_535).map(text).collect();
    assert_eq!(texts.len(), 65_535);
    let built = of(&texts);
    let model: Vec<String> = texts.into_iter().collect();
    for (index, text) in model.iter().enumerate() {
        assert_eq!(&get(&built, index), text);
        assert_eq!(built.lower_bound(text), index);
    }
    for pattern in [
        "*vol_123*",
        "*3 fi*",
        "*e5*",
        "*é 0*",
        "*00ff*",
        "*request ab*",
        "1*9 *d",
        "*e",
        "*7d",
        "Move*1",
        "*d",
        "*vol_*00",
        "*1*a",
    ] {
        agrees(&built, &model, pattern);
    }
}

#[test]
fn a_test_of_which_nothing_is_known_sees_every_text() {
    let texts: BTreeSet<String> = (0..2_000).map(|n| format!("{n} of é{}", n * 7)).collect();
    let built = of(&texts);
    let mut seen = std::cell::RefCell::new(Vec::new());
    let passes = |text: &str| {
        seen.borrow_mut().push(text.to_owned());
        text.len().is_multiple_of(3)
    };
    let test = TextTest {
        prefix: "",
        suffix: "",
        literals: Vec::new(),
        is_open: false,
        is_pattern: false,
        passes: &passes,
    };
    let mut hits = Vec::new();
    built.matching(&test, &mut |range| hits.extend(range));
    let model: Vec<String> = texts.into_iter().collect();
    let expected: Vec<_> = (0..model.len()).filter(|n| model[*n].len().is_multiple_of(3)).collect();
    assert_eq!(hits, expected);
    assert_eq!(*seen.get_mut(), model);
}

#[test]
fn few_texts_take_few_bytes() {
    let texts: BTreeSet<String> = (0..24).map(|n| format!("node-{n:02}")).collect();
    let built = of(&texts);
    assert!(built.bytes() < 100, "{built:?}");
    assert_eq!(of(&BTreeSet::new()).bytes(), 0);
    assert_eq!(of(&BTreeSet::from(["x".to_owned()])).len(), 1);
}

#[test]
fn the_longest_texts_are_held_beside_short_ones() {
    let long = |n: usize| format!("{}{n}", "é".repeat(32_768 - 8));
    let mut texts: BTreeSet<String> = (0..40).map(|n| long(n * 7)).collect();
    texts.extend((0..40).map(|n| n.to_string()));
    texts.extend((0..9).map(|n| format!("{}{n}", "z".repeat(1_000 + n))));
    let built = of(&texts);
    let model: Vec<String> = texts.into_iter().collect();
    for (index, text) in model.iter().enumerate() {
        assert_eq!(&get(&built, index), text);
        assert_eq!(built.lower_bound(text), index);
    }
    ["*é21*", "z*", "*zz1*", "*7"].iter().for_each(|pattern| agrees(&built, &model, pattern));
}
