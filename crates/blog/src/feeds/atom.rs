//! Atom 1.0 (RFC 4287).

use kernel::Result;

use crate::feeds::Feed;
use crate::feeds::xml::Xml;

pub(super) fn write(feed: &Feed) -> Result<Vec<u8>> {
    let mut xml = Xml::new("feed", &[("xmlns", "http://www.w3.org/2005/Atom"), ("xml:lang", &feed.language)])?;
    xml.text("id", &feed.id)?;
    xml.text("title", &feed.title)?;
    xml.text("subtitle", &feed.description)?;
    xml.text("updated", &feed.updated_at.to_string())?;
    xml.empty("link", &[("rel", "self"), ("type", "application/atom+xml"), ("href", &feed.feed_url)])?;
    xml.empty("link", &[("rel", "alternate"), ("type", "text/html"), ("href", &feed.home_url)])?;
    for item in &feed.items {
        xml.open("entry", &[("xml:lang", &item.language)])?;
        xml.text("id", &item.urn())?;
        xml.text_with("title", &[("type", "text")], &item.title)?;
        xml.empty("link", &[("rel", "alternate"), ("type", "text/html"), ("href", &item.url)])?;
        xml.text("published", &item.published_at.to_string())?;
        xml.text("updated", &item.updated_at.to_string())?;
        for (name, url) in &item.authors {
            xml.open("author", &[])?;
            xml.text("name", name)?;
            xml.text("uri", url)?;
            xml.close("author")?;
        }
        if item.authors.is_empty() {
            // An entry needs one; then it is the site.
            xml.open("author", &[])?;
            xml.text("name", &feed.title)?;
            xml.close("author")?;
        }
        for tag in &item.tags {
            xml.empty("category", &[("term", tag)])?;
        }
        xml.text_with("summary", &[("type", "text")], &item.excerpt)?;
        if let Some(html) = &item.html {
            xml.text_with("content", &[("type", "html")], html)?;
        }
        xml.close("entry")?;
    }
    xml.finish("feed")
}
