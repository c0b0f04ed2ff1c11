//! The request limits of one operation, and the headers that tell of them.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::app::App;
use crate::error::{RATE_LIMITED, Result};
use crate::limits::{Decision, Quota};

const MINUTE: Duration = Duration::from_secs(60);
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A quota and its header, written once.
pub(crate) struct Policy {
    quota: Quota,
    header: HeaderValue,
}

impl Policy {
    pub(crate) fn per_minute(name: &'static str, burst: u32) -> Policy {
        let header = HeaderValue::try_from(format!("\"{name}\";q={burst};w={}", MINUTE.as_secs()));
        Policy { quota: Quota { name, burst, window: MINUTE }, header: header.unwrap_or_else(|_| HeaderValue::from_static("")) }
    }
}

/// The tightest limit that counted a request so far.
#[derive(Default)]
pub(crate) struct Tightest<'p>(Option<(&'p Policy, Decision)>);

impl<'p> Tightest<'p> {
    /// Counts the request under a policy, or refuses it.
    pub(crate) fn count(&mut self, app: &App, policy: &'p Policy, key: u64) -> Result<()> {
        let decision = app.limiter().check(&policy.quota, key, app.clock().now());
        let (is_allowed, wait_secs) = (decision.allowed, decision.retry_after_secs);
        if self.0.as_ref().is_none_or(|(_, tightest)| !is_allowed || decision.remaining < tightest.remaining) {
            self.0 = Some((policy, decision));
        }
        if is_allowed {
            return Ok(());
        }
        Err(RATE_LIMITED.error().retry_after(wait_secs).with_member("violated_policies", serde_json::json!([policy.quota.name])))
    }

    /// Tells the tightest policy.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Some((policy, decision)) = &self.0 else { return };
        let left = format!("\"{}\";r={};t={}", policy.quota.name, decision.remaining, decision.reset_secs);
        if let Ok(value) = HeaderValue::try_from(left) {
            headers.insert(RATE_LIMIT_POLICY, policy.header.clone());
            headers.insert(RATE_LIMIT, value);
        }
    }
}
