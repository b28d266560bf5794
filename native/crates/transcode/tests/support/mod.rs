//! What the tests of the program share: every ffmpeg that is at hand, media that it makes, and a
//! scratch directory.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

pub(crate) mod disk;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
};

use reelway_media::{
    errors::Failure,
    ffmpeg::{Ffmpeg, Interruption},
    task::{Plan, Probe, SourceObject, TranscodeInput},
    transcode::{Made, Observation, Work, transcode},
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) type Converted = Made;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_reelway-transcode");

/// The ffmpeg programs to test with: those of `REELWAY_TEST_FFMPEG` (separated by colons), else the one
/// on PATH and the one of Python's `imageio-ffmpeg`.
pub(crate) fn programs() -> &'static [PathBuf] {
    static PROGRAMS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let mut found: Vec<PathBuf> = match env::var_os("REELWAY_TEST_FFMPEG") {
            Some(list) => env::split_paths(&list).collect(),
            None => on_path().into_iter().chain(of_python()).collect(),
        };
        found.dedup();
        assert!(
            !found.is_empty(),
            "no ffmpeg: put one on PATH or name it in REELWAY_TEST_FFMPEG"
        );
        found
    })
}

fn on_path() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join("ffmpeg"))
        .find(|program| program.is_file())
}

fn of_python() -> Option<PathBuf> {
    let script = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())";
    let output = Command::new(python()).args(["-c", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(text.trim())).filter(|program| program.is_file())
}

/// The Python of the checkout's own environment, else the one on PATH.
fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.venv/bin/python");
    if own.is_file() { own } else { "python3".into() }
}

/// The program that makes test media: the newest at hand.
pub(crate) fn maker() -> &'static Path {
    programs().last().expect("checked by programs")
}

pub(crate) fn launched(program: &Path) -> Ffmpeg {
    Ffmpeg::new(program.to_owned(), PROGRAM.into())
}

/// A scratch directory in which media is made.
pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    pub(crate) observed: Mutex<Vec<Observation>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a scratch directory"),
            observed: Mutex::default(),
        }
    }

    /// A scratch directory on another disk.
    pub(crate) fn at(disk: &Path) -> Self {
        Self {
            directory: tempfile::tempdir_in(disk).expect("a scratch directory"),
            observed: Mutex::default(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a file; the arguments are ffmpeg's, separated by spaces. `{}` stands for the directory.
    pub(crate) fn make(&self, name: &str, arguments: &str) -> PathBuf {
        let file = self.path(name);
        let folder = self.directory.path().display().to_string();
        let output = Command::new(maker())
            .args(["-nostdin", "-v", "error", "-y"])
            .args(
                arguments
                    .split_whitespace()
                    .map(|word| word.replace("{}", &folder)),
            )
            .arg(&file)
            .output()
            .expect("ffmpeg runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {errors}");
        file
    }

    /// H.264 and AAC in MP4, with the index in front.
    pub(crate) fn clip(&self, name: &str, seconds: u32) -> PathBuf {
        self.make(
            name,
            &format!(
                "-f lavfi -i testsrc2=s=320x180:r=25:d={seconds} -f lavfi -i sine=d={seconds}:r=44100 -ac 2 \
                 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -movflags +faststart"
            ),
        )
    }

    /// Probes a file and carries out a plan for it.
    pub(crate) fn convert(
        &self,
        program: &Path,
        file: &Path,
        plan: Value,
    ) -> Result<Made, Failure> {
        let found = probe(program, file)?;
        self.convert_probed(program, file, found, plan, &Interruption::never())
    }

    pub(crate) fn convert_probed(
        &self,
        program: &Path,
        file: &Path,
        probe: Probe,
        plan: Value,
        interruption: &Interruption,
    ) -> Result<Made, Failure> {
        let mut plan: Plan = serde_json::from_value(plan).expect("a plan");
        plan.duration_s = plan.duration_s.or_else(|| expected_s(&probe, &plan));
        let input = TranscodeInput {
            source: SourceObject {
                path: "unused".to_owned(),
                name: "clip".to_owned(),
                size_bytes: probe.size_bytes,
                sha256: String::new(),
            },
            probe,
            plan,
            spans: [("transcode".to_owned(), (35.0, 95.0))].into(),
        };
        let directory = tempfile::tempdir_in(self.directory.path()).expect("a work directory");
        transcode(&Work {
            ffmpeg: &launched(program),
            input: &input,
            source: file,
            directory: &directory.keep(),
            interruption,
            observe: &|seen| self.observed.lock().unwrap().push(seen),
        })
    }
}

pub(crate) fn probe(program: &Path, file: &Path) -> Result<Probe, Failure> {
    reelway_media::probe::probe(&launched(program), file, &Interruption::never())
}

/// What the planner would expect: from the first to the last packet of the used streams.
fn expected_s(probe: &Probe, plan: &Plan) -> Option<f64> {
    let used: Vec<_> = [
        plan.video.as_ref().map(|v| v.stream),
        plan.audio.as_ref().map(|a| a.stream),
    ]
    .into_iter()
    .flatten()
    .filter_map(|index| probe.stream(index))
    .collect();
    let first = used.iter().filter_map(|s| s.first_pts_s).reduce(f64::min)?;
    let last = used.iter().filter_map(|s| s.last_pts_s).reduce(f64::max)?;
    Some(last - first)
}

pub(crate) fn code_of(result: Result<impl std::fmt::Debug, Failure>) -> String {
    match result {
        Err(Failure::Error(error)) => error.code,
        other => panic!("{other:?} is not a failure with a code"),
    }
}

/// A plan for an audio file from the stream with that number.
pub(crate) fn audio_plan(format: &str, stream: u32) -> Value {
    let (container, encoder, bit_rate) = match format {
        "mp3" => ("mp3", "libmp3lame", Some(192_000)),
        "m4a" => ("ipod", "aac", Some(160_000)),
        "opus" => ("ogg", "libopus", Some(128_000)),
        "flac" => ("flac", "flac", None),
        "wav" => ("wav", "pcm_s16le", None),
        _ => unreachable!("{format}"),
    };
    json!({
        "path": "extract_audio", "container": container, "extension": format, "mime": "audio/x",
        "file_name": format!("output.{format}"),
        "audio": {"stream": stream, "action": "encode", "encoder": encoder, "bit_rate": bit_rate},
    })
}

/// A plan that encodes picture and sound.
pub(crate) fn video_plan(format: &str, size: (u32, u32), video: u32, audio: Option<u32>) -> Value {
    let (video_encoder, audio_encoder, crf, preset) = match format {
        "mp4" => ("libx264", "aac", 23, Some("veryfast")),
        "webm" => ("libvpx-vp9", "libopus", 32, None),
        _ => unreachable!("{format}"),
    };
    json!({
        "path": "transcode_single", "container": format, "extension": format, "mime": "video/x",
        "file_name": format!("output.{format}"),
        "video": {"stream": video, "action": "encode", "encoder": video_encoder, "width": size.0,
            "height": size.1, "crf": crf, "preset": preset, "pixel_format": "yuv420p"},
        "audio": audio.map(|stream| json!(
            {"stream": stream, "action": "encode", "encoder": audio_encoder, "bit_rate": 128_000})),
    })
}
