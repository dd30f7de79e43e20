//! The document that a router serves of itself, and whether an answer is as it says.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Answer;

/// An `OpenAPI` document.
pub(crate) struct Document(pub(crate) Value);

impl Document {
    /// Everything in an answer to this request that the document does not have.
    pub(crate) fn faults(&self, method: &str, target: &str, answer: &Answer) -> Vec<String> {
        let path = target.split('?').next().unwrap();
        let method = if method == "HEAD" { "get" } else { method };
        let Some(operation) = self.operation(&method.to_lowercase(), path) else {
            // What is not described is not served.
            let is_refused = [404, 405].contains(&answer.status) || method == "OPTIONS";
            return if is_refused { Vec::new() } else { vec!["it is not described".to_owned()] };
        };
        let Some(response) = operation["responses"].get(answer.status.to_string()) else {
            return vec![format!("status {} is not described", answer.status)];
        };
        let response = self.resolved(response);
        let mut faults = Vec::new();
        for name in ["etag", "location", "retry-after", "link", "www-authenticate"] {
            let is_described = response["headers"]
                .as_object()
                .is_some_and(|headers| headers.keys().any(|it| it.eq_ignore_ascii_case(name)));
            if answer.headers.contains_key(name) && !is_described {
                faults.push(format!("the header {name} is not described"));
            }
        }
        let Some(media_type) = answer.headers.get("content-type") else {
            if response.get("content").is_some() {
                faults.push("it has no media type".to_owned());
            }
            return faults;
        };
        let Some(content) = response["content"].get(media_type) else {
            faults.push(format!("the media type {media_type} is not described"));
            return faults;
        };
        let is_json = media_type == "application/json" || media_type.ends_with("+json");
        if is_json && !answer.body.is_empty() {
            self.check(&content["schema"], &answer.json(), "body", &mut faults);
        }
        faults
    }

    /// The operation at this path, whose templates it looks through.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let matches = |template: &str| {
            let (template, path) = (template.split('/'), path.split('/'));
            let is_one = |(template, part): (&str, &str)| template == part || template == "{uuid}";
            template.clone().count() == path.clone().count() && template.zip(path).all(is_one)
        };
        let paths = self.0["paths"].as_object().unwrap();
        paths.iter().find(|(template, _)| matches(template))?.1.get(method)
    }

    /// What a reference refers to.
    pub(crate) fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// Holds a value to a schema, as far as this document needs it; stricter than the schema in that
    /// members have to be described.
    pub(crate) fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let schema = self.resolved(schema);
        if let Some(either) = schema["oneOf"].as_array() {
            let passes = either.iter().filter(|schema| {
                let mut faults = Vec::new();
                self.check(schema, value, at, &mut faults);
                faults.is_empty()
            });
            if passes.count() != 1 {
                faults.push(format!("{at} is none, or several, of what it may be: {value}"));
            }
            return;
        }
        let mut properties = BTreeMap::new();
        self.collect_properties(schema, &mut properties);
        for part in schema["allOf"].as_array().into_iter().flatten().chain([schema]) {
            for name in self.resolved(part)["required"].as_array().into_iter().flatten() {
                if value.get(name.as_str().unwrap()).is_none() {
                    faults.push(format!("{at} lacks {name}"));
                }
            }
        }
        if let Some(kind) = schema["type"].as_str() {
            let is_so = match kind {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                "null" => value.is_null(),
                other => panic!("{at}: type {other}"),
            };
            if !is_so {
                faults.push(format!("{at} is no {kind}: {value}"));
            }
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            faults.push(format!("{at} is none of its words: {value}"));
        }
        match value {
            Value::Object(members) => {
                let is_free = schema["type"] == "object" && properties.is_empty();
                for (name, value) in members {
                    let at = format!("{at}.{name}");
                    match (properties.get(&**name), schema.get("additionalProperties")) {
                        (Some(schema), _) => self.check(schema, value, &at, faults),
                        (None, Some(schema)) if schema.is_object() => {
                            self.check(schema, value, &at, faults);
                        }
                        _ if is_free => {}
                        _ => faults.push(format!("{at} is not described")),
                    }
                }
            }
            Value::Array(values) => {
                for value in values {
                    self.check(&schema["items"], value, &format!("{at}[]"), faults);
                }
            }
            _ => {}
        }
    }

    fn collect_properties<'a>(
        &'a self,
        schema: &'a Value,
        found: &mut BTreeMap<&'a str, &'a Value>,
    ) {
        let schema = self.resolved(schema);
        let own = schema["properties"].as_object().into_iter().flatten();
        found.extend(own.map(|(name, schema)| (name.as_str(), schema)));
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.collect_properties(part, found);
        }
    }
}
