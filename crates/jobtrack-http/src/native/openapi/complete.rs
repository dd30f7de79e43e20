//! What holds of all operations of the document, or follows from tables that stand elsewhere: filters
//! from the catalogue of fields, refusals from the list of errors, limits from the tracker's options.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use jobtrack::limits::{LEASE_SECONDS, OFFSET_RECORDS, RETENTION_SECONDS};
use jobtrack::{Field, FieldType, Limits, Names};
use serde_json::{Map, Value, json};

use crate::errors::{ENGINE, HTTP};

/// Operations whose parameters are filters as well.
const FILTERED: &[&str] = &["list_jobs", "claim", "export", "watch", "activity"];
/// What every operation may be refused with, as far as there are refusals of these statuses; 413 and
/// 408 are added where there is a body.
const REFUSALS: &[u16] = &[400, 401, 403, 414, 415, 421, 429, 500, 503];
const REFUSALS_OF_BODIES: &[u16] = &[408, 413];
/// Kinds that come about elsewhere than their status alone would say.
const ELSEWHERE: &[&str] = &["no_such_path", "nothing_to_claim"];
/// Where a job's uuid stands in the answers that lead on to what can be done with it.
const LEADING: &[(&str, &str, &str)] =
    &[("create_job", "201", "$response.body#/uuid"), ("claim", "200", "$response.body#/uuid")];
/// A text: any characters but NUL.
const TEXT: &str = "^[^\\u0000]*$";
/// A short name: no control characters.
const NAME: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// Completes what the handlers say.
pub(super) fn complete(document: &mut Value, limits: &Limits) {
    set(document, "servers", json!([{ "url": "/" }]));
    set(document, "security", json!([{}, { "basic": [] }, { "bearer": [] }]));
    if let Some(components) = document.get_mut("components") {
        let scheme = |name: &str, description: &str| json!({ "type": "http", "scheme": name, "description": description });
        let schemes = json!({
            "basic": scheme("basic", "A user and a password, where the server has users."),
            "bearer": scheme("bearer", "A token, of those that jobtrack token add makes."),
        });
        set(components, "securitySchemes", schemes);
        set(components, "responses", refusals());
        if let Some(schemas) = components.get_mut("schemas").and_then(Value::as_object_mut) {
            complete_schemas(schemas, limits);
        }
    }
    let changes = changes_of_jobs(document);
    for operation in operations(document) {
        complete_parameters(operation, limits);
        complete_body(operation);
        complete_responses(operation);
        add_links(operation, &changes);
    }
    bound_integers(document);
}

/// The operations, each under its path and method.
fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter();
    let methods = paths.flat_map(Map::values_mut).filter_map(Value::as_object_mut);
    methods.flat_map(Map::values_mut).filter(|operation| operation.is_object())
}

fn complete_parameters(operation: &mut Value, limits: &Limits) {
    let id = name_of(operation, "operationId");
    let mut parameters = match operation.get_mut("parameters").map(Value::take) {
        Some(Value::Array(parameters)) => parameters,
        _ => Vec::new(),
    };
    for parameter in &mut parameters {
        let name = name_of(parameter, "name");
        if name == "uuid" {
            set(parameter, "description", json!("The job"));
        }
        let Some(schema) = parameter.get_mut("schema") else { continue };
        // What may be left out is not therefore null.
        drop_null(schema);
        if name == "offset" {
            set(schema, "maximum", json!(OFFSET_RECORDS));
        }
        if name == "reason" {
            set(schema, "maxLength", json!(limits.reason));
            set(schema, "pattern", json!(TEXT));
        }
    }
    if FILTERED.contains(&&*id) {
        parameters.extend(filters());
    }
    if !parameters.is_empty() {
        set(operation, "parameters", Value::Array(parameters));
    }
}

/// A parameter for each field, and one that stands for all labels.
fn filters() -> impl Iterator<Item = Value> {
    let fixed = Field::FIXED.iter().filter_map(|field| {
        let (written, example) = match field.field_type() {
            FieldType::Text => ("a text", "a*"),
            FieldType::Word(words) => ("a word", words.first().copied().unwrap_or_default()),
            FieldType::Integer => ("a whole number", ">=5"),
            FieldType::Time => ("a time", ">=2026-03-01T10:00:00Z"),
            FieldType::Span => ("seconds", "300"),
            FieldType::Uuid => ("a uuid", "0000000c-0000-4000-8000-000000000000"),
            FieldType::Bool => ("true or false", "true"),
            FieldType::Revision => ("a revision", "3-1024"),
        };
        let mut schema = json!({ "type": "string", "minLength": 1 });
        if let FieldType::Word(words) = field.field_type() {
            set(&mut schema, "description", json!(words.join(", ")));
        }
        Some(json!({
            "name": field.name(Names::Native)?,
            "in": "query",
            "description": format!("A filter: {written}, or an expression of such"),
            "required": false,
            "schema": schema,
            "example": example,
        }))
    });
    let labels = json!({
        "name": "labels",
        "in": "query",
        "description": "Filters on labels: for each a parameter of the name `labels.NAME`",
        "required": false,
        "style": "form",
        "explode": true,
        "schema": {
            "type": "object",
            "patternProperties": { "^labels\\..+$": { "type": "string" } },
            "additionalProperties": false,
        },
    });
    fixed.chain([labels])
}

/// A body that may be absent is not therefore `null`.
fn complete_body(operation: &mut Value) {
    let Some(body) = operation.get_mut("requestBody") else { return };
    let content = body.get_mut("content").and_then(Value::as_object_mut);
    let schemas = content.into_iter().flat_map(Map::values_mut);
    let mut may_be_absent = false;
    for schema in schemas.filter_map(|content| content.get_mut("schema")) {
        let nullable = schema.clone();
        drop_null(schema);
        may_be_absent |= *schema != nullable;
    }
    set(body, "required", json!(!may_be_absent));
}

fn complete_responses(operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    let bodies = if has_body { REFUSALS_OF_BODIES } else { &[] };
    let known = statuses();
    for status in REFUSALS.iter().chain(bodies).filter(|status| known.contains(status)) {
        responses.entry(status.to_string()).or_insert_with(|| json!({ "description": "" }));
    }
    for (status, response) in responses.iter_mut() {
        match status.parse() {
            Ok(status) if status < 400 => tag_job(response),
            // One that says nothing of its own is that of all operations.
            Ok(status) if name_of(response, "description").is_empty() => {
                *response = json!({ "$ref": format!("#/components/responses/{}", title(status)) });
            }
            _ => add_problem(response),
        }
    }
    responses.sort_keys();
}

/// The refusals that are the same wherever they come, by the words for their status.
fn refusals() -> Value {
    let refusal = |status| {
        let mut response = json!({ "description": kinds_of(status) });
        add_problem(&mut response);
        let header = match status {
            401 => Some(("WWW-Authenticate", "How to say who asks", json!({ "type": "string" }))),
            405 => Some(("Allow", "What there is", json!({ "type": "string" }))),
            429 | 503 => {
                let seconds = json!({ "type": "integer", "minimum": 1 });
                Some(("Retry-After", "After how many seconds to try again, if it helps", seconds))
            }
            _ => None,
        };
        if let Some((name, description, schema)) = header {
            let header = json!({ "description": description, "schema": schema });
            set(entry(&mut response, "headers"), name, header);
        }
        (title(status), response)
    };
    Value::Object(statuses().into_iter().map(refusal).collect())
}

/// Every status of a refusal.
fn statuses() -> BTreeSet<u16> {
    ENGINE.iter().map(|row| row.1).chain(HTTP.iter().map(|row| row.2)).collect()
}

/// The words for a status, as one word.
fn title(status: u16) -> String {
    let status = StatusCode::from_u16(status).ok();
    let words = status.and_then(|status| status.canonical_reason()).unwrap_or("Refused");
    words.chars().filter(char::is_ascii_alphabetic).collect()
}

fn add_problem(response: &mut Value) {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    set(entry(response, "content"), "application/problem+json", json!({ "schema": schema }));
}

/// An answer that is one job, or says nothing new of it, has its tag.
fn tag_job(response: &mut Value) {
    let schema = response.pointer("/content/application~1json/schema/$ref").map(Value::as_str);
    let is_job = match schema {
        Some(Some(schema)) => schema.ends_with("/Job") || schema.ends_with("/Record"),
        _ => response.get("content").is_none(),
    };
    if !is_job {
        return;
    }
    let pattern = r#"^"[0-9]+-[0-9]+(\.[0-9]+)?"$"#;
    let tag = json!({
        "description": "The job's revision, and after a dot the number of a report of progress \
                        that no revision knows yet",
        "schema": { "type": "string", "pattern": pattern },
    });
    set(entry(response, "headers"), "ETag", tag);
}

/// The kinds of refusal that have this status.
fn kinds_of(status: u16) -> String {
    let engine = ENGINE.iter().filter(|row| row.1 == status).map(|row| row.0.as_str());
    let http = HTTP.iter().filter(|row| row.2 == status).map(|row| row.1);
    let kinds = engine.chain(http).filter(|kind| !ELSEWHERE.contains(kind));
    kinds.map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ")
}

/// The operations on one job, and whether they need its token.
fn changes_of_jobs(document: &mut Value) -> Vec<(String, bool)> {
    let mut changes = Vec::new();
    for operation in operations(document) {
        let id = name_of(operation, "operationId");
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let has = |name: &str| {
            let mut parameters = parameters.into_iter().flatten();
            parameters.any(|parameter| name_of(parameter, "name") == name)
        };
        if has("uuid") {
            changes.push((id, has("token")));
        }
    }
    changes
}

fn add_links(operation: &mut Value, changes: &[(String, bool)]) {
    let id = name_of(operation, "operationId");
    let Some((_, status, uuid)) = LEADING.iter().find(|row| row.0 == id) else { return };
    let mut links = Map::new();
    for (change, takes_token) in changes {
        let mut parameters = json!({ "uuid": uuid });
        if *takes_token && id == "claim" {
            set(&mut parameters, "token", json!("$response.body#/lease/token"));
        }
        let link = json!({ "operationId": change, "parameters": parameters });
        links.insert(change.clone(), link);
    }
    if let Some(response) = operation.pointer_mut(&format!("/responses/{status}")) {
        set(response, "links", Value::Object(links));
    }
}

fn complete_schemas(schemas: &mut Map<String, Value>, limits: &Limits) {
    let record = part_of_job(schemas);
    schemas.insert("Record".to_owned(), record);
    if let Some(own) = schemas.get("TreeRecord").cloned() {
        let record = json!({ "$ref": "#/components/schemas/Record" });
        schemas.insert("TreeRecord".to_owned(), json!({ "allOf": [record, own] }));
    }
    let either = |names: [&str; 2]| {
        let refer = |name| json!({ "$ref": format!("#/components/schemas/{name}") });
        json!({ "oneOf": names.map(refer) })
    };
    schemas.insert("Listing".to_owned(), either(["Page", "Explanation"]));
    schemas.insert("Finish".to_owned(), either(["Succeeded", "Failed"]));
    let number = json!({ "type": "integer", "format": "int64", "not": { "const": 0 } });
    let digits = json!({ "type": "string", "pattern": "^-?[1-9][0-9]{0,17}$" });
    schemas.insert("ErrorCode".to_owned(), json!({ "oneOf": [number, digits] }));
    if let Some(problem) = schemas.get_mut("Problem") {
        let engine = ENGINE.iter().map(|row| row.0.as_str());
        let kinds: Vec<_> = engine.chain(HTTP.iter().map(|row| row.1)).collect();
        set(entry(entry(problem, "properties"), "kind"), "enum", json!(kinds));
    }
    // What a request may hold is all that it may hold; to answers members may come.
    for name in READ {
        if let Some(schema) = schemas.get_mut(*name) {
            set(schema, "additionalProperties", json!(false));
        }
    }
    for (schema, member, pattern, most) in texts(limits) {
        if let Some(member) = member_of(schemas, schema, member) {
            set(member, "maxLength", json!(most));
            set(member, "pattern", json!(pattern));
        }
    }
    for (schema, member, most) in [
        ("NewJob", "retention", RETENTION_SECONDS),
        ("Extension", "retention", RETENTION_SECONDS),
        ("Holder", "term", LEASE_SECONDS),
        ("Renewal", "term", LEASE_SECONDS),
    ] {
        if let Some(member) = member_of(schemas, schema, member) {
            set(member, "maximum", json!(most));
        }
    }
    if let Some(labels) = member_of(schemas, "NewJob", "labels") {
        let names = json!({ "minLength": 1, "maxLength": limits.label_name, "pattern": NAME });
        set(labels, "propertyNames", names);
        set(labels, "maxProperties", json!(limits.labels));
        let value = entry(labels, "additionalProperties");
        set(value, "maxLength", json!(limits.label_value));
        set(value, "pattern", json!(NAME));
    }
    if let Some(arguments) = member_of(schemas, "FailureError", "arguments") {
        set(arguments, "maxItems", json!(limits.error_arguments));
    }
    if let Some(code) = member_of(schemas, "Failed", "code") {
        set(code, "not", json!({ "const": 0 }));
    }
    // Not nothing, as which null counts, too.
    if let Some(report) = schemas.get_mut("Report") {
        let message = json!({ "message": { "type": "string" } });
        // Only a message has a severity.
        let progress = json!({ "progress": { "type": "object" }, "severity": { "type": "null" } });
        let given =
            |name: &str, members: Value| json!({ "required": [name], "properties": members });
        set(report, "anyOf", json!([given("message", message), given("progress", progress)]));
    }
    // Of a success these have to be absent, which null is, too.
    if let Some(succeeded) = schemas.get_mut("Succeeded") {
        for name in ["error", "cause"] {
            set(entry(succeeded, "properties"), name, json!({ "type": "null" }));
        }
    }
}

/// The schemas of what is read.
const READ: &[&str] = &[
    "NewJob",
    "NewScope",
    "NewProgress",
    "NewAllows",
    "Report",
    "Why",
    "Asked",
    "Extension",
    "Holder",
    "Renewal",
    "Succeeded",
    "Failed",
    "FailureError",
    "Argument",
    "Nothing",
    "Upkeep",
];

/// Schema, member, what it may hold, and how much of it.
fn texts(limits: &Limits) -> Vec<(&'static str, &'static str, &'static str, usize)> {
    vec![
        ("NewJob", "description", TEXT, limits.description),
        ("NewJob", "message", TEXT, limits.message),
        ("NewJob", "kind", NAME, limits.name),
        ("NewJob", "node", NAME, limits.name),
        ("NewJob", "idempotency_key", NAME, limits.name),
        ("NewScope", "name", NAME, limits.name),
        ("NewScope", "id", NAME, limits.name),
        ("NewProgress", "unit", NAME, limits.name),
        ("Report", "message", TEXT, limits.message),
        ("Why", "reason", TEXT, limits.reason),
        ("Asked", "reason", TEXT, limits.reason),
        ("Holder", "holder", NAME, limits.name),
        ("Succeeded", "message", TEXT, limits.message),
        ("Failed", "message", TEXT, limits.message),
        ("FailureError", "message", TEXT, limits.message),
        ("FailureError", "target", TEXT, limits.error_text),
        ("Argument", "code", TEXT, limits.error_text),
        ("Argument", "message", TEXT, limits.error_text),
    ]
}

/// A job of which any member may be absent, since it was not asked for; but the uuid.
fn part_of_job(schemas: &Map<String, Value>) -> Value {
    let mut record = schemas.get("Job").cloned().unwrap_or_default();
    inline(&mut record, schemas);
    remove_required(&mut record);
    set(&mut record, "required", json!(["uuid"]));
    set(&mut record, "description", json!("A job, or what `fields` asks for of it"));
    record
}

/// Puts in place of each reference what it refers to. No schema of a job refers to itself.
fn inline(value: &mut Value, schemas: &Map<String, Value>) {
    let name = value.get("$ref").and_then(Value::as_str).and_then(|it| it.rsplit('/').next());
    if let Some(schema) = name.and_then(|name| schemas.get(name)) {
        *value = schema.clone();
    }
    for child in children(value) {
        inline(child, schemas);
    }
}

fn remove_required(value: &mut Value) {
    if value.get("required").is_some_and(Value::is_array)
        && let Some(members) = value.as_object_mut()
    {
        members.remove("required");
    }
    for child in children(value) {
        remove_required(child);
    }
}

/// Numbers have the bounds of the types that hold them.
fn bound_integers(value: &mut Value) {
    let is_integer = match value.get("type") {
        Some(Value::Array(types)) => types.contains(&json!("integer")),
        Some(kind) => *kind == json!("integer"),
        None => false,
    };
    if is_integer && value.get("format") == Some(&json!("int64")) {
        let is_unsigned = value.get("minimum").is_some();
        let (least, most) = if is_unsigned {
            (json!(0), json!(u64::MAX))
        } else {
            (json!(i64::MIN), json!(i64::MAX))
        };
        if let Some(members) = value.as_object_mut() {
            members.entry("minimum").or_insert(least);
            members.entry("maximum").or_insert(most);
            if is_unsigned {
                members.insert("format".to_owned(), json!("uint64"));
            }
        }
    }
    for child in children(value) {
        bound_integers(child);
    }
}

/// Takes `null` out of what a value may be.
fn drop_null(schema: &mut Value) {
    let null = json!("null");
    if let Some(Value::Array(types)) = schema.get("type") {
        let left: Vec<_> = types.iter().filter(|kind| **kind != null).cloned().collect();
        if let [only] = &left[..] {
            set(schema, "type", only.clone());
        }
    }
    if let Some(Value::Array(either)) = schema.get("oneOf") {
        let left: Vec<_> = either.iter().filter(|it| it.get("type") != Some(&null)).collect();
        if let [only] = left[..] {
            *schema = only.clone();
        }
    }
}

/// What a member's schema says. A text that may be null says it itself.
fn member_of<'a>(
    schemas: &'a mut Map<String, Value>,
    schema: &str,
    member: &str,
) -> Option<&'a mut Value> {
    schemas.get_mut(schema)?.get_mut("properties")?.get_mut(member)
}

fn children(value: &mut Value) -> Box<dyn Iterator<Item = &mut Value> + '_> {
    match value {
        Value::Array(values) => Box::new(values.iter_mut()),
        Value::Object(members) => Box::new(members.values_mut()),
        _ => Box::new(std::iter::empty()),
    }
}

fn name_of(value: &Value, member: &str) -> String {
    value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn set(value: &mut Value, member: &str, to: Value) {
    if let Some(members) = value.as_object_mut() {
        members.insert(member.to_owned(), to);
    }
}

/// The object under this name, which is made if it is not there.
fn entry<'a>(value: &'a mut Value, member: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = json!({});
    }
    // Indexing an object with a name makes the member if need be, and cannot fail.
    #[allow(clippy::indexing_slicing)]
    let found = &mut value[member];
    if found.is_null() {
        *found = json!({});
    }
    found
}
