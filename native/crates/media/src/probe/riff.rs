//! The size that a WAV header claims. ffmpeg falls back to the size of the file when the header claims
//! more, so a cut-off WAV looks whole in its description.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// Written by programs that did not know the size when they began.
const UNKNOWN_SIZE: u32 = u32::MAX;
/// More chunks than any honest file has before its samples.
const MOST_CHUNKS: usize = 100;

/// How many bytes the file must have for its samples to be complete; `None` when it does not say.
pub(super) fn claimed_bytes(file: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(file)?;
    let mut header = [0; 12];
    file.read_exact(&mut header)?;
    if &header[..4] != b"RIFF" || &header[8..] != b"WAVE" {
        return Ok(None);
    }
    for _ in 0..MOST_CHUNKS {
        let mut chunk = [0; 8];
        if file.read_exact(&mut chunk).is_err() {
            return Ok(None);
        }
        let [a, b, c, d] = [chunk[4], chunk[5], chunk[6], chunk[7]];
        let size = u32::from_le_bytes([a, b, c, d]);
        if &chunk[..4] == b"data" {
            let begin = file.stream_position()?;
            let known = size != UNKNOWN_SIZE && size != 0;
            return Ok(known.then(|| begin + u64::from(size)));
        }
        // Chunks begin at even positions.
        file.seek(SeekFrom::Current(i64::from(size) + i64::from(size % 2)))?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::*;

    fn claimed(name: &str, content: &[u8]) -> Option<u64> {
        let file = env::temp_dir().join(format!("reelway-riff-{}-{name}", process::id()));
        fs::write(&file, content).unwrap();
        let claimed = claimed_bytes(&file).unwrap();
        fs::remove_file(file).unwrap();
        claimed
    }

    #[test]
    fn the_data_chunk_says_how_long_the_file_is() {
        let sized = b"RIFF\0\0\0\0WAVElist\x03\0\0\0abc\0data\x10\0\0\0ab";
        assert_eq!(claimed("sized", sized), Some(12 + 12 + 8 + 16));
        let unknown = b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xffab";
        assert_eq!(claimed("unknown", unknown), None);
        assert_eq!(claimed("other", b"RF64\0\0\0\0WAVEdata\x10\0\0\0"), None);
    }
}
