//! ffmpeg's description of an input, as it prints it when it opens a file.
//!
//! The wheel that carries ffmpeg has no ffprobe, so this text is the only source of profile, pixel
//! format, rotation and dispositions. Whatever the packet list also says is taken from there.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::layout::channels_of_layout;
use crate::task::{Stream, StreamKind};

/// What the description says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Dump {
    /// ffmpeg's demuxer list.
    pub(crate) container: String,
    /// Duration in seconds that the header claims.
    pub(crate) duration_s: Option<f64>,
    /// Time in seconds at which the file says to start.
    pub(crate) start_s: Option<f64>,
    /// Streams in the file's order.
    pub(crate) streams: Vec<Stream>,
    /// Input stream of each output stream, in the order of the outputs.
    pub(crate) mapping: Vec<u32>,
}

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($text).expect("a constant, used by the tests"));
    };
}

pattern!(INPUT, r"^Input #0, (.+), from '");
pattern!(
    DURATION,
    r"^  Duration: (?:(\d+):(\d\d):(\d\d(?:\.\d+)?)|N/A)(?:, start: (-?\d+(?:\.\d+)?))?"
);
pattern!(
    STREAM,
    r"^ {2,4}Stream #0:(\d+)(?:\[0x[0-9a-f]+\])?(?:\([^)]*\))?: (Video|Audio|Subtitle|Data|Attachment|Unknown): (.*)$"
);
pattern!(
    ROTATION,
    r"(?i)^ {6,}display ?matrix: rotation of (-?\d+(?:\.\d+)?) degrees"
);
pattern!(MAPPED, r"^  Stream #0:(\d+) (?:\([^)]*\) )?-> #\d+:\d+ \(");
pattern!(DIMENSIONS, r"^(\d{1,6})x(\d{1,6})(?: |$)");

/// Reads a log that was written with `-v level+info`.
pub(crate) fn parse(log: &str) -> Dump {
    let mut dump = Dump::default();
    let mut in_input = false;
    for line in log.lines().filter_map(|line| line.strip_prefix("[info] ")) {
        if let Some(found) = INPUT.captures(line) {
            found[1].clone_into(&mut dump.container);
            in_input = true;
        } else if line.starts_with("Output #") || line.starts_with("Stream mapping:") {
            in_input = false;
        } else if in_input {
            input_line(&mut dump, line);
        } else if let Some(found) = MAPPED.captures(line)
            && let Ok(index) = found[1].parse()
        {
            dump.mapping.push(index);
        }
    }
    dump
}

fn input_line(dump: &mut Dump, line: &str) {
    if let Some(found) = DURATION.captures(line) {
        let number = |group: usize| found.get(group).and_then(|text| text.as_str().parse().ok());
        dump.start_s = number(4);
        dump.duration_s = (|| Some(number(1)? * 3600.0 + number(2)? * 60.0 + number(3)?))();
    } else if let Some(found) = STREAM.captures(line) {
        // A tag of the file can be named like a stream line; a second line for an index is a tag.
        if let Ok(index) = found[1].parse()
            && index as usize == dump.streams.len()
        {
            dump.streams.push(stream(index, &found[2], &found[3]));
        }
    } else if let Some(found) = ROTATION.captures(line)
        && let Some(stream) = dump.streams.last_mut()
        && let Ok(degrees) = found[1].parse::<f64>()
    {
        stream.rotation = whole_degrees(degrees);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "within -360..360")]
fn whole_degrees(degrees: f64) -> i32 {
    (degrees % 360.0).round().rem_euclid(360.0) as i32
}

fn stream(index: u32, kind: &str, description: &str) -> Stream {
    let parts = split_outside_brackets(description);
    let first = parts.first().copied().unwrap_or_default();
    let mut stream = Stream {
        index,
        kind: match kind {
            "Video" => StreamKind::Video,
            "Audio" => StreamKind::Audio,
            "Subtitle" => StreamKind::Subtitle,
            _ => StreamKind::Data,
        },
        codec: first.split(' ').next().unwrap_or_default().to_owned(),
        profile: profile(first),
        pixel_format: None,
        color_transfer: None,
        width: None,
        height: None,
        frame_rate: None,
        rotation: 0,
        sample_rate: None,
        channels: None,
        bit_rate: None,
        attached_picture: description.contains("(attached pic)"),
        default: description.contains("(default)"),
        packets: None,
        first_pts_s: None,
        last_pts_s: None,
        largest_gap_s: None,
    };
    if stream.kind == StreamKind::Video {
        stream.pixel_format = parts.get(1).and_then(|part| pixel_format(part));
        stream.color_transfer = parts.get(1).and_then(|part| color_transfer(part));
    }
    for (position, part) in parts.iter().enumerate().skip(1) {
        if let Some(found) = DIMENSIONS.captures(part) {
            stream.width = found[1].parse().ok();
            stream.height = found[2].parse().ok();
        } else if let Some(rate) = number_before(part, " Hz") {
            stream.sample_rate = Some(rate);
            stream.channels = parts
                .get(position + 1)
                .and_then(|layout| channels_of_layout(layout));
        } else if let Some(rate) = number_before::<u64>(part, " kb/s") {
            stream.bit_rate = Some(rate * 1000);
        } else if let Some(rate) = frame_rate(part) {
            stream.frame_rate = Some(rate);
        }
    }
    stream
}

/// Splits at commas that are in no bracket: `yuv420p(tv, bt709)` is one part.
fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (position, character) in text.char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..position].trim());
                start = position + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// The profile in `h264 (High) (avc1 / 0x31637661)`. A name in lower case is the decoder's, one with
/// a slash is the container's code of the codec.
fn profile(first: &str) -> Option<String> {
    first
        .split(" (")
        .skip(1)
        .filter_map(|group| group.split(')').next())
        .find(|group| {
            !group.contains(" / ")
                && group
                    .chars()
                    .any(|character| !matches!(character, 'a'..='z' | '0'..='9' | '_'))
                && *group != "attached pic"
        })
        .map(str::to_owned)
}

fn pixel_format(part: &str) -> Option<String> {
    let name = part.split(['(', ' ']).next()?;
    let known = !name.is_empty() && name != "none" && !DIMENSIONS.is_match(part);
    known.then(|| name.to_owned())
}

/// The last name in `(tv, bt2020nc/bt2020/smpte2084, progressive)`: matrix, primaries, transfer. One
/// name alone stands for all three.
fn color_transfer(part: &str) -> Option<String> {
    let (_, inside) = part.strip_suffix(')')?.split_once('(')?;
    inside
        .split(", ")
        .find_map(|word| word.split('/').nth(2))
        .filter(|name| *name != "unknown")
        .map(str::to_owned)
}

fn number_before<T: std::str::FromStr>(part: &str, unit: &str) -> Option<T> {
    part.split_once(unit)?.0.parse().ok()
}

/// `29.97 fps` or `1k fps`.
fn frame_rate(part: &str) -> Option<f64> {
    let number = part.split_once(" fps")?.0;
    let rate: f64 = match number.strip_suffix('k') {
        Some(thousands) => thousands.parse::<f64>().ok()? * 1000.0,
        None => number.parse().ok()?,
    };
    (rate > 0.0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = "\
[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/x/clip.mp4':
[info]   Metadata:
[info]     title           : x
[info]   Stream #0:0    : Video: not a stream but a tag
[info]   Duration: 01:02:03.50, start: -0.023000, bitrate: 970 kb/s
[info]   Stream #0:0[0x1](und): Video: h264 (High 4:4:4 Predictive) (avc1 / 0x31637661), yuv420p10le(tv, bt2020nc/bt2020/smpte2084, progressive), 1920x1080 [SAR 1:1 DAR 16:9], 831 kb/s, 29.97 fps, 29.97 tbr, 30k tbn (default)
[info]     Metadata:
[info]       handler_name    : VideoHandler
[info]     Side data:
[info]       Display Matrix: rotation of -90.00 degrees
[info]   Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, 5.1(side), fltp, 127 kb/s (default)
[info]   Stream #0:2(deu): Subtitle: subrip (srt), start 0.500000
[info]   Stream #0:3: Video: mjpeg (Baseline), yuvj444p(pc, bt470bg/unknown/unknown), 64x64 [SAR 1:1 DAR 1:1], 90k tbr, 90k tbn (attached pic)
[info]   Stream #0:4: Data: none
[info] Stream mapping:
[info]   Stream #0:0 -> #0:0 (copy)
[info]   Stream #0:1 -> #0:1 (copy)
[info] Output #0, framecrc, to 'pipe:':
[info]   Stream #0:0(und): Video: h264, yuv420p, 9x9
";

    #[test]
    fn a_description_is_read() {
        let dump = parse(PHONE);
        assert_eq!(dump.container, "mov,mp4,m4a,3gp,3g2,mj2");
        assert_eq!(dump.duration_s, Some(3723.5));
        assert_eq!(dump.start_s, Some(-0.023));
        assert_eq!(dump.mapping, [0, 1]);
        assert_eq!(dump.streams.len(), 5);

        let video = &dump.streams[0];
        assert_eq!(video.codec, "h264");
        assert_eq!(video.profile.as_deref(), Some("High 4:4:4 Predictive"));
        assert_eq!(video.pixel_format.as_deref(), Some("yuv420p10le"));
        assert_eq!(video.color_transfer.as_deref(), Some("smpte2084"));
        assert_eq!((video.width, video.height), (Some(1920), Some(1080)));
        assert_eq!(video.frame_rate, Some(29.97));
        assert_eq!(video.bit_rate, Some(831_000));
        assert_eq!(video.rotation, 270);
        assert!(video.default && !video.attached_picture);

        let audio = &dump.streams[1];
        assert_eq!((audio.sample_rate, audio.channels), (Some(44_100), Some(6)));
        assert_eq!(audio.profile.as_deref(), Some("LC"));
        assert_eq!(dump.streams[2].kind, StreamKind::Subtitle);
        assert!(dump.streams[3].attached_picture);
        assert_eq!(dump.streams[4].kind, StreamKind::Data);
    }

    #[test]
    fn a_decoder_is_not_a_profile() {
        assert_eq!(profile("mp3 (mp3float)"), None);
        assert_eq!(profile("av1 (libdav1d) (Main)").as_deref(), Some("Main"));
        assert_eq!(profile("vp9 (Profile 0)").as_deref(), Some("Profile 0"));
    }

    #[test]
    fn a_header_without_duration_has_none() {
        let dump = parse(
            "[info] Input #0, wav, from 'file:x':\n[info]   Duration: N/A, bitrate: N/A\n\
             [info]   Stream #0:0: Audio: pcm_s16le ([1][0][0][0] / 0x0001), 48000 Hz, 7.1, s16, 6144 kb/s\n",
        );
        assert_eq!(dump.duration_s, None);
        assert_eq!(dump.streams[0].channels, Some(8));
        assert_eq!(dump.streams[0].profile, None);
    }
}
