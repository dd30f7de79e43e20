//! An order, a line break, and a selection of fields.
//!
//! An order is refused or is one: total, and in agreement with itself the other way round.

use crate::jobs::{jobs, two_texts};
use jobtrack::{Field, Names, Order, Selection};

/// Parses the order and the selection, and sorts by it.
///
/// # Panics
///
/// Where it does not read back, or is no order.
pub fn order_and_fields(data: &[u8]) {
    let Some((order, fields)) = two_texts(data) else { return };
    for names in [Names::Native, Names::Ontap] {
        if let Ok(order) = Order::parse(order, names) {
            let again = Order::parse(&order.to_string(), Names::Native);
            assert_eq!(again.expect("what is shown is legal"), order);
            for a in jobs() {
                for b in jobs() {
                    assert_eq!(order.compare(a, b), order.compare(b, a).reverse(), "{order}");
                    assert_eq!(order.compare(a, b).is_eq(), a.uuid == b.uuid, "{order}");
                }
            }
        }
        for ignores_unknown in [false, true] {
            if let Ok(selection) = Selection::parse(fields, names, ignores_unknown) {
                let shown = Field::FIXED.iter().filter(|field| selection.shows(field)).count();
                assert!(shown <= Field::FIXED.len());
            }
        }
    }
}
