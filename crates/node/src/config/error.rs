use core::fmt;
use core::ops::Range;
use std::path::PathBuf;

/// What is wrong with a configuration, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A line of the file.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The file, or one that it names, cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        error: std::io::Error,
    },
}

/// A line of a configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// The line, counted from 1.
    pub line: usize,
    /// The key or table on that line.
    pub key: String,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

impl LineError {
    /// An error at the bytes `span` of `text`.
    pub(super) fn at(text: &str, span: Range<usize>, problem: impl Into<String>) -> Self {
        let start = span.start.min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let written = text.lines().nth(line - 1).unwrap_or_default();
        let key = written.split('=').next().unwrap_or_default().trim();
        Self {
            line,
            key: key.chars().take(64).collect(),
            problem: problem.into(),
        }
    }

    pub(super) fn from_toml(text: &str, error: &toml::de::Error) -> Self {
        let problem = error.message().replace('\n', ", ");
        Self::at(text, error.span().unwrap_or(0..0), problem)
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.problem)
    }
}

impl core::error::Error for LineError {}
