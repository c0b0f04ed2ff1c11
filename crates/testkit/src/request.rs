//! Requests as a test writes them, and answers that were compared with the OpenAPI document.

use std::future::IntoFuture;
use std::ops::Index;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::checker::Checker;
use crate::people::Person;

/// Where requests go and what checks the answers.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    pub(crate) checker: Checker,
}

/// A request; awaiting it sends it.
#[derive(Debug)]
#[must_use = "a request is sent by awaiting it"]
pub struct Request {
    target: Arc<Target>,
    method: Method,
    path: String,
    inner: reqwest::RequestBuilder,
}

impl Request {
    pub(crate) fn new(target: Arc<Target>, method: Method, path: &str) -> Request {
        let inner = target.client.request(method.clone(), format!("{}{path}", target.base));
        Request { target, method, path: path.to_owned(), inner }
    }

    fn with(self, change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> Request {
        Request { inner: change(self.inner), ..self }
    }

    /// With this access token.
    pub fn bearer(self, token: &str) -> Request {
        self.with(|inner| inner.bearer_auth(token))
    }

    /// As this person; somebody without a token sends none.
    pub fn by(self, person: &Person) -> Request {
        match person.token.is_empty() {
            true => self,
            false => self.bearer(&person.token),
        }
    }

    /// With one more header.
    pub fn header(self, name: &str, value: &str) -> Request {
        self.with(|inner| inner.header(name, value))
    }

    /// With one more query parameter.
    pub fn query(self, name: &str, value: impl ToString) -> Request {
        self.with(|inner| inner.query(&[(name, value.to_string())]))
    }

    /// With a JSON body.
    pub fn json(self, body: &impl Serialize) -> Request {
        self.with(|inner| inner.json(body))
    }

    /// With these very bytes as the body, of this content type.
    pub fn body(self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Request {
        let bytes: Vec<u8> = bytes.into();
        self.with(|inner| inner.header(CONTENT_TYPE, content_type).body(bytes))
    }

    /// Sends it and compares the answer with the OpenAPI document.
    ///
    /// # Panics
    /// When there is no answer, or the document does not allow it.
    pub async fn send(self) -> TestResponse {
        let path = self.path.split(['?', '#']).next().unwrap_or_default().to_owned();
        let title = format!("{} {}", self.method, self.path);
        let answer = self.inner.send().await.unwrap_or_else(|error| panic!("{title:.200}: no answer: {error:?}"));
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await.unwrap_or_else(|error| panic!("{title:.200}: the body broke off: {error:?}")).to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let response = TestResponse { status, headers, body, bytes, title };
        if let Err(drift) = self.target.checker.check(&self.method, &path, &response) {
            panic!("the answer drifts from the OpenAPI document: {drift}\n{response}");
        }
        response
    }
}

impl IntoFuture for Request {
    type Output = TestResponse;
    type IntoFuture = Pin<Box<dyn Future<Output = TestResponse> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// An answer that the OpenAPI document allows; `response["title"]` reads a member of its body.
#[derive(Clone, Debug)]
pub struct TestResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// The body as it came.
    pub bytes: Vec<u8>,
    title: String,
}

impl TestResponse {
    /// Fails unless the status is this one.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> TestResponse {
        assert_eq!(self.status.as_u16(), status, "{self}");
        self
    }

    /// Fails unless the answer is the problem with this code.
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    pub fn problem(self, code: &str) -> TestResponse {
        assert!(self.status.as_u16() >= 400, "expected the problem {code}: {self}");
        assert_eq!(self.body["code"], code, "{self}");
        self
    }

    /// Fails unless the problem names this field, by pointer, parameter or header, with this code.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn field(self, place: &str, code: &str) -> TestResponse {
        let is_it = |field: &Value| field["code"] == code && ["pointer", "parameter", "header"].iter().any(|kind| field[*kind] == place);
        assert!(self.body["errors"].as_array().is_some_and(|all| all.iter().any(is_it)), "expected {code} on {place}: {self}");
        self
    }

    /// A header, or empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The text member at this JSON Pointer.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> String {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("there is no text at {pointer}: {self}")).to_owned()
    }
}

impl Index<&str> for TestResponse {
    type Output = Value;

    fn index(&self, member: &str) -> &Value {
        &self.body[member]
    }
}

impl std::fmt::Display for TestResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.300} answered {}\n{:#?}\n", self.title, self.status, self.headers)?;
        match &self.body {
            Value::Null => write!(f, "{:.2000}", String::from_utf8_lossy(&self.bytes)),
            body => write!(f, "{body:#.4000}"),
        }
    }
}
