//! The verbs of mail texts: list, read, try, change, take back.

use db::OnViolation as _;

use super::{Edit, MAX_TEXTS, MailText, MailTextChanged, load, store};
use crate::audit::AuditEntry;
use crate::ctx::Ctx;
use crate::error::{Error, FieldError, NOT_FOUND, QUOTA_EXCEEDED, Result};
use crate::http::{IfMatch, version_conflict};
use crate::templates::{Flaw, RenderedMail, Sources};

/// The longest name of a language in characters.
const MAX_LOCALE_CHARS: usize = 35;

/// Every mail in every language that there is, by name.
pub(crate) async fn list(ctx: &Ctx) -> Result<Vec<MailText>> {
    let mut texts = ctx.read(|c| Ok(store::all(c)?)).await?;
    // What a module declared once and does not any more is nobody's mail.
    texts.retain(|text| ctx.app.templates().sample(&text.template).is_some());
    let is_edited = |template: &str, locale: &str| texts.iter().any(|text| text.template == template && text.locale == locale);
    let built_in: Vec<MailText> = ctx
        .app
        .templates()
        .built_in()
        .filter(|(template, locale, _)| !is_edited(template, locale))
        .map(|(template, locale, sources)| MailText {
            template: template.to_owned(),
            locale: locale.to_owned(),
            sources: sources.clone(),
            edit: None,
        })
        .collect();
    texts.extend(built_in);
    texts.sort_by(|a, b| (&a.template, &a.locale).cmp(&(&b.template, &b.locale)));
    Ok(texts)
}

/// One mail in one language; without a text of its own, the one that is sent instead.
pub(crate) async fn find(ctx: &Ctx, template: String, locale: String) -> Result<MailText> {
    check_names(ctx, &template, &locale)?;
    let (name, language) = (template.clone(), locale.clone());
    if let Some(text) = ctx.read(move |c| Ok(store::find(c, &name, &language)?)).await? {
        return Ok(text);
    }
    let sources = ctx.app.templates().standing_in(&template, &locale).ok_or(&NOT_FOUND)?.clone();
    Ok(MailText { template, locale, sources, edit: None })
}

/// The mail as these texts would make it of the sample; nothing is kept.
pub(crate) fn preview(ctx: &Ctx, template: &str, sources: &Sources) -> Result<RenderedMail> {
    if ctx.app.templates().sample(template).is_none() {
        return Err(NOT_FOUND.error());
    }
    ctx.app.templates().try_out(template, sources).map_err(|flaws| refusal(&flaws))
}

/// Puts these texts in the place of what was sent before, on every node within seconds.
pub(crate) async fn put(ctx: &Ctx, text: MailText, if_match: IfMatch) -> Result<MailText> {
    check_names(ctx, &text.template, &text.locale)?;
    preview(ctx, &text.template, &text.sources)?;
    let (now, by) = (ctx.now(), ctx.actor.maybe_user_id());
    let changed = ctx
        .write(move |tx| {
            let current = store::lock(tx, &text.template, &text.locale)?;
            if_match.expected(current.unwrap_or(0))?;
            let edit = Edit { version: current.unwrap_or(0) + 1, changed_at: now, changed_by: by };
            match current {
                Some(_) => store::update(tx, &text, edit)?,
                None if store::count(tx)? >= MAX_TEXTS => {
                    return Err(QUOTA_EXCEEDED.because(format!("There are {MAX_TEXTS} changed texts already; take some back first.")));
                }
                None => store::insert(tx, &text, edit).on_unique("platform_mail_texts_pkey", || version_conflict(1))?,
            }
            tx.record(&MailTextChanged { template: text.template.clone(), locale: text.locale.clone() })?;
            tx.audit(AuditEntry::ok("platform.mail_text.update", &subject(&text.template, &text.locale)))?;
            Ok(MailText { edit: Some(edit), ..text.clone() })
        })
        .await?;
    load(&ctx.app).await?;
    Ok(changed)
}

/// Goes back to the built-in text.
pub(crate) async fn take_back(ctx: &Ctx, template: String, locale: String, if_match: IfMatch) -> Result<()> {
    ctx.write(move |tx| {
        let current = store::lock(tx, &template, &locale)?.ok_or(&NOT_FOUND)?;
        if_match.expected(current)?;
        store::delete(tx, &template, &locale)?;
        tx.record(&MailTextChanged { template: template.clone(), locale: locale.clone() })?;
        tx.audit(AuditEntry::ok("platform.mail_text.delete", &subject(&template, &locale)))
    })
    .await?;
    load(&ctx.app).await
}

fn subject(template: &str, locale: &str) -> String {
    format!("mail_text:{template}/{locale}")
}

/// A mail that some module declares, in what may be a language.
fn check_names(ctx: &Ctx, template: &str, locale: &str) -> Result<()> {
    let is_part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let mut parts = locale.split('-');
    let is_language = |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_locale = locale.len() <= MAX_LOCALE_CHARS && parts.next().is_some_and(is_language) && parts.all(is_part);
    if is_locale && ctx.app.templates().sample(template).is_some() { Ok(()) } else { Err(NOT_FOUND.error()) }
}

fn refusal(flaws: &[Flaw]) -> Error {
    Error::invalid(flaws.iter().map(|flaw| FieldError::body(format!("/{}", flaw.part), flaw.code, flaw.detail.clone())).collect())
}
