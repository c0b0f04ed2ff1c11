//! A table with a read, a list and an insert: the same statements as the limit server, through everything a module goes through.

use db::{Conn, params};
use kernel::error::NOT_FOUND;
use kernel::http::{Body, Created, Json, List, Operation, Path, Query};
use kernel::page::{CursorScope, CursorValue, Page, PageRequest, decode_cursor, encode_cursor};
use kernel::{Ctx, Error, Id, Module, Parts, Permission, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who may insert rows; every member gets it.
static CREATE: Permission = Permission::new("bench:rows:create", "Insert rows.");

const MIGRATIONS: &[db::Migration] = db::migrations![(
    1,
    "rows",
    "CREATE TABLE bench_rows (id {id} NOT NULL PRIMARY KEY, title {key:190} NOT NULL, body {text} NOT NULL, \
     created_at {time} NOT NULL, updated_at {time} NOT NULL, version {int} NOT NULL);
     CREATE INDEX bench_rows_newest ON bench_rows (created_at, id);"
)];

/// The creation time of row 0; row `n` was created `n` milliseconds later.
const EPOCH_MS: i64 = 1_700_000_000_000;
const TEXT: &str = "The quick brown fox jumps over the lazy dog. ";
/// Rows that one seeding transaction inserts.
const BATCH: u32 = 500;

db::row! {
    /// A row, at rest and on the wire.
    #[derive(Serialize, ToSchema)]
    #[schema(example = json!({
        "id": "019ab0b2-8f00-7000-8000-000000000001", "title": "Row 1", "body": "Text", "created_at": "2026-11-22T12:00:00.000Z",
        "updated_at": "2026-11-22T12:00:00.000Z", "version": 1
    }))]
    pub(crate) struct Row {
        /// The row.
        #[schema(value_type = uuid::Uuid)]
        id: Id<Row>,
        /// A line.
        title: String,
        /// A text.
        body: String,
        /// When it was made.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
        /// Grows with every change.
        version: i64,
    }
}

/// What a client sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "Row 1", "body": "Text"}))]
pub(crate) struct NewRow {
    /// A line.
    #[schema(min_length = 1, max_length = 190)]
    title: String,
    /// A text.
    #[schema(max_length = 65536)]
    body: String,
}

/// A row was inserted.
#[derive(Serialize, ToSchema)]
struct Hello {
    /// Always `hello`.
    message: &'static str,
}

/// The module.
#[derive(Debug)]
pub(crate) struct Rows;

impl Module for Rows {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        parts
            .migrations(MIGRATIONS)
            .permissions(&[&CREATE])
            .route(Operation::get("/api/v1/bench/static", "getBenchStatic", hello).tag("Bench").summary("A fixed answer").public())
            .route(Operation::get("/api/v1/bench/me", "getBenchMe", hello).tag("Bench").summary("The same, for a login").authenticated())
            .route(Operation::get("/api/v1/bench/rows", "listBenchRows", list).tag("Bench").summary("The newest rows").public())
            .route(Operation::get("/api/v1/bench/rows/{row_id}", "getBenchRow", get).tag("Bench").summary("One row").public())
            .route(Operation::post("/api/v1/bench/rows", "createBenchRow", create).tag("Bench").summary("Insert").requires(&CREATE));
    }
}

async fn hello(_ctx: Ctx) -> Result<Json<Hello>> {
    Ok(Json(Hello { message: "hello" }))
}

async fn get(ctx: Ctx, Path(id): Path<Id<Row>>) -> Result<Json<Row>> {
    let row = ctx.read(move |c| Ok(find(c, id)?)).await?;
    Ok(Json(row.ok_or(&NOT_FOUND)?))
}

fn find(c: &mut Conn, id: Id<Row>) -> Result<Option<Row>, db::Error> {
    c.opt("SELECT id, title, body, created_at, updated_at, version FROM bench_rows WHERE id = ?", params![id])
}

/// Which rows to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RowFilter {
    /// How many rows a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

async fn list(ctx: Ctx, Query(filter): Query<RowFilter>) -> Result<List<Row>> {
    let request = PageRequest::new(filter.limit, filter.cursor);
    let scope = CursorScope { operation: "listBenchRows", filter: "", sort: "-created_at", locale: "", principal: "" };
    let after = match &request.cursor {
        None => (Timestamp::from_millis(i64::MAX), Id::from_uuid(uuid::Uuid::max())),
        Some(cursor) => match decode_cursor(ctx.app.keyring(), &scope, cursor)?.as_slice() {
            [CursorValue::Int(at), CursorValue::Bytes(id)] => {
                (Timestamp::from_millis(*at), Id::from_uuid(uuid::Uuid::from_slice(id).map_err(Error::internal)?))
            }
            _ => return Err(kernel::error::CURSOR_INVALID.error()),
        },
    };
    let limit = request.limit;
    let rows = ctx.read(move |c| Ok(newest(c, after, limit + 1)?)).await?;
    Ok(List(Page::of_rows(rows, limit, |last| {
        let values = [CursorValue::Int(last.created_at.as_millis()), CursorValue::Bytes(last.id.uuid().as_bytes().to_vec())];
        encode_cursor(ctx.app.keyring(), &scope, &values)
    })))
}

fn newest(c: &mut Conn, (at, id): (Timestamp, Id<Row>), limit: u32) -> Result<Vec<Row>, db::Error> {
    let sql = format!(
        "SELECT id, title, body, created_at, updated_at, version FROM bench_rows WHERE (created_at, id) < (?, ?) \
         ORDER BY created_at DESC, id DESC LIMIT {limit}"
    );
    c.all(sql, params![at, id])
}

async fn create(ctx: Ctx, Body(new): Body<NewRow>) -> Result<Created<Row>> {
    let (id, now) = (ctx.new_id::<Row>(), ctx.now());
    let row = ctx
        .write(move |tx| {
            let row = Row { id, title: new.title.clone(), body: new.body.clone(), created_at: now, updated_at: now, version: 1 };
            insert(tx, &row)?;
            Ok(row)
        })
        .await?;
    Ok(Created { location: format!("/api/v1/bench/rows/{id}"), body: row })
}

fn insert(tx: &mut db::Tx<'_>, row: &Row) -> Result<(), db::Error> {
    tx.execute(
        "INSERT INTO bench_rows (id, title, body, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?)",
        params![row.id, row.title, row.body, row.created_at, row.updated_at, row.version],
    )?;
    Ok(())
}

/// Fills an empty table with the rows that the limit server has too.
pub(crate) async fn fill(ctx: &Ctx, count: u32) -> Result<()> {
    let is_filled = ctx.read(|c| Ok(c.opt::<i64>("SELECT 1 FROM bench_rows LIMIT 1", params![])?.is_some())).await?;
    if is_filled {
        return Ok(());
    }
    for first in (0..count).step_by(BATCH as usize) {
        ctx.write(move |tx| {
            for n in first..count.min(first + BATCH) {
                let at = Timestamp::from_millis(EPOCH_MS + i64::from(n));
                let (title, body) = (format!("Row {n}"), TEXT.repeat(3 + n as usize % 5));
                insert(tx, &Row { id: seeded_id(n), title, body, created_at: at, updated_at: at, version: 1 })?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// A UUIDv7 of the row's time, with the row's number where the random bits would be, as `benches/wrk/ids.lua` has it.
fn seeded_id(n: u32) -> Id<Row> {
    let time = u128::try_from(EPOCH_MS + i64::from(n)).unwrap_or(0);
    Id::from_uuid(uuid::Uuid::from_u128(time << 80 | 0x7 << 76 | 0x8 << 60 | u128::from(n)))
}
