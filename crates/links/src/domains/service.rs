//! The verbs of domains: so far, that the default one is there.

use kernel::{App, Ctx, Error, Finding, Result};
use url::Url;

use crate::domains::{Domain, Domains, base_url, store};
use crate::settings::{CasePolicy, LinkSettings};

/// Makes the default domain on the first start, and follows a changed host later.
pub(crate) async fn prepare(app: &App) -> Result<()> {
    let ctx = Ctx::system(app, "prepare-domains");
    let base = base_url(app);
    let host = Url::parse(&base).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or(base);
    let is_case_sensitive = app.settings::<LinkSettings>().case == CasePolicy::Sensitive;
    let new = Domain { id: ctx.new_id(), host, is_case_sensitive };
    let now = ctx.now();
    let domain = ctx
        .write(move |tx| {
            if store::find_default(tx)?.is_none() {
                store::insert_default(tx, &new, now)?;
            }
            let mut domain = store::find_default(tx)?.ok_or_else(|| Error::internal("the default domain of links is missing"))?;
            if domain.host != new.host {
                store::set_host(tx, domain.id, &new.host, now)?;
                domain.host.clone_from(&new.host);
            }
            Ok(domain)
        })
        .await?;
    app.state::<Domains>().set_default(domain);
    Ok(())
}

/// What `doctor` should know about the link host.
pub(crate) async fn findings(app: &App) -> Result<Vec<Finding>> {
    let (settings, default) = (app.settings::<LinkSettings>(), app.state::<Domains>().default_domain());
    let mut findings = Vec::new();
    if settings.host.is_empty() && app.is_production() {
        findings.push("Short links share the host with logins: give them one of their own with links.host, so that a hostile target cannot hide behind it (INV-L18).".to_owned());
    }
    if default.is_ok_and(|domain| domain.is_case_sensitive != (settings.case == CasePolicy::Sensitive)) {
        findings.push("links.case differs from what the database was made with, which stays in force: set it back.".to_owned());
    }
    let context = app.clone();
    let shadowed = app.db().read_long(move |c| Ok::<_, Error>(shadowed(c, &context)?)).await?;
    if let Some(slug) = shadowed {
        findings.push(format!("The link /{slug} is hidden by a route of the server: give it another slug (R-9)."));
    }
    Ok(findings.into_iter().map(|text| Finding { is_serious: false, text }).collect())
}

/// A link that a route hides since a module was switched on.
fn shadowed(c: &mut db::Conn, app: &App) -> Result<Option<String>, db::Error> {
    for segment in kernel::http::reserved_segments(app).into_iter().filter(|segment| !segment.is_empty()) {
        if let Some(slug) = store::first_below(c, segment)? {
            return Ok(Some(slug));
        }
    }
    Ok(None)
}
