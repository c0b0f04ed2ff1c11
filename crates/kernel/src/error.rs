//! What can go wrong, in words a caller can act on.
//!
//! A [`Problem`] is declared once with [`problems!`](crate::problems) beside the rule that raises it; its code is public API. An
//! [`Error`] is one occurrence: a problem, a public detail, field errors, and a private source that only the log sees.
//! Nobody but `kernel::http` knows which HTTP status a [`Kind`] becomes.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// The outcome of everything that can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The family of a problem; it decides the HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be parsed.
    Malformed,
    /// No usable credential.
    Unauthenticated,
    /// A payment is due.
    PaymentRequired,
    /// Known, but not allowed.
    Forbidden,
    /// Not there, or not to be seen by this caller.
    NotFound,
    /// The path exists, this method does not.
    MethodNotAllowed,
    /// No representation that the caller accepts.
    NotAcceptable,
    /// The server gave up waiting for the request.
    RequestTimeout,
    /// The state or a uniqueness rule forbids it.
    Conflict,
    /// Existed, will not come back.
    Gone,
    /// A precondition the caller stated does not hold.
    PreconditionFailed,
    /// More bytes than allowed.
    PayloadTooLarge,
    /// The address is too long.
    UriTooLong,
    /// Not a media type this operation reads.
    UnsupportedMediaType,
    /// Understood, but wrong.
    Invalid,
    /// The operation demands a precondition.
    PreconditionRequired,
    /// Too many requests.
    RateLimited,
    /// The request head is too large.
    HeadersTooLarge,
    /// Our fault.
    Internal,
    /// Not built, or not possible with this configuration.
    NotImplemented,
    /// Overloaded, draining, or something we need is away; a retry may help.
    Unavailable,
}

/// A kind of failure with a stable public code. Declare with [`problems!`](crate::problems).
#[derive(Debug)]
pub struct Problem {
    /// The family; decides the status.
    pub kind: Kind,
    /// Stable snake_case code; public API.
    pub code: &'static str,
    /// One sentence: what happened.
    pub title: &'static str,
    /// One or two sentences: what to do about it.
    pub advice: &'static str,
}

/// Declares [`Problem`]s and the list `PROBLEMS` that a module registers.
///
/// ```
/// kernel::problems! {
///     /// Two seats cannot be one.
///     SEAT_TAKEN = Conflict, "seat_taken", "Somebody else sits there already.", "Choose another seat.";
/// }
/// # fn main() { assert_eq!(PROBLEMS[0].code, "seat_taken"); }
/// ```
#[macro_export]
macro_rules! problems {
    ($($(#[$meta:meta])* $name:ident = $kind:ident, $code:literal, $title:literal, $advice:literal;)+) => {
        $(
            $(#[$meta])*
            #[doc = concat!("`", $code, "`: ", $title)]
            pub static $name: $crate::Problem = $crate::Problem {
                kind: $crate::Kind::$kind,
                code: $code,
                title: $title,
                advice: $advice,
            };
        )+
        /// Every problem declared here.
        pub static PROBLEMS: &[&$crate::Problem] = &[$(&$name),+];
    };
}

problems! {
    MALFORMED_REQUEST = Malformed, "malformed_request", "The request could not be understood.", "Check the address, the query and the headers for wrong encoding.";
    MALFORMED_JSON = Malformed, "malformed_json", "The body is not acceptable JSON.", "Send one UTF-8 JSON value without duplicate members, at most 32 levels deep.";
    CURSOR_INVALID = Malformed, "cursor_invalid", "The cursor does not belong to this list.", "Start again without a cursor; do not change filter or sort between pages.";
    AMBIGUOUS_CREDENTIALS = Malformed, "ambiguous_credentials", "The request carries two credentials.", "Send either the Authorization header or the session cookie, not both.";
    IDEMPOTENCY_KEY_REQUIRED = Malformed, "idempotency_key_required", "This operation needs an Idempotency-Key header.", "Make a random key for each attempt of yours and repeat it on every retry.";
    IDEMPOTENCY_KEY_INVALID = Malformed, "idempotency_key_invalid", "The Idempotency-Key header is not acceptable.", "Send 1 to 255 visible characters; without a login at least 20.";
    UNAUTHENTICATED = Unauthenticated, "unauthenticated", "This needs a valid login.", "Log in and send the access token or the session cookie.";
    TOKEN_EXPIRED = Unauthenticated, "token_expired", "The access token has expired.", "Refresh it with the refresh token, then repeat the request.";
    FORBIDDEN = Forbidden, "forbidden", "You may not do this.", "Ask an administrator for a role with the permission named in the API reference.";
    INSUFFICIENT_SCOPE = Forbidden, "insufficient_scope", "The key or token lacks the scope for this.", "Use a credential that was made with the scope.";
    CSRF_FAILED = Forbidden, "csrf_failed", "The request does not prove that it comes from your own site.", "Send it from an allowed origin, or add the header X-CSRF: 1.";
    REAUTHENTICATION_REQUIRED = Forbidden, "reauthentication_required", "This needs a recent login.", "Confirm who you are with POST /api/v1/auth/reauthenticate, then repeat the request.";
    NOT_FOUND = NotFound, "not_found", "There is nothing here.", "Check the address; what you may not see looks the same as what does not exist.";
    METHOD_NOT_ALLOWED = MethodNotAllowed, "method_not_allowed", "This address does not know the method.", "Use one of the methods in the Allow header.";
    NOT_ACCEPTABLE = NotAcceptable, "not_acceptable", "None of the media types you accept can be sent.", "Accept application/json.";
    REQUEST_TIMEOUT = RequestTimeout, "request_timeout", "The request took too long.", "Send the request faster, or ask for less at once.";
    CONFLICT = Conflict, "conflict", "The present state does not allow this.", "Read the resource again and decide anew.";
    SLUG_TAKEN = Conflict, "slug_taken", "Something else uses this slug.", "Choose another slug; a former one can be claimed or reused where the operation offers it.";
    ALREADY_EXISTS = Conflict, "already_exists", "Something with this value exists already.", "Choose another value for the member named in errors.";
    INVALID_STATE = Conflict, "invalid_state", "The resource is not in a state that allows this.", "See current_state and allowed.";
    QUOTA_EXCEEDED = Conflict, "quota_exceeded", "A configured quota is used up.", "Delete something, or ask the operator for a larger quota.";
    IDEMPOTENCY_KEY_IN_USE = Conflict, "idempotency_key_in_use", "The first request with this key is still running.", "Wait for the time in Retry-After, then repeat the same request.";
    IDEMPOTENCY_ANSWER_LOST = Conflict, "idempotency_answer_lost", "The first request with this key was carried out, but its answer is lost.", "Read the resource to see the result; do not repeat it with a new key unless it is missing.";
    GONE = Gone, "gone", "This existed and will not come back.", "Remove the link to it.";
    VERSION_CONFLICT = PreconditionFailed, "version_conflict", "Somebody changed this in the meantime.", "Read it again, apply your change to the new version, and send its ETag in If-Match.";
    PAYLOAD_TOO_LARGE = PayloadTooLarge, "payload_too_large", "The body is too large.", "Send less at once.";
    URI_TOO_LONG = UriTooLong, "uri_too_long", "The address is too long.", "Send fewer or shorter query parameters.";
    UNSUPPORTED_MEDIA_TYPE = UnsupportedMediaType, "unsupported_media_type", "The body has a media type that is not read here.", "Send application/json.";
    VALIDATION_FAILED = Invalid, "validation_failed", "Some values are not acceptable.", "Correct the values listed in errors.";
    SORT_NOT_SUPPORTED = Invalid, "sort_not_supported", "The list cannot be sorted by this.", "Use one of the allowed keys.";
    IDEMPOTENCY_KEY_REUSED = Invalid, "idempotency_key_reused", "This Idempotency-Key was used for another request.", "Make a new key for each new request.";
    PRECONDITION_REQUIRED = PreconditionRequired, "precondition_required", "This needs an If-Match header.", "Read the resource and send its ETag in If-Match.";
    RATE_LIMITED = RateLimited, "rate_limited", "Too many requests.", "Wait for the time in Retry-After.";
    HEADERS_TOO_LARGE = HeadersTooLarge, "headers_too_large", "The request head is too large.", "Send fewer or shorter headers and cookies.";
    INTERNAL = Internal, "internal", "Something went wrong on our side.", "Try again later; if it stays, tell the operator the request id.";
    NOT_IMPLEMENTED = NotImplemented, "not_implemented", "This server cannot do that.", "Ask the operator whether the module can be switched on.";
    UNAVAILABLE = Unavailable, "unavailable", "The server cannot answer right now.", "Repeat the request after the time in Retry-After.";
    OUTCOME_UNKNOWN = Unavailable, "outcome_unknown", "The connection to the database was lost while it was saving.", "Read the resource to see whether the change was made before you repeat it.";
    UPSTREAM_FAILED = Unavailable, "upstream_failed", "A service that we depend on did not answer.", "Repeat the request after the time in Retry-After.";
}

/// The place in a request that a [`FieldError`] is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// A JSON Pointer (RFC 6901) into the body.
    Pointer(Cow<'static, str>),
    /// The name of a query parameter.
    Parameter(Cow<'static, str>),
    /// The name of a header.
    Header(Cow<'static, str>),
}

/// One value of a request that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where it stands.
    #[serde(flatten)]
    pub location: Location,
    /// Stable code: `required`, `too_long`, `invalid_format`, …, or a module's own.
    pub code: Cow<'static, str>,
    /// One sentence for people.
    pub detail: Cow<'static, str>,
}

impl FieldError {
    /// A body member at a JSON Pointer that is not acceptable.
    pub fn body(pointer: impl Into<Cow<'static, str>>, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        FieldError { location: Location::Pointer(pointer.into()), code: code.into(), detail: detail.into() }
    }

    /// A query parameter that is not acceptable.
    pub fn parameter(name: impl Into<Cow<'static, str>>, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        FieldError { location: Location::Parameter(name.into()), code: code.into(), detail: detail.into() }
    }

    /// A header that is not acceptable.
    pub fn header(name: impl Into<Cow<'static, str>>, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        FieldError { location: Location::Header(name.into()), code: code.into(), detail: detail.into() }
    }
}

/// One failure: a problem, what to tell the caller, and what to tell the log.
pub struct Error(Box<Inner>);

struct Inner {
    problem: &'static Problem,
    detail: Option<Cow<'static, str>>,
    fields: Vec<FieldError>,
    members: Map<String, Value>,
    retry_after_secs: Option<u64>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Problem {
    /// An error of this kind without further detail.
    pub fn error(&'static self) -> Error {
        Error(Box::new(Inner {
            problem: self,
            detail: None,
            fields: Vec::new(),
            members: Map::new(),
            retry_after_secs: None,
            source: None,
        }))
    }

    /// An error of this kind with one public sentence about this occurrence.
    pub fn because(&'static self, detail: impl Into<Cow<'static, str>>) -> Error {
        let mut error = self.error();
        error.0.detail = Some(detail.into());
        error
    }

    /// An error of this kind that names the body member (a JSON Pointer such as `/slug`) it is about.
    pub fn on(&'static self, pointer: impl Into<Cow<'static, str>>) -> Error {
        self.error().with_field(FieldError::body(pointer, self.code, self.title))
    }
}

impl Error {
    /// Our fault: `internal`, with the cause for the log.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        INTERNAL.error().with_source(source)
    }

    /// `validation_failed` with these field errors.
    pub fn invalid(fields: Vec<FieldError>) -> Error {
        let mut error = VALIDATION_FAILED.error();
        error.0.fields = fields;
        error
    }

    /// Adds the private cause; only the log sees it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// Adds a field error.
    #[must_use]
    pub fn with_field(mut self, field: FieldError) -> Error {
        self.0.fields.push(field);
        self
    }

    /// Adds a member to the problem document, such as `current_version`.
    #[must_use]
    pub fn with_member(mut self, name: &str, value: impl Into<Value>) -> Error {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Says when a retry makes sense, in seconds; becomes `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Error {
        self.0.retry_after_secs = Some(seconds);
        self
    }

    /// The problem this is an occurrence of.
    pub fn problem(&self) -> &'static Problem {
        self.0.problem
    }

    /// The family of the problem.
    pub fn kind(&self) -> Kind {
        self.0.problem.kind
    }

    /// The stable code of the problem.
    pub fn code(&self) -> &'static str {
        self.0.problem.code
    }

    /// Whether this is an occurrence of `problem`.
    pub fn is(&self, problem: &'static Problem) -> bool {
        self.0.problem.code == problem.code
    }

    /// The public sentence about this occurrence, or the general one.
    pub fn detail(&self) -> Cow<'static, str> {
        match (&self.0.detail, self.0.fields.len()) {
            (Some(detail), _) => detail.clone(),
            (None, 0) => Cow::Borrowed(self.0.problem.advice),
            (None, 1) => Cow::Borrowed("1 value needs attention."),
            (None, n) => Cow::Owned(format!("{n} values need attention.")),
        }
    }

    /// The values that are not acceptable.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// Further members of the problem document.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0.members
    }

    /// When a retry makes sense, in seconds.
    pub fn retry_after_secs(&self) -> Option<u64> {
        self.0.retry_after_secs
    }

    /// The private causes, outermost first, joined for the log.
    pub fn causes(&self) -> Option<String> {
        let mut next: Option<&(dyn StdError + 'static)> = self.0.source.as_deref().map(|s| s as _);
        let mut chain = Vec::new();
        while let Some(cause) = next {
            chain.push(cause.to_string());
            next = cause.source();
        }
        (!chain.is_empty()).then(|| chain.join(": "))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.detail.as_deref().unwrap_or(self.0.problem.title), self.0.problem.code)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}", self.0.problem.code)?;
        if let Some(detail) = &self.0.detail {
            write!(f, ", {detail:?}")?;
        }
        if !self.0.fields.is_empty() {
            write!(f, ", {:?}", self.0.fields)?;
        }
        if let Some(causes) = self.causes() {
            write!(f, ", caused by: {causes}")?;
        }
        f.write_str(")")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as _)
    }
}

impl From<&'static Problem> for Error {
    fn from(problem: &'static Problem) -> Self {
        problem.error()
    }
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        use db::Error as E;
        match error {
            E::NotFound => NOT_FOUND.error(),
            E::OutcomeUnknown => OUTCOME_UNKNOWN.error().with_source(error),
            E::InvalidText => MALFORMED_REQUEST.because("Text must not contain the character NUL.").with_source(error),
            E::Serialization
            | E::Busy
            | E::Interrupted
            | E::Overloaded
            | E::Unavailable(_)
            | E::StorageFull(_)
            | E::ReadOnly(_)
            | E::Closed => UNAVAILABLE.error().retry_after(1).with_source(error),
            other => Error::internal(other),
        }
    }
}

impl db::TransactionError for Error {
    fn db_error(&self) -> Option<&db::Error> {
        self.0.source.as_ref().and_then(|source| source.downcast_ref())
    }
}

/// Spells out that an error is not fatal to what goes on.
pub trait LogAndContinue<T> {
    /// Logs an error with what was being done, and goes on without the value.
    fn log_and_continue(self, doing: &str) -> Option<T>;
}

impl<T> LogAndContinue<T> for Result<T> {
    fn log_and_continue(self, doing: &str) -> Option<T> {
        match self {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::warn!(code = error.code(), causes = error.causes(), "{doing} failed: {error}");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_stays_out_of_display_and_detail() {
        let error = Error::internal(std::io::Error::other("secret path"));
        assert!(!error.to_string().contains("secret path"));
        assert!(!error.detail().contains("secret path"));
        assert_eq!(error.causes().as_deref(), Some("secret path"));
    }

    #[test]
    fn the_detail_counts_field_errors() {
        let error = Error::invalid(vec![FieldError::body("/a", "required", "x"), FieldError::parameter("limit", "out_of_range", "y")]);
        assert_eq!(error.detail(), "2 values need attention.");
        assert_eq!(serde_json::to_value(error.fields()).unwrap()[1]["parameter"], "limit");
    }

    #[test]
    fn r51_no_code_is_declared_twice() {
        let mut codes: Vec<_> = PROBLEMS.iter().map(|p| p.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), PROBLEMS.len());
    }
}
