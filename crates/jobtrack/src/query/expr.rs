//! Which jobs match: the filter as a value.

use std::fmt;

use super::parse;
use super::pattern::Pattern;
use super::search;
use super::term::{Comparison, Term, Test};
use super::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::field::{Field, Names, ValueRef};
use crate::job::{Job, JobId, Scope};
use crate::limits::{FILTER_DEPTH, FILTER_TERMS};

/// Which jobs match.
///
/// A filter is one test on one field, or several joined by [`and`](Expr::and) and
/// [`or`](Expr::or). An unset field passes no test but [`is_null`](Expr::is_null), and that holds
/// under negation too: `message` is not `"x"` is asked of the jobs that have a message.
///
/// ```
/// use jobtrack::{Comparison, Expr, Field, Names, State};
///
/// let filter = Expr::is(Field::State, State::Failure)?
///     .and(Expr::compare(Field::Code, Comparison::Greater, 900_000)?)
///     .and(Expr::like(Field::Description, "Volume*")?.negate());
/// assert_eq!(filter.to_string(), "state=failure and code=>900000 and description=!Volume*");
///
/// // The same from text, as a URL has it.
/// let text = Expr::parse("state", "failure", Names::Native)?
///     .and(Expr::parse("code", ">900000", Names::Native)?)
///     .and(Expr::parse("description", "!Volume*", Names::Native)?);
/// assert_eq!(text, filter);
/// # Ok::<(), jobtrack::Error>(())
/// ```
///
/// A filter has at most [`FILTER_TERMS`] tests and nests at most [`FILTER_DEPTH`] deep. One that
/// grows beyond keeps nothing but that fact, and every query refuses it; see [`check`](Expr::check).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    node: Node,
    // Kept beside the tree, so that a limit is noticed before the tree grows past it: whatever is
    // stored can be walked and dropped by recursion.
    terms: usize,
    depth: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Everything,
    Nothing,
    Test(Term),
    /// At least two, none of them a group that is joined the same way.
    Group(Join, Vec<Node>),
    TooLarge(Excess),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    And,
    Or,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    Terms,
    Depth,
}

impl Expr {
    /// The filter that every job passes. It is the default.
    pub fn everything() -> Self {
        Expr { node: Node::Everything, terms: 0, depth: 0 }
    }

    /// The filter that no job passes.
    pub fn nothing() -> Self {
        Expr { node: Node::Nothing, terms: 0, depth: 0 }
    }

    /// The filter that a text puts on the field of this name, as a URL parameter does: name and
    /// text are decoded already. `docs/query-language.md` describes the language.
    ///
    /// ```
    /// use jobtrack::{ErrorKind, Expr, Names};
    ///
    /// let filter = Expr::parse("code", "3|5..9|!<100", Names::Ontap)?;
    /// assert_eq!(filter.to_string(), "code=3|5..9|!<100");
    ///
    /// let error = Expr::parse("code", "3|x", Names::Ontap).unwrap_err();
    /// assert_eq!((error.kind(), error.position()), (ErrorKind::InvalidValue, Some(2)));
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `UnknownField`; `MissingValue`, `InvalidSyntax`, `InvalidValue` and `Contradiction`, naming
    /// the field and the position; `LimitExceeded`.
    pub fn parse(name: &str, text: &str, names: Names) -> Result<Expr> {
        let field = Field::parse(name, names)?;
        parse::filter(&field, name, text)
    }

    /// The filter that a text puts on a field; [`parse`](Expr::parse) for a field already known.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Expr::parse), less `UnknownField`.
    pub fn parse_value(field: &Field, text: &str, names: Names) -> Result<Expr> {
        // Errors name the field as the caller does, if the caller has a name for it.
        let name = field.name(names).unwrap_or_else(|| field.to_string().into());
        parse::filter(field, &name, text)
    }

    /// The filter that a search makes: words of which each must be found in one of the fields, if
    /// not all in the same. A blank stands between words, `|` between words of which one is enough
    /// and binds tighter, and blanks and marks within `"…"` are characters. A word is found anywhere
    /// within a value; one with a `*`, which is any run of characters, must match all of it.
    ///
    /// ```
    /// use jobtrack::{Expr, Field};
    ///
    /// let filter = Expr::search("vol1|vol2 *delete*", &[Field::Description, Field::Message])?;
    /// assert_eq!(
    ///     filter.to_string(),
    ///     "(description=*vol1* or message=*vol1* or description=*vol2* or message=*vol2*) \
    ///      and (description=*delete* or message=*delete*)"
    /// );
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `MissingValue` for no word or no field, `InvalidSyntax` for a quotation mark that is never
    /// closed, naming the position; `LimitExceeded` where words times fields are more than
    /// [`FILTER_TERMS`].
    pub fn search(text: &str, fields: &[Field]) -> Result<Expr> {
        search::filter(text, fields)
    }

    /// The filter that a search makes, its fields named as the parameter `query_fields` names them:
    /// separated by commas, `*` for all, an object's name for all of it, `!x` to take one out. Labels
    /// are named one by one.
    ///
    /// # Errors
    ///
    /// As for [`search`](Expr::search); `InvalidValue` for an unknown name, `Duplicate` for one that
    /// is given twice.
    pub fn parse_search(text: &str, fields: &str, names: Names) -> Result<Expr> {
        search::filter(text, &search::fields(fields, names)?)
    }

    /// The filter of one test.
    ///
    /// # Errors
    ///
    /// `InvalidValue` if the field cannot hold the value, `Contradiction` for a range whose low end
    /// lies above its high one, `LimitExceeded` for a text over [`FILTER_BYTES`](crate::limits::FILTER_BYTES).
    pub fn test(field: Field, test: Test) -> Result<Expr> {
        let test = test.fitted(&field)?;
        Ok(Expr { node: Node::Test(Term { field, is_negated: false, test }), terms: 1, depth: 0 })
    }

    /// The field has this value.
    ///
    /// # Errors
    ///
    /// As for [`test`](Expr::test).
    pub fn is(field: Field, value: impl Into<Value>) -> Result<Expr> {
        Expr::compare(field, Comparison::Equal, value)
    }

    /// The field's value compares so with this one. Words compare by the alphabet.
    ///
    /// # Errors
    ///
    /// As for [`test`](Expr::test).
    pub fn compare(field: Field, how: Comparison, value: impl Into<Value>) -> Result<Expr> {
        Expr::test(field, Test::Compare(how, value.into()))
    }

    /// The field's value lies between these, both included.
    ///
    /// # Errors
    ///
    /// As for [`test`](Expr::test).
    pub fn between(field: Field, low: impl Into<Value>, high: impl Into<Value>) -> Result<Expr> {
        Expr::test(field, Test::Within(low.into(), high.into()))
    }

    /// The field has one of these values. Without any, no job passes.
    ///
    /// # Errors
    ///
    /// As for [`test`](Expr::test).
    pub fn one_of<V: Into<Value>>(
        field: &Field,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Expr> {
        values.into_iter().try_fold(Expr::nothing(), |filter, value| {
            Ok(filter.or(Expr::is(field.clone(), value)?))
        })
    }

    /// The text form of the field's value matches the pattern.
    ///
    /// # Errors
    ///
    /// As for [`test`](Expr::test).
    pub fn like(field: Field, pattern: impl Into<Pattern>) -> Result<Expr> {
        Expr::test(field, Test::Like(pattern.into()))
    }

    /// The field is unset.
    pub fn is_null(field: Field) -> Expr {
        Expr {
            node: Node::Test(Term { field, is_negated: false, test: Test::Null }),
            terms: 1,
            depth: 0,
        }
    }

    /// The field is set.
    pub fn is_set(field: Field) -> Expr {
        Expr::is_null(field).negate()
    }

    /// Both match.
    #[must_use]
    pub fn and(self, other: Expr) -> Expr {
        self.joined(Join::And, other)
    }

    /// One of both matches.
    #[must_use]
    pub fn or(self, other: Expr) -> Expr {
        self.joined(Join::Or, other)
    }

    /// The scope has this name and this id, of which an empty one may be anything. Unlike what a
    /// caller tests, they may be as long as any scope's.
    pub(crate) fn of_scope(name: &str, id: &str) -> Expr {
        let is = |field: Field, value: &str| {
            let test = Test::Compare(Comparison::Equal, Value::from(value));
            Expr { node: Node::Test(Term { field, is_negated: false, test }), terms: 1, depth: 0 }
        };
        match (name, id) {
            ("", "") => Expr::everything(),
            (name, "") => is(Field::ScopeName, name),
            ("", id) => is(Field::ScopeId, id),
            (name, id) => is(Field::ScopeName, name).and(is(Field::ScopeId, id)),
        }
    }

    /// Both match, where the other is not the caller's own and so does not count among the terms that
    /// the caller may have.
    pub(crate) fn narrowed(self, other: Expr) -> Expr {
        let terms = self.terms;
        let depth = self.depth_within(Join::And).max(other.depth_within(Join::And)) + 1;
        match (&self.node, &other.node) {
            (Node::TooLarge(_) | Node::Nothing, _) | (_, Node::Everything) => self,
            (Node::Everything, _) | (_, Node::TooLarge(_) | Node::Nothing) => other,
            _ => {
                let mut parts = self.node.into_parts(Join::And);
                parts.extend(other.node.into_parts(Join::And));
                Expr { node: Node::Group(Join::And, parts), terms, depth }
            }
        }
    }

    /// The opposite, asked of the same fields: each test turns into its opposite, "and" into "or".
    /// A job in which a tested field is unset passes neither a test nor its opposite.
    #[must_use]
    pub fn negate(self) -> Expr {
        Expr { node: self.node.negated(), ..self }
    }

    /// Whether the filter is within its limits. Queries ask this first.
    ///
    /// ```
    /// use jobtrack::{ErrorKind, Expr, Field};
    ///
    /// let mut filter = Expr::is_set(Field::Message);
    /// for n in 0..10_000 {
    ///     let other = Expr::is(Field::Code, n)?;
    ///     filter = if n % 2 == 0 { filter.and(other) } else { filter.or(other) };
    /// }
    /// assert_eq!(filter.check().unwrap_err().kind(), ErrorKind::LimitExceeded);
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `LimitExceeded`, naming the limit.
    pub fn check(&self) -> Result<()> {
        let message = match self.node {
            Node::TooLarge(Excess::Terms) => {
                format!("the filter has more than {FILTER_TERMS} terms")
            }
            Node::TooLarge(Excess::Depth) => {
                format!("the filter nests more than {FILTER_DEPTH} deep")
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::LimitExceeded, message))
    }

    /// Whether the job matches. Nothing matches a filter over its limits.
    pub fn matches(&self, job: &Job) -> bool {
        self.node.matches(job)
    }

    /// Whether a job could match in which the field has this value, whatever else it has. A list
    /// is taken to have this element alone.
    ///
    /// ```
    /// use jobtrack::{Expr, Field, Names, ValueRef};
    ///
    /// let filter = Expr::parse("scope.name", "vs*", Names::Native)?
    ///     .and(Expr::parse("code", "7", Names::Native)?);
    /// assert!(filter.admits(&Field::ScopeName, ValueRef::Text("vs0")));
    /// assert!(!filter.admits(&Field::ScopeName, ValueRef::Text("other")));
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    pub fn admits(&self, field: &Field, value: ValueRef<'_>) -> bool {
        // Negation stands at the tests alone, so what is not known may count as passed.
        self.node.admits(&|term| term.field != *field || term.passes(value))
    }

    /// Whether a job of this uuid and scope can match, whatever else is in it: the one answer that
    /// holds for all its life, and after it.
    pub(crate) fn admits_job(&self, uuid: JobId, scope: Option<&Scope>) -> bool {
        self.node.admits(&|term| term.admits(uuid, scope))
    }

    /// What it is made of.
    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// Whether it is within its limits and tests no other fields than these.
    pub(super) fn is_of(&self, fields: &[Field]) -> bool {
        self.node.is_of(fields)
    }

    /// Whether it has wildcards, which are tried on every text there is.
    pub(crate) fn has_patterns(&self) -> bool {
        self.node.has_patterns()
    }

    /// Whether what is known of the tested fields lets the filter pass.
    pub(super) fn holds(&self, passes: &dyn Fn(&Term) -> bool) -> bool {
        self.node.admits(passes)
    }

    /// A text that two filters share which are made of the same parts in whatever order.
    pub(super) fn canonical(&self) -> String {
        self.node.canonical()
    }

    fn joined(self, join: Join, other: Expr) -> Expr {
        // What is too large stays so: it must be refused even where the rest would decide.
        if matches!(self.node, Node::TooLarge(_)) {
            return self;
        }
        if matches!(other.node, Node::TooLarge(_)) {
            return other;
        }
        let (neutral, decisive) = match join {
            Join::And => (Node::Everything, Node::Nothing),
            Join::Or => (Node::Nothing, Node::Everything),
        };
        if self.node == neutral || other.node == decisive {
            return other;
        }
        if other.node == neutral || self.node == decisive {
            return self;
        }
        let terms = self.terms + other.terms;
        let depth = self.depth_within(join).max(other.depth_within(join)) + 1;
        if terms > FILTER_TERMS {
            return Expr::too_large(Excess::Terms);
        }
        if depth > FILTER_DEPTH {
            return Expr::too_large(Excess::Depth);
        }
        let mut parts = self.node.into_parts(join);
        parts.extend(other.node.into_parts(join));
        Expr { node: Node::Group(join, parts), terms, depth }
    }

    /// How deep its parts nest once it stands in a group joined this way.
    fn depth_within(&self, join: Join) -> usize {
        match &self.node {
            Node::Group(own, _) if *own == join => self.depth - 1,
            _ => self.depth,
        }
    }

    fn too_large(excess: Excess) -> Expr {
        Expr { node: Node::TooLarge(excess), terms: 0, depth: 0 }
    }
}

impl Default for Expr {
    fn default() -> Self {
        Expr::everything()
    }
}

impl Node {
    fn into_parts(self, join: Join) -> Vec<Node> {
        match self {
            Node::Group(own, parts) if own == join => parts,
            node => vec![node],
        }
    }

    fn negated(self) -> Node {
        match self {
            Node::Everything => Node::Nothing,
            Node::Nothing => Node::Everything,
            Node::Test(term) => Node::Test(Term { is_negated: !term.is_negated, ..term }),
            Node::Group(join, parts) => {
                Node::Group(join.opposite(), parts.into_iter().map(Node::negated).collect())
            }
            Node::TooLarge(excess) => Node::TooLarge(excess),
        }
    }

    fn matches(&self, job: &Job) -> bool {
        match self {
            Node::Everything => true,
            Node::Nothing | Node::TooLarge(_) => false,
            Node::Test(term) => term.matches(job),
            Node::Group(Join::And, parts) => parts.iter().all(|part| part.matches(job)),
            Node::Group(Join::Or, parts) => parts.iter().any(|part| part.matches(job)),
        }
    }

    /// Whether the tests that these terms pass leave a way through.
    fn admits(&self, passes: &dyn Fn(&Term) -> bool) -> bool {
        match self {
            Node::Everything => true,
            Node::Nothing | Node::TooLarge(_) => false,
            Node::Test(term) => passes(term),
            Node::Group(Join::And, parts) => parts.iter().all(|part| part.admits(passes)),
            Node::Group(Join::Or, parts) => parts.iter().any(|part| part.admits(passes)),
        }
    }

    fn is_of(&self, fields: &[Field]) -> bool {
        match self {
            Node::Everything | Node::Nothing => true,
            Node::TooLarge(_) => false,
            Node::Test(term) => fields.contains(&term.field),
            Node::Group(_, parts) => parts.iter().all(|part| part.is_of(fields)),
        }
    }

    fn has_patterns(&self) -> bool {
        match self {
            Node::Test(term) => matches!(term.test, Test::Like(_)),
            Node::Group(_, parts) => parts.iter().any(Node::has_patterns),
            Node::Everything | Node::Nothing | Node::TooLarge(_) => false,
        }
    }

    /// The field, if the node tests no more than one and can be written as one value of it.
    fn single_field(&self) -> Option<&Field> {
        match self {
            Node::Test(term) => Some(&term.field),
            Node::Group(Join::Or, parts) => {
                let field = parts.first()?.single_field()?;
                let is_same = |part: &Node| matches!(part, Node::Test(t) if t.field == *field);
                parts.iter().all(is_same).then_some(field)
            }
            _ => None,
        }
    }
}

impl Join {
    fn opposite(self) -> Join {
        match self {
            Join::And => Join::Or,
            Join::Or => Join::And,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Join::And => " and ",
            Join::Or => " or ",
        }
    }
}

impl fmt::Display for Expr {
    /// The filter as a person reads it. What one parameter can say is shown as that parameter, so
    /// it reads back; equal filters read the same, in every release.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl Node {
    fn write(&self, f: &mut fmt::Formatter<'_>, is_inner: bool) -> fmt::Result {
        if let Some(field) = self.single_field() {
            write!(f, "{field}=")?;
        }
        match self {
            Node::Everything => f.write_str("everything"),
            Node::Nothing => f.write_str("nothing"),
            Node::TooLarge(_) => f.write_str("a filter over its limits"),
            Node::Test(term) => term.write_value(f),
            Node::Group(_, parts) if self.single_field().is_some() => {
                for (n, part) in parts.iter().enumerate() {
                    f.write_str(if n > 0 { "|" } else { "" })?;
                    if let Node::Test(term) = part {
                        term.write_value(f)?;
                    }
                }
                Ok(())
            }
            Node::Group(join, parts) => {
                f.write_str(if is_inner { "(" } else { "" })?;
                for (n, part) in parts.iter().enumerate() {
                    f.write_str(if n > 0 { join.word() } else { "" })?;
                    part.write(f, true)?;
                }
                f.write_str(if is_inner { ")" } else { "" })
            }
        }
    }

    fn canonical(&self) -> String {
        let Node::Group(join, parts) = self else { return self.to_string() };
        let mut parts: Vec<_> = parts.iter().map(Node::canonical).collect();
        parts.sort_unstable();
        format!("({})", parts.join(join.word()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: i32) -> Expr {
        Expr::is(Field::Code, code).unwrap()
    }

    #[test]
    fn joining_flattens_and_shows_what_it_did() {
        let text = |filter: Expr| filter.to_string();
        assert_eq!(text(code(1).or(code(2)).or(code(3))), "code=1|2|3");
        assert_eq!(text(code(1).or(code(2)).and(code(3))), "code=1|2 and code=3");
        let kind = Expr::is(Field::Kind, "a b").unwrap();
        assert_eq!(
            text(code(1).or(kind.clone()).and(code(3))),
            "(code=1 or kind=\"a b\") and code=3"
        );
        assert_eq!(text(code(1).and(code(2)).or(kind)), "(code=1 and code=2) or kind=\"a b\"");
        assert_eq!(text(Expr::default()), "everything");
    }

    #[test]
    fn everything_and_nothing_are_neutral_or_decide() {
        assert_eq!(Expr::everything().and(code(1)), code(1));
        assert_eq!(code(1).or(Expr::nothing()), code(1));
        assert_eq!(code(1).or(Expr::everything()), Expr::everything());
        assert_eq!(Expr::nothing().and(code(1)), Expr::nothing());
        assert_eq!(Expr::everything().negate(), Expr::nothing());
        assert_eq!(Expr::one_of(&Field::Code, Vec::<i32>::new()).unwrap(), Expr::nothing());
    }

    #[test]
    fn negation_reaches_the_tests_and_is_its_own_opposite() {
        let filter = code(1).or(code(2)).and(Expr::is_null(Field::Kind));
        let negated = filter.clone().negate();
        assert_eq!(negated.to_string(), "(code=!1 and code=!2) or kind=!null");
        assert_eq!(negated.negate(), filter);
    }

    #[test]
    fn as_many_terms_as_the_limit_are_taken_and_one_more_is_not() {
        let of = |terms: usize| Expr::one_of(&Field::Code, (0_u64..).take(terms)).unwrap();
        assert!(of(FILTER_TERMS).check().is_ok());
        let error = of(FILTER_TERMS + 1).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert_eq!(error.to_string(), "the filter has more than 1024 terms");
        // What is over a limit stays so, whatever it is joined with.
        let over = of(FILTER_TERMS + 1);
        assert!(over.clone().or(Expr::everything()).check().is_err());
        assert!(Expr::nothing().and(over.negate()).check().is_err());
    }

    #[test]
    fn as_deep_as_the_limit_is_taken_and_one_deeper_is_not() {
        let of = |depth: usize| {
            (0..depth).fold(code(0), |filter, n| {
                if n % 2 == 0 { filter.and(code(1)) } else { filter.or(code(1)) }
            })
        };
        assert_eq!(of(FILTER_DEPTH).depth, FILTER_DEPTH);
        assert!(of(FILTER_DEPTH).check().is_ok());
        let error = of(FILTER_DEPTH + 1).check().unwrap_err();
        assert_eq!(error.to_string(), "the filter nests more than 16 deep");
        assert!(of(10_000).check().is_err());
    }

    #[test]
    fn the_same_parts_in_another_order_have_one_canonical_text() {
        let kind = Expr::is(Field::Kind, "a").unwrap();
        let filter = code(1).or(code(2)).and(kind.clone());
        assert_eq!(filter.canonical(), kind.clone().and(code(2).or(code(1))).canonical());
        assert_ne!(filter.canonical(), code(1).and(code(2)).or(kind).canonical());
    }

    #[test]
    fn what_a_filter_admits_is_what_some_job_could_match_with() {
        let admits =
            |filter: &Expr, name: &str| filter.admits(&Field::ScopeName, ValueRef::Text(name));
        let name = |text| Expr::parse_value(&Field::ScopeName, text, Names::Native).unwrap();
        assert!(admits(&code(1), "vs0") && admits(&Expr::everything(), "vs0"));
        assert!(!admits(&Expr::nothing(), "vs0") && !admits(&name("null"), "vs0"));
        assert!(admits(&name("!null").and(name("!vs1")), "vs0"));
        assert!(!admits(&name("vs0").and(name("!vs0|vs1")), "vs0"));
        // One of two: the other may be what the job matches by.
        assert!(admits(&name("vs1").or(code(1)), "vs0"));
        assert!(!admits(&name("vs1").and(code(1)), "vs0"));
    }

    #[test]
    fn a_range_needs_its_lower_end_first() {
        let error = Expr::between(Field::Code, 2, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Contradiction);
        assert_eq!(
            error.to_string(),
            "code: nothing lies between 2 and 1; write the lower end first"
        );
    }
}
