//! A page token: first as text, then as what stands behind the head of a token of a real query,
//! with the check at its end made right. So a forged token gets as far as one can get.

use std::sync::OnceLock;

use crate::jobs::jobs;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jobtrack::{Names, Order, PageToken, Query, Tracker};

/// The version, and the number of filter and order.
const HEAD: usize = 1 + 8;

struct World {
    tracker: Tracker,
    page: Query,
    page_head: Vec<u8>,
    count: Query,
    count_head: Vec<u8>,
}

/// Reads the token, and asks with one that is forged.
///
/// # Panics
///
/// Where it has two texts, or shows what the query would not.
pub fn page_token(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(token) = text.parse::<PageToken>()
    {
        assert_eq!(token.to_string(), text, "a token has one text");
    }
    let World { tracker, page, page_head, count, count_head } = world();
    if let Some(token) = forged(page_head, data) {
        let query = Query { after: Some(token), ..page.clone() };
        if let Ok(page) = tracker.query(&query) {
            assert!(page.jobs.is_sorted_by(|a, b| query.order.compare(a, b).is_lt()));
        }
    }
    if let Some(token) = forged(count_head, data) {
        let query = Query { after: Some(token), ..count.clone() };
        if let Ok(counted) = tracker.count(&query) {
            assert!(counted.count <= jobs().len() as u64, "{counted:?}");
        }
    }
}

fn forged(head: &[u8], data: &[u8]) -> Option<PageToken> {
    let mut bytes = head.to_vec();
    bytes.extend(data);
    bytes.extend(check(&bytes));
    let text = URL_SAFE_NO_PAD.encode(bytes);
    let token = text.parse::<PageToken>().ok()?;
    assert_eq!(token.to_string(), text, "a token has one text");
    Some(token)
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let tracker = crate::jobs::tracker();
        let text = "code desc,message,start_time,cooperative,retention,parent,revision";
        let order = Order::parse(text, Names::Native).expect("an order");
        let page = Query { order, max_records: Some(2), ..Query::default() };
        let next = tracker.query(&page).expect("a page").next.expect("there are more jobs");
        let page_head = head(&next);
        // A count goes in order of uuid, whatever the order asked for.
        let count = Query { max_records: Some(2), ..Query::default() };
        let next = tracker.count(&count).expect("a count").next.expect("there are more jobs");
        let count_head = head(&next);
        World { tracker, page, page_head, count, count_head }
    })
}

/// The head of a real token, made sure that its end is as here.
fn head(token: &PageToken) -> Vec<u8> {
    let bytes = URL_SAFE_NO_PAD.decode(token.to_string()).expect("a token is base64");
    let (body, end) = bytes.split_at(bytes.len() - 4);
    assert_eq!(check(body), end, "a token ends as here");
    body[..HEAD].to_vec()
}

/// What stands at the end of a token: FNV-1a, folded.
fn check(bytes: &[u8]) -> [u8; 4] {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [.., a, b, c, d] = ((hash >> 32) ^ hash).to_be_bytes();
    [a, b, c, d]
}
