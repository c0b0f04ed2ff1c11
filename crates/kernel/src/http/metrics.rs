//! Counters and histograms in Prometheus' text format.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::{Method, StatusCode};
use metrics::{Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Upper bounds of the request histogram's buckets, in seconds.
const BUCKETS_SECS: [f64; 12] = [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

const METADATA: Metadata<'static> = Metadata::new("undercroft", Level::INFO, None);

type Series = (&'static str, &'static str, u16);

/// The metrics of one app.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    requests: RwLock<HashMap<Series, Histogram>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let matcher = Matcher::Full("http_request_seconds".to_owned());
        let builder = PrometheusBuilder::new();
        let recorder = match builder.set_buckets_for_metric(matcher, &BUCKETS_SECS) {
            Ok(builder) => builder.build_recorder(),
            // Only an empty list of buckets is refused.
            Err(_) => PrometheusBuilder::new().build_recorder(),
        };
        let metrics = Metrics { handle: recorder.handle(), recorder, requests: RwLock::default() };
        let version = Key::from_parts("build_info", vec![Label::new("version", env!("CARGO_PKG_VERSION"))]);
        metrics.recorder.register_gauge(&version, &METADATA).set(1.0);
        metrics
    }
}

impl Metrics {
    /// Notes one answered request under its route template.
    pub(crate) fn observe(&self, method: &Method, route: &'static str, status: StatusCode, took: Duration) {
        let series = (method_name(method), route, status.as_u16());
        if let Some(histogram) = self.requests.read().unwrap_or_else(PoisonError::into_inner).get(&series) {
            return histogram.record(took.as_secs_f64());
        }
        let labels = vec![Label::new("method", series.0), Label::new("route", series.1), Label::new("status", series.2.to_string())];
        let histogram = self.recorder.register_histogram(&Key::from_parts("http_request_seconds", labels), &METADATA);
        histogram.record(took.as_secs_f64());
        self.requests.write().unwrap_or_else(PoisonError::into_inner).insert(series, histogram);
    }

    /// Sets a gauge or a counter that is kept elsewhere.
    pub(crate) fn set(&self, name: &'static str, value: u64) {
        let key = Key::from_static_name(name);
        if name.ends_with("_total") {
            self.recorder.register_counter(&key, &METADATA).absolute(value);
        } else {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no count here comes near 2^53")]
            self.recorder.register_gauge(&key, &METADATA).set(value as f64);
        }
    }

    /// Counts one more of something: logins, mails.
    pub fn count(&self, name: &'static str, label: &'static str, value: &'static str) {
        let key = Key::from_parts(name, vec![Label::new(label, value)]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// Everything in the text format.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds recorded values into their buckets; without it they would pile up.
    pub(crate) fn fold(&self) {
        self.handle.run_upkeep();
    }
}

/// Unknown methods share one name, so that no client can make new series.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
