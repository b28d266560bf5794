//! The packet list that ffmpeg's `framecrc` muxer writes: `stream, dts, pts, duration, size, crc`.
//!
//! A header line `#key stream: value` comes before the packets of all streams. The list is the same
//! for copied packets and for decoded frames, so it also counts what a decoder gave.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

/// Packets are sorted by time over this many; B-frames are at most 16 apart.
const REORDERED: usize = 64;

/// What the list says about one stream.
#[derive(Debug, Default)]
pub(crate) struct PacketStream {
    /// ffmpeg's name of the codec.
    pub(crate) codec: String,
    /// Width and height in pixels.
    pub(crate) dimensions: Option<(u32, u32)>,
    /// Samples per second.
    pub(crate) sample_rate: Option<u32>,
    /// ffmpeg's name of the channel layout.
    pub(crate) layout: Option<String>,
    /// Number of packets.
    pub(crate) packets: u64,
    /// Sum of the packets' bytes.
    pub(crate) bytes: u64,
    time_base_s: f64,
    durations: i64,
    first: Option<i64>,
    end: Option<i64>,
    last: Option<i64>,
    waiting: BinaryHeap<Reverse<i64>>,
    largest_gap: i64,
    latest_gap: i64,
}

impl PacketStream {
    /// Time of the first packet in seconds.
    pub(crate) fn first_pts_s(&self) -> Option<f64> {
        self.first.map(|ticks| self.seconds(ticks))
    }

    /// End of the last packet in seconds. A packet without a duration lasts as long as the one before.
    pub(crate) fn last_pts_s(&self) -> Option<f64> {
        let end = self.end?;
        let end = match self.last {
            Some(last) if last == end => end.saturating_add(self.latest_gap),
            _ => end,
        };
        Some(self.seconds(end))
    }

    /// Largest distance in seconds between the times of two packets that follow each other.
    pub(crate) fn largest_gap_s(&self) -> Option<f64> {
        (self.packets > 1).then(|| self.seconds(self.largest_gap))
    }

    /// Sum of the packets' durations in seconds: what plays, without the gaps.
    pub(crate) fn played_s(&self) -> f64 {
        self.seconds(self.durations)
    }

    /// To the microsecond: what lies below is noise of the conversion.
    fn seconds(&self, ticks: i64) -> f64 {
        (ticks as f64 * self.time_base_s * 1e6).round() / 1e6
    }

    fn packet(&mut self, pts: Option<i64>, duration: i64, bytes: u64) {
        self.packets += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.durations = self.durations.saturating_add(duration);
        let Some(pts) = pts else { return };
        self.first = Some(self.first.map_or(pts, |first| first.min(pts)));
        let end = pts.saturating_add(duration);
        self.end = Some(self.end.map_or(end, |latest| latest.max(end)));
        self.waiting.push(Reverse(pts));
        if self.waiting.len() > REORDERED {
            self.in_order();
        }
    }

    fn in_order(&mut self) {
        let Some(Reverse(pts)) = self.waiting.pop() else {
            return;
        };
        if let Some(last) = self.last
            && pts > last
        {
            self.latest_gap = pts.saturating_sub(last);
            self.largest_gap = self.largest_gap.max(self.latest_gap);
        }
        self.last = Some(self.last.map_or(pts, |last| last.max(pts)));
    }
}

/// Reads a list line by line.
#[derive(Debug, Default)]
pub(crate) struct PacketList {
    streams: BTreeMap<usize, PacketStream>,
}

impl PacketList {
    /// Takes in one line. Lines of another shape are left out.
    pub(crate) fn line(&mut self, line: &str) {
        let _ = match line.strip_prefix('#') {
            Some(header) => self.header(header),
            None => self.packet(line),
        };
    }

    /// Up to which second the list has come.
    pub(crate) fn reached_s(&self) -> f64 {
        self.streams
            .values()
            .filter_map(PacketStream::last_pts_s)
            .fold(0.0, f64::max)
    }

    /// The streams by their number in the list.
    pub(crate) fn finish(mut self) -> BTreeMap<usize, PacketStream> {
        for stream in self.streams.values_mut() {
            while !stream.waiting.is_empty() {
                stream.in_order();
            }
        }
        self.streams
    }

    fn header(&mut self, header: &str) -> Option<()> {
        let (key, value) = header.split_once(": ")?;
        let (key, index) = key.split_once(' ')?;
        let stream = self.streams.entry(index.parse().ok()?).or_default();
        match key {
            "tb" => {
                let (numerator, denominator) = value.split_once('/')?;
                stream.time_base_s =
                    numerator.parse::<f64>().ok()? / denominator.parse::<f64>().ok()?;
            }
            "codec_id" => value.clone_into(&mut stream.codec),
            "dimensions" => {
                let (width, height) = value.split_once('x')?;
                stream.dimensions = Some((width.parse().ok()?, height.parse().ok()?));
            }
            "sample_rate" => stream.sample_rate = value.parse().ok(),
            "channel_layout_name" => stream.layout = Some(value.to_owned()),
            _ => {}
        }
        Some(())
    }

    fn packet(&mut self, line: &str) -> Option<()> {
        let mut fields = line.split(',').map(str::trim);
        let stream = self.streams.get_mut(&fields.next()?.parse().ok()?)?;
        let dts = time(fields.next()?);
        // Old containers store the order of decoding only; it is near enough for lengths and gaps.
        let pts = time(fields.next()?).or(dts);
        let duration = fields.next()?.parse().unwrap_or(0);
        let bytes = fields.next()?.parse().ok()?;
        stream.packet(pts, duration, bytes);
        Some(())
    }
}

/// A time in ticks; ffmpeg writes the smallest number for none.
fn time(field: &str) -> Option<i64> {
    field.parse().ok().filter(|ticks| *ticks != i64::MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "#software: Lavf63.1.102\n#tb 0: 1/30\n#media_type 0: video\n#codec_id 0: h264\n\
                          #dimensions 0: 320x180\n#sar 0: 1/1\n#tb 1: 1/1000\n#codec_id 1: aac\n\
                          #sample_rate 1: 44100\n#channel_layout_name 1: stereo\n";

    fn read(text: &str) -> BTreeMap<usize, PacketStream> {
        let mut list = PacketList::default();
        text.lines().for_each(|line| {
            list.line(line);
        });
        list.finish()
    }

    #[test]
    fn reordered_packets_have_no_gap_and_a_missing_piece_has() {
        let streams = read(&format!(
            "{HEADER}0, 0, 0, 1, 10, 0x1\n0, 1, 3, 1, 10, 0x1, F=0x0\n0, 2, 1, 1, 10, 0x1\n\
             0, 3, 2, 1, 10, 0x1\n0, 33, 33, 1, 10, 0x1\n1, -23, -23, 23, 5, 0x0\n1, 0, 0, 23, 5, 0x0\n"
        ));
        let video = &streams[&0];
        assert_eq!((video.codec.as_str(), video.packets), ("h264", 5));
        assert_eq!(video.dimensions, Some((320, 180)));
        assert_eq!(video.largest_gap_s(), Some(1.0));
        assert!((video.last_pts_s().unwrap() - 34.0 / 30.0).abs() < 1e-6);
        let audio = &streams[&1];
        assert_eq!(audio.first_pts_s(), Some(-0.023));
        assert_eq!(audio.last_pts_s(), Some(0.023));
        assert!((audio.played_s() - 0.046).abs() < 1e-9);
    }

    #[test]
    fn a_last_packet_without_duration_lasts_as_long_as_the_one_before() {
        let streams = read(&format!(
            "{HEADER}0, 0, 0, 0, 1, 0x1\n0, 1, 15, 0, 1, 0x1\n"
        ));
        assert_eq!(streams[&0].last_pts_s(), Some(1.0));
    }

    #[test]
    fn packets_without_times_are_counted() {
        let none = i64::MIN;
        let streams = read(&format!("{HEADER}0, {none}, {none}, 0, 7, 0x1\n"));
        assert_eq!((streams[&0].packets, streams[&0].bytes), (1, 7));
        assert_eq!(streams[&0].first_pts_s(), None);
        assert_eq!(streams[&0].largest_gap_s(), None);
        let decoding_only = read(&format!(
            "{HEADER}0, 0, {none}, 1, 7, 0x1\n0, 30, {none}, 1, 7, 0x1\n"
        ));
        assert_eq!(decoding_only[&0].largest_gap_s(), Some(1.0));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "(#|0,|tb|codec_id|[-0-9 ,:/x.a]|\n){0,200}") {
            let _ = read(&format!("{HEADER}{text}"));
        }

        #[test]
        fn the_gap_does_not_depend_on_the_order_within_a_group(
            seed in 0..1000_u64, count in 2..200_i64,
        ) {
            let mut times: Vec<i64> = (0..count).map(|n| n * 2).collect();
            let mut random = fastrand::Rng::with_seed(seed);
            for group in times.chunks_mut(8) {
                random.shuffle(group);
            }
            let lines: Vec<String> = times.iter().map(|t| format!("0, {t}, {t}, 2, 1, 0x1\n")).collect();
            let streams = read(&format!("{HEADER}{}", lines.concat()));
            prop_assert_eq!(streams[&0].largest_gap, 2);
        }
    }
}
