//! The verbs of author profiles: create, list, update, delete, and the profile that a first post makes.

use db::OnViolation as _;
use kernel::error::{FORBIDDEN, NOT_FOUND};
use kernel::http::{IfMatch, version_conflict};
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Result, Tx, UserId};

use crate::authors::http::AuthorView;
use crate::authors::{Author, AuthorRecord, store};
use crate::events::{AuthorCreated, AuthorUpdated};
use crate::permissions::MANAGE_AUTHORS;
use crate::problems::{AUTHOR_IN_USE, SLUG_TAKEN};
use crate::slugs::Slug;

/// A profile to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewAuthor {
    pub(crate) user_id: Option<UserId>,
    pub(crate) slug: Slug,
    pub(crate) name: String,
    pub(crate) bio: String,
    pub(crate) website: Option<String>,
}

/// What to change about a profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuthorPatch {
    pub(crate) user_id: Option<Option<UserId>>,
    pub(crate) slug: Option<Slug>,
    pub(crate) name: Option<String>,
    pub(crate) bio: Option<String>,
    pub(crate) website: Option<Option<String>>,
}

const KEYS: &[SortKey] = &[
    SortKey { name: "slug", column: "slug", kind: KeyKind::Text },
    SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int },
];

fn record_of(ctx: &Ctx, new: NewAuthor) -> AuthorRecord {
    let now = ctx.now();
    AuthorRecord {
        id: ctx.new_id(),
        user_id: new.user_id,
        slug: new.slug.as_str().to_owned(),
        name: new.name,
        bio: new.bio,
        website: new.website,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

pub(crate) async fn create(ctx: &Ctx, new: NewAuthor) -> Result<AuthorRecord> {
    ctx.actor.require(&MANAGE_AUTHORS)?;
    let author = record_of(ctx, new);
    ctx.write(move |tx| {
        let inserted: Result<u64> = match store::insert(tx, &author) {
            Err(error) if error.is_unique("blog_authors_user") => Err(profile_taken()),
            other => other.on_unique("blog_authors_slug", || SLUG_TAKEN.on("/slug")),
        };
        inserted?;
        tx.record(&AuthorCreated { author_id: author.id.uuid(), author: AuthorView::of(author.clone()) })?;
        Ok(author.clone())
    })
    .await
}

fn profile_taken() -> Error {
    kernel::error::ALREADY_EXISTS.error().with_field(FieldError::body("/user_id", "not_unique", "This person has a profile already."))
}

pub(crate) async fn find(ctx: &Ctx, id: Id<Author>) -> Result<AuthorRecord> {
    ctx.read(move |c| store::find(c, id)?.ok_or_else(|| NOT_FOUND.error())).await
}

pub(crate) async fn list(ctx: &Ctx, sort: Option<&str>, request: PageRequest) -> Result<Page<AuthorRecord>> {
    let keyset = Keyset::parse(ctx, KEYS, "slug", sort, "listAuthors", "", &request)?;
    let rows = ctx.read({
        let keyset = keyset.clone();
        move |c| Ok(store::list(c, &keyset)?)
    });
    let rows = rows.await?;
    Ok(keyset.page(ctx, rows, |author| {
        let value = match keyset.key() {
            "created_at" => CursorValue::Int(author.created_at.as_millis()),
            _ => CursorValue::Text(author.slug.clone()),
        };
        (value, author.id.uuid())
    }))
}

/// Changes a profile: whoever manages them any, a person their own except for whose it is.
pub(crate) async fn update(ctx: &Ctx, id: Id<Author>, patch: AuthorPatch, if_match: IfMatch) -> Result<AuthorRecord> {
    let (now, caller, manages) = (ctx.now(), ctx.actor.user_id()?, ctx.actor.may(&MANAGE_AUTHORS));
    ctx.write(move |tx| {
        let mut author = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        if !manages && (author.user_id != Some(caller) || patch.user_id.is_some()) {
            return Err(FORBIDDEN.because(format!("This needs the permission {}.", MANAGE_AUTHORS.name)));
        }
        if_match.expected(author.version)?;
        let expected = author.version;
        author.user_id = patch.user_id.unwrap_or(author.user_id);
        author.slug = patch.slug.as_ref().map_or(author.slug, |slug| slug.as_str().to_owned());
        author.name = patch.name.clone().unwrap_or(author.name);
        author.bio = patch.bio.clone().unwrap_or(author.bio);
        author.website = patch.website.clone().unwrap_or(author.website);
        let updated: Result<bool> = match store::update(tx, &author, expected, now) {
            Err(error) if error.is_unique("blog_authors_user") => Err(profile_taken()),
            other => other.on_unique("blog_authors_slug", || SLUG_TAKEN.on("/slug")),
        };
        if !updated? {
            return Err(version_conflict(store::find(tx, id)?.ok_or(&NOT_FOUND)?.version));
        }
        (author.version, author.updated_at) = (expected + 1, now);
        tx.record(&AuthorUpdated { author_id: id.uuid(), author: AuthorView::of(author.clone()) })?;
        Ok(author)
    })
    .await
}

/// Deletes a profile that no post names.
pub(crate) async fn delete(ctx: &Ctx, id: Id<Author>, if_match: IfMatch) -> Result<()> {
    ctx.actor.require(&MANAGE_AUTHORS)?;
    ctx.write(move |tx| {
        let author = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(author.version)?;
        if !store::delete(tx, id, author.version).on_foreign_key(|| AUTHOR_IN_USE.error())? {
            return Err(version_conflict(store::find(tx, id)?.ok_or(&NOT_FOUND)?.version));
        }
        tx.audit(AuditEntry::ok("blog.author.delete", &format!("author:{id}")))
    })
    .await
}

/// The name that a person's own profile begins with.
pub(crate) async fn name_of(ctx: &Ctx, user: UserId) -> Result<String> {
    let Some(directory) = ctx.app.ports().directory() else {
        return Ok("Author".to_owned());
    };
    let people = directory.people(&ctx.app, &[user]).await?;
    Ok(people.into_iter().next().map_or_else(|| "Author".to_owned(), |person| person.display_name))
}

/// What a first post needs to make its writer's profile; made before the transaction.
#[derive(Clone, Debug)]
pub(crate) struct OwnProfile(AuthorRecord);

impl OwnProfile {
    /// The profile that this person would get.
    pub(crate) async fn of(ctx: &Ctx, user: UserId) -> Result<OwnProfile> {
        let name = name_of(ctx, user).await?;
        let slug = Slug::from_text(&name, "author");
        Ok(OwnProfile(record_of(ctx, NewAuthor { user_id: Some(user), slug, name, bio: String::new(), website: None })))
    }

    /// The person's profile, made now if there is none.
    pub(crate) fn ensure(&self, tx: &mut Tx<'_, '_>) -> Result<Id<Author>> {
        let Some(user) = self.0.user_id else { return Ok(self.0.id) };
        let slug = Slug::from_text(&self.0.name, "author");
        for number in 1.. {
            if let Some(id) = store::id_of_user(tx, user)? {
                return Ok(id);
            }
            let author = AuthorRecord { slug: slug.numbered(number).as_str().to_owned(), ..self.0.clone() };
            if store::insert_own(tx, &author)? {
                tx.record(&AuthorCreated { author_id: author.id.uuid(), author: AuthorView::of(author) })?;
                break;
            }
        }
        Ok(self.0.id)
    }
}
