//! What has to be done to a source. Every choice is a name from a closed list.

use serde::{Deserialize, Serialize};

/// How the output comes about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanPath {
    /// Every stream is copied into another container.
    Remux,
    /// Only sound is taken.
    ExtractAudio,
    /// One ffmpeg call encodes the whole output.
    TranscodeSingle,
    /// The source already is the result.
    Passthrough,
}

/// ffmpeg's name of the muxer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each name is the muxer's own")]
pub enum Container {
    Mp3,
    Ipod,
    Ogg,
    Flac,
    Wav,
    Mp4,
    Webm,
}

/// What happens to a stream.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Packets are taken over unchanged.
    Copy,
    /// The stream is decoded and encoded.
    Encode,
}

/// Encoders for pictures that a plan may name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "each name is the encoder's own")]
pub enum VideoEncoder {
    #[serde(rename = "libx264")]
    Libx264,
    #[serde(rename = "libvpx-vp9")]
    LibvpxVp9,
}

/// Encoders for sound that a plan may name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name is the encoder's own")]
pub enum AudioEncoder {
    Libmp3lame,
    Aac,
    Libopus,
    Flac,
    PcmS16le,
}

/// Speed settings of libx264 that a plan may name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each name is the encoder's own")]
pub enum Preset {
    Ultrafast,
    Superfast,
    Veryfast,
    Faster,
    Fast,
    Medium,
    Slow,
    Slower,
    Veryslow,
}

/// Pixel formats that a plan may name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the name is ffmpeg's own")]
pub enum PixelFormat {
    Yuv420p,
}

/// What happens to the chosen video stream.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct VideoPlan {
    /// Number of the stream in the source.
    pub stream: u32,
    /// Copy or encode.
    pub action: Action,
    /// Needed to encode.
    #[serde(default)]
    pub encoder: Option<VideoEncoder>,
    /// Width of the shown picture, after rotation; even when encoding.
    #[serde(default)]
    pub width: Option<u32>,
    /// Height of the shown picture, after rotation; even when encoding.
    #[serde(default)]
    pub height: Option<u32>,
    /// Constant quality of the encoder, smaller is better.
    #[serde(default)]
    pub crf: Option<u8>,
    /// Speed setting of libx264.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// Pixel format of the output.
    #[serde(default)]
    pub pixel_format: Option<PixelFormat>,
}

/// What happens to the chosen audio stream.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AudioPlan {
    /// Number of the stream in the source.
    pub stream: u32,
    /// Copy or encode.
    pub action: Action,
    /// Needed to encode.
    #[serde(default)]
    pub encoder: Option<AudioEncoder>,
    /// Bits per second; `None` for lossless encoders.
    #[serde(default)]
    pub bit_rate: Option<u32>,
    /// Samples per second; `None` keeps the source's.
    #[serde(default)]
    pub sample_rate: Option<u32>,
    /// Channels; `None` keeps the source's.
    #[serde(default)]
    pub channels: Option<u32>,
}

/// One output: its container and what happens to each stream.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Plan {
    /// How the output comes about.
    pub path: PlanPath,
    /// ffmpeg's muxer.
    pub container: Container,
    /// Without the dot.
    pub extension: String,
    /// Media type of the output.
    pub mime: String,
    /// Name of the output file.
    pub file_name: String,
    /// Expected duration.
    #[serde(default)]
    pub duration_s: Option<f64>,
    /// `None`: the output has no picture.
    #[serde(default)]
    pub video: Option<VideoPlan>,
    /// `None`: the output has no sound.
    #[serde(default)]
    pub audio: Option<AudioPlan>,
}
