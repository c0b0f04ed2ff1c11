//! Short links for other modules.

use futures_util::future::BoxFuture;
use kernel::ports::Shortener;
use kernel::{Ctx, Error, Result};

use crate::domains;
use crate::links::service::{self, Options};
use crate::links::{Draft, IfExists, PasswordChange};
use crate::settings::LinkSettings;
use crate::targets::Target;

/// The port `Shortener`.
pub(crate) struct LinkShortener;

impl Shortener for LinkShortener {
    fn shorten<'a>(&'a self, ctx: &'a Ctx, url: &'a str, title: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let target = Target::from_body(url, "/url").map_err(|field| Error::invalid(vec![field]))?;
            let status = u16::try_from(ctx.settings::<LinkSettings>().default_status).unwrap_or(302);
            let draft = Draft { title: title.chars().take(255).collect(), ..Draft::to(target, status) };
            let options = Options { if_exists: Some(IfExists::Return), reuse: false };
            let (tagged, _) = service::make(ctx, draft, PasswordChange::Keep, options).await?;
            Ok(domains::short_url(&ctx.app, &tagged.link.slug))
        })
    }
}
