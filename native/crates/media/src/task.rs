//! The bodies that travel with a job, as `actors/media/task.py` defines them: JSON with
//! `snake_case` names, unknown fields ignored, so that two versions can run side by side.

mod plan;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use plan::{
    Action, AudioEncoder, AudioPlan, Container, PixelFormat, Plan, PlanPath, Preset, VideoEncoder,
    VideoPlan,
};

/// Stage → the part of the job's percent it covers, as (from, to) within 0..100.
pub type Spans = BTreeMap<String, (f64, f64)>;

/// What kind of stream it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Text or bitmap subtitles.
    Subtitle,
    /// Everything else: time codes, attachments, telemetry.
    Data,
}

/// One stream of a probed file. What was not measured or is unknown is `None`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Stream {
    /// Number of the stream in the file.
    pub index: u32,
    /// What kind of stream it is.
    pub kind: StreamKind,
    /// ffmpeg's name of the codec.
    pub codec: String,
    /// The codec's profile, as ffmpeg writes it.
    #[serde(default)]
    pub profile: Option<String>,
    /// ffmpeg's name of the pixel format.
    #[serde(default)]
    pub pixel_format: Option<String>,
    /// ffmpeg's name of the transfer characteristics: `smpte2084` and `arib-std-b67` are high dynamic
    /// range.
    #[serde(default)]
    pub color_transfer: Option<String>,
    /// Coded width in pixels, before rotation.
    #[serde(default)]
    pub width: Option<u32>,
    /// Coded height in pixels, before rotation.
    #[serde(default)]
    pub height: Option<u32>,
    /// Average frames per second.
    #[serde(default)]
    pub frame_rate: Option<f64>,
    /// How far a player turns the picture, in degrees from 0 to 359, counter-clockwise as ffmpeg counts.
    #[serde(default)]
    pub rotation: i32,
    /// Samples per second.
    #[serde(default)]
    pub sample_rate: Option<u32>,
    /// Number of audio channels.
    #[serde(default)]
    pub channels: Option<u32>,
    /// Bits per second, as the header says.
    #[serde(default)]
    pub bit_rate: Option<u64>,
    /// A cover picture, not a video.
    #[serde(default)]
    pub attached_picture: bool,
    /// The stream that a player would choose.
    #[serde(default)]
    pub default: bool,
    /// Number of packets that were read.
    #[serde(default)]
    pub packets: Option<u64>,
    /// Time of the first packet, from the start of the file.
    #[serde(default)]
    pub first_pts_s: Option<f64>,
    /// End of the last packet, from the start of the file.
    #[serde(default)]
    pub last_pts_s: Option<f64>,
    /// Largest distance between the times of two packets that follow each other.
    #[serde(default)]
    pub largest_gap_s: Option<f64>,
}

impl Stream {
    /// How long the stream lasts from its first packet to the end of its last.
    #[must_use]
    pub fn span_s(&self) -> Option<f64> {
        Some(self.last_pts_s? - self.first_pts_s?)
    }
}

/// What a file holds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Probe {
    /// ffmpeg's demuxer list, for example `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Duration that the header claims.
    #[serde(default)]
    pub duration_s: Option<f64>,
    /// Size of the file.
    pub size_bytes: u64,
    /// The streams in the file's order.
    #[serde(default)]
    pub streams: Vec<Stream>,
}

impl Probe {
    /// The stream with that number.
    #[must_use]
    pub fn stream(&self, index: u32) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.index == index)
    }
}

/// A fetched file in the work area.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SourceObject {
    /// Storage key.
    pub path: String,
    /// What people call the file.
    pub name: String,
    /// Size of the file.
    pub size_bytes: u64,
    /// Digest of the file, in hexadecimal.
    pub sha256: String,
}

/// What transcode needs besides the spec.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TranscodeInput {
    /// The fetched file.
    pub source: SourceObject,
    /// What it holds.
    pub probe: Probe,
    /// What is to be made of it.
    pub plan: Plan,
    /// Which part of the job's percent each stage covers.
    pub spans: Spans,
}

/// Codec names of an output.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Codecs {
    /// `None`: no picture.
    pub video: Option<String>,
    /// `None`: no sound.
    pub audio: Option<String>,
}

/// A verified file in the work area.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Output {
    /// Storage key.
    pub path: String,
    /// Name of the file, for example `output.mp3`.
    pub name: String,
    /// Media type.
    #[serde(rename = "type")]
    pub mime: String,
    /// Size of the file.
    pub size_bytes: u64,
    /// Digest of the file, in hexadecimal.
    pub sha256: String,
    /// Decoded duration.
    pub duration_s: Option<f64>,
    /// Codecs of its streams.
    pub codecs: Codecs,
    /// Width of the shown picture.
    pub width: Option<u32>,
    /// Height of the shown picture.
    pub height: Option<u32>,
}

/// What store needs besides the spec.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StoreInput {
    /// The verified files.
    pub outputs: Vec<Output>,
    /// What people call the source.
    pub source_name: Option<String>,
    /// Which part of the job's percent each stage covers.
    pub spans: Spans,
}

/// Progress of the stage that runs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Progress {
    /// The stage.
    pub stage: String,
    /// Seconds until the stage's end, when they can be told.
    pub eta_s: Option<f64>,
    /// Multiple of real time.
    pub speed: Option<f64>,
    /// Bytes written so far.
    pub bytes_done: Option<u64>,
    /// Unknown while encoding.
    pub bytes_total: Option<u64>,
}

/// Why a job failed, in the words of the error table.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ErrorBody {
    /// Stable name.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub suggestion: String,
    /// Whether the same job may succeed when it is tried again.
    pub retryable: bool,
}

/// Why a job does not move.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReasonBody {
    /// Stable name.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Server time at which it goes on, when known.
    pub until_ms: Option<u64>,
}
