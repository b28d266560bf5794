//! The reports that ffmpeg writes with `-progress`: lines `key=value`, closed by `progress=…`.
//!
//! `out_time_ms` is ignored: it holds microseconds, as `out_time_us` does. Values may be `N/A` or
//! negative while nothing has been written.

/// How far ffmpeg has come. What it does not know yet is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Advance {
    /// Video frames written.
    pub frame: Option<u64>,
    /// Time of the last packet written, in microseconds.
    pub out_time_us: Option<u64>,
    /// Bytes written.
    pub total_size: Option<u64>,
    /// Multiple of real time.
    pub speed: Option<f64>,
    /// The last report: everything is encoded and the file is being closed.
    pub ending: bool,
}

impl Advance {
    /// Whether something was written since `earlier`.
    #[must_use]
    pub fn moved_since(&self, earlier: &Self) -> bool {
        (self.frame, self.out_time_us, self.total_size, self.ending)
            != (
                earlier.frame,
                earlier.out_time_us,
                earlier.total_size,
                earlier.ending,
            )
    }
}

/// Puts reports together from lines.
#[derive(Debug, Default)]
pub struct ProgressParser {
    current: Advance,
}

impl ProgressParser {
    /// Takes in one line; the line that closes a report gives the report.
    pub fn line(&mut self, line: &str) -> Option<Advance> {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        match key.trim() {
            "frame" => self.current.frame = value.parse().ok(),
            "out_time_us" => self.current.out_time_us = value.parse().ok(),
            "total_size" => self.current.total_size = value.parse().ok(),
            "speed" => {
                self.current.speed = value
                    .trim_end_matches('x')
                    .trim()
                    .parse()
                    .ok()
                    .filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
            }
            "progress" => {
                self.current.ending = value == "end";
                return Some(std::mem::take(&mut self.current));
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reports(text: &str) -> Vec<Advance> {
        let mut parser = ProgressParser::default();
        text.lines().filter_map(|line| parser.line(line)).collect()
    }

    #[test]
    fn unknown_values_stay_unknown() {
        let text = "frame=N/A\nout_time_us=-9223372036854775807\ntotal_size=N/A\nspeed=N/A\nprogress=continue\n";
        assert_eq!(reports(text), [Advance::default()]);
    }

    #[test]
    fn a_report_ends_with_its_progress_line() {
        let text = "frame=48\nfps=0.00\nstream_0_0_q=29.0\nbitrate= 212.1kbits/s\ntotal_size=262192\n\
                    out_time_us=1952000\nout_time_ms=1952000\nout_time=00:00:01.952000\ndup_frames=0\n\
                    drop_frames=0\nspeed=3.88x\nprogress=continue\nframe=50\nspeed= 1e+03x\nprogress=end\n";
        assert_eq!(
            reports(text),
            [
                Advance {
                    frame: Some(48),
                    out_time_us: Some(1_952_000),
                    total_size: Some(262_192),
                    speed: Some(3.88),
                    ending: false,
                },
                Advance {
                    frame: Some(50),
                    speed: Some(1000.0),
                    ending: true,
                    ..Advance::default()
                },
            ]
        );
    }

    #[test]
    fn speed_alone_is_no_movement() {
        let still = Advance {
            out_time_us: Some(5),
            speed: Some(2.0),
            ..Advance::default()
        };
        let slower = Advance {
            speed: Some(1.0),
            ..still
        };
        let moved = Advance {
            out_time_us: Some(6),
            ..still
        };
        assert!(!slower.moved_since(&still));
        assert!(moved.moved_since(&still));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "(frame|out_time_us|speed|total_size|progress|x)=[-0-9a-zN/.+x ]{0,24}\n{0,40}") {
            let _ = reports(&text);
        }
    }
}
