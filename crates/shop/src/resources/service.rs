//! The verbs that all small resources have.

use kernel::error::NOT_FOUND;
use kernel::http::{IfMatch, version_conflict};
use kernel::page::{KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{AuditEntry, Ctx, Id, Result};

use crate::resources::Record;
use crate::resources::http::Resource;

const BY_ID: &[SortKey] = &[SortKey { name: "id", column: "id", kind: KeyKind::Id }];

fn require_reader<T: Resource>(ctx: &Ctx) -> Result<()> {
    if T::IS_PUBLIC { Ok(()) } else { ctx.actor.require(T::PERMISSION) }
}

pub(crate) async fn list<T: Resource>(ctx: &Ctx, request: PageRequest) -> Result<Page<Record<T>>> {
    require_reader::<T>(ctx)?;
    let keyset = Keyset::parse(ctx, BY_ID, "id", None, T::OPERATIONS[0], "", &request)?;
    let reader = keyset.clone();
    let rows = ctx.read(move |c| T::list(c, &reader)).await?;
    Ok(keyset.page(ctx, rows, |record| (kernel::page::CursorValue::Null, record.id.uuid())))
}

pub(crate) async fn find<T: Resource>(ctx: &Ctx, id: Id<T::Marker>) -> Result<Record<T>> {
    require_reader::<T>(ctx)?;
    ctx.read(move |c| T::find(c, id)?.ok_or_else(|| NOT_FOUND.error())).await
}

pub(crate) async fn create<T: Resource>(ctx: &Ctx, value: T) -> Result<Record<T>> {
    ctx.actor.require(T::PERMISSION)?;
    let (context, id, now) = (ctx.clone(), ctx.new_id(), ctx.now());
    ctx.write(move |tx| {
        value.check(tx, &context)?;
        value.insert(tx, id, now)?;
        tx.audit(AuditEntry::ok(T::ACTIONS[0], &format!("{}:{id}", T::SUBJECT)))?;
        T::find(tx, id)?.ok_or_else(|| NOT_FOUND.error())
    })
    .await
}

/// Replaces the whole document if it still has the version that the caller saw.
pub(crate) async fn replace<T: Resource>(ctx: &Ctx, id: Id<T::Marker>, value: T, if_match: IfMatch) -> Result<Record<T>> {
    ctx.actor.require(T::PERMISSION)?;
    let (context, now) = (ctx.clone(), ctx.now());
    ctx.write(move |tx| {
        let known = T::find(tx, id)?.ok_or(&NOT_FOUND)?;
        let expected = if_match.expected(known.version)?;
        value.check(tx, &context)?;
        if !value.update(tx, id, expected, now)? {
            return Err(T::find(tx, id)?.map_or_else(|| NOT_FOUND.error(), |now| version_conflict(now.version)));
        }
        tx.audit(AuditEntry::ok(T::ACTIONS[1], &format!("{}:{id}", T::SUBJECT)))?;
        T::find(tx, id)?.ok_or_else(|| NOT_FOUND.error())
    })
    .await
}

pub(crate) async fn remove<T: Resource>(ctx: &Ctx, id: Id<T::Marker>) -> Result<()> {
    ctx.actor.require(T::PERMISSION)?;
    ctx.write(move |tx| {
        if !T::delete(tx, id)? {
            return Err(NOT_FOUND.error());
        }
        tx.audit(AuditEntry::ok(T::ACTIONS[2], &format!("{}:{id}", T::SUBJECT)))
    })
    .await
}
