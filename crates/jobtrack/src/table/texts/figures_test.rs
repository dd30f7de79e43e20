//! What dictionaries cost, printed: bytes a text, and times. It asserts nothing, and runs when asked:
//!
//! ```text
//! cargo run --release -p jobtrack-benches --example texts -- description 10000000 > texts.txt
//! TEXTS=texts.txt PATTERNS='*snap*,*f0849db*' \
//!     cargo test --release -p jobtrack --lib texts_cost -- --ignored --nocapture
//! ```
//!
//! Each line of the file is the text of one job, 65,535 jobs to a dictionary. Without a file the
//! texts are 200 random characters each, of a million jobs.

// Time is measured here, not told.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Instant;

use super::model_test::with_test;
use super::*;

const ROWS: usize = 65_535;

#[test]
#[ignore = "measures"]
fn texts_cost() {
    let dictionaries = match std::env::var("TEXTS") {
        Ok(path) => sorted(BufReader::new(File::open(path).unwrap()).lines().map(Result::unwrap)),
        Err(_) => sorted(random_texts(1_000_000)),
    };
    let count: usize = dictionaries.iter().map(Vec::len).sum();
    let length: usize = dictionaries.iter().flatten().map(String::len).sum();

    let begin = Instant::now();
    let of = |texts: &Vec<String>| Texts::build(texts.iter().map(String::as_str));
    let built: Vec<Texts> = dictionaries.iter().map(of).collect();
    println!("{count} texts of {} bytes in {} dictionaries", length / count, built.len());
    println!("build {} ns a text", begin.elapsed().as_nanos() as usize / count);
    let bytes = |part: &dyn Fn(&Texts) -> usize| {
        built.iter().map(part).sum::<usize>() as f64 / count as f64
    };
    let signature = bytes(&|texts| texts.signature.bytes());
    println!("{:.1} bytes a text, {signature:.1} of them signature", bytes(&Texts::bytes));

    let begin = Instant::now();
    let mut merged = 0;
    for parts in built.chunks(4) {
        let parts: Vec<&Texts> = parts.iter().collect();
        Texts::merge(&parts, &|_, index| index % 4 == 1);
        merged += parts.iter().map(|texts| (texts.len() + 2) / 4).sum::<usize>();
    }
    println!(
        "merge {} ns a text kept, a quarter of four each",
        begin.elapsed().as_nanos() as usize / merged
    );

    let begin = Instant::now();
    let mut text = String::new();
    for texts in &built {
        (0..texts.len()).for_each(|index| texts.get(index, &mut text));
    }
    println!("get {} ns", begin.elapsed().as_nanos() as usize / count);

    let begin = Instant::now();
    let mut asked = 0;
    for (texts, all) in built.iter().zip(&dictionaries) {
        for text in all.iter().step_by(13) {
            assert!(texts.lower_bound(text) < texts.len());
            asked += 1;
        }
    }
    println!("lower_bound {} ns", begin.elapsed().as_nanos() as usize / asked);

    for pattern in std::env::var("PATTERNS").unwrap_or("*abcdefg*,*abc*".to_owned()).split(',') {
        let (mut best, mut hits) = (u128::MAX, 0);
        for _ in 0..5 {
            hits = 0;
            let begin = Instant::now();
            with_test(pattern, true, |test| {
                built
                    .iter()
                    .for_each(|texts| texts.matching(test, &mut |range| hits += range.len()));
            });
            best = best.min(begin.elapsed().as_micros());
        }
        println!("{pattern}: {best} µs for {hits} texts");
    }
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<Vec<String>> {
    let mut texts = texts.peekable();
    let mut dictionaries = Vec::new();
    while texts.peek().is_some() {
        let mut distinct: BTreeSet<String> = texts.by_ref().take(ROWS).collect();
        distinct.remove("");
        dictionaries.push(distinct.into_iter().collect());
    }
    dictionaries
}

fn random_texts(count: usize) -> impl Iterator<Item = String> {
    let mut state = 1_u64;
    let letter = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(
            b" _0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                [(state >> 58) as usize],
        )
    };
    let mut letters = std::iter::repeat_with(letter);
    std::iter::repeat_with(move || letters.by_ref().take(200).collect()).take(count)
}
