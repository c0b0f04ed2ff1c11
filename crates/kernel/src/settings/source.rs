//! Where raw settings come from, which of them wins, and what is wrong with them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::{ENV_PREFIX, Field, Section, SectionInfo, SettingsError, env_name};

/// Where an effective value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag,
    /// The environment variable of this name.
    Env(String),
    /// The settings file at this path.
    File(PathBuf),
    /// The declaration.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag => f.write_str("flag"),
            Origin::Env(name) => write!(f, "environment variable {name}"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// The raw settings of one start, before anybody has said what they mean.
#[derive(Clone, Default)]
pub struct Source {
    flags: BTreeMap<String, String>,
    env: BTreeMap<String, (String, String)>,
    file: Option<File>,
}

#[derive(Clone)]
struct File {
    path: PathBuf,
    table: toml::Table,
    /// The line on which each dotted key stands.
    lines: BTreeMap<String, usize>,
}

/// A value as it was given: text that still needs a type, or a TOML value that has one.
enum Raw {
    Text(String),
    Typed(Value),
}

/// The value that wins for one key; none when the default holds.
pub(super) struct Resolved {
    pub(super) origin: Origin,
    /// What the section is read from.
    value: Option<Value>,
    /// How it is printed.
    pub(super) printed: Option<Value>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_ref().map(|file| &file.path);
        write!(f, "Source(flags: {:?}, env: {:?}, file: {file:?})", self.flags.keys(), self.env.keys())
    }
}

impl Source {
    /// Collects raw settings: one TOML file, the process environment (others than `UNDERCROFT_…` are ignored), and flags as
    /// pairs of dotted key and value.
    ///
    /// # Errors
    /// When the file cannot be read, or is not TOML: with the line and column.
    pub fn read(file: Option<&Path>, env: Vec<(String, String)>, flags: Vec<(String, String)>) -> Result<Source, SettingsError> {
        let env = env.into_iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(ENV_PREFIX)?.to_lowercase().replace("__", ".");
            Some((key, (name, value)))
        });
        let flags = flags.into_iter().map(|(key, value)| (key.replace('-', "_"), value));
        Ok(Source { flags: flags.collect(), env: env.collect(), file: file.map(File::read).transpose()? })
    }

    /// The same settings with one more flag, for a value that is only known at start, such as the port that was free.
    #[must_use]
    pub fn with_flag(mut self, key: &str, value: impl Into<String>) -> Source {
        self.flags.insert(key.to_owned(), value.into());
        self
    }

    /// The section of this type, with the winning value for each key.
    ///
    /// # Errors
    /// One sentence for each value that is not of the declared type: key, origin, expected form.
    pub fn section<T: Section>(&self) -> Result<T, SettingsError> {
        let info = SectionInfo::of::<T>();
        let mut values = Map::new();
        let mut problems = Vec::new();
        for field in info.fields() {
            match self.resolve(&info, field) {
                Ok(resolved) => values.extend(resolved.value.map(|value| (field.name.to_owned(), value))),
                Err(error) => problems.extend(error.problems),
            }
        }
        if !problems.is_empty() {
            return Err(SettingsError { problems });
        }
        serde_json::from_value(Value::Object(values)).map_err(|error| SettingsError::new(format!("[{}]: {error}", info.name)))
    }

    /// The error that refuses the value of one key for a reason that its type cannot know, such as a range.
    pub fn refuse<T: Section>(&self, field: &str, expected: &str) -> SettingsError {
        let info = SectionInfo::of::<T>();
        let origin = info.fields().iter().find(|known| known.name == field).and_then(|known| self.resolve(&info, known).ok());
        let place = origin.map_or(Origin::Default, |resolved| resolved.origin);
        SettingsError::new(format!("{}: expected {expected} ({})", info.key(field), self.place(&place, &info.key(field))))
    }

    /// Refuses every key that no known section declares.
    ///
    /// # Errors
    /// One sentence for each unknown key: where it stands and the nearest known key.
    pub fn finish(&self, known: &[&SectionInfo]) -> Result<(), SettingsError> {
        let keys: Vec<String> = known.iter().flat_map(|info| info.fields().iter().map(|field| info.key(field.name))).collect();
        let mut problems = Vec::new();
        for key in self.flags.keys().filter(|key| !keys.contains(key)) {
            problems.push(format!("There is no setting {key} (flag). {}", advice(key, &keys, str::to_owned)));
        }
        for (key, (name, _)) in &self.env {
            let names_a_file = key.strip_suffix("_file").is_some_and(|key| keys.iter().any(|known| known == key));
            if !names_a_file && !keys.contains(key) {
                problems.push(format!("There is no setting {name} (environment). {}", advice(key, &keys, env_name)));
            }
        }
        if let Some(file) = &self.file {
            file.unknown(&file.table, "", known, &keys, &mut problems);
        }
        if problems.is_empty() { Ok(()) } else { Err(SettingsError { problems }) }
    }

    /// The winning value of one key, checked against its type.
    pub(super) fn resolve(&self, info: &SectionInfo, field: &Field) -> Result<Resolved, SettingsError> {
        let key = info.key(field.name);
        let Some((origin, raw)) = self.lookup(info, &key)? else {
            return Ok(Resolved { origin: Origin::Default, value: None, printed: None });
        };
        let mut refused = Vec::new();
        for candidate in candidates(raw, field) {
            match (field.accept)(&candidate) {
                Ok(printed) => return Ok(Resolved { origin, value: Some(candidate), printed: Some(printed) }),
                Err(problem) => refused.push((candidate, problem)),
            }
        }
        // Text is tried as several types; the reading that got furthest has the most to say. `min_by_key` takes the first.
        let nearest = refused.into_iter().min_by_key(|(_, problem)| problem.starts_with("invalid type"));
        let (found, problem) = nearest.unwrap_or_default();
        let reason = match field.expected_form() {
            Some(form) if field.is_secret => format!("expected {form}"),
            Some(form) => format!("expected {form}, found {found}"),
            None => problem,
        };
        Err(SettingsError::new(format!("{key}: {reason} ({})", self.place(&origin, &key))))
    }

    fn lookup(&self, info: &SectionInfo, key: &str) -> Result<Option<(Origin, Raw)>, SettingsError> {
        if let Some(text) = self.flags.get(key) {
            return Ok(Some((Origin::Flag, Raw::Text(text.clone()))));
        }
        // A declared key whose own name ends in `_file` is that key, not a way to fill its neighbour.
        let file_key = format!("{key}_file");
        let is_declared = info.fields().iter().any(|other| info.key(other.name) == file_key);
        match (self.env.get(key), self.env.get(&file_key).filter(|_| !is_declared)) {
            (Some((name, _)), Some((other, _))) => Err(SettingsError::new(format!("{key}: set {name} or {other}, not both (environment)"))),
            (Some((name, value)), None) => Ok(Some((Origin::Env(name.clone()), Raw::Text(value.clone())))),
            (None, Some((name, path))) => Ok(Some((Origin::Env(name.clone()), Raw::Text(read_value(key, name, path)?)))),
            (None, None) => Ok(self.file.as_ref().and_then(|file| {
                let value = serde_json::to_value(file.get(key)?).unwrap_or(Value::Null);
                Some((Origin::File(file.path.clone()), Raw::Typed(value)))
            })),
        }
    }

    /// The origin, with the line when it is the file.
    fn place(&self, origin: &Origin, key: &str) -> String {
        let line = self.file.as_ref().and_then(|file| file.lines.get(key));
        match (origin, line) {
            (Origin::File(_), Some(line)) => format!("{origin}, line {line}"),
            _ => origin.to_string(),
        }
    }
}

fn read_value(key: &str, name: &str, path: &str) -> Result<String, SettingsError> {
    let text = fs::read_to_string(path)
        .map_err(|error| SettingsError::new(format!("{key}: cannot read {path}: {error} (environment variable {name})")))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// The ways in which a raw value can be meant, the plainest first.
fn candidates(raw: Raw, field: &Field) -> Vec<Value> {
    let text = match raw {
        Raw::Typed(value) => return vec![value],
        Raw::Text(text) => text,
    };
    if text.is_empty() && field.is_optional() {
        return vec![Value::Null];
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect();
    [Some(Value::String(text.clone())), toml_value(&text), Some(Value::Array(items)), toml_value(&format!("[{text}]"))]
        .into_iter()
        .flatten()
        .collect()
}

fn toml_value(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {text}")).ok()?;
    if table.len() == 1 { serde_json::to_value(table.get("value")?).ok() } else { None }
}

impl File {
    fn read(path: &Path) -> Result<File, SettingsError> {
        let text = fs::read_to_string(path)
            .map_err(|error| SettingsError::new(format!("The settings file {} cannot be read: {error}", path.display())))?;
        let table = toml::from_str(&text).map_err(|error| not_toml(path, &text, &error))?;
        let mut lines = BTreeMap::new();
        if let Ok(spans) = DeTable::parse(&text) {
            collect_lines(&text, spans.get_ref(), "", &mut lines);
        }
        Ok(File { path: path.to_owned(), table, lines })
    }

    fn get(&self, key: &str) -> Option<&toml::Value> {
        let (parents, name) = key.rsplit_once('.').unwrap_or(("", key));
        let parents = parents.split('.').filter(|parent| !parent.is_empty());
        parents.into_iter().try_fold(&self.table, |table, parent| table.get(parent)?.as_table())?.get(name)
    }

    /// Adds a sentence for each key of `table` that is neither a known key nor on the way to a known section.
    fn unknown(&self, table: &toml::Table, prefix: &str, known: &[&SectionInfo], keys: &[String], problems: &mut Vec<String>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let leads_on = || known.iter().any(|info| info.name == key || info.name.starts_with(&format!("{key}.")));
            match value {
                _ if keys.contains(&key) => {}
                toml::Value::Table(inner) if leads_on() => self.unknown(inner, &key, known, keys, problems),
                toml::Value::Table(_) => {
                    let sections: Vec<String> = known.iter().map(|info| info.name.to_owned()).filter(|name| !name.is_empty()).collect();
                    problems.push(format!(
                        "There is no section [{key}] ({}). {}",
                        self.place(&key),
                        advice(&key, &sections, |name| format!("[{name}]"))
                    ));
                }
                _ => problems.push(format!("There is no setting {key} ({}). {}", self.place(&key), advice(&key, keys, str::to_owned))),
            }
        }
    }

    fn place(&self, key: &str) -> String {
        match self.lines.get(key) {
            Some(line) => format!("file {}, line {line}", self.path.display()),
            None => format!("file {}", self.path.display()),
        }
    }
}

/// The error of a file that is not TOML. It quotes nothing: the line may hold a secret.
fn not_toml(path: &Path, text: &str, error: &toml::de::Error) -> SettingsError {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or(text);
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    SettingsError::new(format!(
        "The settings file {} is not TOML: {} (line {}, column {column})",
        path.display(),
        error.message(),
        line_of(text, start)
    ))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn collect_lines(text: &str, table: &DeTable<'_>, prefix: &str, lines: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        if let DeValue::Table(inner) = value.get_ref() {
            collect_lines(text, inner, &key, lines);
        }
        lines.insert(key, line_of(text, name.span().start));
    }
}

/// The sentence that names the nearest known key, or where to find all of them.
fn advice(unknown: &str, known: &[String], write: fn(&str) -> String) -> String {
    match nearest(unknown, known) {
        Some(key) => format!("Did you mean {}?", write(key)),
        None => "Run `undercroft config` to see all settings.".to_owned(),
    }
}

/// The known key with the smallest distance, unless it is nothing like the unknown one.
fn nearest<'k>(unknown: &str, known: &'k [String]) -> Option<&'k str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |key: &str| {
        let own_name = 1 + 2 * distance(&last(unknown), &last(key));
        distance(unknown, key).min(own_name)
    };
    let (best, key) = known.iter().map(|key| (score(key), key)).min()?;
    (best <= unknown.chars().count().div_ceil(2).max(2)).then_some(key.as_str())
}

/// How many characters must be inserted, removed or replaced to get from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, from) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, to) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::super::test_sections::*;
    use super::super::{ByteSize, Effective};
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn from_env(env: &[(&str, &str)]) -> Source {
        Source::read(None, pairs(env), Vec::new()).unwrap()
    }

    fn known() -> [SectionInfo; 3] {
        [SectionInfo::of::<Instance>(), SectionInfo::of::<Mail>(), SectionInfo::of::<MailKeys>()]
    }

    fn finish(source: &Source) -> Vec<String> {
        let known = known();
        let known: Vec<&SectionInfo> = known.iter().collect();
        source.finish(&known).err().map(|error| error.problems).unwrap_or_default()
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
        let file = file("[mail]\nport = 1\nhost = \"file\"\ntls = false\n");
        let env = pairs(&[("UNDERCROFT_MAIL__PORT", "2"), ("UNDERCROFT_MAIL__HOST", "env"), ("HOME", "/root")]);
        let source = Source::read(Some(file.path()), env, pairs(&[("mail.port", "3")])).unwrap();
        let mail: Mail = source.section().unwrap();
        assert_eq!((mail.port, mail.host.as_deref(), mail.tls, *mail.timeout), (3, Some("env"), false, Duration::from_secs(30)));

        let table = source.table(&[&SectionInfo::of::<Mail>()]);
        let origin = |key: &str| table.iter().find(|row: &&Effective| row.key == key).unwrap().origin.clone();
        assert_eq!(origin("port"), Origin::Flag);
        assert_eq!(origin("host"), Origin::Env("UNDERCROFT_MAIL__HOST".to_owned()));
        assert_eq!(origin("tls"), Origin::File(file.path().to_owned()));
        assert_eq!(origin("timeout"), Origin::Default);
        assert_eq!(finish(&source), [] as [&str; 0]);
    }

    #[test]
    fn every_type_can_be_written_in_the_environment() {
        let mail: Mail = from_env(&[
            ("UNDERCROFT_MAIL__HOST", "12"),
            ("UNDERCROFT_MAIL__PORT", "25"),
            ("UNDERCROFT_MAIL__PASSWORD", "hunter2"),
            ("UNDERCROFT_MAIL__TIMEOUT", "250ms"),
            ("UNDERCROFT_MAIL__MAX_SIZE", "2MiB"),
            ("UNDERCROFT_MAIL__COPIES", "a@example.com, b@example.com"),
            ("UNDERCROFT_MAIL__TLS", "false"),
        ])
        .section()
        .unwrap();
        assert_eq!((mail.host.as_deref(), mail.port, mail.tls), (Some("12"), 25, false));
        assert_eq!(mail.password.unwrap().expose(), "hunter2");
        assert_eq!((*mail.timeout, mail.max_size), (Duration::from_millis(250), ByteSize::mib(2)));
        assert_eq!(mail.copies, ["a@example.com", "b@example.com"]);
        let copies = |text| from_env(&[("UNDERCROFT_MAIL__COPIES", text)]).section::<Mail>().unwrap().copies;
        assert_eq!(copies("[\"x,y\"]"), ["x,y"]);
        assert_eq!(copies(""), [] as [&str; 0]);
        let instance: Instance = from_env(&[("UNDERCROFT_MODE", "production")]).section().unwrap();
        assert_eq!(instance.mode, Mode::Production);
    }

    #[test]
    fn an_empty_variable_unsets_an_optional_value_of_the_file() {
        let file = file("[mail]\nhost = \"file\"\n");
        let source = Source::read(Some(file.path()), pairs(&[("UNDERCROFT_MAIL__HOST", "")]), Vec::new()).unwrap();
        assert_eq!(source.section::<Mail>().unwrap().host, None);
    }

    #[test]
    fn a_wrong_value_names_key_origin_and_expected_form() {
        let file = file("mode = \"prod\"\n[mail]\nport = 70000\ntls = \"yes\"\n");
        let source = Source::read(Some(file.path()), pairs(&[("UNDERCROFT_MAIL__TIMEOUT", "soon")]), Vec::new()).unwrap();
        let path = file.path().display();
        let error = source.section::<Mail>().unwrap_err();
        assert_eq!(
            error.problems(),
            [
                format!("mail.port: expected a whole number from 0 to 65535, found 70000 (file {path}, line 3)"),
                "mail.timeout: expected a duration such as \"250ms\", \"30s\", \"10m\", \"12h\" or \"7d\", found \"soon\" \
                 (environment variable UNDERCROFT_MAIL__TIMEOUT)"
                    .to_owned(),
                format!("mail.tls: expected true or false, found \"yes\" (file {path}, line 4)"),
            ]
        );
        let error = source.section::<Instance>().unwrap_err().to_string();
        assert!(error.contains("unknown variant `prod`, expected `development` or `production`"), "{error}");
        assert!(error.ends_with("line 1)"), "{error}");
    }

    #[test]
    fn a_wrong_list_of_a_type_of_its_own_says_what_is_wrong_with_it() {
        let source = from_env(&[("UNDERCROFT_TRUSTED_PROXIES", "10.0.0.0/33")]);
        let error = source.section::<Instance>().unwrap_err().to_string();
        assert!(error.starts_with("trusted_proxies: expected an address, a network"), "{error}");
        assert!(from_env(&[("UNDERCROFT_TRUSTED_PROXIES", "loopback, 10.0.0.0/8")]).section::<Instance>().is_ok());
    }

    #[test]
    fn a_wrong_secret_is_not_repeated() {
        let file = file("[mail]\npassword = 4711\n");
        let source = Source::read(Some(file.path()), Vec::new(), Vec::new()).unwrap();
        let error = source.section::<Mail>().unwrap_err().to_string();
        assert!(error.starts_with("mail.password: expected text (file"), "{error}");
        assert!(!format!("{error} {source:?}").contains("4711"));
    }

    #[test]
    fn a_module_can_refuse_a_value_by_its_origin() {
        let source = from_env(&[("UNDERCROFT_MAIL__PORT", "1")]);
        let error = source.refuse::<Mail>("port", "a port above 24").to_string();
        assert_eq!(error, "mail.port: expected a port above 24 (environment variable UNDERCROFT_MAIL__PORT)");
    }

    #[test]
    fn a_file_variant_reads_the_value_from_a_file() {
        let secret = file("hunter2\n");
        let path = secret.path().to_str().unwrap();
        let source = from_env(&[("UNDERCROFT_MAIL__PASSWORD_FILE", path)]);
        assert_eq!(source.section::<Mail>().unwrap().password.unwrap().expose(), "hunter2");
        assert_eq!(finish(&source), [] as [&str; 0]);

        let both = from_env(&[("UNDERCROFT_MAIL__PASSWORD_FILE", path), ("UNDERCROFT_MAIL__PASSWORD", "x")]);
        assert!(both.section::<Mail>().unwrap_err().to_string().contains("not both"));
        let missing = from_env(&[("UNDERCROFT_MAIL__PASSWORD_FILE", "/nonexistent/password")]);
        assert!(missing.section::<Mail>().unwrap_err().to_string().contains("cannot read /nonexistent/password"));
    }

    #[test]
    fn a_declared_key_that_ends_in_file_is_not_read() {
        let source = from_env(&[("UNDERCROFT_MAIL__KEYS__SIGNING_FILE", "/etc/key")]);
        let keys: MailKeys = source.section().unwrap();
        assert_eq!((keys.signing.expose(), keys.signing_file.as_str()), ("", "/etc/key"));
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_one_and_their_place() {
        let file = file("public_ulr = \"x\"\n\n[mail]\nprot = 1\n[mail.keys]\nsining = \"x\"\n[mial]\nport = 2\n[zzzzzzzzz]\n");
        let env = pairs(&[("UNDERCROFT_MAIL__TIMOUT", "1s"), ("UNDERCROFT_PORT", "1"), ("UNDERCROFT_X_FILE", "y")]);
        let source = Source::read(Some(file.path()), env, pairs(&[("mail.hots", "x")])).unwrap();
        let path = file.path().display();
        assert_eq!(
            finish(&source),
            [
                "There is no setting mail.hots (flag). Did you mean mail.host?".to_owned(),
                "There is no setting UNDERCROFT_MAIL__TIMOUT (environment). Did you mean UNDERCROFT_MAIL__TIMEOUT?".to_owned(),
                "There is no setting UNDERCROFT_PORT (environment). Did you mean UNDERCROFT_MAIL__PORT?".to_owned(),
                "There is no setting UNDERCROFT_X_FILE (environment). Run `undercroft config` to see all settings.".to_owned(),
                format!("There is no setting mail.keys.sining (file {path}, line 6). Did you mean mail.keys.signing?"),
                format!("There is no setting mail.prot (file {path}, line 4). Did you mean mail.port?"),
                format!("There is no section [mial] (file {path}, line 7). Did you mean [mail]?"),
                format!("There is no setting public_ulr (file {path}, line 1). Did you mean public_url?"),
                format!("There is no section [zzzzzzzzz] (file {path}, line 9). Run `undercroft config` to see all settings."),
            ]
        );
    }

    #[test]
    fn a_broken_file_is_refused_by_place_without_quoting_it() {
        let file = file("[mail]\npassword = hunter2\n");
        let error = Source::read(Some(file.path()), Vec::new(), Vec::new()).unwrap_err().to_string();
        assert!(error.contains("is not TOML") && error.contains("(line 2, column 12)"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let missing = Source::read(Some(Path::new("/nonexistent/undercroft.toml")), Vec::new(), Vec::new());
        assert!(missing.unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn the_distance_of_two_texts_counts_edits() {
        assert_eq!([distance("", "abc"), distance("abc", "abc"), distance("kitten", "sitting"), distance("port", "prot")], [3, 0, 3, 2]);
    }
}
