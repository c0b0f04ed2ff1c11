//! A module as features are: a table, CRUD with versions, a list, an event with a subscriber, jobs, a schedule, a mail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kernel::http::{Body, Created, Etag, IfMatch, Json, List, NoContent, Operation, Path, Query};
use kernel::page::{CursorValue, KeyKind, Keyset, PageRequest, SortKey};
use kernel::{Ctx, Error, Id, Job, Module, Parts, Permission, Result, StoredEvent, Template, Timestamp, Tx};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use utoipa::ToSchema;

pub(crate) static AUDIT: Permission = Permission::new("notes:notes:audit", "Look at the notes of everybody.");

kernel::problems! {
    TITLE_TAKEN = Conflict, "title_taken", "Another note has this title.", "Choose another title.";
}

const MIGRATIONS: &[db::Migration] = db::migrations![(
    1,
    "notes",
    "CREATE TABLE notes (
        id {id} NOT NULL PRIMARY KEY,
        title {key:200} NOT NULL,
        body {text} NOT NULL,
        position {int} NOT NULL,
        version {int} NOT NULL,
        created_at {time} NOT NULL
    );
    CREATE UNIQUE INDEX notes_title ON notes (title);
    CREATE TABLE notes_marks (
        name {key:64} NOT NULL PRIMARY KEY,
        count {int} NOT NULL
    );"
)];

db::row! {
    /// A note.
    #[derive(Debug, Clone, Serialize, ToSchema)]
    #[schema(example = json!({
        "id": "019ab0b2-8f00-7000-8000-000000000001", "title": "Milk", "body": "Two litres", "position": 1, "version": 1,
        "created_at": "2026-11-22T12:00:00.000Z"
    }))]
    pub(crate) struct Note {
        /// The note.
        #[schema(value_type = uuid::Uuid)]
        pub(crate) id: Id<Note>,
        /// What it is about.
        pub(crate) title: String,
        /// What it says.
        pub(crate) body: String,
        /// Its place on the board.
        pub(crate) position: i64,
        /// Counts the changes.
        pub(crate) version: i64,
        /// When it was made.
        pub(crate) created_at: Timestamp,
    }
}

/// A note to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "Milk", "body": "Two litres"}))]
pub(crate) struct NewNote {
    /// What it is about.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// What it says.
    #[serde(default)]
    #[schema(max_length = 1_000_000)]
    body: String,
    /// Its place on the board.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1000)]
    position: i64,
    /// Anything nested; it is not kept.
    #[serde(rename = "extra")]
    #[schema(value_type = Option<Object>)]
    _extra: Option<serde_json::Value>,
}

/// What to change about a note.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "Oat milk"}))]
struct NotePatch {
    /// What it is about.
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
    /// What it says.
    #[schema(max_length = 1_000_000)]
    body: Option<String>,
}

/// Which notes to list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoteFilter {
    /// How many notes a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// Only notes at this place or behind it.
    #[schema(minimum = 0, maximum = 1000)]
    from_position: Option<i64>,
    /// The order: `id`, `title`, `position` or `created_at`, with a minus for descending.
    #[schema(max_length = 64)]
    sort: Option<String>,
}

const SORT_KEYS: &[SortKey] = &[
    SortKey { name: "id", column: "n.id", kind: KeyKind::Id },
    SortKey { name: "title", column: "n.title", kind: KeyKind::Text },
    SortKey { name: "position", column: "n.position", kind: KeyKind::Int },
    SortKey { name: "created_at", column: "n.created_at", kind: KeyKind::Int },
];

/// Some text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"text": "Hello"}))]
struct Text {
    /// The text.
    text: String,
}

kernel::event! {
    /// Somebody made a note.
    pub(crate) struct NoteCreated as "notes.note.created" {
        /// The note.
        #[schema(value_type = uuid::Uuid)]
        pub(crate) note_id: Id<Note>,
    }
}

/// Work that fails, hangs or succeeds, as the [`Switches`] of its node say.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) mark: String,
}

impl Job for Work {
    const KIND: &'static str = "notes.work";
}

#[derive(Debug, Serialize, Deserialize)]
struct Tick {}

impl Job for Tick {
    const KIND: &'static str = "notes.tick";
}

/// How this node's handlers behave, and signs they give.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    pub(crate) fails: AtomicBool,
    pub(crate) panics: AtomicBool,
    pub(crate) hangs: AtomicBool,
    pub(crate) deliveries_fail: AtomicU32,
    pub(crate) started: Notify,
    pub(crate) go_on: Notify,
}

pub(crate) struct Notes;

impl Module for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        parts
            .migrations(MIGRATIONS)
            .problems(PROBLEMS)
            .permissions(&[&AUDIT])
            .emits::<NoteCreated>()
            .state(|_| Ok(Arc::new(Switches::default())))
            .on("notes.note.created", remember_creation)
            .job(work)
            .job(|ctx: Ctx, _: Tick| async move { ctx.write(|tx| mark(tx, "tick")).await })
            .every("*/5 * * * *", Tick {})
            .template(Template {
                name: "notes/shared",
                locale: "en",
                subject: "A note for {{ name }}",
                text: "Hello {{ name }}\n.\nRead it.",
                html: "<p>Hello {{ name }}</p>",
                sample: r#"{"name": "Ada"}"#,
            })
            .routes(operations());
    }
}

fn operations() -> Vec<Operation> {
    let all = "Everybody may.";
    vec![
        Operation::post("/api/v1/notes", "createNote", create)
            .tag("Notes")
            .summary("Make a note")
            .describe(all)
            .raises(&[&TITLE_TAKEN])
            .public(),
        Operation::get("/api/v1/notes", "listNotes", list)
            .tag("Notes")
            .summary("List notes")
            .describe(all)
            .raises(&[&kernel::error::CURSOR_INVALID, &kernel::error::SORT_NOT_SUPPORTED])
            .public(),
        Operation::get("/api/v1/notes/{id}", "getNote", get).tag("Notes").summary("Read a note").describe(all).public(),
        Operation::patch("/api/v1/notes/{id}", "updateNote", update)
            .tag("Notes")
            .summary("Change a note")
            .describe(all)
            .raises(&[&TITLE_TAKEN])
            .public(),
        Operation::delete("/api/v1/notes/{id}", "deleteNote", delete).tag("Notes").summary("Delete a note").describe(all).public(),
        Operation::get("/api/v1/note-audits", "listNoteAudits", audits)
            .tag("Notes")
            .summary("Look at the notes of everybody")
            .describe("For auditors.")
            .requires(&AUDIT),
        Operation::get("/api/v1/note-owner", "getNoteOwner", owner)
            .tag("Notes")
            .summary("Who am I")
            .describe("Needs a login.")
            .authenticated(),
        Operation::post("/api/v1/note-logins", "createNoteLogin", login)
            .tag("Notes")
            .summary("As a login would be")
            .describe(all)
            .starts_session()
            .answers_secrets()
            .ignores_credential()
            .without_idempotency_key()
            .public(),
        Operation::get("/api/v1/note-panic", "getNotePanic", panic).tag("Notes").summary("Panics").describe(all).public(),
        Operation::get("/api/v1/note-wait", "getNoteWait", wait).tag("Notes").summary("Waits").describe(all).public(),
        Operation::post("/api/v1/note-waits", "createNoteWait", wait_to_make)
            .tag("Notes")
            .summary("Waits, then writes")
            .describe(all)
            .public(),
        Operation::get("/api/v1/note-text", "getNoteText", long).tag("Notes").summary("A long text").describe(all).public(),
        Operation::get("/api/v1/note-secret", "getNoteSecret", long)
            .tag("Notes")
            .summary("A long secret text")
            .describe(all)
            .answers_secrets()
            .public(),
    ]
}

fn is_title_taken(error: db::Error) -> Error {
    if error.is_unique("notes_title") { TITLE_TAKEN.on("/title") } else { error.into() }
}

async fn create(ctx: Ctx, Body(new): Body<NewNote>) -> Result<Etag<Created<Note>>> {
    let note = Note { id: ctx.new_id(), title: new.title, body: new.body, position: new.position, version: 1, created_at: ctx.now() };
    let row = note.clone();
    ctx.write(move |tx| insert(tx, &row)).await?;
    Ok(Etag { version: 1, answer: Created { location: format!("/api/v1/notes/{}", note.id), body: note } })
}

pub(crate) fn insert(tx: &mut Tx<'_, '_>, note: &Note) -> Result<()> {
    tx.execute(
        "INSERT INTO notes (id, title, body, position, version, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        db::params![note.id, note.title, note.body, note.position, note.version, note.created_at],
    )
    .map_err(is_title_taken)?;
    tx.record(&NoteCreated { note_id: note.id })
}

fn find(c: &mut db::Conn, id: Id<Note>) -> Result<Note, db::Error> {
    c.one("SELECT id, title, body, position, version, created_at FROM notes WHERE id = ?", db::params![id])
}

fn find_to_change(tx: &mut db::Tx<'_>, id: Id<Note>) -> Result<Note, db::Error> {
    tx.one("SELECT id, title, body, position, version, created_at FROM notes WHERE id = ? {for_update}", db::params![id])
}

async fn get(ctx: Ctx, Path(id): Path<Id<Note>>) -> Result<Etag<Json<Note>>> {
    let note = ctx.read(move |c| Ok(find(c, id)?)).await?;
    Ok(Etag { version: note.version, answer: Json(note) })
}

async fn update(ctx: Ctx, Path(id): Path<Id<Note>>, if_match: IfMatch, Body(patch): Body<NotePatch>) -> Result<Etag<Json<Note>>> {
    let note = ctx
        .write(move |tx| {
            // The row is locked: without a precondition every writer's change counts, one after the other.
            let mut note = find_to_change(tx, id)?;
            let expected = if_match.expected(note.version)?;
            note.title = patch.title.clone().unwrap_or(note.title);
            note.body = patch.body.clone().unwrap_or(note.body);
            let changed = tx
                .execute(
                    "UPDATE notes SET title = ?, body = ?, version = version + 1 WHERE id = ? AND version = ?",
                    db::params![note.title, note.body, id, expected.unwrap_or(note.version)],
                )
                .map_err(is_title_taken)?;
            if changed == 0 {
                return Err(kernel::error::VERSION_CONFLICT.error());
            }
            note.version += 1;
            Ok(note)
        })
        .await?;
    Ok(Etag { version: note.version, answer: Json(note) })
}

async fn delete(ctx: Ctx, Path(id): Path<Id<Note>>, if_match: IfMatch) -> Result<NoContent> {
    ctx.write(move |tx| {
        if_match.expected(find(tx, id)?.version)?;
        tx.execute("DELETE FROM notes WHERE id = ?", db::params![id])?;
        Ok(())
    })
    .await?;
    Ok(NoContent)
}

async fn list(ctx: Ctx, Query(filter): Query<NoteFilter>) -> Result<List<Note>> {
    let request = PageRequest::new(filter.limit, filter.cursor);
    let from = filter.from_position.unwrap_or(0);
    let keyset = Keyset::parse(&ctx, SORT_KEYS, "id", filter.sort.as_deref(), "listNotes", &from.to_string(), &request)?;
    let keyset = keyset.with_id_column("n.id");
    let place = keyset.clone();
    let rows = ctx.read(move |c| Ok(page(c, from, &place)?)).await?;
    let keys_of = |note: &Note| match keyset.key() {
        "title" => (CursorValue::Text(note.title.clone()), note.id.uuid()),
        "position" => (CursorValue::Int(note.position), note.id.uuid()),
        _ => (CursorValue::Int(note.created_at.as_millis()), note.id.uuid()),
    };
    Ok(List(keyset.page(&ctx, rows, keys_of)))
}

fn page(c: &mut db::Conn, from: i64, keyset: &Keyset) -> Result<Vec<Note>, db::Error> {
    let columns = "SELECT n.id, n.title, n.body, n.position, n.version, n.created_at FROM notes n";
    let (condition, values) = keyset.condition();
    let sql = format!("{columns} WHERE n.position >= ? AND {condition} ORDER BY {} LIMIT {}", keyset.order_by(), keyset.limit());
    c.all(sql, &[db::params![from], values.as_slice()].concat())
}

async fn audits(_: Ctx) -> Result<Json<Text>> {
    Ok(Json(Text { text: "all is well".to_owned() }))
}

async fn owner(ctx: Ctx) -> Result<Json<Text>> {
    Ok(Json(Text { text: ctx.actor.user_id()?.to_string() }))
}

async fn login(_: Ctx) -> Result<Json<Text>> {
    Ok(Json(Text { text: "a session".to_owned() }))
}

async fn panic(_: Ctx) -> Result<Json<Text>> {
    panic!("the secret of the pharaoh")
}

async fn wait(ctx: Ctx) -> Result<Json<Text>> {
    let switches = ctx.state::<Arc<Switches>>().clone();
    switches.started.notify_one();
    switches.go_on.notified().await;
    Ok(Json(Text { text: "done".to_owned() }))
}

async fn wait_to_make(ctx: Ctx, Body(new): Body<NewNote>) -> Result<Etag<Created<Note>>> {
    wait(ctx.clone()).await?;
    create(ctx, Body(new)).await
}

async fn long(_: Ctx) -> Result<Json<Text>> {
    Ok(Json(Text { text: "All work and no play makes Jack a dull boy. ".repeat(100) }))
}

/// Counts one more of something; the count is how a test sees what ran.
fn mark(tx: &mut Tx<'_, '_>, name: &str) -> Result<()> {
    tx.insert_ignore("INSERT INTO notes_marks (name, count) VALUES (?, 0)", db::params![name])?;
    tx.execute("UPDATE notes_marks SET count = count + 1 WHERE name = ?", db::params![name])?;
    Ok(())
}

/// How often something was marked.
pub(crate) async fn marks(app: &testkit::TestApp, name: &'static str) -> i64 {
    let read = move |c: &mut db::Conn| c.opt::<i64>("SELECT count FROM notes_marks WHERE name = ?", db::params![name]);
    app.kernel().db().read(read).await.expect("marks can be read").unwrap_or(0)
}

async fn remember_creation(ctx: Ctx, event: StoredEvent) -> Result<()> {
    #[derive(Deserialize)]
    struct Created {
        note_id: Id<Note>,
    }
    let switches = ctx.state::<Arc<Switches>>();
    if switches.deliveries_fail.load(Ordering::Relaxed) > 0 {
        switches.deliveries_fail.fetch_sub(1, Ordering::Relaxed);
        return Err(Error::internal("the subscriber is not well"));
    }
    let name = event.read::<Created>()?.note_id.to_string();
    ctx.write(move |tx| {
        mark(tx, &name)?;
        mark(tx, "delivered")
    })
    .await
}

async fn work(ctx: Ctx, job: Work) -> Result<()> {
    let switches = ctx.state::<Arc<Switches>>();
    if switches.hangs.load(Ordering::Relaxed) {
        switches.started.notify_one();
        std::future::pending::<()>().await;
    }
    assert!(!switches.panics.load(Ordering::Relaxed), "the work panics");
    if switches.fails.load(Ordering::Relaxed) {
        return Err(Error::internal("no strength left"));
    }
    ctx.write(move |tx| mark(tx, &job.mark)).await
}
