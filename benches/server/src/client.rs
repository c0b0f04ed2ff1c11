//! Requests to the server's own router, without a socket.

use anyhow::{Result, bail};
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// Somebody who sends requests.
#[derive(Clone)]
pub(crate) struct Client<'r> {
    router: &'r Router,
    headers: HeaderMap,
}

impl<'r> Client<'r> {
    /// The holder of the token, or nobody.
    pub(crate) fn new(router: &'r Router, token: Option<&str>) -> Client<'r> {
        let client = Client { router, headers: HeaderMap::new() };
        match token {
            Some(token) => client.with_header("authorization", &format!("Bearer {token}")),
            None => client,
        }
    }

    /// The same with another header.
    pub(crate) fn with_header(&self, name: &'static str, value: &str) -> Client<'r> {
        let mut client = self.clone();
        if let Ok(value) = HeaderValue::try_from(value) {
            client.headers.insert(HeaderName::from_static(name), value);
        }
        client
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.answer(Method::GET, path, Body::empty()).await.map(|(_, body)| body)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        self.answer(method, path, Body::from(body.to_string())).await.map(|(_, body)| body)
    }

    /// The answer's headers too.
    pub(crate) async fn answer(&self, method: Method, path: &str, body: Body) -> Result<(HeaderMap, Value)> {
        let mut request = Request::builder().method(method).uri(path).header("x-csrf", "1").body(body)?;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().extend(self.headers.clone());
        let response = self.router.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await?.to_bytes();
        if !parts.status.is_success() {
            bail!("{path} answered {}: {}", parts.status, String::from_utf8_lossy(&bytes));
        }
        Ok((parts.headers, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}
