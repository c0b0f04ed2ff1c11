//! Log lines on stderr, one line each, whatever they contain.

use std::io::{self, Write};

use kernel::platform::{LogFormat, LogSettings};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::outcome::Outcome;

/// Starts logging as the settings say; panics are logged too.
pub(crate) fn start(settings: &LogSettings) -> Outcome {
    let filter = EnvFilter::builder()
        .parse(&settings.filter)
        .map_err(|error| format!("log.filter = {:?} cannot be read: {error}.", settings.filter))?;
    // Colours would need control characters, which no line may have.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(OneLine).with_ansi(false);
    // An embedding program or a test may log already.
    _ = match settings.format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or("without a message"));
    }));
    Ok(())
}

/// The filter of verbs that do their work and end: only what went wrong.
pub(crate) fn quiet() -> LogSettings {
    LogSettings { filter: "warn".to_owned(), ..LogSettings::default() }
}

/// Writes each event as one line to stderr.
struct OneLine;

struct Line;

impl MakeWriter<'_> for OneLine {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line
    }
}

impl Write for Line {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(escaped(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The line with its control characters escaped, so that no value can forge a line or drive a terminal.
fn escaped(event: &str) -> String {
    let mut line = String::with_capacity(event.len() + 1);
    for character in event.trim_end_matches('\n').chars() {
        match character {
            '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_forge_a_line() {
        assert_eq!(escaped("name=ada\n2026 INFO forged\u{1b}[2J\u{9b}\r\n"), "name=ada\\n2026 INFO forged\\u{1b}[2J\\u{9b}\\r\n");
        assert_eq!(escaped("plain é\n"), "plain é\n");
    }
}
