//! One HTTP operation: handler, access and description in one value.

use std::any::TypeId;
use std::borrow::Cow;
use std::future::Future;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::{Method, StatusCode};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::actor::Permission;
use crate::app::App;
use crate::ctx::Ctx;
use crate::error::{Problem, Result};
use crate::http::problem::ErrorPage;

/// Who may call an operation. There is no default: an operation without one cannot be built (POS-1).
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// Everyone.
    Public,
    /// Everyone who is logged in.
    Authenticated,
    /// Whoever holds the permission.
    Permission(&'static Permission),
}

impl Access {
    /// The permission that is needed, if one is.
    pub fn permission(self) -> Option<&'static Permission> {
        match self {
            Access::Permission(permission) => Some(permission),
            _ => None,
        }
    }

    /// The value of `x-permission` in the OpenAPI document.
    pub fn name(self) -> &'static str {
        match self {
            Access::Public => "public",
            Access::Authenticated => "authenticated",
            Access::Permission(permission) => permission.name,
        }
    }
}

/// Which request limit counts an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateClass {
    /// The general limit per principal or address.
    Default,
    /// The tighter limit per address for sign-up, login and reset, on top of the general one.
    Auth,
    /// None: health checks.
    Unlimited,
}

/// A wire type whose JSON Schema is known.
#[derive(Clone, Copy, Debug)]
pub struct TypeRef {
    /// Identifies the type within the process.
    pub type_id: TypeId,
    /// Its name among the component schemas.
    pub name: fn() -> Cow<'static, str>,
    /// Its schema.
    pub schema: fn() -> RefOr<Schema>,
    /// The schemas it refers to.
    pub schemas: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl TypeRef {
    /// The reference to `T`.
    pub fn of<T: ToSchema + 'static>() -> TypeRef {
        TypeRef { type_id: TypeId::of::<T>(), name: T::name, schema: T::schema, schemas: T::schemas }
    }
}

/// One answer that an operation gives.
#[derive(Clone, Debug)]
pub struct ResponseDoc {
    /// The status.
    pub status: StatusCode,
    /// The body's type, if there is a JSON body.
    pub body: Option<TypeRef>,
    /// Whether the body is a list of that type.
    pub is_list: bool,
    /// The media type of a body that is not JSON.
    pub media_type: Option<&'static str>,
    /// Headers that come with it, beside those of every answer.
    pub headers: &'static [&'static str],
}

/// The description of an operation.
#[derive(Clone, Debug)]
pub struct OperationDoc {
    /// The method.
    pub method: Method,
    /// The path template.
    pub path: &'static str,
    /// The unique camelCase id, verb first.
    pub id: &'static str,
    /// The group in the reference.
    pub tag: &'static str,
    /// One line.
    pub summary: &'static str,
    /// A few sentences.
    pub description: &'static str,
    /// Who may call it.
    pub access: Access,
    /// The problems it raises beside the common ones.
    pub problems: Vec<&'static Problem>,
    /// The type of the request body.
    pub body: Option<TypeRef>,
    /// The type whose members are the query parameters.
    pub query: Option<TypeRef>,
    /// The answers it gives on success.
    pub responses: Vec<ResponseDoc>,
    /// Whether it reads `X-Session-Mode`.
    pub reads_session_mode: bool,
    /// Whether it reads `If-Match`.
    pub reads_if_match: bool,
    /// Which request limit counts it.
    pub rate: RateClass,
    /// Whether it looks at the caller's credential at all.
    pub reads_credential: bool,
    /// With which scopes, one of them or none at all, an API key may call it where access is *authenticated*; not at all if `None`.
    pub key_scopes: Option<Vec<&'static Permission>>,
    /// Whether it may set a session cookie and so needs a same-origin proof even without one (SES-6).
    pub starts_session: bool,
    /// Whether it honours `Idempotency-Key` (POST and PATCH only).
    pub is_idempotent: bool,
    /// Whether the caller's secrets may be in the answer, which is then never compressed or stored.
    pub answers_secrets: bool,
    /// Whether it is left out of the OpenAPI document: pages and probes.
    pub is_hidden: bool,
    /// The media types of a body that is not JSON; empty when there is none.
    pub raw_body: &'static [&'static str],
    /// Finds the most bytes of a body; the general limit where there is none.
    pub body_limit: Option<fn(&App) -> usize>,
    /// Whether it refuses requests without `Idempotency-Key` and remembers the key itself.
    pub requires_idempotency_key: bool,
    /// Headers that it reads beside the common ones: name and one sentence.
    pub request_headers: Vec<(&'static str, &'static str)>,
    /// Writes its errors where plain pages do not fit.
    pub error_page: Option<ErrorPage>,
}

/// Adds what an extractor or an answer means to the description of its operation.
pub trait Describe {
    /// Adds to `doc`.
    fn describe(doc: &mut OperationDoc);
}

impl Describe for Ctx {
    fn describe(_: &mut OperationDoc) {}
}

impl<T: Describe> Describe for Result<T> {
    fn describe(doc: &mut OperationDoc) {
        T::describe(doc);
    }
}

/// A handler whose extractors and answers describe themselves; the parameter is axum's.
pub trait Documented<M> {
    /// Adds what the handler's types mean to `doc`.
    fn describe(doc: &mut OperationDoc);
}

macro_rules! documented {
    ($($ty:ident),*) => {
        impl<F, Fut, Res, M, $($ty),*> Documented<(M, $($ty,)*)> for F
        where
            F: FnOnce($($ty),*) -> Fut,
            Fut: Future<Output = Res>,
            Res: Describe,
            $($ty: Describe,)*
        {
            fn describe(doc: &mut OperationDoc) {
                $($ty::describe(doc);)*
                Res::describe(doc);
            }
        }
    };
}
documented!(A);
documented!(A, B);
documented!(A, B, C);
documented!(A, B, C, D);
documented!(A, B, C, D, E);

/// An operation whose access is not decided yet; it cannot be registered.
pub struct Draft {
    doc: OperationDoc,
    handler: MethodRouter<App>,
}

/// One HTTP operation: handler, access and description.
#[derive(Clone, Debug)]
pub struct Operation {
    doc: OperationDoc,
    handler: MethodRouter<App>,
}

impl Operation {
    /// A GET operation (and HEAD).
    pub fn get<H, T>(path: &'static str, id: &'static str, handler: H) -> Draft
    where
        H: Handler<T, App> + Documented<T>,
        T: 'static,
    {
        Draft::new(Method::GET, MethodFilter::GET, path, id, handler)
    }

    /// A POST operation.
    pub fn post<H, T>(path: &'static str, id: &'static str, handler: H) -> Draft
    where
        H: Handler<T, App> + Documented<T>,
        T: 'static,
    {
        Draft::new(Method::POST, MethodFilter::POST, path, id, handler)
    }

    /// A PUT operation.
    pub fn put<H, T>(path: &'static str, id: &'static str, handler: H) -> Draft
    where
        H: Handler<T, App> + Documented<T>,
        T: 'static,
    {
        Draft::new(Method::PUT, MethodFilter::PUT, path, id, handler)
    }

    /// A PATCH operation, `application/merge-patch+json` or `application/json`.
    pub fn patch<H, T>(path: &'static str, id: &'static str, handler: H) -> Draft
    where
        H: Handler<T, App> + Documented<T>,
        T: 'static,
    {
        Draft::new(Method::PATCH, MethodFilter::PATCH, path, id, handler)
    }

    /// A DELETE operation.
    pub fn delete<H, T>(path: &'static str, id: &'static str, handler: H) -> Draft
    where
        H: Handler<T, App> + Documented<T>,
        T: 'static,
    {
        Draft::new(Method::DELETE, MethodFilter::DELETE, path, id, handler)
    }

    /// A page, probe or facade outside the REST API: any axum handler, described nowhere, but guarded like the others.
    pub fn page<H, T>(path: &'static str, id: &'static str, handler: H) -> Draft
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let mut draft = Draft { doc: OperationDoc::new(Method::GET, path, id), handler: on(MethodFilter::GET, handler) };
        draft.doc.is_hidden = true;
        draft
    }

    /// What a form of a page posts, read with [`Fields`](crate::http::Fields): guarded like the others, described nowhere.
    ///
    /// It needs a same-origin proof even without a cookie, since it may set one (SES-6).
    pub fn form<H, T>(path: &'static str, id: &'static str, handler: H) -> Draft
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let mut draft = Draft { doc: OperationDoc::new(Method::POST, path, id), handler: on(MethodFilter::POST, handler) };
        draft.doc.is_hidden = true;
        draft.starts_session().without_idempotency_key()
    }

    /// The description.
    pub fn doc(&self) -> &OperationDoc {
        &self.doc
    }

    /// The unique id.
    pub fn id(&self) -> &'static str {
        self.doc.id
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.doc.method
    }

    /// The path template.
    pub fn path(&self) -> &'static str {
        self.doc.path
    }

    /// Who may call it.
    pub fn access(&self) -> Access {
        self.doc.access
    }

    /// The problems it raises beside the common ones.
    pub fn problems(&self) -> &[&'static Problem] {
        &self.doc.problems
    }

    pub(crate) fn handler(&self) -> MethodRouter<App> {
        self.handler.clone()
    }
}

impl OperationDoc {
    fn new(method: Method, path: &'static str, id: &'static str) -> OperationDoc {
        let is_idempotent = method == Method::POST || method == Method::PATCH;
        OperationDoc {
            method,
            path,
            id,
            tag: "",
            summary: "",
            description: "",
            access: Access::Public,
            problems: Vec::new(),
            body: None,
            query: None,
            responses: Vec::new(),
            reads_session_mode: false,
            reads_if_match: false,
            rate: RateClass::Default,
            reads_credential: true,
            key_scopes: None,
            starts_session: false,
            is_idempotent,
            answers_secrets: false,
            is_hidden: false,
            raw_body: &[],
            body_limit: None,
            requires_idempotency_key: false,
            request_headers: Vec::new(),
            error_page: None,
        }
    }
}

impl Draft {
    fn new<H, T>(method: Method, filter: MethodFilter, path: &'static str, id: &'static str, handler: H) -> Draft
    where
        H: Handler<T, App> + Documented<T>,
        T: 'static,
    {
        let mut doc = OperationDoc::new(method, path, id);
        H::describe(&mut doc);
        Draft { doc, handler: on(filter, handler) }
    }

    /// The group in the reference.
    #[must_use]
    pub fn tag(mut self, tag: &'static str) -> Draft {
        self.doc.tag = tag;
        self
    }

    /// One line that says what it does.
    #[must_use]
    pub fn summary(mut self, summary: &'static str) -> Draft {
        self.doc.summary = summary;
        self
    }

    /// A few sentences that say what to know before calling it.
    #[must_use]
    pub fn describe(mut self, description: &'static str) -> Draft {
        self.doc.description = description;
        self
    }

    /// The problems it raises beside the common ones.
    #[must_use]
    pub fn raises(mut self, problems: &[&'static Problem]) -> Draft {
        self.doc.problems.extend_from_slice(problems);
        self
    }

    /// Counts it under another request limit.
    #[must_use]
    pub fn rate(mut self, rate: RateClass) -> Draft {
        self.doc.rate = rate;
        self
    }

    /// Ignores the caller's credential: sign-up, login, reset. A stale token never stands in their way.
    #[must_use]
    pub fn ignores_credential(mut self) -> Draft {
        self.doc.reads_credential = false;
        self
    }

    /// Lets API keys in too, where access is *authenticated*: those with one of these scopes, or every key if there are none (KEY-1).
    #[must_use]
    pub fn keys_with(mut self, scopes: &[&'static Permission]) -> Draft {
        self.doc.key_scopes = Some(scopes.to_vec());
        self
    }

    /// May set a session cookie: needs a same-origin proof even without one.
    #[must_use]
    pub fn starts_session(mut self) -> Draft {
        self.doc.starts_session = true;
        self
    }

    /// Ignores `Idempotency-Key`, because the flow has a single-use token of its own.
    #[must_use]
    pub fn without_idempotency_key(mut self) -> Draft {
        self.doc.is_idempotent = false;
        self
    }

    /// Takes a body of one of these media types, read with [`crate::http::RawBody`].
    #[must_use]
    pub fn takes(mut self, media_types: &'static [&'static str]) -> Draft {
        self.doc.raw_body = media_types;
        self
    }

    /// Reads at most as many bytes of a body as `limit` says, instead of the general `http.max_body`.
    #[must_use]
    pub fn body_limit(mut self, limit: fn(&App) -> usize) -> Draft {
        self.doc.body_limit = Some(limit);
        self
    }

    /// Reads this header; the sentence says what it is for.
    #[must_use]
    pub fn reads_header(mut self, name: &'static str, doc: &'static str) -> Draft {
        self.doc.request_headers.push((name, doc));
        self
    }

    /// May answer with secrets of the caller: never compressed, never stored.
    #[must_use]
    pub fn answers_secrets(mut self) -> Draft {
        self.doc.answers_secrets = true;
        self
    }

    /// Writes its errors with `page`, those of the guard too; they are logged as ever.
    #[must_use]
    pub fn errors_as(mut self, page: ErrorPage) -> Draft {
        self.doc.error_page = Some(page);
        self
    }

    /// Everyone may call it.
    pub fn public(self) -> Operation {
        self.with_access(Access::Public)
    }

    /// Everyone who is logged in may call it.
    pub fn authenticated(self) -> Operation {
        self.with_access(Access::Authenticated)
    }

    /// Whoever holds `permission` may call it.
    pub fn requires(self, permission: &'static Permission) -> Operation {
        self.with_access(Access::Permission(permission))
    }

    fn with_access(mut self, access: Access) -> Operation {
        self.doc.access = access;
        Operation { doc: self.doc, handler: self.handler }
    }
}
