//! Mail templates: compiled once, rendered with strict variables, a fuel limit and escaping where it belongs.
//!
//! A module declares its mails in some languages, with sample data. Operators may put texts of their own in the place of any of
//! them, or add a language. A text of theirs is tried with the sample before it is kept; one that fails all the same when a
//! mail is due gives way to the built-in text, because a mail with an ugly text is better than none.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::messages::Template;

/// Steps that rendering one text may take, so that an operator's template cannot hang a worker.
const FUEL: u64 = 50_000;
/// The longest part of a rendered mail in bytes.
const MAX_RENDERED_BYTES: usize = 512 * 1024;
/// The language of last resort.
const FALLBACK: &str = "en";
/// The parts of a mail; escaping follows the name.
const PARTS: [&str; 3] = ["subject.txt", "body.txt", "body.html"];
/// Markup that no sample contains: an HTML text that shows it does not escape what it shows.
const MARKUP: &str = "<uc-mark>";

/// A mail ready to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedMail {
    /// One line.
    pub subject: String,
    /// The plain body.
    pub text: String,
    /// The HTML body.
    pub html: String,
}

/// The texts of one mail in one language, as templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sources {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Sources {
    fn parts(&self) -> [(&'static str, &str); 3] {
        let [subject, text, html] = PARTS;
        [(subject, &self.subject), (text, &self.text), (html, &self.html)]
    }
}

/// What is wrong with an operator's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// `subject`, `text` or `html`.
    pub(crate) part: &'static str,
    /// A stable code.
    pub(crate) code: &'static str,
    /// One sentence.
    pub(crate) detail: String,
}

/// A mail that a module declares.
#[derive(Debug)]
struct Kind {
    /// By language.
    sources: BTreeMap<&'static str, Sources>,
    sample: Value,
}

/// Operators' texts, compiled.
struct Edited {
    env: Environment<'static>,
    /// Template and language of each.
    names: Vec<(String, String)>,
}

/// The mail templates of an app.
pub struct Templates {
    built_in: Environment<'static>,
    kinds: BTreeMap<&'static str, Kind>,
    edited: RwLock<Arc<Edited>>,
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Templates")
    }
}

impl Default for Templates {
    fn default() -> Self {
        Templates::new()
    }
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    env.remove_filter("safe");
    // Escaping follows the name: bodies end in .html, subjects and plain texts in .txt.
    env.set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    env
}

fn full_name(name: &str, locale: &str, part: &str) -> String {
    format!("{name}/{locale}/{part}")
}

fn add(env: &mut Environment<'static>, name: &str, locale: &str, sources: &Sources) -> Result<()> {
    for (part, source) in sources.parts() {
        env.add_template_owned(full_name(name, locale, part), source.trim_end().to_owned()).map_err(Error::internal)?;
    }
    Ok(())
}

fn render_part(env: &Environment<'_>, full_name: &str, data: &Value) -> Result<String, minijinja::Error> {
    env.get_template(full_name)?.render(minijinja::Value::from(minijinja::value::Serde(data)))
}

fn render_in(env: &Environment<'_>, name: &str, locale: &str, data: &Value) -> Result<RenderedMail> {
    let part = |part: &str| -> Result<String> {
        let rendered = render_part(env, &full_name(name, locale, part), data).map_err(Error::internal)?;
        if rendered.len() > MAX_RENDERED_BYTES {
            return Err(Error::internal(format!("the {part} of {name} came out too long")));
        }
        Ok(rendered)
    };
    let [subject, text, html] = PARTS;
    let subject = part(subject)?.trim().to_owned();
    if subject.contains(['\r', '\n']) {
        return Err(Error::internal(format!("the subject of {name} has more than one line")));
    }
    Ok(RenderedMail { subject, text: part(text)?, html: part(html)? })
}

impl Templates {
    /// No templates yet.
    pub fn new() -> Self {
        let edited = Edited { env: environment(), names: Vec::new() };
        Templates { built_in: environment(), kinds: BTreeMap::new(), edited: RwLock::new(Arc::new(edited)) }
    }

    /// Adds the texts of one mail in one language.
    ///
    /// # Errors
    /// When a text is no valid template, or the sample is no JSON object.
    pub fn add(&mut self, template: &Template) -> Result<()> {
        let own = |text: &str| text.trim_end().to_owned();
        let sources = Sources { subject: own(template.subject), text: own(template.text), html: own(template.html) };
        add(&mut self.built_in, template.name, template.locale, &sources)?;
        let sample: Value = serde_json::from_str(template.sample).map_err(Error::internal)?;
        if !sample.is_object() {
            return Err(Error::internal(format!("the sample of {} is no JSON object", template.name)));
        }
        let kind = self.kinds.entry(template.name).or_insert_with(|| Kind { sources: BTreeMap::new(), sample });
        kind.sources.insert(template.locale, sources);
        Ok(())
    }

    /// Fills the template of this name in the caller's language, its base language, or English.
    ///
    /// In each language an operator's text comes before the built-in one.
    ///
    /// # Errors
    /// When the template is missing, names a variable that `data` lacks, or would break the mail's head.
    pub fn render(&self, name: &str, locale: &str, data: &Value) -> Result<RenderedMail> {
        let kind = self.kinds.get(name).ok_or_else(|| Error::internal(format!("there is no mail template {name}")))?;
        debug_assert_eq!(members(&kind.sample), members(data), "the sample of {name} has the members of its data");
        let edited = self.edited();
        let base = locale.split('-').next().unwrap_or(FALLBACK);
        for locale in [locale, base, FALLBACK] {
            if edited.names.iter().any(|(edited, language)| edited == name && language == locale) {
                match render_in(&edited.env, name, locale, data) {
                    Ok(mail) => return Ok(mail),
                    Err(error) => {
                        let error = error.causes().unwrap_or_else(|| error.to_string());
                        tracing::error!(template = name, locale, error, "an edited mail text failed; the built-in one is sent");
                    }
                }
            }
            if kind.sources.contains_key(locale) {
                return render_in(&self.built_in, name, locale, data);
            }
        }
        Err(Error::internal(format!("there is no mail template {name} in {FALLBACK}")))
    }

    fn edited(&self) -> Arc<Edited> {
        self.edited.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts these operators' texts in the place of all that were there before; one that is no template any more is left out.
    pub(crate) fn replace_edited(&self, texts: impl IntoIterator<Item = (String, String, Sources)>) {
        let mut edited = Edited { env: environment(), names: Vec::new() };
        for (name, locale, sources) in texts {
            match add(&mut edited.env, &name, &locale, &sources) {
                Ok(()) => edited.names.push((name, locale)),
                Err(error) => {
                    let error = error.causes().unwrap_or_else(|| error.to_string());
                    tracing::error!(template = name, locale, error, "an edited mail text cannot be read; the built-in one is sent");
                }
            }
        }
        *self.edited.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(edited);
    }

    /// The name, language and texts of every mail that modules declare, in the order of their names.
    pub(crate) fn built_in(&self) -> impl Iterator<Item = (&'static str, &'static str, &Sources)> {
        self.kinds.iter().flat_map(|(name, kind)| kind.sources.iter().map(|(locale, sources)| (*name, *locale, sources)))
    }

    /// The built-in texts that stand for this language: its own, or those of the language that is sent instead.
    pub(crate) fn standing_in(&self, name: &str, locale: &str) -> Option<&Sources> {
        let kind = self.kinds.get(name)?;
        let base = locale.split('-').next().unwrap_or(FALLBACK);
        [locale, base, FALLBACK].into_iter().find_map(|locale| kind.sources.get(locale))
    }

    /// What a mail may say, with an example of each.
    pub(crate) fn sample(&self, name: &str) -> Option<&Value> {
        self.kinds.get(name).map(|kind| &kind.sample)
    }

    /// Tries an operator's texts with the sample; what is wrong with them, or the mail as it would come out.
    pub(crate) fn try_out(&self, name: &str, sources: &Sources) -> Result<RenderedMail, Vec<Flaw>> {
        let Some(kind) = self.kinds.get(name) else { return Err(Vec::new()) };
        let mut env = environment();
        let mut flaws = Vec::new();
        for ((part, source), label) in sources.parts().into_iter().zip(["subject", "text", "html"]) {
            let full_name = full_name(name, "try", part);
            let outcome = env
                .add_template_owned(full_name.clone(), source.trim_end().to_owned())
                .and_then(|()| render_part(&env, &full_name, &kind.sample))
                .and_then(|plain| Ok((plain, render_part(&env, &full_name, &marked(&kind.sample))?)));
            match outcome {
                Err(error) => flaws.push(Flaw { part: label, code: "template_invalid", detail: said(&error) }),
                Ok((plain, marked)) => flaws.extend(flaw_of(label, &plain, &marked, &kind.sample)),
            }
        }
        if !flaws.is_empty() {
            return Err(flaws);
        }
        render_in(&env, name, "try", &kind.sample).map_err(|error| {
            let detail = error.causes().unwrap_or_else(|| error.to_string());
            vec![Flaw { part: "text", code: "template_invalid", detail }]
        })
    }
}

/// The names of the members of an object, sorted.
fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

/// What the engine says, in one sentence with the line.
fn said(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("Line {line}: {what}."),
        None => format!("{what}."),
    }
}

/// The sample with markup after every text.
fn marked(sample: &Value) -> Value {
    match sample {
        Value::String(text) => Value::String(format!("{text}{MARKUP}")),
        Value::Array(items) => items.iter().map(marked).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), marked(value))).collect(),
        other => other.clone(),
    }
}

fn flaw_of(part: &'static str, plain: &str, marked: &str, sample: &Value) -> Option<Flaw> {
    let flaw = |code, detail: &str| Some(Flaw { part, code, detail: detail.to_owned() });
    if plain.trim().is_empty() {
        return flaw("required", "A mail without it would be taken for spam.");
    }
    if plain.len() > MAX_RENDERED_BYTES {
        return flaw("too_long", "It comes out longer than 512 KiB.");
    }
    if part == "subject" && plain.trim().contains(['\r', '\n']) {
        return flaw("template_invalid", "A subject has one line.");
    }
    if part == "html" && marked.contains(MARKUP) {
        return flaw("template_unescaped", "It shows what people typed without escaping it: leave out what turns escaping off.");
    }
    // What a mail is sent for must stay in it: a link, or the code that stands for one.
    let shows = |name: &str| sample.get(name).and_then(Value::as_str).is_some_and(|value| shown(plain, value, part == "html"));
    let has = |name: &str| sample.get(name).is_some();
    if part != "subject" && has("link") && !shows("link") && !shows("code") {
        return flaw("template_incomplete", "It says neither {{ link }} nor a code, so nobody could do what the mail is about.");
    }
    None
}

fn shown(rendered: &str, value: &str, is_html: bool) -> bool {
    rendered.contains(value) || is_html && rendered.contains(&minijinja::HtmlEscape(value).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SAMPLE: &str = r#"{"name": "Ada", "link": "https://example.com/account#token"}"#;

    fn templates() -> Templates {
        let mut templates = Templates::new();
        for locale in ["en", "de"] {
            let subject = if locale == "de" { "Hallo {{ name }}" } else { "Hello {{ name }}" };
            let (text, html) = ("{{ name }}! {{ link }}", "<p>{{ name }}</p>{{ link }}");
            templates.add(&Template { name: "t/hello", locale, subject, text, html, sample: SAMPLE }).unwrap();
        }
        templates
    }

    fn ada(name: &str) -> Value {
        json!({ "name": name, "link": "https://example.com/account#secret" })
    }

    fn sources(subject: &str, text: &str, html: &str) -> Sources {
        Sources { subject: subject.to_owned(), text: text.to_owned(), html: html.to_owned() }
    }

    fn flaws(sources: &Sources) -> Vec<(&'static str, &'static str)> {
        templates().try_out("t/hello", sources).unwrap_err().iter().map(|flaw| (flaw.part, flaw.code)).collect()
    }

    #[test]
    fn only_html_bodies_are_escaped() {
        let mail = templates().render("t/hello", "en", &ada("<Ada & Co>")).unwrap();
        assert!(mail.text.starts_with("<Ada & Co>!"), "{}", mail.text);
        assert!(mail.html.starts_with("<p>&lt;Ada &amp; Co&gt;</p>"), "{}", mail.html);
    }

    #[test]
    fn the_language_falls_back_from_region_to_base_to_english() {
        let subject = |locale| templates().render("t/hello", locale, &ada("Ada")).unwrap().subject;
        assert_eq!(subject("de-AT"), "Hallo Ada");
        assert_eq!(subject("fr"), "Hello Ada");
    }

    #[test]
    fn a_subject_cannot_add_headers() {
        assert!(templates().render("t/hello", "en", &ada("x\r\nBcc: evil@example.com")).is_err());
    }

    #[test]
    fn an_endless_template_runs_out_of_fuel() {
        let text = "{{ link }}{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert_eq!(flaws(&sources("s", text, "{{ link }}")), [("text", "template_invalid")]);
    }

    #[test]
    fn an_edited_text_comes_before_the_built_in_one_and_may_add_a_language() {
        let templates = templates();
        let edited = |locale: &str, subject: &str| ("t/hello".to_owned(), locale.to_owned(), sources(subject, "{{ link }}", "{{ link }}"));
        templates.replace_edited([edited("de", "Servus {{ name }}"), edited("fr", "Salut {{ name }}")]);
        let subject = |locale| templates.render("t/hello", locale, &ada("Ada")).unwrap().subject;
        assert_eq!([subject("de-AT"), subject("fr-CH"), subject("en")], ["Servus Ada", "Salut Ada", "Hello Ada"]);
        templates.replace_edited([]);
        assert_eq!(templates.render("t/hello", "fr", &ada("Ada")).unwrap().subject, "Hello Ada");
    }

    #[test]
    fn an_edited_text_that_fails_gives_way_to_the_built_in_one() {
        let templates = templates();
        let broken = |subject: &str| ("t/hello".to_owned(), "de".to_owned(), sources(subject, "{{ link }}", "{{ link }}"));
        for subject in ["{{ gone }}", "{% if %}", "{{ name }}\n{{ name }}"] {
            templates.replace_edited([broken(subject)]);
            assert_eq!(templates.render("t/hello", "de", &ada("Ada")).unwrap().subject, "Hallo Ada", "{subject}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_text_is_said_part_by_part() {
        let good = sources("Hi {{ name }}", "{{ link }}", "<a href=\"{{ link }}\">{{ name|upper }}</a>");
        assert_eq!(templates().try_out("t/hello", &good).unwrap().subject, "Hi Ada");
        let with = |change: fn(&mut Sources)| {
            let mut sources = good.clone();
            change(&mut sources);
            flaws(&sources)
        };
        assert_eq!(with(|s| s.subject = "{{ nobody }}".to_owned()), [("subject", "template_invalid")]);
        assert_eq!(with(|s| s.subject = " ".to_owned()), [("subject", "required")]);
        assert_eq!(with(|s| s.subject = "a\nb".to_owned()), [("subject", "template_invalid")]);
        assert_eq!(with(|s| s.text = "no address".to_owned()), [("text", "template_incomplete")]);
        assert_eq!(with(|s| s.html = "{% autoescape false %}{{ link }}{% endautoescape %}".to_owned()), [("html", "template_unescaped")]);
        assert_eq!(with(|s| s.html = "{{ link|safe }}".to_owned()), [("html", "template_invalid")]);
        assert_eq!(with(|s| s.text = "{% for x in name %}".to_owned()), [("text", "template_invalid")]);
        assert_eq!(with(|s| (s.text, s.html) = (String::new(), String::new())), [("text", "required"), ("html", "required")]);
    }

    #[test]
    fn a_code_may_stand_for_the_link() {
        let mut templates = Templates::new();
        let sample = r#"{"link": "https://example.com/#t", "code": "1234-5678"}"#;
        let source = sources("s", "{{ code }}", "{{ code }}");
        templates.add(&Template { name: "t/code", locale: "en", subject: "s", text: "{{ link }}", html: "{{ link }}", sample }).unwrap();
        assert!(templates.try_out("t/code", &source).is_ok());
    }

    #[test]
    fn a_message_says_the_line_and_not_what_was_rendered() {
        let flaw = &templates().try_out("t/hello", &sources("s", "a\n{{ nobody }}", "{{ link }}")).unwrap_err()[0];
        assert!(flaw.detail.starts_with("Line 2: "), "{}", flaw.detail);
    }
}
