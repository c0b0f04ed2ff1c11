//! Mail templates: compiled once, rendered with strict variables, a fuel limit and escaping where it belongs.

use std::fmt;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::messages::Template;

/// Steps that rendering one text may take, so that an operator's template cannot hang a worker.
const FUEL: u64 = 50_000;
/// The language of last resort.
const FALLBACK: &str = "en";

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

/// The mail templates of an app.
pub struct Templates(Environment<'static>);

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

impl Templates {
    /// No templates yet.
    pub fn new() -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_fuel(Some(FUEL));
        // Escaping follows the name: bodies end in .html, subjects and plain texts in .txt.
        env.set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
        Templates(env)
    }

    /// Adds the texts of one mail in one language.
    ///
    /// # Errors
    /// When a text is no valid template.
    pub fn add(&mut self, template: &Template) -> Result<()> {
        for (part, source) in [("subject.txt", template.subject), ("body.txt", template.text), ("body.html", template.html)] {
            let name = format!("{}/{}/{part}", template.name, template.locale);
            self.0.add_template_owned(name, source.trim_end().to_owned()).map_err(Error::internal)?;
        }
        Ok(())
    }

    /// Fills the template of this name in the caller's language, its base language, or English.
    ///
    /// # Errors
    /// When the template is missing, names a variable that `data` lacks, or would break the mail's head.
    pub fn render(&self, name: &str, locale: &str, data: Value) -> Result<RenderedMail> {
        let locale = self.best_locale(name, locale)?;
        let part = |part: &str| -> Result<String> {
            let template = self.0.get_template(&format!("{name}/{locale}/{part}")).map_err(Error::internal)?;
            template.render(minijinja::Value::from(minijinja::value::Serde(&data))).map_err(Error::internal)
        };
        let subject = part("subject.txt")?.trim().to_owned();
        if subject.contains(['\r', '\n']) {
            return Err(Error::internal(format!("the subject of {name} has more than one line")));
        }
        Ok(RenderedMail { subject, text: part("body.txt")?, html: part("body.html")? })
    }

    fn best_locale<'l>(&self, name: &str, locale: &'l str) -> Result<&'l str> {
        let base = locale.split('-').next().unwrap_or(FALLBACK);
        let has = |locale: &&str| self.0.get_template(&format!("{name}/{locale}/subject.txt")).is_ok();
        [locale, base, FALLBACK].into_iter().find(has).ok_or_else(|| Error::internal(format!("there is no mail template {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn templates() -> Templates {
        let mut templates = Templates::new();
        for locale in ["en", "de"] {
            let subject = if locale == "de" { "Hallo {{ name }}" } else { "Hello {{ name }}" };
            templates.add(&Template { name: "t/hello", locale, subject, text: "{{ name }}!", html: "<p>{{ name }}</p>" }).unwrap();
        }
        templates
    }

    #[test]
    fn only_html_bodies_are_escaped() {
        let mail = templates().render("t/hello", "en", json!({"name": "<Ada & Co>"})).unwrap();
        assert_eq!(mail.text, "<Ada & Co>!");
        assert_eq!(mail.html, "<p>&lt;Ada &amp; Co&gt;</p>");
    }

    #[test]
    fn the_language_falls_back_from_region_to_base_to_english() {
        let subject = |locale| templates().render("t/hello", locale, json!({"name": "Ada"})).unwrap().subject;
        assert_eq!(subject("de-AT"), "Hallo Ada");
        assert_eq!(subject("fr"), "Hello Ada");
    }

    #[test]
    fn a_subject_cannot_add_headers() {
        assert!(templates().render("t/hello", "en", json!({"name": "x\r\nBcc: evil@example.com"})).is_err());
    }

    #[test]
    fn a_missing_variable_is_an_error() {
        assert!(templates().render("t/hello", "en", json!({})).is_err());
    }

    #[test]
    fn an_endless_template_runs_out_of_fuel() {
        let mut templates = Templates::new();
        let text = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        templates.add(&Template { name: "t/long", locale: "en", subject: "s", text, html: "" }).unwrap();
        assert!(templates.render("t/long", "en", json!({})).is_err());
    }
}
