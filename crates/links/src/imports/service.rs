//! The verbs of imports and exports.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kernel::error::{INVALID_STATE, MALFORMED_REQUEST, NOT_FOUND};
use kernel::{AuditEntry, Ctx, Error, Id, Job, Result, Tx, UserId};
use serde::{Deserialize, Serialize};

use crate::RUN_IMPORTS;
use crate::domains::{Domain, Domains};
use crate::events::{ImportFinished, LinkDisabled};
use crate::imports::csv::{self, NotATable, Row, Wanted};
use crate::imports::store::Problem;
use crate::imports::{Import, OnConflict, Report, store};
use crate::links::service::{self as links, Creation, Options};
use crate::links::store::{After, Filter, Sort, SortKey};
use crate::links::{self as link, LinkStatus, PasswordChange, tags};
use crate::problems::SLUG_TAKEN;
use crate::settings::LinkSettings;
use crate::slugs::{MAX_CHARS, Slug};
use crate::threads::off_worker;

/// Rows of one transaction.
const BATCH: u32 = 100;
/// Rows that one transaction receives.
const RECEIVED: usize = 1_000;
/// The most rows of a file.
const MAX_ROWS: usize = 200_000;
/// Problems that an answer tells.
const TOLD: u32 = 1_000;
/// How many other slugs are tried for a row whose own is taken.
const RENAMES: usize = 20;
/// How long imports are kept.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Carries out an import that was received.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunImport {
    import_id: Id<Import>,
}

impl Job for RunImport {
    const KIND: &'static str = "links.import";
}

pub(crate) async fn run(ctx: Ctx, job: RunImport) -> Result<()> {
    match carry_out(&ctx, job.import_id).await {
        // It was forgotten meanwhile.
        Err(error) if error.is(&NOT_FOUND) => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// Forgets imports of long ago.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PurgeImports {}

impl Job for PurgeImports {
    const KIND: &'static str = "links.purge_imports";
}

pub(crate) async fn purge(ctx: Ctx, _job: PurgeImports) -> Result<()> {
    let before = ctx.now() - KEPT;
    ctx.write_in_batches(store::PURGE_BATCH, move |tx| Ok(store::purge(tx, before)?)).await
}

/// Stores the rows of a file and lets a job carry them out; slugs that occur twice are told before anything is written (LIM-2).
pub(crate) async fn receive(ctx: &Ctx, owner: UserId, file: Bytes, on_conflict: OnConflict, is_dry_run: bool) -> Result<Import> {
    ctx.actor.require(&RUN_IMPORTS)?;
    let domain = ctx.state::<Domains>().default_domain()?.clone();
    let sorted = off_worker("links-import", move || sorted_out(&file, &domain)).await?;
    let Sorted { rows, twice } = sorted.map_err(|NotATable(why)| MALFORMED_REQUEST.because(why))?;
    let import = Import {
        id: ctx.new_id(),
        owner,
        source: "csv".to_owned(),
        on_conflict,
        is_dry_run,
        status: "receiving".to_owned(),
        total: i64::try_from(rows.len() + twice.len()).unwrap_or(i64::MAX),
        position: 0,
        created_count: 0,
        updated_count: 0,
        skipped_count: 0,
        failed_count: i64::try_from(twice.len()).unwrap_or(0),
        created_at: ctx.now(),
        finished_at: None,
    };
    let (first, id) = (import.clone(), import.id);
    ctx.write(move |tx| {
        store::insert(tx, &first)?;
        Ok(store::insert_reports(tx, first.id, &twice)?)
    })
    .await?;
    for chunk in rows.chunks(RECEIVED) {
        let chunk = chunk.to_vec();
        ctx.write(move |tx| Ok(store::insert_rows(tx, id, &chunk)?)).await?;
    }
    ctx.write(move |tx| {
        store::set_status(tx, id, "receiving", "running")?;
        tx.audit(AuditEntry::ok("links.import.start", &format!("import:{id}")))?;
        tx.enqueue(&RunImport { import_id: id })
    })
    .await?;
    find(ctx, id).await
}

/// A row as it waits: its line, and its cells as JSON.
type StoredRow = (i64, String);

/// The rows as they are stored, and reports of those whose slug stands further up already.
struct Sorted {
    rows: Vec<StoredRow>,
    twice: Vec<Report>,
}

fn sorted_out(file: &[u8], domain: &Domain) -> Result<Sorted, NotATable> {
    let (mut seen, mut sorted) = (HashSet::new(), Sorted { rows: Vec::new(), twice: Vec::new() });
    csv::each_row(file, |line, row| {
        if sorted.rows.len() + sorted.twice.len() >= MAX_ROWS {
            return Err(NotATable(format!("At most {MAX_ROWS} rows at once; split the file.")));
        }
        if row.slug().is_some_and(|slug| !seen.insert(domain.key(slug))) {
            let (code, pointer) = (Some(SLUG_TAKEN.code.to_owned()), Some("/slug".to_owned()));
            sorted.twice.push(Report { line, outcome: "failed", code, pointer, link_id: None });
            return Ok(());
        }
        let cells = serde_json::to_string(&row).map_err(|error| NotATable(error.to_string()))?;
        sorted.rows.push((line, cells));
        Ok(())
    })?;
    Ok(sorted)
}

async fn find(ctx: &Ctx, id: Id<Import>) -> Result<Import> {
    ctx.read(move |c| store::find(c, id)?.ok_or_else(|| NOT_FOUND.error())).await
}

/// An import of one's own.
pub(crate) async fn get(ctx: &Ctx, id: Id<Import>) -> Result<Import> {
    let import = find(ctx, id).await?;
    let is_own = ctx.actor.maybe_user_id().is_none_or(|user| user == import.owner);
    if is_own { Ok(import) } else { Err(NOT_FOUND.error()) }
}

/// The rows that did not go as wished, the first thousand.
pub(crate) async fn problems(ctx: &Ctx, id: Id<Import>) -> Result<Vec<Problem>> {
    ctx.read(move |c| Ok(store::reports(c, id, TOLD)?)).await
}

/// Carries out what is left of an import, in transactions of a hundred rows; can be broken off and begun again anywhere.
pub(crate) async fn carry_out(ctx: &Ctx, id: Id<Import>) -> Result<Import> {
    loop {
        let import = find(ctx, id).await?;
        match import.status.as_str() {
            "done" => return Ok(import),
            "running" => {}
            _ => return Err(INVALID_STATE.because("The file of the import was not received whole; send it again.")),
        }
        let rows = ctx.read_long(move |c| Ok(store::next_rows(c, id, BATCH)?)).await?;
        let Some((last, _)) = rows.last() else {
            finish(ctx, id).await?;
            continue;
        };
        let last = *last;
        let reports = if import.is_dry_run { Some(rehearse(ctx, &import, rows.clone()).await?) } else { None };
        let context = ctx.clone();
        ctx.write(move |tx| {
            // Somebody else carries out the same import, such as the command line and its job: we look again at what is left.
            if store::position_locked(tx, id)? != Some(import.position) {
                return Ok(());
            }
            let done = match &reports {
                Some(reports) => reports.clone(),
                None => rows.iter().map(|row| carry_out_row(tx, &context, &import, row)).collect::<Result<_>>()?,
            };
            Ok(store::advance(tx, &import, &done, last)?)
        })
        .await?;
    }
}

/// What would come of these rows; everything is undone.
async fn rehearse(ctx: &Ctx, import: &Import, rows: Vec<StoredRow>) -> Result<Vec<Report>> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let (context, import, seen) = (ctx.clone(), import.clone(), found.clone());
    let undone = ctx.write(move |tx| -> Result<()> {
        let reports: Vec<Report> = rows.iter().map(|row| carry_out_row(tx, &context, &import, row)).collect::<Result<_>>()?;
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = reports;
        Err(INVALID_STATE.because("This was a rehearsal."))
    });
    match undone.await {
        Err(error) if error.is(&INVALID_STATE) => Ok(std::mem::take(&mut found.lock().unwrap_or_else(PoisonError::into_inner))),
        Err(error) => Err(error),
        Ok(()) => Err(Error::internal("a rehearsal was not undone")),
    }
}

async fn finish(ctx: &Ctx, id: Id<Import>) -> Result<()> {
    let now = ctx.now();
    ctx.write(move |tx| {
        if !store::finish(tx, id, now)? {
            return Ok(());
        }
        let done = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        tx.record(&ImportFinished {
            import_id: id.uuid(),
            created_count: done.created_count,
            updated_count: done.updated_count,
            skipped_count: done.skipped_count,
            failed_count: done.failed_count,
        })
    })
    .await
}

/// Makes, changes or leaves out one link. A refusal has written nothing; any other error is the database's and ends the batch.
fn carry_out_row(tx: &mut Tx<'_, '_>, ctx: &Ctx, import: &Import, (line, data): &StoredRow) -> Result<Report> {
    let row: Row = serde_json::from_str(data).map_err(Error::internal)?;
    let domain = ctx.state::<Domains>().default_domain()?.clone();
    let default_status = u16::try_from(ctx.settings::<LinkSettings>().default_status).unwrap_or(302);
    let report = |outcome, code: Option<&str>, pointer: Option<&str>, link_id| Report {
        line: *line,
        outcome,
        code: code.map(str::to_owned),
        pointer: pointer.map(str::to_owned),
        link_id,
    };
    let wanted = match row.wanted(domain.is_case_sensitive, default_status) {
        Ok(wanted) => wanted,
        Err(field) => return Ok(report("failed", Some(&field.code), pointer_of(&field.location).as_deref(), None)),
    };
    let outcome = put(tx, ctx, import, &wanted, &domain);
    match outcome {
        Ok((outcome, code, link)) => {
            // A new link has been named before it was made.
            if let Some(id) = link.filter(|_| outcome != "created") {
                store::put_ref(tx, import.owner, &import.source, &wanted.foreign_id, id)?;
            }
            Ok(report(outcome, code, code.map(|_| "/slug"), link))
        }
        Err(error) if is_refusal(&error) => {
            let field = error.fields().first();
            let pointer = field.and_then(|field| pointer_of(&field.location));
            Ok(report("failed", Some(field.map_or(error.code(), |field| &field.code)), pointer.as_deref(), None))
        }
        Err(error) => Err(error),
    }
}

fn pointer_of(location: &kernel::error::Location) -> Option<String> {
    match location {
        kernel::error::Location::Pointer(pointer) => Some(pointer.to_string()),
        _ => None,
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), kernel::Kind::Invalid | kernel::Kind::Conflict) && error.causes().is_none()
}

type Put = (&'static str, Option<&'static str>, Option<Id<link::Link>>);

/// How often a row is looked at again because somebody else took its slug or its name between the look and the insert.
const LOOKS: usize = 3;

fn put(tx: &mut Tx<'_, '_>, ctx: &Ctx, import: &Import, wanted: &Wanted, domain: &Domain) -> Result<Put> {
    for _ in 0..LOOKS {
        if let Some(put) = put_once(tx, ctx, import, wanted, domain)? {
            return Ok(put);
        }
    }
    Err(SLUG_TAKEN.on("/slug"))
}

/// What became of the row; none when what was seen was no longer true.
fn put_once(tx: &mut Tx<'_, '_>, ctx: &Ctx, import: &Import, wanted: &Wanted, domain: &Domain) -> Result<Option<Put>> {
    let named = store::find_ref(tx, import.owner, &import.source, &wanted.foreign_id)?;
    let known = match named {
        Some(id) => link::store::find_locked(tx, id)?,
        None => None,
    };
    let holder = match &wanted.draft.slug {
        Some(slug) if known.is_none() => link::store::holder(tx, domain.id, &slug.key)?,
        _ => None,
    };
    match (known, holder, import.on_conflict) {
        (Some(known), _, OnConflict::Update) => update(tx, ctx, known, wanted).map(Some),
        (Some(known), ..) => Ok(Some(("skipped", None, Some(known.id)))),
        (None, Some(holder), OnConflict::Update) if holder.owner == import.owner && holder.deleted_at.is_none() => {
            match link::store::find_locked(tx, holder.id)?.filter(|locked| locked.slug_key == holder.slug_key) {
                Some(holder) => update(tx, ctx, holder, wanted).map(Some),
                None => Ok(None),
            }
        }
        (None, Some(_), OnConflict::Update) => Err(SLUG_TAKEN.on("/slug")),
        (None, Some(_), OnConflict::Skip) => Ok(Some(("skipped", Some(SLUG_TAKEN.code), None))),
        (None, Some(_), OnConflict::Rename) => {
            let slug = free_slug(tx, domain, wanted)?;
            make(tx, ctx, import, &Wanted { draft: link::Draft { slug, ..wanted.draft.clone() }, ..wanted.clone() }, named)
        }
        (None, None, _) => make(tx, ctx, import, wanted, named),
    }
}

fn update(tx: &mut Tx<'_, '_>, ctx: &Ctx, link: link::LinkRecord, wanted: &Wanted) -> Result<Put> {
    let id = link.id;
    let tags = tags::of_links(tx, &[id])?.remove(&id).unwrap_or_default();
    let mut draft = link::Draft { slug: None, ..wanted.draft.clone() };
    draft.tags.sort_by_key(|tag| tags::key_of(tag));
    let present = links::draft_of(&link, &tags)?;
    // Importing the same file again is no change.
    if format!("{present:?}") == format!("{draft:?}") {
        return Ok(("skipped", None, Some(id)));
    }
    links::save(tx, ctx, link, &draft, &PasswordChange::Keep)?;
    Ok(("updated", None, Some(id)))
}

/// Makes the link of a row, which was named `before` until now; none when another import or another writer was faster.
fn make(tx: &mut Tx<'_, '_>, ctx: &Ctx, import: &Import, wanted: &Wanted, before: Option<Id<link::Link>>) -> Result<Option<Put>> {
    let creation = Creation::new(ctx, import.owner, wanted.draft.clone(), Options::default())?;
    let (name, id) = ((import.owner, import.source.as_str(), wanted.foreign_id.as_str()), creation.id());
    // The name first: of two imports of one file, the second waits here, and then finds what the first has made.
    if !store::claim_ref(tx, name, before, id)? {
        return Ok(None);
    }
    let link = match links::create_in(tx, ctx, &creation) {
        Ok((made, _)) => made.link,
        Err(error) if is_refusal(&error) => {
            store::drop_ref(tx, name, id)?;
            return if error.is(&SLUG_TAKEN) { Ok(None) } else { Err(error) };
        }
        Err(error) => return Err(error),
    };
    if wanted.is_disabled {
        link::store::set_status(tx, &link, LinkStatus::Disabled, ctx.now())?;
        tx.record(&LinkDisabled { link_id: link.id.uuid(), version: link.version + 1, domain_id: link.domain_id.uuid(), slug: link.slug })?;
    }
    Ok(Some(("created", None, Some(id))))
}

/// The slug with a number behind it that nobody has; a random one when all of them are taken.
fn free_slug(tx: &mut Tx<'_, '_>, domain: &Domain, wanted: &Wanted) -> Result<Option<Slug>> {
    let Some(slug) = &wanted.draft.slug else { return Ok(None) };
    let base: String = slug.shown.chars().take(MAX_CHARS - 3).collect();
    for n in 2..RENAMES + 2 {
        if let Ok(slug) = Slug::parse(&format!("{base}-{n}"), domain.is_case_sensitive)
            && link::store::holder(tx, domain.id, &slug.key)?.is_none()
        {
            return Ok(Some(slug));
        }
    }
    Ok(None)
}

/// Links of one page of an export.
const PAGE: u32 = 500;

/// The next lines of an export in the order of slugs, and after what to go on; nothing at the end. Without an owner, everybody's.
pub(crate) async fn export_page(ctx: &Ctx, owner: Option<UserId>, after: Option<After>) -> Result<(Vec<u8>, Option<After>)> {
    let filter = Filter { owner, ..Filter::default() };
    let sort = Sort { key: SortKey::Slug, is_descending: false };
    ctx.read_long(move |c| {
        let links = link::store::list(c, &filter, sort, after.as_ref(), PAGE)?;
        let mut names = tags::of_links(c, &links.iter().map(|link| link.id).collect::<Vec<_>>())?;
        let is_last = links.len() < PAGE as usize;
        let next = links.last().filter(|_| !is_last).map(|last| After::Text(last.slug_key.clone(), last.id));
        let mut lines = Vec::new();
        for link in links {
            let tags = names.remove(&link.id).unwrap_or_default();
            lines.extend(csv::line_of(&link::Tagged { link, tags }));
        }
        Ok((lines, next))
    })
    .await
}
