//! Writing XML: elements whose text can be anything that somebody typed.

use std::borrow::Cow;
use std::io;

use kernel::{Error, Result};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// An XML document in the making.
pub(crate) struct Xml(Writer<Vec<u8>>);

impl Xml {
    /// A document that begins with this element.
    pub(crate) fn new(root: &str, attributes: &[(&str, &str)]) -> Result<Xml> {
        let mut xml = Xml(Writer::new(Vec::with_capacity(16 * 1024)));
        xml.event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
        xml.open(root, attributes)?;
        Ok(xml)
    }

    fn event(&mut self, event: Event<'_>) -> Result<()> {
        self.0.write_event(event).map_err(|error: io::Error| Error::internal(error))
    }

    /// Begins an element.
    pub(crate) fn open(&mut self, name: &str, attributes: &[(&str, &str)]) -> Result<()> {
        self.event(Event::Start(start(name, attributes)))
    }

    /// Ends an element.
    pub(crate) fn close(&mut self, name: &str) -> Result<()> {
        self.event(Event::End(BytesEnd::new(name)))
    }

    /// An element with text.
    pub(crate) fn text(&mut self, name: &str, text: &str) -> Result<()> {
        self.text_with(name, &[], text)
    }

    /// An element with attributes and text.
    pub(crate) fn text_with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) -> Result<()> {
        self.open(name, attributes)?;
        self.event(Event::Text(BytesText::new(&allowed(text))))?;
        self.close(name)
    }

    /// An element without content.
    pub(crate) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) -> Result<()> {
        self.event(Event::Empty(start(name, attributes)))
    }

    /// Ends the document.
    pub(crate) fn finish(mut self, root: &str) -> Result<Vec<u8>> {
        self.close(root)?;
        Ok(self.0.into_inner())
    }
}

fn start(name: &str, attributes: &[(&str, &str)]) -> BytesStart<'static> {
    let mut start = BytesStart::new(name.to_owned());
    for (name, value) in attributes {
        start.push_attribute((*name, allowed(value).as_ref()));
    }
    start
}

/// The text without the characters that XML 1.0 has no place for, escaped or not.
fn allowed(text: &str) -> Cow<'_, str> {
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(is_allowed) { Cow::Borrowed(text) } else { Cow::Owned(text.chars().filter(|c| is_allowed(*c)).collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syn2_text_is_escaped_and_forbidden_characters_are_left_out() {
        let mut xml = Xml::new("a", &[("b", "1\"2<3\u{b}")]).unwrap();
        xml.text("c", "]]> & <x> \u{0}\u{8}\u{fffe}😀").unwrap();
        let text = String::from_utf8(xml.finish("a").unwrap()).unwrap();
        assert_eq!(text, "<?xml version=\"1.0\" encoding=\"utf-8\"?><a b=\"1&quot;2&lt;3\"><c>]]&gt; &amp; &lt;x&gt; 😀</c></a>");
    }
}
