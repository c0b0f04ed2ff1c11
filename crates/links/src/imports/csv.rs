//! Links as rows of CSV: what is read from other programs, and what we write so that it comes back the same (LIM-4). Pure.

use std::collections::HashMap;

use kernel::{FieldError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::links::{Draft, LinkStatus, Tagged, tags};
use crate::slugs::Slug;
use crate::targets::{ForwardQuery, Target};

/// The columns that we write, in order; the first line of every export.
pub(crate) const HEADER_LINE: &str = "Short code,Long URL,Title,Note,Tags,Status,Redirect status,Valid from,Expires at,Expired URL,Max clicks,Forward query,Forward path,Crawlable,Unlisted,External ID\n";

/// What other programs call our columns, in lower case.
const NAMES: [(&str, &str); 26] = [
    ("short code", "slug"),
    ("shortcode", "slug"),
    ("short_code", "slug"),
    ("keyword", "slug"),
    ("slug", "slug"),
    ("short url", "short_url"),
    ("shorturl", "short_url"),
    ("short_url", "short_url"),
    ("long url", "url"),
    ("longurl", "url"),
    ("long_url", "url"),
    ("url", "url"),
    ("title", "title"),
    ("note", "note"),
    ("tags", "tags"),
    ("status", "status"),
    ("redirect status", "redirect_status"),
    ("valid from", "valid_from"),
    ("expires at", "expires_at"),
    ("expired url", "expired_url"),
    ("max clicks", "max_clicks"),
    ("forward query", "forward_query"),
    ("forward path", "forward_path"),
    ("crawlable", "is_crawlable"),
    ("unlisted", "is_unlisted"),
    ("external id", "external_id"),
];

/// A row as it was read: our name of the column and the text in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row(pub(crate) HashMap<String, String>);

/// The file is no CSV with the columns that we need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotATable(pub(crate) String);

/// Hands over the rows of a file, each with its line, as long as `each` wants more.
///
/// Unknown columns are left out; commas or semicolons stand between cells.
pub(crate) fn each_row(bytes: &[u8], mut each: impl FnMut(i64, Row) -> Result<(), NotATable>) -> Result<(), NotATable> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if first.contains(&b';') && !first.contains(&b',') { b';' } else { b',' };
    let mut reader = ::csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
    let broken = |error: &::csv::Error| NotATable(format!("The file is not CSV in UTF-8: {error}."));
    let headers = reader.headers().map_err(|error| broken(&error))?.clone();
    let columns: Vec<Option<&str>> = headers.iter().map(column_of).collect();
    if !columns.contains(&Some("url")) {
        return Err(NotATable("The first line names no column Long URL.".to_owned()));
    }
    for record in reader.records() {
        let record = record.map_err(|error| broken(&error))?;
        let line = record.position().map_or(0, |position| i64::try_from(position.line()).unwrap_or(i64::MAX));
        let cells = columns.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
        each(line, Row(cells.filter_map(|(column, cell)| Some(((*column)?.to_owned(), plain(cell).to_owned()))).collect()))?;
    }
    Ok(())
}

fn column_of(header: &str) -> Option<&'static str> {
    let header = header.trim().to_lowercase();
    NAMES.iter().find(|(name, _)| *name == header).map(|(_, column)| *column)
}

/// The signs with which a cell becomes a formula in a spreadsheet.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(FORMULA)
}

/// A cell that no spreadsheet takes for a formula (POS-12).
fn guarded(cell: &str) -> String {
    if is_formula(cell) { format!("'{cell}") } else { cell.to_owned() }
}

/// The same cell without our guard.
fn plain(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest) => rest,
        _ => cell,
    }
}

/// A link about to be imported.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) draft: Draft,
    pub(crate) is_disabled: bool,
    /// What the other program calls it: its slug, else its target.
    pub(crate) foreign_id: String,
}

impl Row {
    fn get(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(String::as_str)
    }

    /// The slug, from its own column or from the end of the short address.
    pub(crate) fn slug(&self) -> Option<&str> {
        self.get("slug").or_else(|| {
            let rest = self.get("short_url")?.split_once("://").map_or(self.get("short_url")?, |(_, rest)| rest);
            rest.split_once('/').map(|(_, slug)| slug).filter(|slug| !slug.is_empty())
        })
    }

    /// The link that the row describes, or what is wrong with its first wrong cell.
    pub(crate) fn wanted(&self, is_case_sensitive: bool, default_status: u16) -> Result<Wanted, FieldError> {
        let url = Target::from_body(self.get("url").unwrap_or_default(), "/url")?;
        let invalid = |pointer: &'static str, code: &'static str| FieldError::body(pointer, code, "This cell is not acceptable.");
        let slug = match self.slug() {
            Some(typed) => Some(Slug::parse(typed, is_case_sensitive).map_err(|_| invalid("/slug", "invalid_format"))?),
            None => None,
        };
        let time = |column: &str, pointer| {
            self.get(column).map(|text| text.parse::<Timestamp>().map_err(|_| invalid(pointer, "invalid_format"))).transpose()
        };
        let number = |column: &str, pointer| {
            self.get(column).map(|text| text.parse::<i64>().map_err(|_| invalid(pointer, "wrong_type"))).transpose()
        };
        let is = |column: &str| matches!(self.get(column), Some("true" | "1" | "yes"));
        let redirect_status = match number("redirect_status", "/redirect_status")? {
            None => default_status,
            Some(status @ (301 | 302 | 307 | 308)) => u16::try_from(status).unwrap_or(default_status),
            Some(_) => return Err(invalid("/redirect_status", "not_allowed")),
        };
        let bounded = |column: &str, pointer, most| match self.get(column) {
            Some(text) if text.chars().count() > most => Err(invalid(pointer, "too_long")),
            Some(text) if !Draft::is_plain(text) => Err(invalid(pointer, "invalid_format")),
            text => Ok(text.unwrap_or_default().to_owned()),
        };
        let (valid_from, expires_at) = (time("valid_from", "/valid_from")?, time("expires_at", "/expires_at")?);
        if valid_from.zip(expires_at).is_some_and(|(from, until)| until <= from) {
            return Err(invalid("/expires_at", "out_of_range"));
        }
        let max_clicks = number("max_clicks", "/max_clicks")?;
        if max_clicks.is_some_and(|most| most < 1) {
            return Err(invalid("/max_clicks", "out_of_range"));
        }
        let external_id = Some(bounded("external_id", "/external_id", 190)?).filter(|id| !id.is_empty());
        let typed = self.get("tags").unwrap_or_default().split(['|', ',']).map(str::trim).filter(|tag| !tag.is_empty());
        let draft = Draft {
            title: bounded("title", "/title", 255)?,
            note: bounded("note", "/note", 2_000)?,
            tags: tags::from_body(typed.map(str::to_owned).collect())?,
            valid_from,
            expires_at,
            expired_url: self.get("expired_url").map(|url| Target::from_body(url, "/expired_url")).transpose()?,
            max_clicks,
            forward_query: ForwardQuery::of(self.get("forward_query").unwrap_or_default()),
            forward_path: is("forward_path"),
            is_crawlable: is("is_crawlable"),
            is_unlisted: is("is_unlisted"),
            external_id,
            slug,
            ..Draft::to(url, redirect_status)
        };
        let foreign_id = self.slug().or(self.get("url")).unwrap_or_default().chars().take(400).collect();
        Ok(Wanted { draft, is_disabled: self.get("status") == Some(LinkStatus::Disabled.as_str()), foreign_id })
    }
}

/// The line of a link; the password is not in it.
pub(crate) fn line_of(tagged: &Tagged) -> Vec<u8> {
    let Tagged { link, tags } = tagged;
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let flag = |is_on: bool| if is_on { "true" } else { "" }.to_owned();
    let cells = [
        link.slug.clone(),
        link.url.clone(),
        link.title.clone(),
        link.note.clone(),
        tags.join("|"),
        if link.status == LinkStatus::Active { String::new() } else { link.status.as_str().to_owned() },
        link.redirect_status.to_string(),
        time(link.valid_from),
        time(link.expires_at),
        link.expired_url.clone().unwrap_or_default(),
        link.max_clicks.map(|most| most.to_string()).unwrap_or_default(),
        if link.forward_query == ForwardQuery::Off { String::new() } else { link.forward_query.as_str().to_owned() },
        flag(link.forward_path),
        flag(link.is_crawlable),
        flag(link.is_unlisted),
        link.external_id.clone().unwrap_or_default(),
    ];
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    // Writing into memory does not fail.
    let _ = writer.write_record(cells.iter().map(|cell| guarded(cell)));
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(bytes: &[u8]) -> Result<Vec<(i64, Row)>, NotATable> {
        let mut rows = Vec::new();
        each_row(bytes, |line, row| {
            rows.push((line, row));
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn lim_1_files_of_others_are_understood() {
        let file = "\u{feff}Short URL;Long URL;Title;Tags\nhttps://s.example/Abc;https://example.com/;\"A; title\";one|two\n";
        let found = rows(file.as_bytes()).unwrap();
        let wanted = found[0].1.wanted(false, 302).unwrap();
        assert_eq!((found[0].0, wanted.draft.slug.unwrap().shown), (2, "Abc".to_owned()));
        assert_eq!((wanted.draft.title.as_str(), wanted.draft.tags), ("A; title", vec!["one".to_owned(), "two".to_owned()]));
        assert!(rows(b"keyword,title\na,b\n").is_err());
        assert!(rows(b"url\nhttps://example.com/\xff\n").is_err());
    }

    #[test]
    fn what_is_wrong_with_a_row_is_told_by_its_first_wrong_cell() {
        let told = |line: &str| {
            let file = format!("url,slug,max clicks,expires at,redirect status\n{line}\n");
            let error = rows(file.as_bytes()).unwrap()[0].1.wanted(false, 302).unwrap_err();
            (format!("{:?}", error.location), error.code.into_owned())
        };
        for (line, pointer, code) in [
            ("javascript:1,,,,", "/url", "not_allowed"),
            ("https://example.com/,a b,,,", "/slug", "invalid_format"),
            ("https://example.com/,a,0,,", "/max_clicks", "out_of_range"),
            ("https://example.com/,a,x,,", "/max_clicks", "wrong_type"),
            ("https://example.com/,a,,soon,", "/expires_at", "invalid_format"),
            ("https://example.com/,a,,,303", "/redirect_status", "not_allowed"),
        ] {
            assert_eq!(told(line), (format!("Pointer({pointer:?})"), code.to_owned()), "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn lim_4_no_cell_is_a_formula_and_every_cell_comes_back(cell in "('{0,3}[=+@\t-]?.{0,10}){0,2}") {
            let written = guarded(&cell);
            prop_assert!(!written.starts_with(FORMULA));
            prop_assert_eq!(plain(&written), cell);
        }

        #[test]
        fn no_file_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let file = [b"url,slug\n", &bytes[..]].concat();
            if let Ok(rows) = rows(&file) {
                rows.iter().for_each(|(_, row)| drop(row.wanted(false, 302)));
            }
        }
    }
}
