//! How a verb ends: fine, or with sentences on stderr and an exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use kernel::seal::KeyFileError;
use kernel::settings::SettingsError;

/// Fine.
pub(crate) const FINE: u8 = 0;
/// It did not work; stderr says why.
pub(crate) const FAILED: u8 = 1;
/// It worked, and found something that needs attention.
pub(crate) const FINDINGS: u8 = 3;

/// What a verb gives back.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a verb did not end well.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: u8,
    sentences: Vec<String>,
}

impl Failure {
    /// It did not work, for these reasons.
    pub(crate) fn because(sentences: Vec<String>) -> Failure {
        Failure { code: FAILED, sentences }
    }

    /// It worked and printed findings.
    pub(crate) fn findings() -> Failure {
        Failure { code: FINDINGS, sentences: Vec::new() }
    }

    /// The reasons.
    pub(crate) fn into_sentences(self) -> Vec<String> {
        self.sentences
    }

    /// Tells stderr, and gives back the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let mut stderr = io::stderr().lock();
        for sentence in self.sentences {
            // Nobody is left to be told when stderr is closed.
            _ = writeln!(stderr, "undercroft: {sentence}");
        }
        ExitCode::from(self.code)
    }
}

impl From<String> for Failure {
    fn from(sentence: String) -> Failure {
        Failure::because(vec![sentence])
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Failure {
        Failure::because(error.problems().to_vec())
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Failure {
        error.to_string().into()
    }
}

/// The operator may read the cause, which a caller of the API may not.
impl From<kernel::Error> for Failure {
    fn from(error: kernel::Error) -> Failure {
        error.causes().unwrap_or_else(|| error.detail().into_owned()).into()
    }
}

/// Prints to stdout; a reader that went away early, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> Outcome {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("Cannot write to the standard output: {error}.").into()),
        _ => Ok(()),
    }
}
