//! Plan → work → verify, for one output in one directory.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use sha2::{Digest, Sha256};

use crate::{
    arguments::arguments,
    errors::{ErrorTable, Failure, file_failure},
    ffmpeg::{self, Advance, Ffmpeg, Finished, Interruption, Limits, ProgressParser, RunError},
    task::{AudioEncoder, Plan, PlanPath, SourceObject, TranscodeInput},
    verify::{Verified, verify},
};

/// Part of the work that is done when the file is made; the rest is checking it.
const MADE: f64 = 0.85;
const CHECKED: f64 = 0.99;
const LOG_HEAD_BYTES: usize = 16 * 1024;
const SIGKILL: i32 = 9;
const SIGXFSZ: i32 = 25;

/// One output to be made.
pub struct Work<'a> {
    /// Where ffmpeg is.
    pub ffmpeg: &'a Ffmpeg,
    /// The source's facts and the plan.
    pub input: &'a TranscodeInput,
    /// The source's file.
    pub source: &'a Path,
    /// An empty directory that only this work uses.
    pub directory: &'a Path,
    /// Ends the work at once.
    pub interruption: &'a Interruption,
    /// Hears how far it has come, from several threads.
    pub observe: &'a (dyn Fn(Observation) + Sync),
}

/// How far the work has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observation {
    /// Part of the work that is done, from 0 to 1. `None` while it cannot be told.
    pub fraction: Option<f64>,
    /// Multiple of real time.
    pub speed: Option<f64>,
    /// Seconds of the output that are still to be made, when its length is known.
    pub left_s: Option<f64>,
    /// Bytes written so far.
    pub bytes: Option<u64>,
    /// Whether something happened since the last one. If not for long, the work is stuck.
    pub moved: bool,
}

/// A finished and verified file.
#[derive(Clone, Debug)]
pub struct Made {
    /// The file, in the work's directory.
    pub file: PathBuf,
    /// What it is.
    pub verified: Verified,
    /// Its size.
    pub size_bytes: u64,
    /// Its digest, in hexadecimal.
    pub sha256: String,
}

/// Makes and verifies the output. It has its name only when it is verified and on the disk; what an
/// interruption leaves in the directory is of no use.
pub fn transcode(work: &Work<'_>) -> Result<Made, Failure> {
    let name = format!("output.{}", extension(&work.input.plan)?);
    let file = work.directory.join(format!("{name}.part"));
    let made = make(work, &file).and_then(|(verified, size_bytes, sha256)| {
        let finished = work.directory.join(name);
        keep(&file, &finished).map_err(|error| file_failure("keeping the result", &error))?;
        Ok(Made {
            file: finished,
            verified,
            size_bytes,
            sha256,
        })
    });
    if matches!(made, Err(Failure::Error(_))) {
        // A full disk would stay full with it.
        let _ = fs::remove_file(&file);
    }
    made
}

/// Gives the file its name once it is on the disk.
fn keep(part: &Path, finished: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    fs::rename(part, finished)?;
    match finished.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

fn make(work: &Work<'_>, file: &Path) -> Result<(Verified, u64, String), Failure> {
    let Work { input, source, .. } = work;
    check_source(source, &input.source)?;
    let log = match input.plan.path {
        PlanPath::Passthrough => {
            link_or_copy(source, file).map_err(|error| file_failure("copying", &error))?;
            None
        }
        PlanPath::Remux | PlanPath::ExtractAudio | PlanPath::TranscodeSingle => {
            Some(encode(work, file)?)
        }
    };
    let expected_s = input.plan.duration_s;
    let mut on_time = |seconds: f64| {
        let part = expected_s.map_or(0.0, |expected_s| part_of(seconds, expected_s));
        (work.observe)(Observation {
            fraction: Some(MADE + (CHECKED - MADE) * part),
            moved: true,
            ..Observation::default()
        });
    };
    // Reading for the digest and decoding go on side by side: the file is in memory anyway.
    let (verified, digest) = thread::scope(|scope| {
        let digest = scope.spawn(|| digest(file, work));
        let verified = verify(
            work.ffmpeg,
            file,
            &input.plan,
            (&input.probe, source),
            work.interruption,
            &mut on_time,
        );
        (verified, digest.join())
    });
    let verified = verified.map_err(|failure| blame_source(failure, log.as_deref()))?;
    let (size_bytes, sha256) = match digest {
        Ok(digest) => digest?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    Ok((verified, size_bytes, sha256))
}

fn check_source(file: &Path, object: &SourceObject) -> Result<(), Failure> {
    let size_bytes = fs::metadata(file)
        .map_err(|error| Failure::new("INPUT_MISSING", error.to_string()))?
        .len();
    if size_bytes == object.size_bytes {
        return Ok(());
    }
    Err(Failure::new(
        "INPUT_MISSING",
        format!("{size_bytes} bytes instead of {}", object.size_bytes),
    ))
}

fn extension(plan: &Plan) -> Result<&str, Failure> {
    let is_word = |text: &str| {
        !text.is_empty() && text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    Some(plan.extension.as_str())
        .filter(|extension| is_word(extension))
        .ok_or_else(|| Failure::new("UNREADABLE", "the plan's extension is not plain"))
}

fn link_or_copy(source: &Path, file: &Path) -> io::Result<()> {
    // A source may be a link; what is published must be the file itself.
    let source = fs::canonicalize(source)?;
    if fs::hard_link(&source, file).is_ok() {
        return Ok(());
    }
    fs::copy(&source, file).map(drop)
}

/// Runs ffmpeg and gives its messages.
fn encode(work: &Work<'_>, file: &Path) -> Result<String, Failure> {
    let TranscodeInput { plan, probe, .. } = work.input;
    let arguments = arguments(plan, probe, work.source, file)?;
    let limits = Limits {
        file_bytes: most_bytes(plan, work.input.source.size_bytes),
    };
    let mut command = work.ffmpeg.command(work.directory, limits, &arguments);
    let mut parser = ProgressParser::default();
    let latest = Mutex::new(Advance::default());
    let mut on_line = |line: &str| {
        if let Some(advance) = parser.line(line) {
            let mut latest = latest
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            (work.observe)(observation(&advance, &latest, plan, frames(work.input)));
            *latest = advance;
        }
    };
    let finished = ffmpeg::run(
        &mut command,
        work.interruption,
        LOG_HEAD_BYTES,
        &mut on_line,
    )
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

fn part_of(done: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        (done / whole).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

fn encode_failure(finished: &Finished, log: &str) -> Option<Failure> {
    if let Some(failure) = finished.not_started() {
        return Some(failure);
    }
    let table = ErrorTable::built_in();
    let errors = finished.log.errors(40).join("\n");
    let code = table.code_for_ffmpeg(&errors);
    let detail = || finished.log.errors(5).join("; ");
    // Some versions end with 0 when the disk is full.
    if code == Some("DISK_FULL") || finished.status.signal() == Some(SIGXFSZ) {
        return Some(Failure::new("DISK_FULL", detail()));
    }
    if finished.status.success() {
        return None;
    }
    if finished.status.signal() == Some(SIGKILL) {
        let detail = "ffmpeg was killed by somebody else, as the kernel does for want of memory";
        return Some(Failure::new("OUT_OF_MEMORY", detail));
    }
    let code = code
        .or_else(|| table.code_for_ffmpeg(log))
        .unwrap_or("TRANSCODE_FAILED");
    Some(Failure::new(
        code,
        format!("{}: {}", finished.status, detail()),
    ))
}

/// A wrong result whose source did not decode is the source's fault.
fn blame_source(failure: Failure, log: Option<&str>) -> Failure {
    match failure {
        Failure::Error(error)
            if ["OUTPUT_INVALID", "SOURCE_CORRUPT"].contains(&error.code.as_str()) =>
        {
            let code = log
                .and_then(|log| ErrorTable::built_in().code_for_ffmpeg(log))
                .filter(|code| ["SOURCE_TRUNCATED", "SOURCE_CORRUPT"].contains(code))
                .unwrap_or(&error.code);
            Failure::new(code, error.detail)
        }
        other => other,
    }
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

fn digest(file: &Path, work: &Work<'_>) -> Result<(u64, String), Failure> {
    let failure = |error: io::Error| file_failure("reading the result", &error);
    let mut reader = File::open(file).map_err(failure)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size_bytes = 0;
    loop {
        if work.interruption.has_come() {
            return Err(Failure::Interrupted);
        }
        let count = reader.read(&mut buffer).map_err(failure)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        size_bytes += count as u64;
        (work.observe)(Observation {
            moved: true,
            ..Observation::default()
        });
    }
    let digest = hash
        .finalize()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    Ok((size_bytes, digest))
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

    #[test]
    fn an_extension_is_a_plain_word() {
        let mut plan = plan(None);
        assert_eq!(extension(&plan).unwrap(), "mp3");
        plan.extension = "../x".to_owned();
        assert!(extension(&plan).is_err());
    }
}
