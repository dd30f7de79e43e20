//! The document and the router have the same paths, with the same methods.

use std::collections::{BTreeMap, BTreeSet};

use jobtrack::Limits;
use serde_json::Value;

use super::super::served;
use super::document;

fn written() -> Value {
    document(&Limits::default())
}

#[test]
fn what_is_served_is_described_and_what_is_described_is_served() {
    let document = written();
    let paths = document["paths"].as_object().unwrap();
    let methods = |operations: &Value| -> BTreeSet<String> {
        operations.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect()
    };
    let described: BTreeMap<_, _> =
        paths.iter().map(|(path, operations)| (path.as_str(), methods(operations))).collect();
    let served: BTreeMap<_, BTreeSet<String>> = served()
        .iter()
        .map(|served| {
            // HEAD goes with GET, and OPTIONS is everywhere.
            let methods =
                served.allowed().into_iter().filter(|it| !["HEAD", "OPTIONS"].contains(it));
            (served.path, methods.map(str::to_owned).collect())
        })
        .collect();
    assert_eq!(described, served);
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_referred_to() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| match value {
                Value::String(target) if name == "$ref" => {
                    found.insert(target);
                }
                value => references(value, found),
            }),
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = written();
    let mut referred = BTreeSet::new();
    references(&document, &mut referred);
    for reference in &referred {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(referred.contains(&*reference), "nothing refers to {name}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let document = written();
    let mut names = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "two operations are called {name}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{name}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_said = response.get("$ref").is_some()
                    || response["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(is_said, "{name} {status}");
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{name}: {parameter}");
            }
        }
    }
}
