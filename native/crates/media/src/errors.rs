//! The error table: what each code means, whether to try again, and what to tell people.
//!
//! `actors/media/errors.toml` is the only source of codes, texts and retry rules; it is compiled in.

use std::{collections::HashMap, sync::LazyLock};

use regex_lite::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::task::{ErrorBody, ReasonBody};

/// The code of a failure that has no code: a bug.
pub const UNKNOWN_CODE: &str = "INTERNAL";

static TABLE: LazyLock<ErrorTable> = LazyLock::new(|| {
    ErrorTable::parse(include_str!("../../../../actors/media/errors.toml"))
        .expect("the compiled-in error table is checked by a test")
});

/// How a failure is treated.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum ErrorClass {
    /// Try again after a growing pause.
    Transient,
    /// Try again when the other side allows it.
    Throttled,
    /// The job fails at once.
    Permanent,
    /// The stage stopped moving and was ended; tried again like transient.
    Stalled,
    /// Somebody asked for it.
    Cancelled,
}

/// One entry of the table. The fields are explained at the top of `errors.toml`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "explained once, in the data file")]
pub struct Rule {
    pub code: String,
    pub class: ErrorClass,
    pub message: String,
    pub suggestion: String,
    #[serde(default = "default_base_s")]
    pub base_s: f64,
    #[serde(default = "default_cap_s")]
    pub cap_s: f64,
    #[serde(default)]
    pub shared: bool,
    #[serde(default)]
    pub budget: Option<u32>,
    #[serde(default)]
    pub operator: bool,
    #[serde(default)]
    pub ffmpeg: Vec<String>,
}

fn default_base_s() -> f64 {
    2.0
}

fn default_cap_s() -> f64 {
    120.0
}

impl Rule {
    /// Whether the same job may succeed when it is tried again.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(
            self.class,
            ErrorClass::Transient | ErrorClass::Throttled | ErrorClass::Stalled
        )
    }

    /// The pause in seconds after the attempt with that number (from 1), with equal jitter.
    ///
    /// `draw` is a random number from 0 to 1: half of the pause is fixed, half is drawn, so a burst
    /// of failures spreads out and no pause is close to zero.
    #[must_use]
    pub fn delay_s(&self, attempt: u32, draw: f64) -> f64 {
        let doublings = attempt.max(1).saturating_sub(1).min(30);
        let whole = self
            .cap_s
            .min(self.base_s * f64::from(2_u32.pow(doublings)));
        whole / 2.0 + whole / 2.0 * draw
    }

    /// The same where the cause is shared and has been met for `lasted_s`: it doubles that time, within
    /// its bounds.
    #[must_use]
    pub fn shared_delay_s(&self, lasted_s: f64, draw: f64) -> f64 {
        let whole = lasted_s.max(self.base_s).min(self.cap_s);
        whole / 2.0 + whole / 2.0 * draw
    }

    /// What the client reads about a failed job.
    #[must_use]
    pub fn error_body(&self) -> ErrorBody {
        ErrorBody {
            code: self.code.clone(),
            message: self.message.clone(),
            suggestion: self.suggestion.clone(),
            retryable: self.retryable(),
        }
    }

    /// What the client reads while the job waits or repeats a stage.
    #[must_use]
    pub fn reason_body(&self, until_ms: Option<u64>) -> ReasonBody {
        ReasonBody {
            code: self.code.clone(),
            message: self.message.clone(),
            until_ms,
        }
    }
}

/// The rules in the order of the file, which is the order in which patterns are tried.
#[derive(Debug)]
pub struct ErrorTable {
    rules: Vec<Rule>,
    by_code: HashMap<String, usize>,
    ffmpeg: Vec<(usize, Regex)>,
}

/// The data file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTable {
    /// Not TOML, or not of the right shape.
    #[error("the error table cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A pattern does not compile.
    #[error("a pattern of the error table cannot be read: {0}")]
    Pattern(#[from] regex_lite::Error),
    /// The code for bugs is not there.
    #[error("the error table has no {UNKNOWN_CODE}")]
    NoUnknown,
}

#[derive(Deserialize)]
struct File {
    error: Vec<Rule>,
}

impl ErrorTable {
    /// The table that was compiled in.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &TABLE
    }

    /// Reads a table.
    pub fn parse(text: &str) -> Result<Self, InvalidTable> {
        let File { error: rules } = toml::from_str(text)?;
        let by_code: HashMap<_, _> = rules
            .iter()
            .enumerate()
            .map(|(position, rule)| (rule.code.clone(), position))
            .collect();
        if !by_code.contains_key(UNKNOWN_CODE) {
            return Err(InvalidTable::NoUnknown);
        }
        let mut ffmpeg = Vec::new();
        for (position, rule) in rules.iter().enumerate() {
            for pattern in &rule.ffmpeg {
                let regex = RegexBuilder::new(pattern).case_insensitive(true).build()?;
                ffmpeg.push((position, regex));
            }
        }
        Ok(Self {
            rules,
            by_code,
            ffmpeg,
        })
    }

    /// The rule of a code; a code that is not in the table is a bug and reads as `INTERNAL`.
    ///
    /// # Panics
    ///
    /// Never: `parse` refuses a table without `INTERNAL`.
    #[must_use]
    pub fn rule(&self, code: &str) -> &Rule {
        let position = self
            .by_code
            .get(code)
            .or_else(|| self.by_code.get(UNKNOWN_CODE))
            .expect("parse checked that INTERNAL is there");
        &self.rules[*position]
    }

    /// Whether the table has that code.
    #[must_use]
    pub fn contains(&self, code: &str) -> bool {
        self.by_code.contains_key(code)
    }

    /// The code for ffmpeg's messages, `None` when no pattern fits.
    #[must_use]
    pub fn code_for_ffmpeg(&self, text: &str) -> Option<&str> {
        self.ffmpeg
            .iter()
            .find(|(_, pattern)| pattern.is_match(text))
            .map(|(position, _)| self.rules[*position].code.as_str())
    }

    /// Whether ffmpeg's messages fit a pattern of that code, whatever else they fit.
    #[must_use]
    pub fn ffmpeg_says(&self, code: &str, text: &str) -> bool {
        self.ffmpeg
            .iter()
            .any(|(position, pattern)| self.rules[*position].code == code && pattern.is_match(text))
    }
}

/// A failure with a code of the table. `detail` is for the log only.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct MediaError {
    /// A code of the table.
    pub code: String,
    /// What happened, for whoever reads the log.
    pub detail: String,
}

impl MediaError {
    /// A failure with that code.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
        }
    }
}

/// Why media work ended without a result.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// It failed, and the table says what follows.
    #[error(transparent)]
    Error(#[from] MediaError),
    /// It was interrupted from outside.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// A failure with that code.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self::Error(MediaError::new(code, detail))
    }
}

/// Turns failures of the file system into codes. What they were doing goes into the detail.
#[must_use]
pub fn file_failure(doing: &str, error: &std::io::Error) -> Failure {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "DISK_FULL",
        std::io::ErrorKind::FileTooLarge => "FILE_TOO_LARGE",
        _ => "STORE_TEMP",
    };
    Failure::new(code, format!("{doing}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_reads_and_holds_every_code_that_this_crate_uses() {
        let table = ErrorTable::built_in();
        for code in [
            "DISK_FULL",
            "ENCODER_REJECTS",
            "FILE_TOO_LARGE",
            "INPUT_MISSING",
            "INTERNAL",
            "NATIVE_MISSING",
            "NOT_MEDIA",
            "NO_AUDIO",
            "OUTPUT_INVALID",
            "OUT_OF_MEMORY",
            "SOURCE_CORRUPT",
            "SOURCE_TRUNCATED",
            "STALLED",
            "STORE_TEMP",
            "TRANSCODE_FAILED",
            "UNREADABLE",
            "WORKER_STOPPING",
        ] {
            assert!(table.contains(code), "{code}");
        }
    }

    #[test]
    fn a_full_disk_wins_over_what_follows_from_it() {
        let text = "[out#0/mp4] Error writing trailer: No space left on device\n\
                    Conversion failed!\nInvalid data found when processing input";
        let code = ErrorTable::built_in().code_for_ffmpeg(text);
        assert_eq!(code, Some("DISK_FULL"));
    }

    #[test]
    fn a_pause_doubles_up_to_its_cap_and_keeps_at_least_half() {
        let mut rule = ErrorTable::built_in().rule("TRANSCODE_FAILED").clone();
        rule.base_s = 2.0;
        rule.cap_s = 30.0;
        assert!((rule.delay_s(1, 0.0) - 1.0).abs() < 1e-9);
        assert!((rule.delay_s(1, 1.0) - 2.0).abs() < 1e-9);
        assert!((rule.delay_s(3, 1.0) - 8.0).abs() < 1e-9);
        assert!((rule.delay_s(40, 0.0) - 15.0).abs() < 1e-9);
    }

    #[test]
    fn a_shared_pause_doubles_the_time_that_its_cause_has_lasted() {
        let rule = ErrorTable::built_in().rule("DISK_FULL");
        assert!(rule.shared);
        for (lasted_s, draw, pause_s) in [
            (0.0, 0.0, 2.5),
            (0.0, 1.0, 5.0),
            (12.0, 1.0, 12.0),
            (9000.0, 0.0, 15.0),
            (9000.0, 1.0, 30.0),
        ] {
            assert!((rule.shared_delay_s(lasted_s, draw) - pause_s).abs() < 1e-9);
        }
    }

    #[test]
    fn an_unknown_code_is_a_bug() {
        let rule = ErrorTable::built_in().rule("NO_SUCH_CODE");
        assert_eq!(rule.code, "INTERNAL");
    }
}
