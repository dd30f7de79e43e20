//! Every byte of a small store flipped, every length, every sector lost.

// A judge's verdict is a panic.
#![allow(clippy::expect_used)]

use jobtrack_testkit::damage::{Stop, Subject, Verdict};

use crate::course::{Broken, Course, Tally, cores};
use crate::stores::{Kind, folder_in_memory};

/// How many damages make a case; they are spread over all files, so that whatever time there is
/// tells of all of them.
const OF_A_CASE: usize = 32;

/// Damages a store that was closed, and one whose process was killed, in every place.
///
/// # Errors
///
/// Damage that was read as data.
pub fn run(kind: Kind, course: &Course<'_>) -> Result<Tally, Broken> {
    let subjects = [Stop::Clean, Stop::Killed].map(|stop| Subject::new(&kind.open, stop));
    let all = subjects.iter().map(Subject::damages).sum::<usize>();
    let cases = all.div_ceil(OF_A_CASE);
    // A step that is prime to the number of cases visits each of them, in an order that is not that
    // of the files.
    let step = (cases * 5 / 8..).find(|step| gcd(*step, cases) == 1).unwrap_or(1);
    let mut tally = course.run("damages", cases as u64, cores(), |number, _| {
        let mut tally = Tally::default();
        let folder = folder_in_memory();
        let path = folder.path().join("store");
        let case = (course.seed as usize).wrapping_add(number as usize).wrapping_mul(step) % cases;
        for mut damage in (case..all).step_by(cases) {
            let subject = subjects.iter().find(|subject| {
                let is_in = damage < subject.damages();
                damage -= if is_in { 0 } else { subject.damages() };
                is_in
            });
            let verdict =
                subject.expect("a damage of one of them").damage(&kind.open, damage, &path);
            tally.add("damages", 1);
            tally.add(
                match verdict {
                    Verdict::Refused => "refused by name",
                    Verdict::Harmless => "harmless",
                    Verdict::Torn => "taken for a torn write",
                },
                1,
            );
        }
        tally
    })?;
    tally.add("damages there are", all as u64);
    Ok(tally)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
