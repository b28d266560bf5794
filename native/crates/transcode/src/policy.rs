//! From a code to what the kernel does about it, as the error table says. The same decisions are made in
//! `actors/failures.py`.

use reelway_kernel::handler::{Decision, FailClass, FailurePolicy};
use reelway_media::errors::{ErrorClass, ErrorTable};

/// The table, and the errors that a job may have at this stage.
pub(crate) struct TablePolicy {
    pub(crate) budget: u32,
}

impl FailurePolicy for TablePolicy {
    fn decide(&self, attempt: u32, code: &str) -> Decision {
        let rule = ErrorTable::built_in().rule(code);
        let delay_s = rule.delay_s(attempt.saturating_add(1), fastrand::f64());
        let json = |body: serde_json::Result<Vec<u8>>| body.unwrap_or_else(|_| b"{}".to_vec());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a pause is never negative, and a cast to integers saturates"
        )]
        let delay_ms = (delay_s * 1000.0).round() as u64;
        Decision {
            class: match rule.class {
                ErrorClass::Permanent => FailClass::Permanent,
                ErrorClass::Throttled => FailClass::Throttled,
                ErrorClass::Stalled => FailClass::Stalled,
                ErrorClass::Transient | ErrorClass::Cancelled => FailClass::Transient,
            },
            code: rule.code.clone(),
            delay_ms,
            budget: rule.budget.unwrap_or(self.budget),
            error: json(serde_json::to_vec(&rule.error_body())),
            reason: json(serde_json::to_vec(&rule.reason_body(None))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_decides() {
        let policy = TablePolicy { budget: 2 };
        let stalled = policy.decide(0, "STALLED");
        assert_eq!((stalled.class, stalled.budget), (FailClass::Stalled, 2));
        assert!((1000..=2000).contains(&stalled.delay_ms), "{stalled:?}");
        let full = policy.decide(3, "DISK_FULL");
        assert_eq!((full.class, full.budget), (FailClass::Transient, 6));
        assert!((40_000..=80_000).contains(&full.delay_ms), "{full:?}");
        let cut = policy.decide(0, "SOURCE_TRUNCATED");
        assert_eq!(cut.class, FailClass::Permanent);
        let error: serde_json::Value = serde_json::from_slice(&cut.error).unwrap();
        assert_eq!(error["code"], "SOURCE_TRUNCATED");
        assert_eq!(error["retryable"], false);
        let reason: serde_json::Value = serde_json::from_slice(&full.reason).unwrap();
        assert_eq!(reason["code"], "DISK_FULL");
    }
}
