//! A click on its way: as the redirect hands it over, as bytes in the journal, and as it is read back.

use kernel::{Id, Timestamp};
use uuid::Uuid;

use crate::clicks::agents;
use crate::links::Link;

/// What a redirect knows about a click.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) at: Timestamp,
    pub(crate) link: Id<Link>,
    pub(crate) flags: Flags,
    pub(crate) user_agent: &'a str,
    pub(crate) referrer: &'a str,
    pub(crate) language: &'a str,
    pub(crate) query: &'a str,
}

/// Facts about a click that are one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u8);

impl Flags {
    /// It was a HEAD request.
    pub(crate) const HEAD: u8 = 1;
    /// A browser fetched ahead.
    pub(crate) const PREFETCH: u8 = 2;
    /// It came from a QR code.
    pub(crate) const QR: u8 = 4;
    /// The visitor asked not to be described: it is counted, and no more.
    pub(crate) const PRIVATE: u8 = 8;

    pub(crate) fn set(&mut self, bit: u8, is_on: bool) {
        if is_on {
            self.0 |= bit;
        }
    }

    pub(crate) fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// How much is kept of what the visitor sent, in bytes.
const MAX_AGENT: usize = 256;
const MAX_REFERRER: usize = 253;
const MAX_LANGUAGE: usize = 16;
const MAX_QUERY: usize = 512;

/// A record as it is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// A click with its detail.
    Click(Click<'a>),
    /// So many clicks of one link in one hour, whose detail was shed (INV-L3).
    Count { link: Id<Link>, hour: i64, is_human: bool, clicks: i64, last_at: i64 },
}

/// A click with its detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Click<'a> {
    pub(crate) at: i64,
    pub(crate) link: Id<Link>,
    pub(crate) flags: Flags,
    pub(crate) user_agent: &'a str,
    pub(crate) referrer: &'a str,
    pub(crate) language: &'a str,
    pub(crate) query: &'a str,
}

/// The parameters of a query that are counted.
pub(crate) const CAMPAIGN: [&str; 3] = ["utm_source", "utm_medium", "utm_campaign"];

const CLICK: u8 = 1;
const COUNT: u8 = 2;
/// Length, kind, time, link, flags: what every click has.
const HEAD_BYTES: usize = 2 + 1 + 8 + 16 + 1;

fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The host of a referrer; its path is nobody's business (INV-L25).
fn host_of(referrer: &str) -> &str {
    let rest = referrer.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    authority.rsplit('@').next().unwrap_or("")
}

impl Visit<'_> {
    /// The number of bytes of its record, at most.
    pub(crate) const MAX_BYTES: usize = HEAD_BYTES + 8 + MAX_AGENT + MAX_REFERRER + MAX_LANGUAGE + MAX_QUERY;

    /// Appends the record.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let click = Click {
            at: self.at.as_millis(),
            link: self.link,
            flags: self.flags,
            user_agent: self.user_agent,
            referrer: host_of(self.referrer),
            language: self.language,
            query: self.query,
        };
        click.write(out);
    }
}

impl Click<'_> {
    /// Appends the record: its length first, so that a reader can step over it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let texts = [
            cut(self.user_agent, MAX_AGENT),
            cut(self.referrer, MAX_REFERRER),
            cut(self.language, MAX_LANGUAGE),
            cut(self.query, MAX_QUERY),
        ];
        let length = HEAD_BYTES + texts.iter().map(|text| 2 + text.len()).sum::<usize>();
        out.extend_from_slice(&(length as u16).to_le_bytes());
        out.push(CLICK);
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(self.link.uuid().as_bytes());
        out.push(self.flags.0);
        for text in texts {
            out.extend_from_slice(&(text.len() as u16).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

impl Record<'_> {
    /// Appends the same record with no more of its visitor than the statistics keep (INV-L12).
    pub(crate) fn write_redacted(&self, out: &mut Vec<u8>) {
        match *self {
            Record::Count { link, hour, is_human, clicks, last_at } => write_count(out, link, hour, is_human, clicks, last_at),
            Record::Click(click) => {
                let user_agent = agents::recognise(click.user_agent).encoded();
                let is_campaign =
                    |pair: &&str| url::form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(name, _)| CAMPAIGN.contains(&&*name));
                let query = click.query.split('&').filter(is_campaign).collect::<Vec<_>>().join("&");
                Click { user_agent: &user_agent, query: &query, ..click }.write(out);
            }
        }
    }
}

/// Appends the record of clicks whose detail was shed.
pub(crate) fn write_count(out: &mut Vec<u8>, link: Id<Link>, hour: i64, is_human: bool, clicks: i64, last_at: i64) {
    let length = 2 + 1 + 16 + 8 + 1 + 8 + 8_u16;
    out.extend_from_slice(&length.to_le_bytes());
    out.push(COUNT);
    out.extend_from_slice(link.uuid().as_bytes());
    out.extend_from_slice(&hour.to_le_bytes());
    out.push(u8::from(is_human));
    out.extend_from_slice(&clicks.to_le_bytes());
    out.extend_from_slice(&last_at.to_le_bytes());
}

/// Takes the next record off the front; none at the end, or where the bytes are no record.
pub(crate) fn read<'a>(bytes: &mut &'a [u8]) -> Option<Record<'a>> {
    let length = usize::from(u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?));
    let whole: &'a [u8] = bytes;
    let mut rest = whole.get(2..length)?;
    let record = match *rest.split_off_first()? {
        CLICK => Record::Click(Click {
            at: i64::from_le_bytes(take(&mut rest)?),
            link: Id::from_uuid(Uuid::from_bytes(take(&mut rest)?)),
            flags: Flags(*rest.split_off_first()?),
            user_agent: text(&mut rest)?,
            referrer: text(&mut rest)?,
            language: text(&mut rest)?,
            query: text(&mut rest)?,
        }),
        COUNT => Record::Count {
            link: Id::from_uuid(Uuid::from_bytes(take(&mut rest)?)),
            hour: i64::from_le_bytes(take(&mut rest)?),
            is_human: *rest.split_off_first()? == 1,
            clicks: i64::from_le_bytes(take(&mut rest)?),
            last_at: i64::from_le_bytes(take(&mut rest)?),
        },
        _ => return None,
    };
    if !rest.is_empty() {
        return None;
    }
    *bytes = &whole[length..];
    Some(record)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    bytes.split_off(..N)?.try_into().ok()
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::from(u16::from_le_bytes(take(bytes)?));
    std::str::from_utf8(bytes.split_off(..length)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link() -> Id<Link> {
        Id::from_uuid(Uuid::from_bytes([7; 16]))
    }

    #[test]
    fn a_record_survives_the_trip_with_its_referrer_cut_to_the_host() {
        let visit = Visit {
            at: Timestamp::from_millis(5),
            link: link(),
            flags: Flags(Flags::QR),
            user_agent: "curl/8",
            referrer: "https://user:pass@News.Example:8443/secret/path?token=1",
            language: "de-AT",
            query: "utm_source=x",
        };
        let mut bytes = Vec::new();
        visit.write(&mut bytes);
        write_count(&mut bytes, link(), 3_600_000, true, 12, 3_600_007);
        let mut rest = &bytes[..];
        let Some(Record::Click(click)) = read(&mut rest) else { panic!("a click") };
        assert_eq!((click.referrer, click.language, click.at), ("News.Example:8443", "de-AT", 5));
        assert_eq!(read(&mut rest), Some(Record::Count { link: link(), hour: 3_600_000, is_human: true, clicks: 12, last_at: 3_600_007 }));
        assert!(rest.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_visitor_sends_fits_and_comes_back(agent in ".{0,400}", referrer in ".{0,400}", language in ".{0,40}", query in ".{0,700}") {
            let visit = Visit {
                at: Timestamp::from_millis(1), link: link(), flags: Flags::default(),
                user_agent: &agent, referrer: &referrer, language: &language, query: &query,
            };
            let mut bytes = Vec::new();
            visit.write(&mut bytes);
            prop_assert!(bytes.len() <= Visit::MAX_BYTES);
            let mut rest = &bytes[..];
            prop_assert!(matches!(read(&mut rest), Some(Record::Click(click)) if agent.starts_with(click.user_agent)));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn damaged_bytes_are_no_record_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut rest = &bytes[..];
            while read(&mut rest).is_some() {}
        }
    }
}
