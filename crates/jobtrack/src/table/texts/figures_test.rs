//! What dictionaries cost, printed: bytes a text, and times. It asserts nothing, and runs when asked:
//!
//! ```text
//! cargo run --release -p jobtrack-benches --example texts -- description 10000000 > texts.txt
//! TEXTS=texts.txt PATTERNS='*snap*,*f0849db*' \
//!     cargo test --release -p jobtrack --lib texts_cost -- --ignored --nocapture
//! ```
//!
//! Each line of the file is the text of one job, 65,535 jobs to a dictionary. Without a file the
//! texts are 200 random characters each, of a million jobs. Times are those that the thread ran, as
//! Linux tells them, so that what else the machine does counts less.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};

use super::model_test::with_test;
use super::*;

const ROWS: usize = 65_535;

#[test]
#[ignore = "measures"]
#[allow(clippy::disallowed_methods, reason = "time is measured here, not told")]
fn texts_cost() {
    let dictionaries = match std::env::var("TEXTS") {
        Ok(path) => sorted(BufReader::new(File::open(path).unwrap()).lines().map(Result::unwrap)),
        Err(_) => sorted(random_texts(1_000_000)),
    };
    let count: usize = dictionaries.iter().map(Vec::len).sum();
    let length: usize = dictionaries.iter().flatten().map(String::len).sum();
    println!("{count} texts of {} bytes in {} dictionaries", length / count, dictionaries.len());

    let of = |texts: &Vec<String>| Texts::build(texts.iter().map(String::as_str));
    let mut built: Vec<Texts> = Vec::new();
    let nanos = nanos(|| built = dictionaries.iter().map(of).collect());
    println!("build {} ns a text", nanos / count);
    let bytes = |part: &dyn Fn(&Texts) -> usize| {
        built.iter().map(part).sum::<usize>() as f64 / count as f64
    };
    let signature = bytes(&|texts| texts.signature.bytes());
    println!("{:.1} bytes a text, {signature:.1} of them signature", bytes(&Texts::bytes));

    let mut merged = 0;
    let nanos = self::nanos(|| {
        for parts in built.chunks(4) {
            let parts: Vec<&Texts> = parts.iter().collect();
            Texts::merge(&parts, &|_, index| index % 4 == 1);
            merged += parts.iter().map(|texts| (texts.len() + 2) / 4).sum::<usize>();
        }
    });
    println!("merge {} ns a text kept, a quarter of four each", nanos / merged);

    let mut text = String::new();
    let nanos = self::nanos(|| {
        for texts in &built {
            (0..texts.len()).for_each(|index| texts.get(index, &mut text));
        }
    });
    println!("get {} ns", nanos / count);

    let mut asked = 0;
    let nanos = self::nanos(|| {
        for (texts, all) in built.iter().zip(&dictionaries) {
            for text in all.iter().step_by(13) {
                assert!(texts.lower_bound(text) < texts.len());
                asked += 1;
            }
        }
    });
    println!("lower_bound {} ns", nanos / asked);

    for pattern in std::env::var("PATTERNS").unwrap_or("*abcdefg*,*abc*".to_owned()).split(',') {
        let (mut hits, mut rounds) = (0, 0);
        let nanos = self::nanos(|| {
            let begin = std::time::Instant::now();
            while begin.elapsed().as_millis() < 500 {
                hits = 0;
                rounds += 1;
                with_test(pattern, true, |test| {
                    let mut hit = |range: Range<usize>| hits += range.len();
                    built.iter().for_each(|texts| texts.matching(test, &mut hit));
                });
            }
        });
        println!("{pattern}: {} µs for {hits} texts", nanos / rounds / 1_000);
    }
}

/// How long the thread ran for this.
fn nanos(run: impl FnOnce()) -> usize {
    let ran = || {
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        told.split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let begin = ran();
    run();
    ran() - begin
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
