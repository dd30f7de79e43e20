//! Which fields to show.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Result, quoted};
use crate::field::{Field, LABEL_PREFIX, Names};
use crate::limits::{FILTER_BYTES, SELECTED_FIELDS, SELECTION_DEPTH, check_text};

/// The parameter that errors name.
const PARAMETER: &str = "fields";

/// Which fields to show. The uuid is always among them.
///
/// ```
/// use jobtrack::{Field, Names, Selection};
///
/// let selection = Selection::parse("state,error.{code,arguments}", Names::Ontap, false)?;
/// assert!(selection.shows(&Field::State) && selection.shows(&Field::ErrorArgumentsCode));
/// assert!(!selection.shows(&Field::ErrorMessage));
///
/// let selection = Selection::parse("*,!message", Names::Native, false)?;
/// assert!(selection.shows(&Field::Uuid) && !selection.shows(&Field::Message));
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    shown: Named,
    hidden: Named,
}

/// The fields that some names take together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Named {
    pub(super) fields: BTreeSet<Field>,
    has_all_labels: bool,
}

impl Selection {
    /// All fields.
    pub fn all() -> Self {
        let shown = Named { fields: Field::FIXED.iter().cloned().collect(), has_all_labels: true };
        Selection { shown, hidden: Named::default() }
    }

    /// The key alone.
    pub fn key_only() -> Self {
        Selection { shown: Named::default(), hidden: Named::default() }
    }

    /// Reads names separated by commas. An object's name takes all of it, `*` and `**` take
    /// everything, `b.{c,d}` is short for `b.c,b.d`, and `!x` takes `x` out again, wherever it
    /// stands. If there is nothing but names to take out, they are taken out of everything.
    ///
    /// # Errors
    ///
    /// `InvalidValue` for an unknown name, unless it `ignores_unknown` ones; `UnbalancedBraces`,
    /// `MissingValue` and `InvalidSyntax` for what is not written so; `LimitExceeded` for more than
    /// [`SELECTED_FIELDS`] names or braces deeper than [`SELECTION_DEPTH`].
    pub fn parse(text: &str, names: Names, ignores_unknown: bool) -> Result<Selection> {
        check_text(PARAMETER, text, FILTER_BYTES)?;
        let mut selection = Selection::key_only();
        let mut takes_only_out = true;
        for item in Reader::new(text).read()? {
            let named = if item.is_hidden { &mut selection.hidden } else { &mut selection.shown };
            takes_only_out &= item.is_hidden;
            if !named.add(&item.name, names) && !ignores_unknown {
                return Err(refusal(
                    ErrorKind::InvalidValue,
                    format!("The value {} is invalid for field \"fields\"", quoted(&item.name)),
                    item.at,
                ));
            }
        }
        if takes_only_out {
            selection.shown = Selection::all().shown;
        }
        Ok(selection)
    }

    /// Whether the field is among them.
    pub fn shows(&self, field: &Field) -> bool {
        *field == Field::Uuid || (self.shown.has(field) && !self.hidden.has(field))
    }
}

impl Default for Selection {
    fn default() -> Self {
        Selection::all()
    }
}

impl Named {
    fn has(&self, field: &Field) -> bool {
        self.fields.contains(field) || (self.has_all_labels && matches!(field, Field::Label(_)))
    }

    /// Adds what the name stands for, or says that it stands for nothing.
    pub(super) fn add(&mut self, name: &str, names: Names) -> bool {
        if name == "*" || name == "**" {
            *self = Selection::all().shown;
            return true;
        }
        let object = name.strip_suffix(".**").or_else(|| name.strip_suffix(".*"));
        if object.is_none()
            && let Ok(field) = Field::parse(name, names)
        {
            self.fields.insert(field);
            return true;
        }
        let prefix = format!("{}.", object.unwrap_or(name));
        if names == Names::Native && prefix == LABEL_PREFIX {
            self.has_all_labels = true;
            return true;
        }
        let below = |field: &&Field| field.name(names).is_some_and(|n| n.starts_with(&prefix));
        let mut is_known = false;
        for field in Field::FIXED.iter().filter(below) {
            is_known = true;
            self.fields.insert(field.clone());
        }
        is_known
    }
}

/// One name with all that stands before its braces.
struct Item {
    name: String,
    is_hidden: bool,
    at: usize,
}

/// A brace that is open.
struct Brace {
    /// How long the name was before it.
    prefix: usize,
    is_hidden: bool,
    at: usize,
}

/// Writes all names out. A loop with a stack of its own, bounded by the limits.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// What the open braces put before each name.
    prefix: String,
    braces: Vec<Brace>,
    items: Vec<Item>,
}

/// What stands between two marks.
struct Piece<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader { text, at: 0, prefix: String::new(), braces: Vec::new(), items: Vec::new() }
    }

    fn read(mut self) -> Result<Vec<Item>> {
        loop {
            let piece = self.piece();
            if self.eat(b'{') {
                self.open(&piece)?;
                continue;
            }
            self.name(&piece)?;
            while self.eat(b'}') {
                self.close()?;
                let after = self.piece();
                if !after.text.is_empty() || self.mark() == Some(b'{') {
                    let message = "expected a comma after the brace }".to_owned();
                    return Err(refusal(ErrorKind::InvalidSyntax, message, after.at));
                }
            }
            if !self.eat(b',') {
                // Nothing but the end of the text is left to have ended the piece.
                return match self.braces.last() {
                    Some(brace) => Err(unbalanced("the brace { is never closed", brace.at)),
                    None => Ok(self.items),
                };
            }
        }
    }

    fn name(&mut self, piece: &Piece<'_>) -> Result<()> {
        let (name, is_hidden) = self.sign(piece);
        if name.is_empty() {
            let message = "expected the name of a field".to_owned();
            return Err(refusal(ErrorKind::MissingValue, message, piece.at));
        }
        if self.items.len() >= SELECTED_FIELDS {
            let message = format!("more than {SELECTED_FIELDS} fields are named");
            return Err(refusal(ErrorKind::LimitExceeded, message, piece.at));
        }
        let name = format!("{}{name}", self.prefix);
        self.items.push(Item { name, is_hidden, at: piece.at });
        Ok(())
    }

    fn open(&mut self, piece: &Piece<'_>) -> Result<()> {
        let at = self.at - 1;
        let (name, is_hidden) = self.sign(piece);
        if !name.is_empty() && !name.ends_with('.') {
            let message = "expected a dot before the brace {".to_owned();
            return Err(refusal(ErrorKind::InvalidSyntax, message, at));
        }
        if self.braces.len() >= SELECTION_DEPTH {
            let message = format!("the braces nest more than {SELECTION_DEPTH} deep");
            return Err(refusal(ErrorKind::LimitExceeded, message, at));
        }
        self.braces.push(Brace { prefix: self.prefix.len(), is_hidden, at });
        self.prefix.push_str(name);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(brace) = self.braces.pop() else {
            return Err(unbalanced("the brace } closes none", self.at - 1));
        };
        self.prefix.truncate(brace.prefix);
        Ok(())
    }

    /// The name without its `!`, and whether it is taken out: by its own `!` or by one before the
    /// braces that it stands in.
    fn sign<'p>(&self, piece: &Piece<'p>) -> (&'p str, bool) {
        match piece.text.strip_prefix('!') {
            Some(name) => (name.trim_start(), true),
            None => (piece.text, self.braces.last().is_some_and(|brace| brace.is_hidden)),
        }
    }

    /// The text up to the next mark, without the blanks around it.
    fn piece(&mut self) -> Piece<'a> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let len = rest.find([',', '{', '}']).unwrap_or(rest.len());
        let piece = rest.get(..len).unwrap_or_default();
        let at = self.at + (piece.len() - piece.trim_start().len());
        self.at += len;
        Piece { text: piece.trim(), at }
    }

    fn mark(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, mark: u8) -> bool {
        let hit = self.mark() == Some(mark);
        self.at += usize::from(hit);
        hit
    }
}

fn unbalanced(message: &str, at: usize) -> Error {
    refusal(ErrorKind::UnbalancedBraces, message.to_owned(), at)
}

fn refusal(kind: ErrorKind, message: String, at: usize) -> Error {
    Error::new(kind, message).with_field(PARAMETER).with_position(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, names: Names) -> Vec<String> {
        let selection = Selection::parse(text, names, false).unwrap();
        let fields = Field::FIXED.iter().filter(|field| selection.shows(field));
        fields.filter_map(|field| field.name(names)).map(std::borrow::Cow::into_owned).collect()
    }

    #[test]
    fn names_objects_braces_and_exclusions() {
        for (text, fields) in [
            ("uuid", "uuid"),
            ("state, code", "uuid state code"),
            ("svm", "uuid svm.name svm.uuid"),
            ("svm.*", "uuid svm.name svm.uuid"),
            ("node", "uuid node.name"),
            ("error.arguments", "uuid error.arguments.code error.arguments.message"),
            ("error.{code,message}", "uuid error.code error.message"),
            (
                "{state,error.{arguments.{code},target}}",
                "uuid state error.target error.arguments.code",
            ),
            ("svm,!svm.name", "uuid svm.uuid"),
            ("!svm.name,svm", "uuid svm.uuid"),
            ("svm,!svm.{name,uuid}", "uuid"),
            ("svm.{*,!name}", "uuid svm.uuid"),
            ("state,!uuid", "uuid state"),
        ] {
            assert_eq!(shown(text, Names::Ontap).join(" "), fields, "{text}");
        }
        assert_eq!(shown("*", Names::Native), shown("!labels", Names::Native));
        assert_eq!(shown("**", Names::Native).len(), Field::FIXED.len());
        assert_eq!(shown("!message", Names::Native).len(), Field::FIXED.len() - 1);
    }

    #[test]
    fn labels_are_named_one_by_one_or_together() {
        let tier = Field::Label("tier".into());
        let shows = |text| Selection::parse(text, Names::Native, false).unwrap().shows(&tier);
        assert!(shows("labels") && shows("labels.tier") && shows("*") && shows("labels.{tier,x}"));
        assert!(!shows("labels.x") && !shows("state") && !shows("*,!labels"));
        assert!(!shows("labels,!labels.tier"));
    }

    #[test]
    fn faults_are_named_with_their_position() {
        let deep = "{".repeat(10_000);
        let many = "state,".repeat(300);
        for (text, kind, position) in [
            ("nosuch", ErrorKind::InvalidValue, Some(0)),
            ("state,error.nosuch", ErrorKind::InvalidValue, Some(6)),
            ("svm.{name,id}", ErrorKind::InvalidValue, Some(10)),
            ("create_time", ErrorKind::InvalidValue, Some(0)),
            ("labels", ErrorKind::InvalidValue, Some(0)),
            ("error.{code", ErrorKind::UnbalancedBraces, Some(6)),
            ("error.code}", ErrorKind::UnbalancedBraces, Some(10)),
            ("error.{code}}", ErrorKind::UnbalancedBraces, Some(12)),
            ("error.{code}x", ErrorKind::InvalidSyntax, Some(12)),
            ("error.{code}{state}", ErrorKind::InvalidSyntax, Some(12)),
            ("error{code}", ErrorKind::InvalidSyntax, Some(5)),
            ("", ErrorKind::MissingValue, Some(0)),
            ("state,", ErrorKind::MissingValue, Some(6)),
            ("state,!", ErrorKind::MissingValue, Some(6)),
            ("error.{}", ErrorKind::MissingValue, Some(7)),
            ("!!state", ErrorKind::InvalidValue, Some(0)),
            ("st\0", ErrorKind::InvalidValue, Some(2)),
            (&deep, ErrorKind::LimitExceeded, Some(8)),
            (&many, ErrorKind::LimitExceeded, Some(256 * 6)),
        ] {
            let error = Selection::parse(text, Names::Ontap, false).unwrap_err();
            assert_eq!((error.kind(), error.position()), (kind, position), "{text}: {error}");
            assert_eq!(error.field(), Some("fields"));
        }
        let error = Selection::parse("x", Names::Ontap, false).unwrap_err();
        assert_eq!(error.message(), "The value \"x\" is invalid for field \"fields\"");
    }

    #[test]
    fn unknown_names_are_ignored_if_asked() {
        let selection = Selection::parse("nosuch,state", Names::Ontap, true).unwrap();
        assert_eq!(selection, Selection::parse("state", Names::Ontap, false).unwrap());
        // Names that nobody knows show nothing; they do not turn into "everything".
        assert_eq!(Selection::parse("nosuch", Names::Ontap, true).unwrap(), Selection::key_only());
    }

    proptest! {
        #[test]
        fn no_text_can_panic(text in "[a-z*!.,{} \\PC]{0,40}") {
            let _ = Selection::parse(&text, Names::Native, false);
            let _ = Selection::parse(&text, Names::Ontap, true);
        }
    }
}
