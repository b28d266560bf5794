//! Whether an output lasts as long as its source, and holds no gap that the source does not have.

use crate::{
    errors::Failure,
    probe::PacketStream,
    task::{Action, Stream},
};

/// What encoders put before and after the sound, and decoders leave out: at most three AAC frames of
/// 1024 samples at 22 050 Hz.
const PADDING_S: f64 = 0.15;
/// Clocks of containers are rounded, so the difference grows with the length.
const DRIFT: f64 = 0.002;
const MOST_DRIFT_S: f64 = 2.0;
/// A gap may grow by rounding and by frames that a decoder leaves out at a start.
const GAP_GROWTH_S: f64 = 0.5;
/// Sound with larger gaps than this is compared by what plays, not by the times of its packets.
const GAPLESS_S: f64 = 0.25;

/// A gap that the source does not have is a missing piece.
pub(super) fn check_gap(
    packets: &PacketStream,
    source: Option<&Stream>,
    action: Action,
) -> Result<(), Failure> {
    let allowed_s = source
        .and_then(|stream| stream.largest_gap_s)
        .unwrap_or(0.0)
        + GAP_GROWTH_S;
    match packets.largest_gap_s() {
        Some(gap_s) if gap_s > allowed_s => Err(Failure::new(
            copy_code(action),
            format!("a gap of {gap_s:.2} s that the source does not have"),
        )),
        _ => Ok(()),
    }
}

/// Whether the sound is as long as the source's packets say. Across gaps they do not say it.
pub(super) fn sound_is_whole(
    played_s: f64,
    source: Option<&Stream>,
    planned_s: Option<f64>,
) -> bool {
    let expected_s = source.and_then(Stream::span_s).or(planned_s);
    !has_gaps(source) && expected_s.is_none_or(|expected_s| is_close(played_s, expected_s))
}

/// Whether pieces of the source's sound do not follow each other.
pub(super) fn has_gaps(source: Option<&Stream>) -> bool {
    source
        .and_then(|stream| stream.largest_gap_s)
        .is_some_and(|gap_s| gap_s > GAPLESS_S)
}

fn is_close(measured_s: f64, expected_s: f64) -> bool {
    let tolerance_s = PADDING_S + (expected_s * DRIFT).min(MOST_DRIFT_S);
    (measured_s - expected_s).abs() <= tolerance_s
}

/// Both must last equally long.
pub(super) fn check_length(
    what: &str,
    measured_s: f64,
    expected_s: f64,
    code: &str,
) -> Result<(), Failure> {
    if is_close(measured_s, expected_s) {
        return Ok(());
    }
    Err(Failure::new(
        code,
        format!("the {what} lasts {measured_s:.3} s, the source's {expected_s:.3} s"),
    ))
}

/// Copied packets are wrong because the source is.
pub(super) fn copy_code(action: Action) -> &'static str {
    match action {
        Action::Copy => "SOURCE_CORRUPT",
        Action::Encode => "OUTPUT_INVALID",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_missed_in_any_length() {
        for source_s in [2.0, 60.0, 400.0] {
            assert!(check_length("sound", source_s - 0.1, source_s, "X").is_ok());
            assert!(check_length("sound", source_s - 1.0, source_s, "X").is_err());
            assert!(check_length("sound", source_s + 1.0, source_s, "X").is_err());
        }
        assert!(check_length("sound", 7198.5, 7200.0, "X").is_ok());
        assert!(check_length("sound", 7190.0, 7200.0, "X").is_err());
    }
}
