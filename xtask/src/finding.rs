//! What a check has to say: one line each, with the place and what to do.

use std::fmt;

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    /// `line` counts from one.
    pub(crate) fn new(path: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Finding { path: path.into(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// All that one check found.
#[derive(Default)]
pub(crate) struct Report {
    /// Each of these fails the check.
    pub(crate) findings: Vec<Finding>,
    /// These are only shown.
    pub(crate) warnings: Vec<Finding>,
    /// Plain lines to know about.
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// Prints everything; true when nothing was found.
    pub(crate) fn print(&self) -> bool {
        self.notes.iter().for_each(|note| println!("{note}"));
        self.warnings.iter().for_each(|warning| println!("warning: {warning}"));
        self.findings.iter().for_each(|finding| println!("{finding}"));
        match self.findings.len() {
            0 => true,
            count => {
                println!("{count} to mend");
                false
            }
        }
    }
}
