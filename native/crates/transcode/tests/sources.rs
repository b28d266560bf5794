//! What is said about files that are not what they seem, with every ffmpeg at hand.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::{fs, path::PathBuf, process::Command};

use reelway_media::errors::Failure;
use serde_json::Value;
use support::{Bench, PROGRAM, audio_plan, code_of, programs, video_plan};

fn cut(bench: &Bench, source: &PathBuf, name: &str, part: f64) -> PathBuf {
    let bytes = fs::read(source).unwrap();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size"
    )]
    let length = (bytes.len() as f64 * part) as usize;
    let file = bench.path(name);
    fs::write(&file, &bytes[..length]).unwrap();
    file
}

#[test]
fn files_that_are_no_media_are_told_apart_from_damaged_ones() {
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 2);
    let page = "<!doctype html><html><body>Please log in</body></html>";
    for (name, content) in [
        ("page.mp4", page),
        ("page.mp3", page),
        ("text.mp4", "only words\n"),
        ("empty.mp4", ""),
        ("script.mp4", "ffconcat version 1.0\nfile clip.mp4\n"),
        (
            "list.mp4",
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nclip.mp4\n#EXT-X-ENDLIST\n",
        ),
        (
            "list.m3u8",
            "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nclip.mp4\n#EXT-X-ENDLIST\n",
        ),
        (
            "drawing.mp4",
            "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>",
        ),
    ] {
        fs::write(bench.path(name), content).unwrap();
    }
    fs::write(bench.path("zeros.mp4"), vec![0; 100_000]).unwrap();
    bench.make(
        "picture.png",
        "-f lavfi -i color=s=64x64 -frames:v 1 -update 1",
    );
    fs::rename(bench.path("picture.png"), bench.path("picture.mp4")).unwrap();
    for program in programs() {
        for name in [
            "page.mp4",
            "page.mp3",
            "text.mp4",
            "empty.mp4",
            "script.mp4",
            "list.mp4",
            "list.m3u8",
            "drawing.mp4",
            "zeros.mp4",
            "picture.mp4",
        ] {
            assert_eq!(
                code_of(support::probe(program, &bench.path(name))),
                "NOT_MEDIA",
                "{name}"
            );
        }
        assert_eq!(
            code_of(support::probe(program, bench.directory.path())),
            "NOT_MEDIA"
        );
        assert_eq!(
            code_of(support::probe(program, &bench.path("gone"))),
            "INPUT_MISSING"
        );
        assert!(support::probe(program, &clip).is_ok());
    }
}

#[test]
fn a_source_that_was_cut_off_is_refused() {
    let bench = Bench::new();
    let front = bench.clip("front.mp4", 8);
    let back = bench.make("back.mp4", "-i {}/front.mp4 -c copy");
    let film = bench.make("film.mkv", "-i {}/front.mp4 -c copy");
    let sound = bench.make("sound.wav", "-f lavfi -i sine=d=8");
    let flac = bench.make("sound.flac", "-f lavfi -i sine=d=8");
    let old = bench.make("old.avi", "-i {}/front.mp4 -c:v mpeg4 -c:a mp3");
    for (source, part) in [
        (&front, 0.5),
        (&front, 0.99),
        (&back, 0.9),
        (&film, 0.6),
        (&sound, 0.5),
        (&flac, 0.5),
        (&old, 0.5),
    ] {
        let file = cut(&bench, source, "cut", part);
        for program in programs() {
            let code = code_of(support::probe(program, &file));
            assert_eq!(code, "SOURCE_TRUNCATED", "{source:?} {part}");
        }
    }
}

#[test]
fn streams_of_different_length_are_no_damage() {
    let bench = Bench::new();
    let short_sound = bench.make(
        "short.mp4",
        "-f lavfi -i testsrc2=s=320x180:r=25:d=6 -f lavfi -i sine=d=2 -c:v libx264 -preset ultrafast -c:a aac",
    );
    let late = bench.make(
        "late.mkv",
        "-itsoffset 3 -f lavfi -i sine=d=2 -f lavfi -i testsrc2=s=320x180:r=25:d=4 -map 1 -map 0 -c:v libx264 \
         -preset ultrafast -c:a aac",
    );
    let stream = bench.make("stream.ts", "-i {}/short.mp4 -c copy");
    for program in programs() {
        for source in [&short_sound, &late, &stream] {
            let found = support::probe(program, source).unwrap();
            assert_eq!(found.streams.len(), 2);
            let made = bench
                .convert(program, source, audio_plan("mp3", 1))
                .unwrap();
            assert!(
                (made.verified.duration_s - 2.0).abs() < 0.06,
                "{source:?} {:?}",
                made.verified
            );
            let plan = video_plan("mp4", (320, 180), 0, Some(1));
            let made = bench.convert(program, source, plan);
            assert!(made.is_ok(), "{source:?} {made:?}");
        }
    }
}

#[test]
fn old_and_odd_containers_are_no_damage() {
    let bench = Bench::new();
    let both = "-f lavfi -i testsrc2=s=320x240:r=25:d=2 -f lavfi -i sine=d=2";
    let h264 = "-c:v libx264 -preset ultrafast -c:a aac";
    let sources = [
        // No times of presentation in the container, and B-frames.
        bench.make("old.avi", &format!("{both} -c:v mpeg4 -bf 2 -c:a libmp3lame -q:a 4")),
        bench.make("program.mpg", &format!("{both} -c:v mpeg2video -c:a mp2")),
        // Frames of two fields.
        bench.make(
            "fields.ts",
            "-f lavfi -i testsrc2=s=320x240:r=50:d=2,interlace -f lavfi -i sine=d=2 -c:v libx264 -preset ultrafast \
             -flags +ildct+ilme -x264-params tff=1 -c:a mp2",
        ),
        // Frames that are never shown.
        bench.make("hidden.webm", &format!("{both} -c:v libvpx -auto-alt-ref 1 -lag-in-frames 16 -c:a libvorbis")),
        bench.make("pieces.mp4", &format!("{both} {h264} -movflags frag_keyframe+empty_moov")),
        bench.make("late.mkv", &format!("{both} {h264} -output_ts_offset 1000")),
        bench.make("time_code.mov", &format!("{both} -timecode 01:00:00:00 -c:v mjpeg -c:a pcm_s24le")),
    ];
    for program in programs() {
        for source in &sources {
            for plan in [
                audio_plan("mp3", 1),
                video_plan("mp4", (320, 240), 0, Some(1)),
            ] {
                let made = bench.convert(program, source, plan);
                let made = made.unwrap_or_else(|failure| panic!("{}: {failure}", source.display()));
                let difference = made.verified.duration_s - 2.0;
                assert!(
                    difference.abs() < 0.1,
                    "{}: {:?}",
                    source.display(),
                    made.verified
                );
            }
        }
    }
}

/// The probe came from the whole file, the encoder sees half of it: exit code 0, and a result that
/// plays. It must not pass.
#[test]
fn a_result_from_a_part_of_the_source_is_refused() {
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 8);
    for program in programs() {
        for plan in [
            audio_plan("mp3", 1),
            video_plan("mp4", (320, 180), 0, Some(1)),
        ] {
            let mut found = support::probe(program, &clip).unwrap();
            let half = cut(&bench, &clip, "half.mp4", 0.5);
            found.size_bytes = fs::metadata(&half).unwrap().len();
            let made = bench.convert_probed(
                program,
                &half,
                found,
                plan,
                &reelway_media::ffmpeg::Interruption::never(),
            );
            assert_eq!(code_of(made), "SOURCE_TRUNCATED");
        }
    }
}

#[test]
fn a_source_that_does_not_decode_is_refused() {
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 8);
    let mut bytes = fs::read(&clip).unwrap();
    let middle = bytes.len() / 4..bytes.len() * 3 / 4;
    let mut random = fastrand::Rng::with_seed(7);
    bytes[middle]
        .iter_mut()
        .for_each(|byte| *byte = random.u8(..));
    let broken = bench.path("broken.mp4");
    fs::write(&broken, bytes).unwrap();
    for program in programs() {
        for plan in [
            audio_plan("wav", 1),
            video_plan("mp4", (320, 180), 0, Some(1)),
        ] {
            let result = bench.convert(program, &broken, plan);
            assert_eq!(code_of(result), "SOURCE_CORRUPT");
        }
    }
}

#[test]
fn a_source_that_is_gone_or_changed_is_missing() {
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 1);
    let program = support::maker();
    let mut found = support::probe(program, &clip).unwrap();
    found.size_bytes += 1;
    let never = reelway_media::ffmpeg::Interruption::never();
    let changed = bench.convert_probed(program, &clip, found.clone(), audio_plan("mp3", 1), &never);
    assert_eq!(code_of(changed), "INPUT_MISSING");
    fs::remove_file(&clip).unwrap();
    let gone: Result<_, Failure> =
        bench.convert_probed(program, &clip, found, audio_plan("mp3", 1), &never);
    assert_eq!(code_of(gone), "INPUT_MISSING");
}

#[test]
fn the_probe_speaks_json_and_says_by_its_status_how_it_went() {
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 1);
    let text = bench.path("text.mp4");
    fs::write(&text, "words").unwrap();
    let run = |file: &PathBuf, program: &str| -> (Option<i32>, Value) {
        let output = Command::new(PROGRAM)
            .arg("probe")
            .arg(file)
            .env("REELWAY_FFMPEG", program)
            .output()
            .unwrap();
        (
            output.status.code(),
            serde_json::from_slice(&output.stdout).unwrap(),
        )
    };
    let program = support::maker().to_str().unwrap();
    let (status, found) = run(&clip, program);
    assert_eq!(status, Some(0));
    assert_eq!(found["streams"][0]["codec"], "h264");
    assert_eq!(found["streams"][0]["packets"], 25);
    let (status, failure) = run(&text, program);
    assert_eq!(
        (status, &failure["code"]),
        (Some(3), &Value::from("NOT_MEDIA"))
    );
    let (status, failure) = run(&clip, "/nowhere/ffmpeg");
    assert_eq!(
        (status, &failure["code"]),
        (Some(3), &Value::from("NATIVE_MISSING"))
    );
}
