//! Where the router stands in the server that mounted it.

use axum::extract::OriginalUri;
use axum::http::request::Parts;

/// What stands before this router's paths: nothing, unless another router nests it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Base(String);

impl Base {
    /// As this request found it: what the routers around ours have taken off its path.
    pub(crate) fn of(parts: &Parts) -> Base {
        let path = parts.uri.path();
        let original = parts.extensions.get::<OriginalUri>().map_or(path, |uri| uri.0.path());
        let base = match original.strip_suffix(path) {
            Some(base) => base,
            // The root of a nested router is asked for without its last slash.
            None if path == "/" => original,
            None => "",
        };
        Base(base.trim_end_matches('/').to_owned())
    }

    /// The path of this router's own as a client has to ask for it.
    pub(crate) fn path(&self, own: &str) -> String {
        format!("{}{own}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[track_caller]
    fn path(original: &str, uri: &str) -> String {
        let request = Request::builder().uri(uri).extension(OriginalUri(original.parse().unwrap()));
        Base::of(&request.body(()).unwrap().into_parts().0).path("/v1/jobs")
    }

    #[test]
    fn the_base_is_what_was_taken_off() {
        assert_eq!(path("/v1/jobs?a=b", "/v1/jobs?a=b"), "/v1/jobs");
        assert_eq!(path("/tracking/v1/jobs", "/v1/jobs"), "/tracking/v1/jobs");
        assert_eq!(path("/a/b/v1/counts?c", "/v1/counts?c"), "/a/b/v1/jobs");
        for root in ["/tracking", "/tracking/"] {
            assert_eq!(path(root, "/"), "/tracking/v1/jobs", "{root}");
        }
        // A layer between that rewrites paths leaves nothing to tell by.
        assert_eq!(path("/elsewhere", "/v1/jobs"), "/v1/jobs");
    }
}
