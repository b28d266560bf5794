//! The plan of an output as arguments of ffmpeg. Nothing that a user wrote reaches them: every value
//! is a number, or a name from a closed list.

use std::{ffi::OsString, path::Path};

use crate::{
    errors::Failure,
    ffmpeg,
    task::{
        Action, AudioEncoder, AudioPlan, Container, PixelFormat, Plan, Preset, Probe, Stream,
        VideoEncoder, VideoPlan,
    },
};

/// Codecs that keep every bit of the sound; the depth of their samples means something.
const LOSSLESS: [&str; 9] = [
    "flac", "alac", "wavpack", "ape", "tta", "tak", "truehd", "mlp", "dst",
];

/// A picture rate may differ this much from the measured one before frames count as irregular.
const REGULAR: f64 = 0.02;

/// From high to standard dynamic range. Eight bits under the tags of high dynamic range look washed out.
const TONE_MAP: &str = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,\
     zscale=t=bt709:m=bt709:r=tv";

/// The arguments that make `output` from `source`.
///
/// Fails with `UNREADABLE` when the plan names a stream that the source does not have, or leaves out
/// what an encoder needs.
pub(crate) fn arguments(
    plan: &Plan,
    probe: &Probe,
    source: &Path,
    output: &Path,
) -> Result<Vec<OsString>, Failure> {
    let mut arguments = Arguments::default();
    arguments.pair("-v", "level+warning");
    arguments.pair("-progress", "pipe:1");
    arguments.pair("-stats_period", "0.5");
    arguments.list.push("-y".into());
    arguments.list.extend(ffmpeg::input(source));
    if let Some(video) = &plan.video {
        arguments.pair("-map", format!("0:{}", video.stream));
    }
    if let Some(audio) = &plan.audio {
        arguments.pair("-map", format!("0:{}", audio.stream));
    }
    for drop in ["-sn", "-dn"] {
        arguments.list.push(drop.into());
    }
    if let Some(video) = &plan.video {
        let stream = planned_stream(probe, video.stream)?;
        arguments.video(video, stream)?;
    }
    if let Some(audio) = &plan.audio {
        let stream = planned_stream(probe, audio.stream)?;
        arguments.audio(audio, stream, plan.container)?;
    }
    // Streams that begin late make ffmpeg hold the others back; its own bound is too small for that.
    arguments.pair("-max_muxing_queue_size", "4096");
    arguments.container(plan.container);
    let mut file = OsString::from("file:");
    file.push(output);
    arguments.list.push(file);
    Ok(arguments.list)
}

fn planned_stream(probe: &Probe, index: u32) -> Result<&Stream, Failure> {
    probe
        .stream(index)
        .ok_or_else(|| Failure::new("UNREADABLE", format!("the source has no stream {index}")))
}

#[derive(Default)]
struct Arguments {
    list: Vec<OsString>,
}

impl Arguments {
    fn pair(&mut self, name: &str, value: impl Into<OsString>) {
        self.list.push(name.into());
        self.list.push(value.into());
    }

    fn video(&mut self, plan: &VideoPlan, source: &Stream) -> Result<(), Failure> {
        if plan.action == Action::Copy {
            self.pair("-c:v", "copy");
            return Ok(());
        }
        let (Some(encoder), Some(width), Some(height)) = (plan.encoder, plan.width, plan.height)
        else {
            return Err(Failure::new(
                "UNREADABLE",
                "an encode without encoder or size",
            ));
        };
        let pixel_format = match plan.pixel_format.unwrap_or(PixelFormat::Yuv420p) {
            PixelFormat::Yuv420p => "yuv420p",
        };
        // ffmpeg turns the picture before the filter, so the size is that of the shown picture.
        // Players expect the limited range of levels; pictures and screen recordings have the full one.
        let scale =
            format!("scale={width}:{height}:flags=bicubic:out_range=tv,format={pixel_format}");
        if high_dynamic_range(source) {
            self.pair("-vf", format!("{TONE_MAP},{scale}"));
            for name in ["-color_primaries", "-color_trc", "-colorspace"] {
                self.pair(name, "bt709");
            }
        } else {
            self.pair("-vf", scale);
        }
        // Versions differ in what they do with irregular frames unless they are told.
        self.pair("-fps_mode", "vfr");
        if irregular(source) {
            self.pair("-enc_time_base", "1:90000");
        }
        match encoder {
            VideoEncoder::Libx264 => {
                self.pair("-c:v", "libx264");
                self.pair("-profile:v", "high");
                self.pair("-preset", preset(plan.preset.unwrap_or(Preset::Medium)));
                self.pair("-crf", plan.crf.unwrap_or(23).min(51).to_string());
            }
            VideoEncoder::LibvpxVp9 => {
                self.pair("-c:v", "libvpx-vp9");
                for (name, value) in [("-deadline", "good"), ("-cpu-used", "4"), ("-row-mt", "1")] {
                    self.pair(name, value);
                }
                self.pair("-crf", plan.crf.unwrap_or(32).min(63).to_string());
                // Without it crf is only an upper bound next to a default bit rate.
                self.pair("-b:v", "0");
            }
        }
        Ok(())
    }

    fn audio(
        &mut self,
        plan: &AudioPlan,
        source: &Stream,
        container: Container,
    ) -> Result<(), Failure> {
        if plan.action == Action::Copy {
            self.pair("-c:a", "copy");
            return Ok(());
        }
        let Some(encoder) = plan.encoder else {
            return Err(Failure::new("UNREADABLE", "an encode without encoder"));
        };
        let name = match encoder {
            AudioEncoder::Libmp3lame => "libmp3lame",
            AudioEncoder::Aac => "aac",
            AudioEncoder::Libopus => "libopus",
            AudioEncoder::Flac => "flac",
            AudioEncoder::PcmS16le => "pcm_s16le",
        };
        self.pair("-c:a", name);
        if let Some(bit_rate) = plan.bit_rate {
            self.pair("-b:a", bit_rate.to_string());
        }
        match plan.sample_rate {
            Some(rate) => self.pair("-ar", rate.to_string()),
            None if encoder == AudioEncoder::Libopus => self.pair("-ar", "48000"),
            None => {}
        }
        let most = match encoder {
            AudioEncoder::Libmp3lame => 2,
            _ => 8,
        };
        let channels = plan
            .channels
            .or(source.channels)
            .map(|count| count.min(most));
        // An explicit layout: encoders refuse `5.1(side)` and layouts without a name.
        if let Some(layout) = channels.and_then(layout) {
            self.pair("-af", format!("aformat=channel_layouts={layout}"));
        }
        if encoder == AudioEncoder::Flac && !is_lossless(&source.codec) {
            // The samples of a lossy codec have no depth; 24 bits would store noise.
            self.pair("-sample_fmt", "s16");
        }
        if container == Container::Mp3 {
            self.pair("-id3v2_version", "3");
        }
        Ok(())
    }

    fn container(&mut self, container: Container) {
        let name = match container {
            Container::Mp3 => "mp3",
            Container::Ipod => "ipod",
            Container::Ogg => "ogg",
            Container::Flac => "flac",
            Container::Wav => "wav",
            Container::Mp4 => "mp4",
            Container::Webm => "webm",
        };
        match container {
            // The index goes to the front, so that playing can begin before the file is complete.
            Container::Ipod | Container::Mp4 => self.pair("-movflags", "+faststart"),
            // Plain WAV ends at 4 GiB.
            Container::Wav => self.pair("-rf64", "auto"),
            _ => {}
        }
        self.pair("-f", name);
    }
}

fn high_dynamic_range(stream: &Stream) -> bool {
    ["smpte2084", "arib-std-b67"].contains(&stream.color_transfer.as_deref().unwrap_or_default())
}

fn is_lossless(codec: &str) -> bool {
    codec.starts_with("pcm_") || LOSSLESS.contains(&codec)
}

/// Whether frames do not follow each other at one pace; then their times need a fine time base.
fn irregular(stream: &Stream) -> bool {
    let (Some(rate), Some(gap_s)) = (stream.frame_rate, stream.largest_gap_s) else {
        return false;
    };
    let measured = match (stream.packets, stream.span_s()) {
        (Some(packets), Some(span_s)) if span_s > 0.0 => packets as f64 / span_s,
        _ => rate,
    };
    // Containers round times to a millisecond.
    gap_s > 1.2 / rate + 0.002 || (measured / rate - 1.0).abs() > REGULAR
}

fn preset(preset: Preset) -> &'static str {
    match preset {
        Preset::Ultrafast => "ultrafast",
        Preset::Superfast => "superfast",
        Preset::Veryfast => "veryfast",
        Preset::Faster => "faster",
        Preset::Fast => "fast",
        Preset::Medium => "medium",
        Preset::Slow => "slow",
        Preset::Slower => "slower",
        Preset::Veryslow => "veryslow",
    }
}

/// The layouts that every encoder here takes.
fn layout(channels: u32) -> Option<&'static str> {
    Some(match channels {
        1 => "mono",
        2 => "stereo",
        3 => "3.0",
        4 => "quad",
        5 => "5.0",
        6 => "5.1",
        7 => "6.1",
        8 => "7.1",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(plan: &str, stream: &str) -> Result<Vec<String>, Failure> {
        let plan: Plan = serde_json::from_str(plan).unwrap();
        let probe: Probe = serde_json::from_str(&format!(
            r#"{{"container":"mov","size_bytes":1,"streams":[{stream}]}}"#
        ))
        .unwrap();
        let built = arguments(&plan, &probe, Path::new("/in/-i x"), Path::new("/out/o"))?;
        Ok(built
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect())
    }

    fn after<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
        let position = arguments.iter().position(|argument| argument == name)?;
        Some(&arguments[position + 1])
    }

    const MP3: &str = r#"{"path":"extract_audio","container":"mp3","extension":"mp3","mime":"audio/mpeg",
        "file_name":"output.mp3","audio":{"stream":0,"action":"encode","encoder":"libmp3lame","bit_rate":192000}}"#;

    #[test]
    fn wide_sound_becomes_what_the_encoder_takes() {
        let surround = r#"{"index":0,"kind":"audio","codec":"aac","channels":8}"#;
        let arguments = built(MP3, surround).unwrap();
        assert_eq!(
            after(&arguments, "-af"),
            Some("aformat=channel_layouts=stereo")
        );
        assert_eq!(after(&arguments, "-b:a"), Some("192000"));
        assert_eq!(after(&arguments, "-i"), Some("file:/in/-i x"));
        assert!(!arguments.contains(&"-vf".to_owned()));
    }

    #[test]
    fn irregular_frames_get_a_fine_time_base() {
        let plan = r#"{"path":"transcode_single","container":"mp4","extension":"mp4","mime":"video/mp4",
            "file_name":"output.mp4","video":{"stream":0,"action":"encode","encoder":"libx264","width":320,
            "height":180,"crf":23,"preset":"veryfast","pixel_format":"yuv420p"}}"#;
        let stream = |gap: f64| {
            format!(
                r#"{{"index":0,"kind":"video","codec":"h264","frame_rate":30.0,"packets":90,
                "first_pts_s":0.0,"last_pts_s":3.0,"largest_gap_s":{gap}}}"#
            )
        };
        let regular = built(plan, &stream(0.034)).unwrap();
        assert_eq!(after(&regular, "-enc_time_base"), None);
        assert_eq!(after(&regular, "-preset"), Some("veryfast"));
        let irregular = built(plan, &stream(0.1)).unwrap();
        assert_eq!(after(&irregular, "-enc_time_base"), Some("1:90000"));
    }

    #[test]
    fn a_plan_that_does_not_fit_is_refused() {
        let none = built(MP3, r#"{"index":1,"kind":"audio","codec":"aac"}"#);
        assert!(matches!(none, Err(Failure::Error(error)) if error.code == "UNREADABLE"));
        let unknown = serde_json::from_str::<Plan>(&MP3.replace("libmp3lame", "x; rm -rf"));
        assert!(unknown.is_err());
    }
}
