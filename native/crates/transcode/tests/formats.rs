//! Every format from many kinds of sources, with every ffmpeg at hand.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::fs;

use serde_json::json;
use support::{Bench, audio_plan, programs, video_plan};

#[test]
fn every_audio_format_lasts_as_long_as_the_sound() {
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 4);
    for program in programs() {
        for (format, codec) in [
            ("mp3", "mp3"),
            ("m4a", "aac"),
            ("opus", "opus"),
            ("flac", "flac"),
            ("wav", "pcm_s16le"),
        ] {
            let made = bench
                .convert(program, &clip, audio_plan(format, 1))
                .unwrap();
            let verified = &made.verified;
            assert_eq!(verified.codecs.audio.as_deref(), Some(codec));
            assert_eq!(verified.codecs.video, None);
            assert!(
                (verified.duration_s - 4.0).abs() < 0.05,
                "{format} {verified:?}"
            );
            assert_eq!(made.size_bytes, fs::metadata(&made.file).unwrap().len());
            assert_eq!(made.sha256.len(), 64);
        }
    }
    let observed = bench.observed.lock().unwrap();
    assert!(observed.iter().any(|seen| seen.fraction.is_some()));
    assert!(
        observed
            .iter()
            .all(|seen| seen.fraction.is_none_or(|part| (0.0..=1.0).contains(&part)))
    );
}

#[test]
fn a_lossy_source_gives_flac_of_16_bits_and_a_deep_one_keeps_its_depth() {
    let bench = Bench::new();
    let lossy = bench.clip("clip.mp4", 1);
    let deep = bench.make(
        "deep.flac",
        "-f lavfi -i sine=d=1 -c:a flac -sample_fmt s32",
    );
    for program in programs() {
        let from_lossy = bench
            .convert(program, &lossy, audio_plan("flac", 1))
            .unwrap();
        let from_deep = bench
            .convert(program, &deep, audio_plan("flac", 0))
            .unwrap();
        assert_eq!(flac_bits(&fs::read(from_lossy.file).unwrap()), 16);
        assert_eq!(flac_bits(&fs::read(from_deep.file).unwrap()), 24);
    }
}

/// Bits per sample in STREAMINFO (RFC 9639, section 8.2).
fn flac_bits(file: &[u8]) -> u8 {
    ((file[20] & 1) << 4 | file[21] >> 4) + 1
}

#[test]
fn wide_channel_layouts_do_not_fail() {
    let bench = Bench::new();
    let sources = [
        bench.make(
            "eight.wav",
            "-f lavfi -i aevalsrc=0.1*sin(440*t)|0|0|0|0|0|0|0:c=7.1:d=1:s=48000",
        ),
        bench.make(
            "side.flac",
            "-f lavfi -i aevalsrc=0.1*sin(440*t)|0|0|0|0|0:c=5.1(side):d=1:s=96000 -sample_fmt s32",
        ),
        bench.make(
            "wide.wav",
            "-f lavfi -i aevalsrc=0.1*sin(440*t)|0|0|0|0|0|0|0:c=7.1(wide):d=1:s=44100",
        ),
    ];
    for program in programs() {
        for source in &sources {
            for format in ["mp3", "m4a", "opus", "flac", "wav"] {
                let made = bench.convert(program, source, audio_plan(format, 0));
                let made = made.unwrap_or_else(|error| panic!("{source:?} to {format}: {error}"));
                assert!((made.verified.duration_s - 1.0).abs() < 0.05);
            }
        }
    }
}

#[test]
fn pictures_that_players_refuse_become_plain_ones() {
    let bench = Bench::new();
    let sources = [
        bench.make("odd.mkv", "-f lavfi -i testsrc2=s=321x181:r=25:d=1 -c:v ffv1"),
        bench.make("rgb.mkv", "-f lavfi -i testsrc2=s=320x180:r=25:d=1 -c:v ffv1 -pix_fmt bgr0"),
        bench.make(
            "deep.mkv",
            "-f lavfi -i testsrc2=s=320x180:r=25:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le",
        ),
        bench.make("full.avi", "-f lavfi -i testsrc2=s=320x180:r=25:d=1 -c:v mjpeg -pix_fmt yuvj420p"),
        bench.make("motion.gif", "-f lavfi -i testsrc2=s=320x180:r=10:d=1"),
    ];
    for program in programs() {
        for source in &sources {
            for format in ["mp4", "webm"] {
                let made = bench.convert(program, source, video_plan(format, (320, 180), 0, None));
                let made = made.unwrap_or_else(|error| panic!("{source:?} to {format}: {error}"));
                let found = support::probe(program, &made.file).unwrap();
                let picture = &found.streams[0];
                assert_eq!(picture.pixel_format.as_deref(), Some("yuv420p"));
                assert_eq!(
                    (made.verified.width, made.verified.height),
                    (Some(320), Some(180))
                );
                if format == "mp4" {
                    assert_eq!(picture.profile.as_deref(), Some("High"));
                }
            }
        }
    }
}

#[test]
fn high_dynamic_range_is_mapped_and_never_mislabelled() {
    let bench = Bench::new();
    for (name, transfer) in [("pq.mkv", "smpte2084"), ("hlg.mkv", "arib-std-b67")] {
        let source = bench.make(
            name,
            &format!(
                "-f lavfi -i testsrc2=s=320x180:r=25:d=1 -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast \
                 -x265-params log-level=error:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
            ),
        );
        for program in programs() {
            let before = support::probe(program, &source).unwrap();
            assert_eq!(before.streams[0].color_transfer.as_deref(), Some(transfer));
            for format in ["mp4", "webm"] {
                let plan = video_plan(format, (320, 180), 0, None);
                let made = bench.convert(program, &source, plan).unwrap();
                let after = support::probe(program, &made.file)
                    .unwrap()
                    .streams
                    .remove(0);
                assert_eq!(after.pixel_format.as_deref(), Some("yuv420p"));
                assert_ne!(after.color_transfer.as_deref(), Some(transfer));
            }
        }
    }
}

#[test]
fn the_index_of_an_mp4_comes_first() {
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 1);
    for program in programs() {
        let made = bench
            .convert(program, &clip, video_plan("mp4", (320, 180), 0, Some(1)))
            .unwrap();
        let bytes = fs::read(made.file).unwrap();
        let position = |name: &[u8]| bytes.windows(4).position(|window| window == name).unwrap();
        assert!(position(b"moov") < position(b"mdat"));
    }
}

#[test]
fn a_turned_picture_is_shown_as_before() {
    let bench = Bench::new();
    let upright = bench.clip("upright.mp4", 1);
    let source = bench.path("turned.mp4");
    let status = std::process::Command::new(support::maker())
        .args(["-nostdin", "-v", "error", "-display_rotation", "90", "-i"])
        .arg(&upright)
        .args(["-c", "copy"])
        .arg(&source)
        .status()
        .unwrap();
    if !status.success() {
        return; // An ffmpeg before 6 cannot make such a file.
    }
    let copy = json!({
        "path": "remux", "container": "mp4", "extension": "mp4", "mime": "video/mp4", "file_name": "output.mp4",
        "video": {"stream": 0, "action": "copy", "width": 320, "height": 180},
        "audio": {"stream": 1, "action": "copy"},
    });
    for program in programs() {
        let encoded = bench
            .convert(program, &source, video_plan("mp4", (180, 320), 0, Some(1)))
            .unwrap();
        assert_eq!(
            (encoded.verified.width, encoded.verified.height),
            (Some(180), Some(320))
        );
        assert_eq!(
            support::probe(program, &encoded.file).unwrap().streams[0].rotation,
            0
        );

        let copied = bench.convert(program, &source, copy.clone()).unwrap();
        assert_eq!(
            (copied.verified.width, copied.verified.height),
            (Some(180), Some(320))
        );
        assert_eq!(
            support::probe(program, &copied.file).unwrap().streams[0].rotation,
            90
        );
    }
}

#[test]
fn irregular_frames_keep_their_number_and_times() {
    let bench = Bench::new();
    let source = bench.make(
        "irregular.mkv",
        "-f lavfi -i testsrc2=s=320x180:r=30:d=6,select='not(eq(mod(n\\,7)\\,3)+between(n\\,100\\,118))',\
         settb=1/90000 -fps_mode passthrough -enc_time_base 1:90000 -c:v libx264 -preset ultrafast",
    );
    for program in programs() {
        let before = support::probe(program, &source).unwrap().streams.remove(0);
        let made = bench
            .convert(program, &source, video_plan("mp4", (320, 180), 0, None))
            .unwrap();
        let after = support::probe(program, &made.file)
            .unwrap()
            .streams
            .remove(0);
        assert_eq!(after.packets, before.packets);
        let difference = after.largest_gap_s.unwrap() - before.largest_gap_s.unwrap();
        assert!(difference.abs() < 0.002, "{after:?}");
    }
}

#[test]
fn cover_art_subtitles_and_attachments_stay_out() {
    let bench = Bench::new();
    let picture = bench.make(
        "cover.png",
        "-f lavfi -i color=s=64x64 -frames:v 1 -update 1",
    );
    bench.make("sound.wav", "-f lavfi -i sine=d=1");
    let song = bench.make(
        "song.mp3",
        "-i {}/sound.wav -i {}/cover.png -map 0 -map 1 -c:a libmp3lame -c:v mjpeg -disposition:v attached_pic",
    );
    fs::write(
        bench.path("words.srt"),
        "1\n00:00:00,100 --> 00:00:00,900\nwords\n",
    )
    .unwrap();
    bench.clip("clip.mp4", 1);
    let film = bench.make(
        "film.mkv",
        "-i {}/clip.mp4 -i {}/words.srt -map 0 -map 1 -c copy -c:s srt -attach {}/words.srt -metadata:s:t mimetype=text/plain",
    );
    assert!(picture.is_file());
    for program in programs() {
        let found = support::probe(program, &song).unwrap();
        assert!(found.streams.iter().any(|stream| stream.attached_picture));
        let made = bench
            .convert(program, &song, audio_plan("opus", 0))
            .unwrap();
        assert_eq!(
            support::probe(program, &made.file).unwrap().streams.len(),
            1
        );

        let made = bench
            .convert(program, &film, video_plan("mp4", (320, 180), 0, Some(1)))
            .unwrap();
        assert_eq!(
            support::probe(program, &made.file).unwrap().streams.len(),
            2
        );
    }
}

#[test]
fn copies_and_passthrough_keep_every_packet() {
    let bench = Bench::new();
    bench.clip("clip.mp4", 2);
    let source = bench.make("clip.mkv", "-i {}/clip.mp4 -c copy");
    let song = bench.make("song.mp3", "-f lavfi -i sine=d=2 -c:a libmp3lame");
    let remux = json!({
        "path": "remux", "container": "mp4", "extension": "mp4", "mime": "video/mp4", "file_name": "output.mp4",
        "video": {"stream": 0, "action": "copy"}, "audio": {"stream": 1, "action": "copy"},
    });
    let extract = json!({
        "path": "extract_audio", "container": "ipod", "extension": "m4a", "mime": "audio/mp4",
        "file_name": "output.m4a", "audio": {"stream": 1, "action": "copy"},
    });
    let passthrough = json!({
        "path": "passthrough", "container": "mp3", "extension": "mp3", "mime": "audio/mpeg",
        "file_name": "output.mp3", "audio": {"stream": 0, "action": "copy"},
    });
    for program in programs() {
        let packets = |file| -> Vec<_> {
            let found = support::probe(program, file).unwrap();
            found
                .streams
                .into_iter()
                .map(|stream| stream.packets)
                .collect()
        };
        let before = packets(&source);
        let made = bench.convert(program, &source, remux.clone()).unwrap();
        assert_eq!(packets(&made.file), before);
        let made = bench.convert(program, &source, extract.clone()).unwrap();
        assert_eq!(packets(&made.file), before[1..]);
        let made = bench.convert(program, &song, passthrough.clone()).unwrap();
        assert_eq!(fs::read(&made.file).unwrap(), fs::read(&song).unwrap());
        assert_eq!(made.verified.codecs.audio.as_deref(), Some("mp3"));
    }
}
