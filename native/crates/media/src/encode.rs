//! The one ffmpeg call that makes an output: its progress, its bounds, and what its end means.

use std::{
    convert::Infallible, fs, os::unix::process::ExitStatusExt, path::Path, thread, time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::{
    arguments::arguments,
    errors::{ErrorTable, Failure},
    ffmpeg::{self, Advance, Finished, Limits, ProgressParser, RunError},
    task::{AudioEncoder, Plan, PlanPath, TranscodeInput},
    transcode::{MADE, Observation, Work},
};

const WATCH_EVERY: Duration = Duration::from_millis(250);
const LOG_HEAD_BYTES: usize = 16 * 1024;
const SIGXFSZ: i32 = 25;

/// Runs ffmpeg and gives its messages.
pub(crate) fn encode(work: &Work<'_>, file: &Path) -> Result<String, Failure> {
    let TranscodeInput { plan, probe, .. } = work.input;
    let arguments = arguments(plan, probe, work.source, file)?;
    let limits = Limits {
        file_bytes: most_bytes(plan, work.input.source.size_bytes),
    };
    let mut command = work.ffmpeg.command(work.directory, limits, &arguments);
    let mut parser = ProgressParser::default();
    let mut latest = Advance::default();
    let mut on_line = |line: &str| {
        if let Some(advance) = parser.line(line) {
            (work.observe)(observation(&advance, &latest, plan, frames(work.input)));
            latest = advance;
        }
    };
    let finished = thread::scope(|scope| {
        // Dropped at the end of the scope's work, which ends the watching thread.
        let (_running, ended) = bounded::<Infallible>(0);
        scope.spawn(move || watch_file(file, &ended, work.observe));
        ffmpeg::run(
            &mut command,
            work.interruption,
            LOG_HEAD_BYTES,
            &mut on_line,
        )
    })
    .map_err(|error| match error {
        RunError::Interrupted => Failure::Interrupted,
        RunError::Process(error) => Failure::new("NATIVE_MISSING", error.to_string()),
    })?;
    let log = finished.log.text();
    match encode_failure(&finished, &log) {
        Some(failure) => Err(failure),
        None => Ok(log),
    }
}

/// Reports movement while the file changes. Moving the index of a large file to its front takes minutes
/// in which ffmpeg reports nothing.
fn watch_file(file: &Path, ended: &Receiver<Infallible>, observe: &(dyn Fn(Observation) + Sync)) {
    let state = || {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    let mut earlier = state();
    while ended.recv_timeout(WATCH_EVERY) == Err(RecvTimeoutError::Timeout) {
        let now = state();
        if now != earlier {
            observe(Observation {
                moved: true,
                ..Observation::default()
            });
        }
        earlier = now;
    }
}

/// How many frames the picture has, when it is known.
fn frames(input: &TranscodeInput) -> Option<u64> {
    let video = input.plan.video.as_ref()?;
    input.probe.stream(video.stream)?.packets
}

fn observation(
    advance: &Advance,
    earlier: &Advance,
    plan: &Plan,
    frames: Option<u64>,
) -> Observation {
    let done_s = advance.out_time_us.map(|time_us| time_us as f64 / 1e6);
    let by_time = done_s
        .zip(plan.duration_s)
        .map(|(done_s, whole_s)| part_of(done_s, whole_s));
    let by_frames = advance
        .frame
        .zip(frames)
        .map(|(frame, frames)| part_of(frame as f64, frames as f64));
    let part = match (by_time, by_frames) {
        _ if advance.ending => Some(1.0),
        (Some(time), Some(frames)) => Some(time.min(frames)),
        (time, frames) => time.or(frames),
    };
    Observation {
        fraction: part.map(|part| part * MADE),
        speed: advance.speed,
        left_s: part
            .zip(plan.duration_s)
            .map(|(part, whole_s)| (1.0 - part) * whole_s),
        bytes: advance.total_size,
        moved: advance.moved_since(earlier),
    }
}

/// Which part of the whole is done.
pub(crate) fn part_of(done: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        (done / whole).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

fn encode_failure(finished: &Finished, log: &str) -> Option<Failure> {
    if let Some(failure) = finished.broken_off() {
        return Some(failure);
    }
    let table = ErrorTable::built_in();
    let errors = finished.log.errors(40).join("\n");
    let code = table.code_for_ffmpeg(&errors);
    let detail = || finished.log.errors(5).join("; ");
    // Some versions end with 0 when the disk is full. A damaged source may have filled many lines before.
    let all = || finished.log.errors(usize::MAX).join("\n");
    if table.ffmpeg_says("DISK_FULL", &all()) {
        return Some(Failure::new("DISK_FULL", detail()));
    }
    if code == Some("FILE_TOO_LARGE") || finished.status.signal() == Some(SIGXFSZ) {
        return Some(Failure::new("FILE_TOO_LARGE", detail()));
    }
    if finished.status.success() {
        return None;
    }
    let code = code
        .or_else(|| table.code_for_ffmpeg(log))
        .unwrap_or("TRANSCODE_FAILED");
    Some(Failure::new(
        code,
        format!("{}: {}", finished.status, detail()),
    ))
}

/// What the output will take, as far as the plan tells: 0 where only the encoder knows.
#[must_use]
pub fn known_bytes(plan: &Plan, source_bytes: u64) -> u64 {
    const PCM_BYTES: u32 = 2;

    if plan.path == PlanPath::Remux {
        return source_bytes;
    }
    let bytes_per_s = plan.audio.as_ref().map_or(0, |audio| match audio.encoder {
        Some(AudioEncoder::PcmS16le) => {
            let channels = audio.channels.unwrap_or(1);
            let samples_per_s = audio.sample_rate.unwrap_or(0);
            channels
                .saturating_mul(samples_per_s)
                .saturating_mul(PCM_BYTES)
        }
        _ => audio.bit_rate.unwrap_or(0) / 8,
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and a cast to integers saturates"
    )]
    let estimate = (plan.duration_s.unwrap_or(0.0).max(0.0) * f64::from(bytes_per_s)) as u64;
    estimate
}

/// A bound for the output that no honest one reaches: it stops a runaway before the disk is full.
fn most_bytes(plan: &Plan, source_bytes: u64) -> u64 {
    const ROOM: u64 = 64 << 20;
    const UNKNOWN_LENGTH_S: f64 = 86_400.0;
    /// 8 channels of 32 bits at 192 kHz.
    const LOSSLESS_BYTES_PER_S: f64 = 6_144_000.0;
    const LOSSY_BYTES_PER_S: f64 = 125_000.0;
    const PICTURE_BYTES_PER_S: f64 = 25_000_000.0;

    let sound = plan
        .audio
        .as_ref()
        .map_or(0.0, |audio| match audio.encoder {
            Some(AudioEncoder::Flac | AudioEncoder::PcmS16le) => LOSSLESS_BYTES_PER_S,
            _ => LOSSY_BYTES_PER_S,
        });
    let picture = plan.video.as_ref().map_or(0.0, |_| PICTURE_BYTES_PER_S);
    let length_s = plan.duration_s.unwrap_or(UNKNOWN_LENGTH_S).max(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and a cast to integers saturates"
    )]
    let estimate = (length_s * (sound + picture)) as u64;
    ROOM.saturating_add(source_bytes.saturating_mul(2))
        .saturating_add(estimate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(duration_s: Option<f64>) -> Plan {
        serde_json::from_value(serde_json::json!({
            "path": "extract_audio", "container": "mp3", "extension": "mp3", "mime": "audio/mpeg",
            "file_name": "output.mp3", "duration_s": duration_s,
        }))
        .unwrap()
    }

    #[test]
    fn what_an_output_takes_is_told_where_the_plan_knows_it() {
        let mut plan = plan(Some(10.0));
        assert_eq!(known_bytes(&plan, 999), 0);
        plan.audio = Some(
            serde_json::from_value(serde_json::json!({
                "stream": 1, "action": "encode", "encoder": "libmp3lame", "bit_rate": 192_000,
            }))
            .unwrap(),
        );
        assert_eq!(known_bytes(&plan, 999), 240_000);
        plan.path = PlanPath::Remux;
        assert_eq!(known_bytes(&plan, 999), 999);
    }

    #[test]
    fn progress_follows_the_slower_of_time_and_frames() {
        let advance = Advance {
            frame: Some(10),
            out_time_us: Some(8_000_000),
            ..Advance::default()
        };
        let seen = observation(&advance, &Advance::default(), &plan(Some(10.0)), Some(100));
        assert_eq!(seen.fraction, Some(0.1 * MADE));
        assert_eq!(seen.left_s, Some(9.0));
        assert!(seen.moved);
        let still = observation(&advance, &advance, &plan(None), None);
        assert_eq!((still.fraction, still.moved), (None, false));
    }
}
