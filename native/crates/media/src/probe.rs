//! What a file holds: ffmpeg's description of it, and the facts of all its packets, in one run.

mod dump;
mod layout;
mod packets;
mod riff;

use std::{ffi::OsString, fs, path::Path};

pub(crate) use self::{
    dump::{Dump, parse as parse_dump},
    packets::{PacketList, PacketStream},
};
use crate::{
    errors::{ErrorTable, Failure},
    ffmpeg::{self, Ffmpeg, Finished, Interruption, Limits, RunError},
    task::{Probe, StreamKind},
};

/// A source must hold this much of what its header claims.
const LEAST_PART: f64 = 0.98;
/// Shorter pieces than this may be missing whatever part they are: headers round.
const LEAST_MISSING_S: f64 = 0.5;
/// The description of a file with many streams and tags is long.
const DESCRIPTION_BYTES: usize = 1024 * 1024;

/// Reads a whole file and says what it holds.
///
/// Fails with `INPUT_MISSING`, `NOT_MEDIA`, `SOURCE_TRUNCATED` (less than 98 % of what the header
/// claims, or the container ends in the middle of an element), or what the error table makes of
/// ffmpeg's messages.
pub fn probe(ffmpeg: &Ffmpeg, file: &Path, interruption: &Interruption) -> Result<Probe, Failure> {
    let size_bytes = match fs::metadata(file) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err(Failure::new("NOT_MEDIA", "not a regular file")),
        Err(error) => return Err(Failure::new("INPUT_MISSING", error.to_string())),
    };
    if size_bytes == 0 {
        return Err(Failure::new("NOT_MEDIA", "the file is empty"));
    }
    let mut arguments: Vec<OsString> = vec!["-v".into(), "level+info".into()];
    arguments.extend(ffmpeg::input(file));
    for argument in [
        "-map", "0:V?", "-map", "0:a?", "-map", "0:s?", "-c", "copy", "-copyts", "-f", "framecrc",
        "pipe:1",
    ] {
        arguments.push(argument.into());
    }
    let mut list = PacketList::default();
    let finished = run(ffmpeg, &arguments, interruption, &mut |line| {
        list.line(line);
    })?;
    let log = finished.log.text();
    let dump = parse_dump(&log);
    let has_media = dump.streams.iter().any(|stream| {
        matches!(stream.kind, StreamKind::Audio | StreamKind::Video) && !stream.attached_picture
    });
    if !finished.status.success() {
        return Err(failed(&finished, &log, has_media));
    }
    if !has_media {
        return Err(Failure::new("NOT_MEDIA", "no audio and no video stream"));
    }
    let (probe, start_s) = combine(dump, list, size_bytes, &log);
    if !probe.streams.iter().any(|stream| {
        !matches!(stream.kind, StreamKind::Subtitle)
            && stream.packets.is_some_and(|count| count > 0)
    }) {
        return Err(Failure::new("NOT_MEDIA", "no packet in any stream"));
    }
    check_complete(&probe, start_s, &log)?;
    if probe.container == "wav"
        && let Ok(Some(claimed)) = riff::claimed_bytes(file)
        && claimed > size_bytes
    {
        let detail = format!("the header claims {claimed} bytes of {size_bytes}");
        return Err(Failure::new("SOURCE_TRUNCATED", detail));
    }
    Ok(probe)
}

/// Runs ffmpeg for reading only, in the directory that has nothing to write: no file may grow.
pub(crate) fn run(
    ffmpeg: &Ffmpeg,
    arguments: &[OsString],
    interruption: &Interruption,
    on_line: &mut (dyn FnMut(&str) + Send),
) -> Result<Finished, Failure> {
    let limits = Limits { file_bytes: 0 };
    let mut command = ffmpeg.command(Path::new("/"), limits, arguments);
    let finished = ffmpeg::run(&mut command, interruption, DESCRIPTION_BYTES, on_line);
    let finished = finished.map_err(|error| match error {
        RunError::Interrupted => Failure::Interrupted,
        RunError::Process(error) => Failure::new("NATIVE_MISSING", error.to_string()),
    })?;
    finished.broken_off().map_or(Ok(finished), Err)
}

fn failed(finished: &Finished, log: &str, has_media: bool) -> Failure {
    let detail = finished.log.errors(5).join("; ");
    // ffmpeg tried a demuxer for want of a better one, because of the file's name: what it then
    // misses says nothing about the file.
    if log.contains("misdetection possible") || !has_media && !log.contains("moov atom not found") {
        return Failure::new("NOT_MEDIA", detail);
    }
    let code = ErrorTable::built_in().code_for_ffmpeg(&detail);
    Failure::new(code.unwrap_or("SOURCE_CORRUPT"), detail)
}

fn combine(dump: Dump, list: PacketList, size_bytes: u64, log: &str) -> (Probe, f64) {
    let mut measured = list.finish();
    let start_s = measured
        .values()
        .filter_map(PacketStream::first_pts_s)
        .chain(dump.start_s)
        .reduce(f64::min)
        .unwrap_or(0.0);
    let mut probe = Probe {
        container: dump.container,
        // Without a duration in the header ffmpeg guesses from the bit rate.
        duration_s: dump
            .duration_s
            .filter(|_| !log.contains("Estimating duration from bitrate")),
        size_bytes,
        streams: dump.streams,
    };
    for (output, index) in dump.mapping.into_iter().enumerate() {
        let Some(packets) = measured.remove(&output) else {
            continue;
        };
        let Some(stream) = probe
            .streams
            .iter_mut()
            .find(|stream| stream.index == index)
        else {
            continue;
        };
        if !packets.codec.is_empty() {
            stream.codec.clone_from(&packets.codec);
        }
        if let Some((width, height)) = packets.dimensions {
            (stream.width, stream.height) = (Some(width), Some(height));
        }
        stream.sample_rate = packets.sample_rate.or(stream.sample_rate);
        stream.channels = packets
            .layout
            .as_deref()
            .and_then(layout::channels_of_layout)
            .or(stream.channels);
        stream.packets = Some(packets.packets);
        stream.first_pts_s = packets
            .first_pts_s()
            .map(|time| from_start_s(time, start_s));
        stream.last_pts_s = packets.last_pts_s().map(|time| from_start_s(time, start_s));
        stream.largest_gap_s = packets.largest_gap_s();
    }
    (probe, start_s)
}

fn from_start_s(time_s: f64, start_s: f64) -> f64 {
    ((time_s - start_s) * 1e6).round() / 1e6
}

fn check_complete(probe: &Probe, start_s: f64, log: &str) -> Result<(), Failure> {
    if ["partial file", "File ended prematurely"]
        .iter()
        .any(|text| log.contains(text))
    {
        return Err(Failure::new("SOURCE_TRUNCATED", "the container is cut off"));
    }
    let (Some(claimed_s), Some(reached_s)) = (probe.duration_s, reached_s(probe, start_s)) else {
        return Ok(());
    };
    if reached_s < claimed_s * LEAST_PART && claimed_s - reached_s > LEAST_MISSING_S {
        return Err(Failure::new(
            "SOURCE_TRUNCATED",
            format!("the header claims {claimed_s:.2} s, the packets end at {reached_s:.2} s"),
        ));
    }
    Ok(())
}

/// Where the longest stream ends, on the header's scale; streams may well end before others.
fn reached_s(probe: &Probe, start_s: f64) -> Option<f64> {
    // Matroska's duration counts from zero, whatever time the first packet has.
    let from_zero = probe.container.contains("matroska");
    let offset_s = if from_zero { start_s.max(0.0) } else { 0.0 };
    probe
        .streams
        .iter()
        .filter_map(|stream| Some(stream.last_pts_s? + offset_s))
        .reduce(f64::max)
}
