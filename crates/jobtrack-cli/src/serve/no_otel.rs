//! In place of traces, in a build without them.

use axum::Router;

use crate::Failed;

/// There are none.
#[derive(Debug)]
pub(crate) struct Traces;

impl Traces {
    /// Whoever asks for traces is told that they have to build them in.
    pub(crate) fn wanted() -> Result<Option<Traces>, Failed> {
        let names = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
        if let Some(name) = names.into_iter().find(|name| std::env::var_os(name).is_some()) {
            tracing::warn!("{name} is set, and this jobtrack was built without traces (otel)");
        }
        Ok(None)
    }

    pub(crate) fn trace(&self, router: Router) -> Router {
        router
    }

    pub(crate) fn end(self) {}
}
