//! The five operations that all small resources have.

use kernel::error::{CURSOR_INVALID, NOT_FOUND};
use kernel::http::{Body, Created, Draft, Etag, IfMatch, Json, List, NoContent, Operation, Path, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Id, Permission, Problem, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::resources::{Record, Stored, service};

/// What an answer tells about itself.
pub(crate) trait Versioned {
    /// The id and the version.
    fn key(&self) -> (uuid::Uuid, i64);
}

/// How a document is called in the API and in the audit trail.
pub(crate) trait Resource: Stored + DeserializeOwned + ToSchema {
    /// What is answered.
    type View: From<Record<Self>> + Versioned + Serialize + ToSchema + Send + 'static;
    /// Who may change it.
    const PERMISSION: &'static Permission;
    /// Whether everybody may read it.
    const IS_PUBLIC: bool = false;
    /// The group in the reference.
    const TAG: &'static str;
    /// The address of the list, and of one with its id.
    const PATHS: [&'static str; 2];
    /// The ids of list, get, create, replace and delete.
    const OPERATIONS: [&'static str; 5];
    /// Their summaries.
    const SUMMARIES: [&'static str; 5];
    /// What to know before making or replacing one.
    const ABOUT: &'static str;
    /// What can be refused when one is made or replaced, and when one is deleted.
    const PROBLEMS: [&'static [&'static Problem]; 2];
    /// Before the id in the audit trail.
    const SUBJECT: &'static str;
    /// Create, replace and delete in the audit trail.
    const ACTIONS: [&'static str; 3];
}

pub(crate) fn operations<T: Resource>() -> [Operation; 5] {
    let [all, one] = T::PATHS;
    let [list_id, get_id, create_id, replace_id, delete_id] = T::OPERATIONS;
    let [list_line, get_line, create_line, replace_line, delete_line] = T::SUMMARIES;
    let [on_write, on_delete] = T::PROBLEMS;
    [
        Operation::get(all, list_id, list::<T>)
            .tag(T::TAG)
            .summary(list_line)
            .describe("In the order in which they were made.")
            .raises(&[&CURSOR_INVALID])
            .readable::<T>(),
        Operation::get(one, get_id, get::<T>).tag(T::TAG).summary(get_line).describe(T::ABOUT).raises(&[&NOT_FOUND]).readable::<T>(),
        Operation::post(all, create_id, create::<T>)
            .tag(T::TAG)
            .summary(create_line)
            .describe(T::ABOUT)
            .raises(on_write)
            .requires(T::PERMISSION),
        Operation::put(one, replace_id, replace::<T>)
            .tag(T::TAG)
            .summary(replace_line)
            .describe("Replaces the whole document; what is left out gets its default.")
            .raises(on_write)
            .requires(T::PERMISSION),
        Operation::delete(one, delete_id, remove::<T>)
            .tag(T::TAG)
            .summary(delete_line)
            .describe("Orders keep what they remember of it.")
            .raises(on_delete)
            .requires(T::PERMISSION),
    ]
}

/// Opens an operation that reads.
trait Readable {
    fn readable<T: Resource>(self) -> Operation;
}

impl Readable for Draft {
    fn readable<T: Resource>(self) -> Operation {
        if T::IS_PUBLIC { self.public() } else { self.requires(T::PERMISSION) }
    }
}

/// Which part of a list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShopPage {
    /// How many items a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

impl From<ShopPage> for PageRequest {
    fn from(page: ShopPage) -> PageRequest {
        PageRequest::new(page.limit, page.cursor)
    }
}

fn with_etag<T: Resource>(record: Record<T>) -> Etag<Json<T::View>> {
    Etag { version: record.version, answer: Json(T::View::from(record)) }
}

async fn list<T: Resource>(ctx: Ctx, Query(page): Query<ShopPage>) -> Result<List<T::View>> {
    Ok(List(service::list::<T>(&ctx, page.into()).await?.map(T::View::from)))
}

async fn get<T: Resource>(ctx: Ctx, Path(id): Path<Id<T::Marker>>) -> Result<Etag<Json<T::View>>> {
    Ok(with_etag(service::find::<T>(&ctx, id).await?))
}

async fn create<T: Resource>(ctx: Ctx, Body(value): Body<T>) -> Result<Etag<Created<T::View>>> {
    let body = T::View::from(service::create(&ctx, value).await?);
    let (id, version) = body.key();
    Ok(Etag { version, answer: Created { location: format!("{}/{id}", T::PATHS[0]), body } })
}

async fn replace<T: Resource>(
    ctx: Ctx,
    if_match: IfMatch,
    Path(id): Path<Id<T::Marker>>,
    Body(value): Body<T>,
) -> Result<Etag<Json<T::View>>> {
    Ok(with_etag(service::replace(&ctx, id, value, if_match).await?))
}

async fn remove<T: Resource>(ctx: Ctx, Path(id): Path<Id<T::Marker>>) -> Result<NoContent> {
    service::remove::<T>(&ctx, id).await?;
    Ok(NoContent)
}
