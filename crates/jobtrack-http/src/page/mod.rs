//! The page for people: files that stand in `assets/` as they are served, under `/ui/`.
//!
//! There is no build step: what the browser runs is what stands in the tree. The files hold nothing
//! secret, so they are served to everybody; what the page shows it asks of `/v1`, as its user.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use crate::base::Base;
use crate::body;
use crate::errors::{Face, Fault};
use crate::respond::{Answer, at, no_such_path, options};
use crate::{App, Shared};

/// Where the page is.
pub(crate) const ROOT: &str = "/ui/";
/// Where people write it.
const ROOT_WITHOUT_SLASH: &str = "/ui";
/// The file that stands for the folder.
const INDEX: &str = "index.html";

const METHODS: &str = "GET, HEAD, OPTIONS";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Nothing but the page's own files and this server's own answers; and nobody may frame it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// A browser keeps the files, and asks each time whether they are still the same.
const KEEP_AND_ASK: HeaderValue = HeaderValue::from_static("no-cache");

struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

macro_rules! assets {
    ($($name:literal: $media_type:expr,)*) => {
        &[$(Asset {
            name: $name,
            media_type: $media_type,
            content: include_bytes!(concat!("assets/", $name)),
        },)*]
    };
}

const ASSETS: &[Asset] = assets! {
    "index.html": HTML,
    "icon.svg": SVG,
    "base.css": CSS,
    "table.css": CSS,
    "detail.css": CSS,
    "theme.js": JAVASCRIPT,
    "main.js": JAVASCRIPT,
    "api.js": JAVASCRIPT,
    "counters.js": JAVASCRIPT,
    "detail.js": JAVASCRIPT,
    "dialogs.js": JAVASCRIPT,
    "family.js": JAVASCRIPT,
    "filter.js": JAVASCRIPT,
    "filterbox.js": JAVASCRIPT,
    "keys.js": JAVASCRIPT,
    "listing.js": JAVASCRIPT,
    "live.js": JAVASCRIPT,
    "numbers.js": JAVASCRIPT,
    "plot.js": JAVASCRIPT,
    "rows.js": JAVASCRIPT,
    "signin.js": JAVASCRIPT,
    "stream.js": JAVASCRIPT,
    "table.js": JAVASCRIPT,
    "text.js": JAVASCRIPT,
    "timeline.js": JAVASCRIPT,
    "times.js": JAVASCRIPT,
    "view.js": JAVASCRIPT,
};

/// A tag for each of them: it changes with the content, and with nothing else.
static TAGS: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    let tag_of = |asset: &Asset| (asset.name, tag(asset.content));
    ASSETS.iter().map(tag_of).collect()
});

pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route(ROOT_WITHOUT_SLASH, at(Face::Native, shared, beside))
        .route(ROOT, at(Face::Native, shared, asset))
        .route(&format!("{ROOT}{{file}}"), at(Face::Native, shared, asset))
}

/// Whether the request comes from somebody who looks at a page rather than from a program.
pub(crate) fn is_for_a_browser(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accept| accept.contains("text/html"))
}

/// Sends a browser to the page.
pub(crate) fn there(base: &Base) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    // A path that a request named may stand in a header.
    let path = HeaderValue::try_from(base.path(ROOT));
    headers.insert(header::LOCATION, path.unwrap_or(HeaderValue::from_static(ROOT)));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

async fn beside(_app: Arc<App>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => Ok(there(&Base::of(&parts))),
        Method::OPTIONS => Ok(options(HTML, METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), METHODS)),
    }
}

async fn asset(_app: Arc<App>, request: Request) -> Answer {
    let name = request.uri().path().strip_prefix(ROOT).unwrap_or_default();
    let name = if name.is_empty() { INDEX } else { name };
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Ok(no_such_path(request).await);
    };
    let (parts, content) = request.into_parts();
    match parts.method {
        // The query is the page's own affair: it says which jobs to show.
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            Ok(answer(asset, &parts.headers))
        }
        Method::OPTIONS => Ok(options(asset.media_type, METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), METHODS)),
    }
}

fn answer(asset: &'static Asset, asked: &HeaderMap) -> Response {
    let tag = TAGS.iter().find(|(name, _)| *name == asset.name).map(|(_, tag)| tag.as_str());
    let tag = tag.unwrap_or_default();
    let is_kept = has_tag(asked, tag);
    let mut response = Response::new(match is_kept {
        true => Body::empty(),
        false => Body::from(asset.content),
    });
    if is_kept {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::CACHE_CONTROL, KEEP_AND_ASK);
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Whether the browser says that it keeps what has this tag.
fn has_tag(asked: &HeaderMap, tag: &str) -> bool {
    let lists = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let mut kept = lists.flat_map(|list| list.split(',')).map(str::trim);
    // A cache on the way may have weakened the tag; for what is read that is no difference.
    kept.any(|kept| kept == "*" || kept.strip_prefix("W/").unwrap_or(kept) == tag)
}

fn tag(content: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, content);
    let mut tag = String::from("\"");
    // Half of the digest tells any two files apart.
    for byte in digest.as_ref().iter().take(16) {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> &'static str {
        let asset = ASSETS.iter().find(|asset| asset.name == name).unwrap();
        std::str::from_utf8(asset.content).unwrap()
    }

    #[test]
    fn every_file_in_the_folder_is_served_and_has_its_own_tag() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/page/assets");
        let mut there: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut served: Vec<_> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        there.sort();
        served.sort();
        assert_eq!(there, served);
        let mut tags: Vec<_> = TAGS.iter().map(|(_, tag)| tag).collect();
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), ASSETS.len());
    }

    #[test]
    fn nothing_stands_within_the_document_that_the_policy_forbids() {
        let document = text(INDEX);
        for forbidden in ["<style", " style=", " onclick=", " onload=", "javascript:", "http:"] {
            assert!(!document.contains(forbidden), "{forbidden}");
        }
        for (at, _) in document.match_indices("<script") {
            let tag = document[at..].split_once('>').unwrap();
            assert!(tag.0.contains(" src=\"") && tag.1.starts_with("</script>"), "{}", tag.0);
        }
    }

    #[test]
    fn what_jobs_say_is_never_read_as_markup() {
        for asset in ASSETS.iter().filter(|asset| asset.media_type == JAVASCRIPT) {
            for door in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!text(asset.name).contains(door), "{}: {door}", asset.name);
            }
        }
    }

    #[test]
    fn every_module_is_fetched_beside_the_document_and_not_one_after_another() {
        let document = text(INDEX);
        let modules = ASSETS
            .iter()
            .filter(|asset| asset.media_type == JAVASCRIPT && text(asset.name).contains("export "));
        for module in modules {
            let link = format!("<link rel=\"modulepreload\" href=\"{}\">", module.name);
            assert!(document.contains(&link), "{}", module.name);
        }
    }

    #[test]
    fn the_page_suggests_the_fields_that_there_are() {
        let listed = text("filter.js").split_once("FIELDS = [").unwrap().1.split_once(']').unwrap();
        let listed: Vec<_> = listed.0.split('"').skip(1).step_by(2).collect();
        let there = jobtrack::Field::FIXED.iter().filter_map(|f| f.name(jobtrack::Names::Native));
        assert_eq!(listed, there.map(|name| name.to_string()).collect::<Vec<_>>());
    }
}
