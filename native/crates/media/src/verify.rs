//! Whether a finished file is what the plan says. One run of ffmpeg lists its packets and decodes it;
//! exit codes, headers and sizes prove nothing.

mod lengths;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::Path,
    time::{Duration, Instant},
};

use self::lengths::{check_gap, check_length, copy_code, has_gaps, sound_is_whole};
use crate::{
    errors::Failure,
    ffmpeg::{self, Ffmpeg, Finished, Interruption},
    probe::{self, Dump, PacketList, PacketStream, parse_dump},
    task::{
        Action, AudioEncoder, Codecs, Plan, Probe, Stream, StreamKind, VideoEncoder, VideoPlan,
    },
};

const TELL_EVERY: Duration = Duration::from_millis(100);

/// What a verified file is.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// How long it plays.
    pub duration_s: f64,
    /// Codecs of its streams.
    pub codecs: Codecs,
    /// Width of the shown picture.
    pub width: Option<u32>,
    /// Height of the shown picture.
    pub height: Option<u32>,
}

/// Decodes a file and compares it with its plan and its source.
///
/// `on_time` hears up to which second it has come. Fails with `OUTPUT_INVALID`, or with
/// `SOURCE_CORRUPT` or `SOURCE_TRUNCATED` when what is wrong came from the source.
pub fn verify(
    ffmpeg: &Ffmpeg,
    file: &Path,
    plan: &Plan,
    source: (&Probe, &Path),
    interruption: &Interruption,
    on_time: &mut (dyn FnMut(f64) + Send),
) -> Result<Verified, Failure> {
    let (probe, source_file) = source;
    let (dump, lists) = decode(ffmpeg, file, plan, interruption, on_time)?;
    let mut verified = Verified {
        duration_s: 0.0,
        codecs: Codecs::default(),
        width: None,
        height: None,
    };
    check_streams(plan, &dump)?;
    let mut number = 0..;
    let planned = usize::from(plan.video.is_some()) + usize::from(plan.audio.is_some());
    let mut next = || {
        let copied = number.next().unwrap_or_default();
        let packets = lists.get(&copied).filter(|stream| stream.packets > 0);
        let decoded = lists
            .get(&(copied + planned))
            .filter(|stream| stream.packets > 0);
        packets
            .zip(decoded)
            .ok_or_else(|| invalid("a stream holds nothing that can be decoded"))
    };
    let (mut first_s, mut last_s) = (f64::MAX, f64::MIN);
    if let Some(video) = &plan.video {
        let (packets, decoded) = next()?;
        let described = dump.streams.iter().find(|s| s.kind == StreamKind::Video);
        check_picture(
            video,
            probe.stream(video.stream),
            packets,
            decoded,
            described,
        )?;
        let turned = described.is_some_and(|stream| stream.rotation % 180 != 0);
        let size = packets
            .dimensions
            .map(|(w, h)| if turned { (h, w) } else { (w, h) });
        (verified.width, verified.height) = size.unzip();
        verified.codecs.video = Some(packets.codec.clone());
        first_s = first_s.min(packets.first_pts_s().unwrap_or(0.0));
        last_s = last_s.max(packets.last_pts_s().unwrap_or(0.0));
    }
    if let Some(audio) = &plan.audio {
        let (packets, decoded) = next()?;
        let stream = probe.stream(audio.stream);
        let codec = match audio.encoder {
            Some(encoder) if audio.action == Action::Encode => Some(audio_codec(encoder)),
            _ => stream.map(|stream| stream.codec.as_str()),
        };
        check_codec(codec, packets)?;
        let played_s = decoded.played_s();
        if !sound_is_whole(played_s, stream, plan.duration_s) {
            let source_s = played_by(ffmpeg, source_file, audio.stream, interruption, on_time)?;
            check_length("sound", played_s, source_s, copy_code(audio.action))?;
            if !has_gaps(stream) {
                let detail = format!("of the source's sound only {source_s:.3} s decode");
                return Err(Failure::new("SOURCE_CORRUPT", detail));
            }
        }
        check_gap(packets, stream, audio.action)?;
        verified.codecs.audio = Some(packets.codec.clone());
        let start_s = decoded.first_pts_s().unwrap_or(0.0);
        first_s = first_s.min(start_s);
        last_s = last_s.max(start_s + played_s);
    }
    verified.duration_s = ((last_s - first_s).max(0.0) * 1e6).round() / 1e6;
    Ok(verified)
}

/// Lists the packets of every planned stream, then what its decoder makes of them.
fn decode(
    ffmpeg: &Ffmpeg,
    file: &Path,
    plan: &Plan,
    interruption: &Interruption,
    on_time: &mut (dyn FnMut(f64) + Send),
) -> Result<(Dump, BTreeMap<usize, PacketStream>), Failure> {
    let mut arguments: Vec<OsString> = vec!["-v".into(), "level+info".into(), "-xerror".into()];
    arguments.extend(ffmpeg::input(file));
    let kinds: Vec<&str> = [
        plan.video.as_ref().map(|_| "V"),
        plan.audio.as_ref().map(|_| "a"),
    ]
    .into_iter()
    .flatten()
    .collect();
    for kind in kinds.iter().chain(&kinds) {
        arguments.extend(["-map".into(), format!("0:{kind}:0").into()]);
    }
    for (number, kind) in kinds.iter().chain(&kinds).enumerate() {
        let codec = match (number < kinds.len(), *kind) {
            (true, _) => "copy",
            (false, "V") => "wrapped_avframe",
            (false, _) => "pcm_s16le",
        };
        arguments.extend([format!("-c:{number}").into(), codec.into()]);
        if codec == "wrapped_avframe" {
            arguments.extend([format!("-fps_mode:{number}").into(), "passthrough".into()]);
        }
    }
    for argument in ["-copyts", "-f", "framecrc", "pipe:1"] {
        arguments.push(argument.into());
    }
    let (finished, lists) = listed(ffmpeg, &arguments, interruption, on_time)?;
    let errors = finished.log.errors(5).join("; ");
    if !finished.status.success() {
        let copied = [
            plan.video.as_ref().map(|video| video.action),
            plan.audio.as_ref().map(|audio| audio.action),
        ];
        // What was copied was broken before.
        let code = if copied.contains(&Some(Action::Copy)) {
            "SOURCE_CORRUPT"
        } else {
            "OUTPUT_INVALID"
        };
        return Err(Failure::new(code, format!("decoding the result: {errors}")));
    }
    Ok((parse_dump(&finished.log.text()), lists))
}

fn check_streams(plan: &Plan, dump: &Dump) -> Result<(), Failure> {
    for (kind, planned) in [
        (StreamKind::Video, plan.video.is_some()),
        (StreamKind::Audio, plan.audio.is_some()),
    ] {
        let found = dump
            .streams
            .iter()
            .filter(|stream| stream.kind == kind && !stream.attached_picture)
            .count();
        if found != usize::from(planned) {
            return Err(invalid(format!("{found} streams of kind {kind:?}")));
        }
    }
    Ok(())
}

fn check_picture(
    plan: &VideoPlan,
    source: Option<&Stream>,
    packets: &PacketStream,
    decoded: &PacketStream,
    described: Option<&Stream>,
) -> Result<(), Failure> {
    let encode = plan.action == Action::Encode;
    let codec = match plan.encoder {
        Some(VideoEncoder::Libx264) if encode => Some("h264"),
        Some(VideoEncoder::LibvpxVp9) if encode => Some("vp9"),
        _ => source.map(|stream| stream.codec.as_str()),
    };
    check_codec(codec, packets)?;
    if encode {
        if packets.dimensions != plan.width.zip(plan.height) {
            return Err(invalid(format!("pictures of {:?}", packets.dimensions)));
        }
        let format = described.and_then(|stream| stream.pixel_format.as_deref());
        if format != Some("yuv420p") {
            return Err(invalid(format!("pixels in {format:?}")));
        }
        if decoded.packets != packets.packets {
            return Err(invalid(format!(
                "{} frames of {} decode",
                decoded.packets, packets.packets
            )));
        }
    }
    let span_s = packets
        .last_pts_s()
        .zip(packets.first_pts_s())
        .map(|(last, first)| last - first);
    if let (Some(span_s), Some(source_s)) = (span_s, source.and_then(Stream::span_s)) {
        check_length("picture", span_s, source_s, copy_code(plan.action))?;
    }
    check_gap(packets, source, plan.action)
}

fn check_codec(expected: Option<&str>, packets: &PacketStream) -> Result<(), Failure> {
    match expected {
        Some(expected) if expected != packets.codec => {
            Err(invalid(format!("{} instead of {expected}", packets.codec)))
        }
        _ => Ok(()),
    }
}

/// How long a stream of the source plays when it is decoded.
fn played_by(
    ffmpeg: &Ffmpeg,
    source: &Path,
    stream: u32,
    interruption: &Interruption,
    on_time: &mut (dyn FnMut(f64) + Send),
) -> Result<f64, Failure> {
    let mut arguments: Vec<OsString> = vec!["-v".into(), "level+error".into()];
    arguments.extend(ffmpeg::input(source));
    let map = format!("0:{stream}");
    for argument in [
        "-map",
        &map,
        "-c:a",
        "pcm_s16le",
        "-copyts",
        "-f",
        "framecrc",
        "pipe:1",
    ] {
        arguments.push(argument.into());
    }
    let (_, streams) = listed(ffmpeg, &arguments, interruption, on_time)?;
    Ok(streams.get(&0).map_or(0.0, PacketStream::played_s))
}

/// Runs ffmpeg for a list of packets, and tells now and then how far it has come.
fn listed(
    ffmpeg: &Ffmpeg,
    arguments: &[OsString],
    interruption: &Interruption,
    on_time: &mut (dyn FnMut(f64) + Send),
) -> Result<(Finished, BTreeMap<usize, PacketStream>), Failure> {
    let mut list = PacketList::default();
    let mut told_at = Instant::now();
    let finished = probe::run(ffmpeg, arguments, interruption, &mut |line| {
        list.line(line);
        if told_at.elapsed() >= TELL_EVERY {
            told_at = Instant::now();
            on_time(list.reached_s());
        }
    })?;
    Ok((finished, list.finish()))
}

fn audio_codec(encoder: AudioEncoder) -> &'static str {
    match encoder {
        AudioEncoder::Libmp3lame => "mp3",
        AudioEncoder::Aac => "aac",
        AudioEncoder::Libopus => "opus",
        AudioEncoder::Flac => "flac",
        AudioEncoder::PcmS16le => "pcm_s16le",
    }
}

fn invalid(detail: impl Into<String>) -> Failure {
    Failure::new("OUTPUT_INVALID", detail)
}
