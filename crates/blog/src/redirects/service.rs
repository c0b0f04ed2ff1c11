//! The verbs of redirects: create, look up, list, update, delete.

use db::OnViolation as _;
use kernel::error::NOT_FOUND;
use kernel::http::{IfMatch, version_conflict};
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Result};

use crate::events::RedirectChanged;
use crate::permissions::MANAGE_REDIRECTS;
use crate::problems::REDIRECT_EXISTS;
use crate::redirects::http::RedirectView;
use crate::redirects::{Redirect, RedirectRecord, canonical_path, store};
use crate::wire::web_address;

/// What a redirect says; absent means unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct RedirectPatch {
    pub(crate) from_path: Option<String>,
    pub(crate) to_url: Option<String>,
    pub(crate) status: Option<i64>,
}

const KEYS: &[SortKey] = &[
    SortKey { name: "from_path", column: "from_path", kind: KeyKind::Text },
    SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int },
];

impl RedirectPatch {
    /// The redirect after the change, if it can be.
    fn apply(&self, redirect: RedirectRecord) -> Result<RedirectRecord> {
        let mut errors = Vec::new();
        let from_path = match &self.from_path {
            Some(typed) => canonical_path(typed).unwrap_or_else(|| {
                errors.push(FieldError::body("/from_path", "invalid_format", "A path that begins with a slash, without a query."));
                String::new()
            }),
            None => redirect.from_path,
        };
        let to_url = self.to_url.clone().unwrap_or(redirect.to_url);
        let is_path = to_url.starts_with('/') && !to_url.starts_with("//") && !to_url.contains(['\\', '\r', '\n']);
        if !is_path && web_address(&to_url).is_none() {
            errors.push(FieldError::body("/to_url", "invalid_format", "An absolute http or https address, or a path."));
        } else if is_path && canonical_path(&to_url).is_some_and(|path| path == from_path) {
            errors.push(FieldError::body("/to_url", "not_allowed", "A redirect cannot lead to itself."));
        }
        let redirect = RedirectRecord { from_path, to_url, status: self.status.unwrap_or(redirect.status), ..redirect };
        if errors.is_empty() { Ok(redirect) } else { Err(Error::invalid(errors)) }
    }
}

pub(crate) async fn create(ctx: &Ctx, new: RedirectPatch) -> Result<RedirectRecord> {
    ctx.actor.require(&MANAGE_REDIRECTS)?;
    let now = ctx.now();
    let blank = RedirectRecord {
        id: ctx.new_id(),
        from_path: String::new(),
        to_url: String::new(),
        status: 301,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let redirect = new.apply(blank)?;
    ctx.write(move |tx| {
        store::insert(tx, &redirect).on_unique("blog_redirects_from", || REDIRECT_EXISTS.on("/from_path"))?;
        tx.record(&RedirectChanged { redirect_id: redirect.id.uuid(), redirect: Some(RedirectView::of(redirect.clone())) })?;
        Ok(redirect.clone())
    })
    .await
}

pub(crate) async fn find(ctx: &Ctx, id: Id<Redirect>) -> Result<RedirectRecord> {
    ctx.actor.require(&MANAGE_REDIRECTS)?;
    ctx.read(move |c| store::find(c, id)?.ok_or_else(|| NOT_FOUND.error())).await
}

/// The redirect that begins at this path.
pub(crate) async fn look_up(ctx: &Ctx, path: &str) -> Result<RedirectRecord> {
    let path = canonical_path(path).ok_or(&NOT_FOUND)?;
    ctx.read(move |c| store::find_by_path(c, &path)?.ok_or_else(|| NOT_FOUND.error())).await
}

pub(crate) async fn list(ctx: &Ctx, sort: Option<&str>, request: PageRequest) -> Result<Page<RedirectRecord>> {
    ctx.actor.require(&MANAGE_REDIRECTS)?;
    let keyset = Keyset::parse(ctx, KEYS, "created_at", sort, "listRedirects", "", &request)?;
    let reader = keyset.clone();
    let rows = ctx.read(move |c| Ok(store::list(c, &reader)?)).await?;
    Ok(keyset.page(ctx, rows, |redirect| {
        let value = match keyset.key() {
            "from_path" => CursorValue::Text(redirect.from_path.clone()),
            _ => CursorValue::Int(redirect.created_at.as_millis()),
        };
        (value, redirect.id.uuid())
    }))
}

pub(crate) async fn update(ctx: &Ctx, id: Id<Redirect>, patch: RedirectPatch, if_match: IfMatch) -> Result<RedirectRecord> {
    ctx.actor.require(&MANAGE_REDIRECTS)?;
    let now = ctx.now();
    ctx.write(move |tx| {
        let before = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(before.version)?;
        let expected = before.version;
        let mut redirect = patch.apply(before)?;
        if !store::update(tx, &redirect, expected, now).on_unique("blog_redirects_from", || REDIRECT_EXISTS.on("/from_path"))? {
            return Err(version_conflict(store::find(tx, id)?.ok_or(&NOT_FOUND)?.version));
        }
        (redirect.version, redirect.updated_at) = (expected + 1, now);
        tx.record(&RedirectChanged { redirect_id: id.uuid(), redirect: Some(RedirectView::of(redirect.clone())) })?;
        Ok(redirect)
    })
    .await
}

pub(crate) async fn delete(ctx: &Ctx, id: Id<Redirect>, if_match: IfMatch) -> Result<()> {
    ctx.actor.require(&MANAGE_REDIRECTS)?;
    ctx.write(move |tx| {
        let redirect = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(redirect.version)?;
        if !store::delete(tx, id, redirect.version)? {
            return Err(version_conflict(store::find(tx, id)?.ok_or(&NOT_FOUND)?.version));
        }
        tx.audit(AuditEntry::ok("blog.redirect.delete", &format!("redirect:{id}")))?;
        tx.record(&RedirectChanged { redirect_id: id.uuid(), redirect: None })
    })
    .await
}
