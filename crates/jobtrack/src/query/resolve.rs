//! From a filter to sets of codes of one segment.
//!
//! A test is asked of a column's distinct values, never of its rows: what is left of it is a set of
//! codes. Cheap tests go first, and where they leave nothing, or everything, the others are not
//! asked. A wildcard is left [lazy](Lazy) at first: whoever visits few rows asks it of the values of
//! those alone.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::bits::Bits;
use super::expr::{Expr, Join, Node};
use super::meter::Meter;
use super::term::{Comparison, Term, Test};
use crate::field::{Field, FieldType, ValueRef};
use crate::table::{
    self, Code, CodeSet, Column, Matched, Matches, RowId, Segment, TextTest, Values, Which,
    Wildcard,
};

/// A filter as it is asked of one segment after the other.
#[derive(Debug)]
pub(super) struct Filter<'q> {
    root: Part<'q>,
    wildcards: Vec<Asking>,
}

/// What is known of a wildcard while it is asked.
#[derive(Debug, Default)]
struct Asking {
    /// How many values were asked in all segments so far, and how many passed.
    asked: Cell<Asked>,
    /// What it matched before this query. Of many wildcards nothing is remembered.
    matched: Option<Arc<Matched>>,
}

/// Of a filter with more wildcards than these nothing is remembered.
const REMEMBERED: usize = 8;

#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    values: u64,
    passed: u64,
}

#[derive(Debug)]
enum Part<'q> {
    Everything,
    Nothing,
    /// The test, and the number of the wildcard if it is one.
    Test(&'q Term, Option<usize>),
    Group(Join, Vec<Part<'q>>),
}

impl<'q> Filter<'q> {
    pub(super) fn new(expr: &'q Expr, matches: &Matches) -> Filter<'q> {
        let mut terms: Vec<&Term> = Vec::new();
        let root = Part::new(expr.node(), &mut terms);
        let is_remembered = terms.len() <= REMEMBERED;
        let asking = |term: &&Term| Asking {
            asked: Cell::default(),
            matched: wildcard(term).filter(|_| is_remembered).map(|own| matches.of(own)),
        };
        Filter { root, wildcards: terms.iter().map(asking).collect() }
    }

    /// What the filter asks of this segment.
    pub(super) fn resolve<'a>(&'a self, part: &'a table::Part) -> Resolved<'a> {
        let segment = &*part.segment;
        let mut resolved = Resolved { states: None, tests: Vec::new(), rows: segment.len() };
        let tests = match self.part(&self.root, part) {
            Tests::All => Vec::new(),
            Tests::And(tests) => tests,
            tests => vec![tests],
        };
        for test in tests {
            match test {
                Tests::Codes(test) if *test.field == Field::State => resolved.states = Some(test),
                test => resolved.tests.push(test),
            }
        }
        resolved
    }

    fn part<'a>(&'a self, asked: &'a Part<'q>, part: &'a table::Part) -> Tests<'a> {
        match asked {
            Part::Everything => Tests::All,
            Part::Nothing => Tests::None,
            Part::Test(term, wildcard) => {
                let asking = wildcard.and_then(|number| self.wildcards.get(number));
                resolve_term(term, asking, part)
            }
            Part::Group(join, parts) => self.group(*join, parts, part),
        }
    }

    fn group<'a>(&'a self, join: Join, parts: &'a [Part<'q>], of: &'a table::Part) -> Tests<'a> {
        let segment = &*of.segment;
        let is_and = join == Join::And;
        let mut tests: Vec<Tests<'a>> = Vec::new();
        // Sets of one column become one set; of an OR all at once, since there may be a thousand.
        let mut columns: Vec<(CodeTest<'a>, Vec<std::ops::Range<u32>>)> = Vec::new();
        for part in parts {
            match self.part(part, of) {
                Tests::All if is_and => {}
                Tests::None if !is_and => {}
                Tests::All => return Tests::All,
                Tests::None => return Tests::None,
                Tests::Codes(test) => {
                    let same = |(own, _): &&mut (CodeTest<'a>, _)| own.field == test.field;
                    match columns.iter_mut().find(same) {
                        Some((own, _)) if is_and => {
                            own.codes = Arc::new(own.codes.intersection(&test.codes));
                            if own.codes.is_empty() {
                                return Tests::None;
                            }
                        }
                        Some((_, ranges)) => ranges.extend_from_slice(test.codes.ranges()),
                        None => {
                            let ranges = test.codes.ranges().to_vec();
                            columns.push((test, ranges));
                        }
                    }
                }
                test => tests.push(test),
            }
        }
        for (test, ranges) in columns {
            let is_alone = ranges.len() == test.codes.ranges().len();
            let codes =
                if is_and || is_alone { test.codes } else { Arc::new(CodeSet::union(ranges)) };
            match CodeTest::of(test.field, test.column, codes, segment.len()) {
                Tests::All if !is_and => return Tests::All,
                Tests::All => {}
                test => tests.push(test),
            }
        }
        match tests.len() {
            0 if is_and => Tests::All,
            0 => Tests::None,
            1 => tests.pop().unwrap_or(Tests::All),
            _ if is_and => Tests::And(tests),
            _ => Tests::Or(tests),
        }
    }
}

impl<'q> Part<'q> {
    fn new(node: &'q Node, wildcards: &mut Vec<&'q Term>) -> Part<'q> {
        match node {
            Node::Everything => Part::Everything,
            Node::Nothing | Node::TooLarge(_) => Part::Nothing,
            Node::Test(term) => {
                let wildcard = is_wildcard(term).then(|| {
                    wildcards.push(term);
                    wildcards.len() - 1
                });
                Part::Test(term, wildcard)
            }
            Node::Group(join, parts) => {
                let mut parts: Vec<_> =
                    parts.iter().map(|part| Part::new(part, wildcards)).collect();
                parts.sort_by_key(Part::price);
                Part::Group(*join, parts)
            }
        }
    }

    /// What resolving costs, roughly: what is cheap is asked first.
    fn price(&self) -> usize {
        match self {
            Part::Everything | Part::Nothing => 0,
            Part::Test(_, wildcard) => 1 + 1_000 * usize::from(wildcard.is_some()),
            Part::Group(_, parts) => parts.iter().map(Part::price).sum(),
        }
    }
}

/// Whether a test has to be asked of the values one by one.
fn is_wildcard(term: &Term) -> bool {
    match &term.test {
        Test::Like(pattern) if is_text(&term.field) => !pattern.is_plain() && !pattern.is_prefix(),
        Test::Like(_) => !matches!(term.field.field_type(), FieldType::Word(_) | FieldType::Bool),
        _ => false,
    }
}

/// The wildcard of a term, by which what it matched is remembered.
fn wildcard(term: &Term) -> Option<Wildcard> {
    let Test::Like(pattern) = &term.test else { return None };
    Some(Wildcard {
        field: term.field.clone(),
        literals: pattern.literals().map(Into::into).collect(),
        is_negated: term.is_negated,
    })
}

fn is_text(field: &Field) -> bool {
    matches!(field.field_type(), FieldType::Text)
}

/// What a filter asks of one segment: all of these.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    /// Of the state; kept apart, since some orders are parted by it.
    pub(super) states: Option<CodeTest<'a>>,
    pub(super) tests: Vec<Tests<'a>>,
    rows: usize,
}

/// What is asked of the rows of one segment.
#[derive(Debug)]
pub(super) enum Tests<'a> {
    All,
    None,
    Codes(CodeTest<'a>),
    /// Of a list: these rows pass.
    Rows(Bits),
    Lazy(Lazy<'a>),
    And(Vec<Tests<'a>>),
    Or(Vec<Tests<'a>>),
}

/// The rows whose code in a column is one of these.
#[derive(Debug)]
pub(super) struct CodeTest<'a> {
    pub(super) field: &'a Field,
    pub(super) column: &'a Column,
    pub(super) codes: Arc<CodeSet>,
    /// How many rows that are: exactly, unless there are very many ranges.
    pub(super) count: usize,
}

impl<'a> CodeTest<'a> {
    /// The rows that pass, out of so many.
    pub(super) fn marked(&self, rows: usize) -> Bits {
        Bits::marked(&self.codes, self.column, rows)
    }

    /// The test for these codes, if it is one at all.
    fn of(
        field: &'a Field,
        column: &'a Column,
        codes: impl Into<Arc<CodeSet>>,
        rows: usize,
    ) -> Tests<'a> {
        let codes = codes.into();
        let end = column.end_code();
        let every = if column.set() == rows { 1..end } else { 0..end };
        if codes.covers(&every) {
            return Tests::All;
        }
        if codes.is_empty() || (codes.covers(&(0..1)) && codes.len() == 1 && column.set() == rows) {
            return Tests::None;
        }
        let count = count_rows(column, &codes, rows);
        Tests::Codes(CodeTest { field, column, codes, count })
    }

    pub(super) fn passes(&self, row: RowId) -> bool {
        self.codes.contains(self.column.code(row))
    }

    /// How many rows pass, exactly.
    pub(super) fn exact_count(&self, rows: usize) -> usize {
        if self.codes.ranges().len() > COUNTED_RANGES {
            return self.codes.rows(|| exact_count(self.column, &self.codes, rows));
        }
        self.count
    }
}

/// Ranges whose rows are counted one range after the other; more are estimated by their codes.
const COUNTED_RANGES: usize = if cfg!(test) { 3 } else { 64 };

fn count_rows(column: &Column, codes: &CodeSet, rows: usize) -> usize {
    if codes.ranges().len() > COUNTED_RANGES && codes.counted().is_none() {
        let share = codes.len() * column.set();
        return (share / column.values().len().max(1)).clamp(1, rows);
    }
    codes.rows(|| exact_count(column, codes, rows))
}

/// How many rows have one of these codes.
fn exact_count(column: &Column, codes: &CodeSet, rows: usize) -> usize {
    let of_range = |range: &std::ops::Range<u32>| {
        let unset = if range.start == 0 { rows - column.set() } else { 0 };
        unset + column.count_of(&(range.start.max(1)..range.end))
    };
    codes.ranges().iter().map(of_range).sum()
}

impl Resolved<'_> {
    /// Whether no row can pass.
    pub(super) fn is_none(&self) -> bool {
        self.tests.iter().any(|test| matches!(test, Tests::None))
    }

    /// Whether every row passes.
    pub(super) fn is_all(&self) -> bool {
        self.states.is_none() && self.tests.is_empty()
    }

    /// Whether the row passes; `knows_state` if its state is known to.
    pub(super) fn passes(&self, row: RowId, knows_state: bool) -> bool {
        (knows_state || self.states.as_ref().is_none_or(|states| states.passes(row)))
            && self.tests.iter().all(|test| test.passes(row))
    }

    /// How many rows pass, by estimate: exactly for a single test that is resolved.
    pub(super) fn estimate(&self) -> f64 {
        let rows = float(self.rows);
        let states = self.states.as_ref().map_or(rows, |states| float(states.count));
        let others = self.tests.iter().map(|test| test.estimate(self.rows) / rows);
        states * others.product::<f64>()
    }

    /// Resolves what is still lazy.
    pub(super) fn settle(&mut self, meter: &Meter<'_>) {
        let rows = self.rows;
        for test in std::mem::take(&mut self.tests) {
            match test.settled(rows, meter) {
                Tests::All => {}
                Tests::None => {
                    self.tests = vec![Tests::None];
                    return;
                }
                test => self.tests.push(test),
            }
        }
    }

    /// Whether something is still lazy.
    pub(super) fn is_lazy(&self) -> bool {
        self.tests.iter().any(Tests::is_lazy)
    }

    /// What resolving the lazy tests costs, in values asked one by one.
    pub(super) fn lazy_cost(&self) -> usize {
        self.tests.iter().map(Tests::lazy_cost).sum()
    }
}

impl<'a> Tests<'a> {
    pub(super) fn passes(&self, row: RowId) -> bool {
        match self {
            Tests::All => true,
            Tests::None => false,
            Tests::Codes(test) => test.passes(row),
            Tests::Rows(bits) => bits.contains(row),
            Tests::Lazy(lazy) => lazy.passes(row),
            Tests::And(tests) => tests.iter().all(|test| test.passes(row)),
            Tests::Or(tests) => tests.iter().any(|test| test.passes(row)),
        }
    }

    fn estimate(&self, rows: usize) -> f64 {
        let all = float(rows);
        match self {
            Tests::All => all,
            Tests::None => 0.0,
            Tests::Codes(test) => float(test.count),
            Tests::Rows(bits) => float(bits.len),
            Tests::Lazy(lazy) => lazy.estimate(),
            Tests::And(tests) => {
                all * tests.iter().map(|test| test.estimate(rows) / all).product::<f64>()
            }
            Tests::Or(tests) => {
                let fail = tests.iter().map(|test| 1.0 - test.estimate(rows) / all);
                all * (1.0 - fail.product::<f64>())
            }
        }
    }

    /// How many rows have to be gone through to find those that pass.
    pub(super) fn reads(&self, rows: usize) -> usize {
        match self {
            Tests::All => rows,
            Tests::None => 0,
            Tests::Codes(test) => test.count,
            Tests::Rows(bits) => bits.len,
            Tests::Lazy(lazy) => lazy.column.set(),
            Tests::And(tests) => tests.iter().map(|test| test.reads(rows)).min().unwrap_or(rows),
            Tests::Or(tests) => tests.iter().map(|test| test.reads(rows)).sum::<usize>().min(rows),
        }
    }

    fn is_lazy(&self) -> bool {
        match self {
            Tests::Lazy(_) => true,
            Tests::And(tests) | Tests::Or(tests) => tests.iter().any(Tests::is_lazy),
            _ => false,
        }
    }

    fn lazy_cost(&self) -> usize {
        match self {
            Tests::Lazy(lazy) => lazy.cost(),
            Tests::And(tests) | Tests::Or(tests) => tests.iter().map(Tests::lazy_cost).sum(),
            _ => 0,
        }
    }

    fn settled(self, rows: usize, meter: &Meter<'_>) -> Tests<'a> {
        match self {
            Tests::Lazy(lazy) => {
                let codes = lazy.resolve(meter);
                CodeTest::of(&lazy.term.field, lazy.column, codes, rows)
            }
            Tests::And(tests) => {
                let mut left = Vec::new();
                for test in tests {
                    match test.settled(rows, meter) {
                        Tests::None => return Tests::None,
                        Tests::All => {}
                        test => left.push(test),
                    }
                }
                if left.is_empty() { Tests::All } else { Tests::And(left) }
            }
            Tests::Or(tests) => {
                let mut left = Vec::new();
                for test in tests {
                    match test.settled(rows, meter) {
                        Tests::All => return Tests::All,
                        Tests::None => {}
                        test => left.push(test),
                    }
                }
                if left.is_empty() { Tests::None } else { Tests::Or(left) }
            }
            test => test,
        }
    }

    /// Whether [`each_candidate`](Tests::each_candidate) tells just the rows that pass.
    pub(super) fn is_exact(&self) -> bool {
        match self {
            Tests::All | Tests::None | Tests::Codes(_) | Tests::Rows(_) => true,
            Tests::Or(tests) => tests.iter().all(Tests::is_exact),
            Tests::Lazy(_) | Tests::And(_) => false,
        }
    }

    /// How many columns are read for [`marked`](Tests::marked); None where not each row can be
    /// answered at once.
    pub(super) fn marks(&self) -> Option<usize> {
        match self {
            Tests::All | Tests::None | Tests::Rows(_) => Some(0),
            Tests::Codes(_) => Some(1),
            Tests::Lazy(_) => None,
            Tests::And(tests) | Tests::Or(tests) => tests.iter().map(Tests::marks).sum(),
        }
    }

    /// The rows that pass, out of so many; what [`marks`](Tests::marks) has none for passes nowhere.
    pub(super) fn marked(&self, rows: usize) -> Bits {
        let none = || Bits::none(rows);
        let each = |tests: &[Tests<'_>], join: fn(Bits, &Bits) -> Bits| {
            let marked = tests.iter().map(|test| test.marked(rows));
            marked.reduce(|own, other| join(own, &other))
        };
        match self {
            Tests::None | Tests::Lazy(_) => none(),
            Tests::All => none().opposite(rows),
            Tests::Codes(test) => test.marked(rows),
            Tests::Rows(bits) => bits.clone(),
            Tests::And(tests) => each(tests, Bits::and).unwrap_or_else(|| none().opposite(rows)),
            Tests::Or(tests) => each(tests, Bits::or).unwrap_or_else(none),
        }
    }

    /// Tells rows among which are all that pass, each once; they are still to be tested.
    pub(super) fn each_candidate(&self, rows: usize, tell: &mut dyn FnMut(RowId)) {
        match self {
            Tests::All => (0..rows).filter_map(|row| RowId::try_from(row).ok()).for_each(tell),
            Tests::None => {}
            Tests::Codes(test) => each_of_codes(test, rows, tell),
            Tests::Rows(bits) => bits.iter().for_each(tell),
            Tests::Lazy(lazy) => {
                let every = CodeSet::of(1..lazy.column.end_code());
                every.each_row(lazy.column.codes(), rows, tell);
            }
            Tests::And(tests) => {
                if let Some(least) = tests.iter().min_by_key(|test| test.reads(rows)) {
                    least.each_candidate(rows, tell);
                }
            }
            Tests::Or(tests) => {
                let mut bits = Bits::none(rows);
                for test in tests {
                    test.each_candidate(rows, &mut |row| {
                        bits.insert(row);
                    });
                }
                bits.iter().for_each(tell);
            }
        }
    }
}

/// Where so many rows of a range are more than one in this of all, the codes are read in turn: that
/// is quicker than finding the rows of each range.
const READ_IN_TURN: usize = 8;

fn each_of_codes(test: &CodeTest<'_>, rows: usize, tell: &mut dyn FnMut(RowId)) {
    let has_unset = test.codes.contains(0);
    let seeks = test.codes.ranges().len() * 64 + test.count;
    if has_unset || seeks * READ_IN_TURN > rows * 4 {
        return test.codes.each_row(test.column.codes(), rows, tell);
    }
    for run in test.column.runs() {
        for range in test.codes.ranges() {
            test.column.rows_of(run, range.clone()).iter().for_each(&mut *tell);
        }
    }
}

/// A wildcard that is asked of the values that turn up, each once.
pub(super) struct Lazy<'a> {
    term: &'a Term,
    column: &'a Column,
    /// Of each code whether it passes, once that is known: 0 is not yet, 1 no, 2 yes.
    known: RefCell<Vec<u8>>,
    text: RefCell<String>,
    asking: &'a Asking,
    part: &'a table::Part,
    /// How many values were asked one by one here.
    own: Cell<usize>,
}

/// So many texts of a dictionary are searched in the time in which one is put together and tested.
const TEXTS_SEARCHED: usize = 128;

/// What share of values is taken to pass a wildcard of which nothing is known.
const UNKNOWN_SHARE: f64 = 0.1;

impl<'a> Lazy<'a> {
    pub(super) fn field(&self) -> &'a Field {
        &self.term.field
    }

    /// What resolving costs, in values asked one by one; nothing if so many were asked before: then
    /// it is asked for again and again, and what it matches is worth remembering.
    fn cost(&self) -> usize {
        let values = self.column.values().len();
        let cost = match self.column.values() {
            Values::Texts(_) => values.div_ceil(TEXTS_SEARCHED),
            _ => values,
        };
        let before = self.asking.matched.as_ref().map_or(0, |own| own.asked(self.part.id));
        if before < cost { cost } else { 0 }
    }

    fn passes(&self, row: RowId) -> bool {
        let code = self.column.code(row);
        if code == 0 {
            return false;
        }
        let mut known = self.known.borrow_mut();
        if known.is_empty() {
            known.resize(self.column.end_code() as usize, 0);
        }
        let Some(known) = known.get_mut(usize::from(code)) else { return false };
        if *known == 0 {
            let passes = self.ask(code);
            self.count(1, u64::from(passes));
            self.own.set(self.own.get() + 1);
            *known = 1 + u8::from(passes);
        }
        *known == 2
    }

    fn ask(&self, code: Code) -> bool {
        let mut text = self.text.borrow_mut();
        let value = self.column.value(self.term.field.field_type(), code, &mut text);
        value.is_some_and(|value| self.term.passes(value))
    }

    fn count(&self, values: u64, passed: u64) {
        self.asking.count(values, passed);
    }

    /// The share of rows that pass, as far as other values and segments tell.
    fn estimate(&self) -> f64 {
        /// So many values as if of the unknown share, so that a few do not decide.
        const PRIOR: f64 = 10.0;
        let Asked { values, passed } = self.asking.asked.get();
        #[allow(clippy::cast_precision_loss)] // An estimate.
        let share = (passed as f64 + UNKNOWN_SHARE * PRIOR) / (values as f64 + PRIOR);
        share * float(self.column.set())
    }

    fn resolve(&self, meter: &Meter<'_>) -> Arc<CodeSet> {
        let codes = Arc::new(self.search(meter));
        if let Some(matched) = &self.asking.matched
            && meter.stopped().is_none()
        {
            matched.put(self.part.id, Arc::clone(&codes));
        }
        codes
    }

    fn search(&self, meter: &Meter<'_>) -> CodeSet {
        let passed = match self.column.values() {
            Values::Texts(texts) if is_text(&self.term.field) => {
                let Test::Like(pattern) = &self.term.test else { return CodeSet::default() };
                let literals: Vec<&str> = pattern.literals().collect();
                let prefix = literals.first().copied().unwrap_or_default();
                // A single one, without a wildcard, is all of the text.
                let suffix =
                    literals.get(1..).and_then(|it| it.last()).copied().unwrap_or_default();
                let passes = |text: &str| meter.read(1) && pattern.matches(text);
                let test = TextTest {
                    prefix,
                    suffix,
                    is_pattern: true,
                    is_open: literals.last().is_some_and(|last| last.is_empty()),
                    literals: literals.into_iter().filter(|literal| !literal.is_empty()).collect(),
                    passes: &passes,
                };
                let mut ranges = Vec::new();
                texts.matching(&test, &mut |range| {
                    let code = |index: usize| u32::try_from(index).unwrap_or(u32::MAX) + 1;
                    ranges.push(code(range.start)..code(range.end));
                });
                CodeSet::union(ranges)
            }
            _ => {
                let mut ranges = Vec::new();
                let end = Code::try_from(self.column.end_code()).unwrap_or(Code::MAX);
                let plain = Term { is_negated: false, ..self.term.clone() };
                let mut text = String::new();
                for code in 1..end {
                    if !meter.read(1) {
                        break;
                    }
                    let value = self.column.value(plain.field.field_type(), code, &mut text);
                    if value.is_some_and(|value| plain.passes(value)) {
                        ranges.push(u32::from(code)..u32::from(code) + 1);
                    }
                }
                CodeSet::union(ranges)
            }
        };
        let end = self.column.end_code();
        let codes = if self.term.is_negated { passed.opposite(end) } else { passed };
        self.count(u64::from(end) - 1, codes.len() as u64);
        codes
    }
}

impl Drop for Lazy<'_> {
    fn drop(&mut self) {
        if let Some(matched) = self.asking.matched.as_ref().filter(|_| self.own.get() > 0) {
            matched.ask(self.part.id, self.own.get());
        }
    }
}

impl Asking {
    fn count(&self, values: u64, passed: u64) {
        let before = self.asked.get();
        let after = Asked { values: before.values + values, passed: before.passed + passed };
        self.asked.set(after);
    }
}

impl std::fmt::Debug for Lazy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lazy").field("term", &self.term).finish_non_exhaustive()
    }
}

fn resolve_term<'a>(
    term: &'a Term,
    asking: Option<&'a Asking>,
    part: &'a table::Part,
) -> Tests<'a> {
    let segment = &*part.segment;
    if term.field.is_list() {
        return resolve_list(term, segment);
    }
    let Some(column) = segment.column(&term.field) else {
        // No row has this label.
        let passes = matches!(term.test, Test::Null) && !term.is_negated;
        return if passes { Tests::All } else { Tests::None };
    };
    if let Some(asking) = asking {
        if column.set() == 0 {
            return Tests::None;
        }
        if let Some(codes) = asking.matched.as_ref().and_then(|matched| matched.codes(part.id)) {
            asking.count(column.values().len() as u64, codes.len() as u64);
            return CodeTest::of(&term.field, column, codes, segment.len());
        }
        let (known, text, own) = (RefCell::default(), RefCell::default(), Cell::new(0));
        return Tests::Lazy(Lazy { term, column, known, text, asking, part, own });
    }
    let end = column.end_code();
    let plain = match &term.test {
        Test::Null => {
            let codes = CodeSet::of(if term.is_negated { 1..end } else { 0..1 });
            return CodeTest::of(&term.field, column, codes, segment.len());
        }
        Test::Compare(how, value) => {
            let place = column.place(&value.borrowed());
            let after = place.code + u32::from(place.is_there);
            CodeSet::of(match how {
                Comparison::Equal => place.code..after,
                Comparison::Less => 1..place.code,
                Comparison::AtMost => 1..after,
                Comparison::Greater => after..end,
                Comparison::AtLeast => place.code..end,
            })
        }
        Test::Within(low, high) => {
            let high = column.place(&high.borrowed());
            let low = column.place(&low.borrowed()).code;
            CodeSet::of(low..(high.code + u32::from(high.is_there)).max(low))
        }
        Test::Like(pattern) if is_text(&term.field) => {
            let literal = pattern.literals().next().unwrap_or_default();
            let place = column.place(&ValueRef::Text(literal));
            CodeSet::of(if pattern.is_plain() {
                place.code..place.code + u32::from(place.is_there)
            } else {
                let after = after_prefix(literal);
                place.code..after.map_or(end, |text| column.place(&ValueRef::Text(&text)).code)
            })
        }
        // Of the few words, and of true and false, each is asked.
        Test::Like(_) => {
            let mut text = String::new();
            let end = Code::try_from(end).unwrap_or(Code::MAX);
            let mut passes = |code: Code| {
                let value = column.value(term.field.field_type(), code, &mut text);
                value.is_some_and(|value| term.test.passes(value))
            };
            let passed = (1..end).filter(|code| passes(*code));
            CodeSet::union(passed.map(|code| u32::from(code)..u32::from(code) + 1).collect())
        }
    };
    let codes = if term.is_negated { plain.opposite(end) } else { plain };
    CodeTest::of(&term.field, column, codes, segment.len())
}

/// The least text that comes after every text that begins so; None if there is none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // The code points above U+D7FF that are no characters are left out by the range itself.
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

fn resolve_list<'a>(term: &'a Term, segment: &'a Segment) -> Tests<'a> {
    let mut bits = Bits::none(segment.len());
    let mut set = Bits::none(segment.len());
    let which = match term.field {
        Field::ErrorArgumentsCode => Which::Code,
        _ => Which::Message,
    };
    let test = |text: &str| term.test.passes(ValueRef::Text(text));
    segment.arguments().test(which, &test, &mut |row, passes| {
        set.insert(row);
        if passes {
            bits.insert(row);
        }
    });
    let bits = match (&term.test, term.is_negated) {
        (Test::Null, true) => set,
        (Test::Null, false) => set.opposite(segment.len()),
        // Of a list, the opposite of "any element is x" is "none is".
        (_, true) => set.without(&bits),
        (_, false) => bits,
    };
    if bits.len == 0 {
        return Tests::None;
    }
    if bits.len == segment.len() { Tests::All } else { Tests::Rows(bits) }
}

/// A number of rows for an estimate.
pub(super) fn float(rows: usize) -> f64 {
    // A segment's rows and codes fit 16 bits.
    f64::from(u32::try_from(rows).unwrap_or(u32::MAX))
}
