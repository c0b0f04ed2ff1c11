//! The verbs of those who look after people: find, change, start a reset, see and end logins.

use kernel::error::{INVALID_STATE, NOT_FOUND};
use kernel::http::IfMatch;
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{Ctx, Id, Result, Session, UserId};

use crate::passwords;
use crate::roles;
use crate::secrets::Token;
use crate::sessions::{self, SessionRecord};
use crate::users::service::ProfilePatch;
use crate::users::store::{self, Narrowed};
use crate::users::{UserRecord, UserStatus};

const SORT_KEYS: &[SortKey] = &[
    SortKey { name: "created_at", column: "u.created_at", kind: KeyKind::Int },
    SortKey { name: "email", column: "e.email_norm", kind: KeyKind::Text },
];

/// Which people to list, as the caller says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserFilter {
    pub(crate) text: Option<String>,
    pub(crate) status: Option<UserStatus>,
    pub(crate) role: Option<String>,
    pub(crate) sort: Option<String>,
}

/// A person with the names of their roles.
pub(crate) type WithRoles = (UserRecord, Vec<String>);

/// One page of the people with an account.
pub(crate) async fn list(ctx: &Ctx, filter: UserFilter, request: PageRequest) -> Result<Page<WithRoles>> {
    let narrowed_by = serde_json::json!([filter.text, filter.status, filter.role]).to_string();
    let keyset =
        Keyset::parse(ctx, SORT_KEYS, "-created_at", filter.sort.as_deref(), "listUsers", &narrowed_by, &request)?.with_id_column("u.id");
    let (place, is_search) = (keyset.clone(), filter.text.is_some());
    let read = move |c: &mut db::Conn| {
        let role = match &filter.role {
            Some(name) => match roles::store::id_by_name(c, name)? {
                Some(id) => Some(id),
                None => return Ok(Vec::new()),
            },
            None => None,
        };
        let narrowed = Narrowed { text: filter.text.as_deref().map(str::to_lowercase), status: filter.status, role };
        let users = store::search(c, &narrowed, &place)?;
        Ok(with_roles(c, users)?)
    };
    // Looking for a piece of text walks through everybody; everything else is answered by an index.
    let people = if is_search { ctx.read_long(read).await? } else { ctx.read(read).await? };
    let is_by_email = keyset.key() == "email";
    Ok(keyset.page(ctx, people, |(user, _)| {
        let value = if is_by_email { CursorValue::Text(user.email_norm.clone()) } else { CursorValue::Int(user.created_at.as_millis()) };
        (value, user.id.uuid())
    }))
}

fn with_roles(c: &mut db::Conn, users: Vec<UserRecord>) -> Result<Vec<WithRoles>, db::Error> {
    let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
    let names = roles::store::names_for(c, &ids)?;
    let of = |id: UserId| names.iter().filter(|(user, _)| *user == id).map(|(_, name)| name.clone()).collect();
    Ok(users
        .into_iter()
        .map(|user| {
            let roles = of(user.id);
            (user, roles)
        })
        .collect())
}

pub(crate) async fn find(ctx: &Ctx, id: UserId) -> Result<WithRoles> {
    ctx.read(move |c| Ok((store::find(c, id)?.ok_or(&NOT_FOUND)?, roles::store::names_of(c, id)?))).await
}

pub(crate) async fn update(ctx: &Ctx, id: UserId, patch: ProfilePatch, if_match: IfMatch) -> Result<WithRoles> {
    super::service::update(ctx, id, patch, if_match).await
}

/// Mails the person a link to set a new password; nobody sees or sets it for them (PWD-11).
pub(crate) async fn send_password_reset(ctx: &Ctx, id: UserId) -> Result<()> {
    let (token, context) = (Token::generate(ctx.app.random()), ctx.clone());
    ctx.write(move |tx| {
        let user = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        roles::service::require_may_act_on(tx, &context, id)?;
        if user.status != UserStatus::Active {
            return Err(INVALID_STATE.because("The account is locked; a locked account gets no mail."));
        }
        passwords::service::mail_reset(tx, &context, &user, &token)
    })
    .await
}

/// One page of a person's live logins, newest first.
pub(crate) async fn sessions(ctx: &Ctx, id: UserId, request: PageRequest) -> Result<Page<SessionRecord>> {
    find(ctx, id).await?;
    sessions::service::list_of(ctx, id, "listUserSessions", request).await
}

/// Ends one login of a person.
pub(crate) async fn revoke_session(ctx: &Ctx, id: UserId, session: Id<Session>) -> Result<()> {
    sessions::service::revoke_of(ctx, id, session).await
}

/// Ends every login of a person; tells how many.
pub(crate) async fn revoke_sessions(ctx: &Ctx, id: UserId) -> Result<u64> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        roles::service::require_may_act_on(tx, &context, id)?;
        sessions::service::revoke_all(tx, &context, id, None)
    })
    .await
}
