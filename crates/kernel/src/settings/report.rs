//! What people read about settings: the effective values, the reference, and a file to start from.

use serde_json::Value;

use super::source::{Origin, Source};
use super::{Field, REDACTED, SectionInfo, env_name};

/// One key with the value in force and where it comes from; secrets are redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The dotted name of the section; empty for the instance-wide keys.
    pub section: &'static str,
    /// The key inside its section.
    pub key: &'static str,
    /// The value in force, as TOML; empty when there is none.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// One sentence about it.
    pub doc: &'static str,
    /// The default, as TOML; empty when there is none.
    pub default: String,
}

impl Source {
    /// Every key of these sections with its effective value, for `undercroft config`. A wrong value is shown as `(wrong)`.
    pub fn table(&self, known: &[&SectionInfo]) -> Vec<Effective> {
        known.iter().flat_map(|info| info.fields().iter().map(|field| self.effective(info, field))).collect()
    }

    fn effective(&self, info: &SectionInfo, field: &Field) -> Effective {
        let default = default_of(info, field);
        let (value, origin) = match self.resolve(info, field) {
            Ok(resolved) => (resolved.printed.map_or_else(|| default.clone(), |value| printed(field, &value)), resolved.origin),
            Err(_) => ("(wrong)".to_owned(), Origin::Default),
        };
        Effective { section: info.name, key: field.name, value, origin, doc: field.doc, default }
    }
}

/// The reference of these sections in Markdown.
pub fn reference(known: &[&SectionInfo]) -> String {
    let mut text = String::new();
    for info in instance_first(known) {
        let title = if info.name.is_empty() { "The whole instance".to_owned() } else { format!("`[{}]`", info.name) };
        text += &format!("## {title}\n\n{}\n\n| key | default | environment | what it does |\n|---|---|---|---|\n", info.doc);
        for field in info.fields() {
            let default = match default_of(info, field) {
                none if none.is_empty() => "–".to_owned(),
                default => format!("`{}`", default.replace('|', "\\|")),
            };
            let env = env_name(&info.key(field.name));
            text += &format!("| `{}` | {default} | `{env}` | {} |\n", field.name, field.doc.replace('|', "\\|"));
        }
        text.push('\n');
    }
    text
}

/// A settings file in which every key stands as a comment with its sentence and default.
pub fn commented_toml(known: &[&SectionInfo]) -> String {
    let mut text = String::new();
    for info in instance_first(known) {
        text += &format!("# {}\n", info.doc);
        if !info.name.is_empty() {
            text += &format!("[{}]\n", info.name);
        }
        for field in info.fields() {
            let value = match default_of(info, field) {
                none if none.is_empty() => placeholder(field).to_owned(),
                default => default,
            };
            text += &format!("\n# {}\n# {} = {value}\n", field.doc, field.name);
        }
        text.push('\n');
    }
    text
}

/// The sections in their order, but the instance-wide keys first: TOML wants them before any section.
fn instance_first<'i>(known: &[&'i SectionInfo]) -> Vec<&'i SectionInfo> {
    let mut known = known.to_vec();
    known.sort_by_key(|info| !info.name.is_empty());
    known
}

fn default_of(info: &SectionInfo, field: &Field) -> String {
    info.defaults().get(field.name).map(|value| printed(field, value)).unwrap_or_default()
}

/// A value as TOML; empty for none, redacted for a secret whatever its type printed.
fn printed(field: &Field, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        _ if field.is_secret => REDACTED.to_owned(),
        value => toml::Value::try_from(value).map(|value| value.to_string()).unwrap_or_default(),
    }
}

/// Something of the right type to stand behind a commented key that has no default.
fn placeholder(field: &Field) -> &'static str {
    match field.inner_type() {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "0",
        "bool" => "false",
        "Vec<String>" => "[]",
        "Span" => "\"30s\"",
        "ByteSize" => "\"1MiB\"",
        _ => "\"\"",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Section;
    use super::super::test_sections::*;
    use super::*;

    fn known() -> [SectionInfo; 3] {
        [SectionInfo::of::<Mail>(), SectionInfo::of::<MailKeys>(), SectionInfo::of::<Instance>()]
    }

    #[test]
    fn the_table_shows_origins_and_no_secret() {
        let env = [("UNDERCROFT_MAIL__PASSWORD", "hunter2"), ("UNDERCROFT_MAIL__TIMEOUT", "600s"), ("UNDERCROFT_MAIL__PORT", "x")];
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let source = Source::read(None, env, Vec::new()).unwrap();
        let table = source.table(&known().iter().collect::<Vec<_>>());
        assert!(!format!("{table:?}").contains("hunter2"));
        let row = |key: &str| table.iter().find(|row| row.key == key).unwrap();
        assert_eq!((row("password").value.as_str(), row("password").default.as_str()), ("[redacted]", ""));
        assert_eq!((row("timeout").value.as_str(), row("timeout").default.as_str()), ("\"10m\"", "\"30s\""));
        assert_eq!(row("port").value, "(wrong)");
        assert_eq!((row("tls").value.as_str(), &row("tls").origin), ("true", &Origin::Default));
        assert_eq!(table.len(), Mail::fields().len() + MailKeys::fields().len() + Instance::fields().len());
    }

    #[test]
    fn the_reference_lists_every_key_with_its_variable() {
        let text = reference(&known().iter().collect::<Vec<_>>());
        assert!(text.starts_with("## The whole instance\n\nThe whole instance.\n\n| key |"), "{text}");
        assert!(text.contains("## `[mail.keys]`\n"), "{text}");
        assert!(text.contains("| `port` | `587` | `UNDERCROFT_MAIL__PORT` | Its port. |"), "{text}");
        assert!(text.contains("| `password` | – | `UNDERCROFT_MAIL__PASSWORD` | What to log in with \\| or not. |"), "{text}");
    }

    #[test]
    fn the_commented_file_is_a_valid_file_that_changes_nothing() {
        let known = known();
        let known: Vec<&SectionInfo> = known.iter().collect();
        let text = commented_toml(&known);
        let commented: toml::Table = toml::from_str(&text).unwrap();
        assert!(
            commented.values().all(|section| section.as_table().is_some_and(|table| table.values().all(toml::Value::is_table))),
            "{text}"
        );
        assert!(text.contains("\n# Its port.\n# port = 587\n"), "{text}");

        let assignments = |line: &str| if line.contains(" = ") { line.trim_start_matches("# ").to_owned() } else { line.to_owned() };
        let uncommented: Vec<String> = text.lines().map(assignments).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), uncommented.join("\n")).unwrap();
        let source = Source::read(Some(file.path()), Vec::new(), Vec::new()).unwrap();
        source.finish(&known).unwrap();
        assert_eq!(source.section::<Mail>().unwrap().port, 587);
        assert_eq!(source.section::<Instance>().unwrap().mode, Mode::Development);
    }
}
