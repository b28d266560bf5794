//! From a code to what the kernel does about it, as the error table says. The same decisions are made in
//! `actors/failures.py`.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use reelway_kernel::handler::{Decision, FailClass, FailurePolicy};
use reelway_media::errors::{ErrorClass, ErrorTable, Rule};

/// The table, and the errors that a job may have at this stage.
pub(crate) struct TablePolicy {
    budget: u32,
    /// When this process met a shared cause first and last, by code.
    met: Mutex<HashMap<String, (Instant, Instant)>>,
}

impl TablePolicy {
    pub(crate) fn new(budget: u32) -> Self {
        Self {
            budget,
            met: Mutex::default(),
        }
    }

    /// For how many seconds the cause, which is the machine's and not one job's, has been there as far as
    /// this process has met it. One that was not met for twice its longest pause is over.
    fn meet(&self, rule: &Rule, now: Instant) -> f64 {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = met.entry(rule.code.clone()).or_insert((now, now));
        if now.duration_since(*last).as_secs_f64() > 2.0 * rule.cap_s {
            *first = now;
        }
        *last = now;
        now.duration_since(*first).as_secs_f64()
    }
}

impl FailurePolicy for TablePolicy {
    fn decide(&self, attempt: u32, code: &str) -> Decision {
        let rule = ErrorTable::built_in().rule(code);
        let delay_s = if rule.shared {
            rule.shared_delay_s(self.meet(rule, Instant::now()), fastrand::f64())
        } else {
            rule.delay_s(attempt.saturating_add(1), fastrand::f64())
        };
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
    use std::time::Duration;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_shared_cause_is_remembered_until_it_was_not_met_for_long() {
        let policy = TablePolicy::new(2);
        let rule = ErrorTable::built_in().rule("DISK_FULL");
        let start = Instant::now();
        for (after_s, lasted_s) in [(0, 0.0), (20, 20.0), (75, 75.0), (200, 0.0), (210, 10.0)] {
            let found = policy.meet(rule, start + Duration::from_secs(after_s));
            assert!((found - lasted_s).abs() < 1e-9, "{after_s}: {found}");
        }
    }

    #[test]
    fn the_shared_cases_are_decided_as_in_python() {
        let text = include_str!("../../../../tests/vectors/media/decisions.json");
        let cases: Vec<Value> = serde_json::from_str(text).unwrap();
        for case in cases {
            let budget = u32::try_from(case["budget"].as_u64().unwrap()).unwrap();
            let attempt = u32::try_from(case["attempt"].as_u64().unwrap()).unwrap();
            for _ in 0..20 {
                let decided =
                    TablePolicy::new(budget).decide(attempt, case["code"].as_str().unwrap());
                assert_eq!(case["class"], decided.class.name(), "{case}");
                assert!(
                    case["delay_ms"][0].as_u64().unwrap() <= decided.delay_ms,
                    "{case}"
                );
                assert!(
                    case["delay_ms"][1].as_u64().unwrap() >= decided.delay_ms,
                    "{case}"
                );
                assert_eq!(case["budget_decided"], decided.budget, "{case}");
                for (name, body) in [("error", decided.error), ("reason", decided.reason)] {
                    let body: Value = serde_json::from_slice(&body).unwrap();
                    for (field, value) in case[name].as_object().unwrap() {
                        assert_eq!(&body[field], value, "{case}");
                    }
                }
            }
        }
    }
}
