//! Plan → work → verify, for one output in one directory.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};

use sha2::{Digest, Sha256};

pub use crate::encode::known_bytes;
use crate::{
    encode::{encode, part_of},
    errors::{ErrorTable, Failure, file_failure},
    ffmpeg::{Ffmpeg, Interruption},
    task::{Plan, PlanPath, SourceObject, TranscodeInput},
    verify::{Verified, verify},
};

/// Part of the work that is done when the file is made; the rest is checking it.
pub(crate) const MADE: f64 = 0.85;
const CHECKED: f64 = 0.99;

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
    fn an_extension_is_a_plain_word() {
        let mut plan = plan(None);
        assert_eq!(extension(&plan).unwrap(), "mp3");
        plan.extension = "../x".to_owned();
        assert!(extension(&plan).is_err());
    }
}
