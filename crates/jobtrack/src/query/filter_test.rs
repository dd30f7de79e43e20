//! Filters against a second opinion: an evaluator that knows nothing of the engine's types and
//! reads a job as the JSON that the native face shows.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::{Expr, random_jobs};
use crate::field::{Field, FieldType, Names};

/// One parameter of a filter: a field and the parts between its bars.
#[derive(Debug, Clone)]
struct Parameter {
    field: Field,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    is_negated: bool,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Null,
    Compare(&'static str, String),
    Range(String, String),
    Pattern(Vec<String>),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn filters_agree_with_the_second_opinion(
        jobs in vec(random_jobs::job(), 1..8),
        parameters in vec(parameter(), 1..4),
    ) {
        let mut filter = Expr::everything();
        for parameter in &parameters {
            let name = parameter.field.to_string();
            let text = written(parameter);
            match Expr::parse(&name, &text, Names::Native) {
                Ok(more) => filter = filter.and(more),
                // The only thing wrong that is made up here is a range with its ends swapped.
                Err(error) => {
                    prop_assert_eq!(error.kind(), crate::ErrorKind::Contradiction, "{}", error);
                    return Ok(());
                }
            }
        }
        let opposite = filter.clone().negate();
        for job in &jobs {
            let json = serde_json::to_value(job).unwrap();
            let expected = parameters.iter().all(|parameter| {
                parameter.parts.iter().any(|part| passes(&parameter.field, part, &json, false))
            });
            prop_assert_eq!(filter.matches(job), expected, "{} on {}", filter, json);
            let expected = parameters.iter().any(|parameter| {
                parameter.parts.iter().all(|part| passes(&parameter.field, part, &json, true))
            });
            prop_assert_eq!(opposite.matches(job), expected, "{} on {}", opposite, json);
        }
    }
}

/// A filter of one parameter, as text that means it; a range may have its ends swapped.
pub(super) fn filter_text() -> impl Strategy<Value = (String, String)> {
    parameter().prop_map(|parameter| (parameter.field.to_string(), written(&parameter)))
}

fn parameter() -> impl Strategy<Value = Parameter> {
    let labels = ["x", "y"].map(|name| Field::Label(name.into()));
    let fields: Vec<_> = Field::FIXED.iter().cloned().chain(labels).collect();
    prop::sample::select(fields).prop_flat_map(|field| {
        vec(part(field.field_type()), 1..4)
            .prop_map(move |parts| Parameter { field: field.clone(), parts })
    })
}

fn part(field_type: FieldType) -> impl Strategy<Value = Part> {
    let form = prop_oneof![
        1 => Just(Form::Null),
        4 => (prop::sample::select(vec!["", "<", "<=", ">", ">="]), literal(field_type))
            .prop_map(|(mark, value)| Form::Compare(mark, value)),
        2 => (literal(field_type), literal(field_type))
            .prop_map(|(low, high)| Form::Range(low, high)),
        2 => vec("[ab0-9*\"{:.uRT-]{0,2}", 2..4).prop_map(Form::Pattern),
    ];
    (any::<bool>(), form).prop_map(|(is_negated, form)| Part { is_negated, form })
}

/// A value as a person writes it, before quoting.
fn literal(field_type: FieldType) -> BoxedStrategy<String> {
    match field_type {
        FieldType::Text => random_jobs::text().boxed(),
        FieldType::Word(words) => {
            let word = prop::sample::select(words);
            (word, any::<bool>())
                .prop_map(
                    |(word, is_upper)| {
                        if is_upper { word.to_uppercase() } else { word.to_owned() }
                    },
                )
                .boxed()
        }
        FieldType::Integer => (-3..4_i64).prop_map(|n| n.to_string()).boxed(),
        FieldType::Time => (random_jobs::time(), any::<bool>())
            .prop_map(|(time, is_exact)| {
                let text = time.to_string();
                let whole = text.get(..19).unwrap();
                if !is_exact {
                    format!("{whole}Z")
                } else {
                    format!("{whole}.{:06}+00:00", time.as_micros().rem_euclid(1_000_000))
                }
            })
            .boxed(),
        FieldType::Span => prop_oneof![
            (0..4_u32).prop_map(|micros| format!("0.{micros:06}")),
            Just("0.5".to_owned()),
            Just("300".to_owned())
        ]
        .boxed(),
        FieldType::Uuid => random_jobs::id().prop_map(|id| id.to_string()).boxed(),
        FieldType::Bool => {
            prop::sample::select(vec!["true", "False"]).prop_map(str::to_owned).boxed()
        }
        FieldType::Revision => {
            (0..3_u8, 0..12_u8).prop_map(|(epoch, number)| format!("{epoch}-{number}")).boxed()
        }
    }
}

fn written(parameter: &Parameter) -> String {
    let part = |part: &Part| {
        let form = match &part.form {
            Form::Null => "null".to_owned(),
            Form::Compare(mark, value) => format!("{mark}{}", quoted(value)),
            Form::Range(low, high) => format!("{}..{}", quoted(low), quoted(high)),
            Form::Pattern(literals) => {
                let literals: Vec<_> = literals.iter().map(|literal| quoted(literal)).collect();
                literals.join("*")
            }
        };
        format!("{}{form}", if part.is_negated { "!" } else { "" })
    };
    parameter.parts.iter().map(part).collect::<Vec<_>>().join("|")
}

/// Quotes character by character, which needs no thought about which marks stand where.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-:+".contains(c);
    if !text.is_empty() && text != "null" && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let quote = |c| if c == '"' { "{\"}".to_owned() } else { format!("\"{c}\"") };
    if text.is_empty() { "\"\"".to_owned() } else { text.chars().map(quote).collect() }
}

fn passes(field: &Field, part: &Part, job: &Json, is_opposite: bool) -> bool {
    let values = values(field, job);
    let is_negated = part.is_negated != is_opposite;
    let any = |test: &dyn Fn(&str) -> bool| {
        !values.is_empty() && values.iter().any(|value| test(value)) != is_negated
    };
    let compares = |mark: &str, value: &str, with: &str| {
        let order = compare(field.field_type(), value, with);
        match mark {
            "" => order.is_eq(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        }
    };
    match &part.form {
        Form::Null => values.is_empty() != is_negated,
        Form::Compare(mark, with) => any(&|value| compares(mark, value, with)),
        Form::Range(low, high) => {
            any(&|value| compares(">=", value, low) && compares("<=", value, high))
        }
        Form::Pattern(literals) => {
            let folds = matches!(
                field.field_type(),
                FieldType::Word(_) | FieldType::Bool | FieldType::Uuid
            );
            let mut pattern = Vec::new();
            for (n, literal) in literals.iter().enumerate() {
                pattern.extend((n > 0).then_some(None));
                let fold = |c: char| if folds { c.to_ascii_lowercase() } else { c };
                pattern.extend(literal.chars().map(|c| Some(fold(c))));
            }
            any(&|value| is_like(&pattern, &value.chars().collect::<Vec<_>>()))
        }
    }
}

/// The text forms of all values that the JSON has for the field.
fn values(field: &Field, job: &Json) -> Vec<String> {
    let path: Vec<String> = match field {
        Field::Label(name) => vec!["labels".to_owned(), name.to_string()],
        field => field.to_string().split('.').map(str::to_owned).collect(),
    };
    let mut found = vec![job.clone()];
    for name in path {
        found = found
            .iter()
            .flat_map(|json| match json {
                Json::Array(elements) => elements.clone(),
                json => vec![json.clone()],
            })
            .filter_map(|json| json.get(&name).cloned())
            .collect();
    }
    let text = |json: &Json| match json {
        Json::String(text) => text.clone(),
        // Six digits are all that a length of time has, and a float may print as 1e-6.
        Json::Number(number) if number.is_f64() => {
            format!("{:.6}", number.as_f64().unwrap()).trim_end_matches('0').to_owned()
        }
        other => other.to_string(),
    };
    let is_label = matches!(field, Field::Label(_));
    found.iter().map(text).filter(|text| is_label || !text.is_empty()).collect()
}

fn compare(field_type: FieldType, value: &str, with: &str) -> std::cmp::Ordering {
    match field_type {
        FieldType::Text => value.as_bytes().cmp(with.as_bytes()),
        FieldType::Word(_) | FieldType::Bool | FieldType::Uuid => value.cmp(&with.to_lowercase()),
        FieldType::Integer => {
            let number = |text: &str| text.parse::<i64>().unwrap();
            number(value).cmp(&number(with))
        }
        FieldType::Span => {
            let number = |text: &str| text.parse::<f64>().unwrap();
            number(value).partial_cmp(&number(with)).unwrap()
        }
        FieldType::Revision => {
            let numbers =
                |text: &str| text.split('-').map(|n| n.parse::<u64>().unwrap()).collect::<Vec<_>>();
            numbers(value).cmp(&numbers(with))
        }
        FieldType::Time => {
            // Times of one width compare as text: to the second where no fraction is written.
            let padded =
                if value.contains('.') { value.to_owned() } else { value.replace('Z', ".000000Z") };
            let width = if with.contains('.') { 26 } else { 19 };
            padded.get(..width).cmp(&with.get(..width))
        }
    }
}

/// The textbook definition; None is the wildcard.
fn is_like(pattern: &[Option<char>], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((None, rest)) => (0..=text.len()).any(|skip| is_like(rest, &text[skip..])),
        Some((Some(c), rest)) => text.first() == Some(c) && is_like(rest, &text[1..]),
    }
}
