//! Traces for OpenTelemetry: a span for each request, sent to a collector over HTTP (OTLP).
//!
//! On where the variables of OpenTelemetry name a collector (`OTEL_EXPORTER_OTLP_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`). Which requests are traced, how many spans wait and how they
//! are named is for those variables, too, and the library's to read.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use rustls::crypto::ring;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use crate::Failed;

/// Sends spans to a collector, from a thread of the library's.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: Arc<SdkTracer>,
}

/// How long a collector may take, where no variable says so.
const TIME: Duration = Duration::from_secs(10);

impl Traces {
    /// What the variables ask for, if they do.
    pub(crate) fn wanted() -> Result<Option<Traces>, Failed> {
        let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|v| v == value);
        let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        let has_place =
            is_set("OTEL_EXPORTER_OTLP_ENDPOINT") || is_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let is_off = is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none");
        if is_off || !has_place {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_http().with_http_client(client()).build();
        let exporter = exporter
            .map_err(|error| format!("traces for OpenTelemetry cannot be sent: {error}"))?;
        let mut resource = Resource::builder();
        if !is_set("OTEL_SERVICE_NAME") {
            resource = resource.with_service_name("jobtrack");
        }
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.with_attribute(version).build())
            .build();
        let tracer = Arc::new(provider.tracer("jobtrack"));
        Ok(Some(Traces { provider, tracer }))
    }

    /// The router, with a span for each request.
    pub(crate) fn trace(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(Arc::clone(&self.tracer), trace))
    }

    /// Sends what has not been sent. Blocks, for a few seconds at most where nobody answers.
    pub(crate) fn end(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!("the last traces could not be sent: {error}");
        }
    }
}

async fn trace(State(tracer): State<Arc<SdkTracer>>, request: Request, next: Next) -> Response {
    // What is not sampled, by us or by who asks, costs no more than this.
    let parent = TraceContextPropagator::new()
        .extract_with_context(&Context::new(), &HeaderExtractor(request.headers()));
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let method = request.method().as_str().to_owned();
    let name = match &route {
        Some(route) => format!("{method} {route}"),
        // What clients make up is no name of a span.
        None => "unknown path".to_owned(),
    };
    let mut attributes = vec![KeyValue::new("http.request.method", method)];
    attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
    let span = tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes(attributes);
    let mut span = span.start_with_context(&*tracer, &parent);
    let response = next.run(request).await;
    let status = response.status();
    let code = i64::from(status.as_u16());
    span.set_attribute(KeyValue::new("http.response.status_code", code));
    if status.is_server_error() {
        span.set_status(Status::error(status.to_string()));
    }
    if let Some(id) = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()) {
        span.set_attribute(KeyValue::new("jobtrack.request_id", id.to_owned()));
    }
    span.end();
    response
}

/// The client that the command line has, too.
#[derive(Debug)]
struct Client(Agent);

fn client() -> Client {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIME))
        .user_agent(concat!("jobtrack/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build();
    Client(agent.into())
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(
        &self,
        request: axum::http::Request<Bytes>,
    ) -> Result<axum::http::Response<Bytes>, HttpError> {
        // Blocks the thread of the library that sends, and no other.
        let (parts, body) = request.into_parts();
        let request = axum::http::Request::from_parts(parts, body.to_vec());
        let (parts, mut body) = self.0.run(request)?.into_parts();
        Ok(axum::http::Response::from_parts(parts, body.read_to_vec()?.into()))
    }
}
