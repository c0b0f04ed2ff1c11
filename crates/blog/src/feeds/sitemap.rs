//! Sitemaps (sitemaps.org 0.9): an index of files.

use kernel::{Result, Timestamp};

use crate::feeds::xml::Xml;

const NAMESPACE: &str = "http://www.sitemaps.org/schemas/sitemap/0.9";

/// The index of files with these addresses.
pub(super) fn index(files: &[String]) -> Result<Vec<u8>> {
    let mut xml = Xml::new("sitemapindex", &[("xmlns", NAMESPACE)])?;
    for file in files {
        xml.open("sitemap", &[])?;
        xml.text("loc", file)?;
        xml.close("sitemap")?;
    }
    xml.finish("sitemapindex")
}

/// A file of pages, each with its last change.
pub(super) fn file(pages: &[(String, Timestamp)]) -> Result<Vec<u8>> {
    let mut xml = Xml::new("urlset", &[("xmlns", NAMESPACE)])?;
    for (url, updated_at) in pages {
        xml.open("url", &[])?;
        xml.text("loc", url)?;
        xml.text("lastmod", &updated_at.to_string())?;
        xml.close("url")?;
    }
    xml.finish("urlset")
}
