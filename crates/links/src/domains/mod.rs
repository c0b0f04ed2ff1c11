//! Domains: under which host links live. There is one so far, the default; the table is ready for more.

pub(crate) mod service;
pub(crate) mod store;

use std::sync::OnceLock;

use kernel::error::INTERNAL;
use kernel::{App, Id, Result};
use url::Url;

use crate::settings::LinkSettings;
use crate::slugs;

/// A host that serves short links.
#[derive(Clone, Debug)]
pub(crate) struct Domain {
    pub(crate) id: Id<Domain>,
    pub(crate) host: String,
    pub(crate) is_case_sensitive: bool,
}

impl Domain {
    /// The form under which the slugs of this domain are compared.
    pub(crate) fn key(&self, slug: &str) -> String {
        slugs::fold(slug, self.is_case_sensitive).into_owned()
    }
}

/// The domains this node knows; filled when the app starts.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    default: OnceLock<Domain>,
}

impl Domains {
    /// The domain of links that name none.
    pub(crate) fn default_domain(&self) -> Result<&Domain> {
        self.default.get().ok_or_else(|| INTERNAL.because("The module links has not started."))
    }

    pub(crate) fn set_default(&self, domain: Domain) {
        // A second start of one app finds the same row.
        let _ = self.default.set(domain);
    }
}

/// The address before the slug, without a trailing slash.
pub(crate) fn base_url(app: &App) -> String {
    let (public, host) = (app.public_url(), &app.settings::<LinkSettings>().host);
    if host.is_empty() {
        return public;
    }
    let scheme = if public.starts_with("https://") { "https" } else { "http" };
    format!("{scheme}://{host}")
}

/// The address that people type or click.
pub(crate) fn short_url(app: &App, slug: &str) -> String {
    let base = base_url(app);
    match Url::parse(&base) {
        Ok(mut url) => {
            if let Ok(mut parts) = url.path_segments_mut() {
                parts.pop_if_empty().extend(slug.split('/'));
            }
            url.into()
        }
        Err(_) => format!("{base}/{slug}"),
    }
}

/// Whether an address is served by us.
pub(crate) fn is_own(app: &App, target: &Url) -> bool {
    let is_same = |base: &str| {
        Url::parse(base).is_ok_and(|base| base.host() == target.host() && base.port_or_known_default() == target.port_or_known_default())
    };
    is_same(&base_url(app)) || is_same(&app.public_url())
}
