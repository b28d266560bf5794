//! What ffmpeg wrote to stderr, in bounded memory.

use std::{borrow::Cow, collections::VecDeque};

/// The beginning and the end of a text of any length. The beginning holds the description of the
/// input and the first errors, the end holds the last words.
#[derive(Debug)]
pub struct Log {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_bytes: usize,
    tail_bytes: usize,
    dropped: bool,
}

impl Log {
    /// Keeps the first `head_bytes` and the last `tail_bytes`.
    #[must_use]
    pub fn new(head_bytes: usize, tail_bytes: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            head_bytes,
            tail_bytes,
            dropped: false,
        }
    }

    /// Takes in what was just read.
    pub fn write(&mut self, bytes: &[u8]) {
        let room = self.head_bytes - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.tail_bytes);
        if excess > 0 {
            self.tail.drain(..excess);
            self.dropped = true;
        }
    }

    /// The kept text; a line says where something was left out.
    #[must_use]
    pub fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        let (front, back) = self.tail.as_slices();
        let tail = [front, back].concat();
        let between = if self.dropped { "\n[...]\n" } else { "" };
        format!("{head}{between}{}", String::from_utf8_lossy(&tail))
    }

    /// The lines in which ffmpeg reports trouble, without the names and addresses before them, at
    /// most `count` of them: the first ones, since the later ones follow from them.
    #[must_use]
    pub fn errors(&self, count: usize) -> Vec<String> {
        self.text()
            .lines()
            .filter_map(|line| {
                ["[error] ", "[fatal] ", "[panic] "]
                    .iter()
                    .find_map(|level| line.split_once(level))
                    .map(|(_, message)| shortened(message).into_owned())
            })
            .take(count)
            .collect()
    }
}

fn shortened(message: &str) -> Cow<'_, str> {
    const CHARACTERS: usize = 300;
    match message.char_indices().nth(CHARACTERS) {
        None => Cow::Borrowed(message),
        Some((end, _)) => Cow::Owned(format!("{}…", &message[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_its_beginning_and_its_end() {
        let mut log = Log::new(10, 20);
        log.write(b"beginning.");
        for _ in 0..100_000 {
            log.write(b"noise noise noise noise noise noise noise\n");
        }
        log.write(b"\nthe last word");
        let text = log.text();
        assert!(text.starts_with("beginning.\n[...]\n"), "{text}");
        assert!(text.ends_with("the last word"), "{text}");
        assert!(text.len() < 50);
    }

    #[test]
    fn only_trouble_is_reported_and_only_its_first_lines() {
        let mut log = Log::new(4096, 4096);
        log.write(b"[info] Input #0\n[mov,mp4 @ 0x1] [error] moov atom not found\n[warning] hm\n");
        log.write(b"[fatal] Error opening input files\n[error] third\n");
        assert_eq!(
            log.errors(2),
            ["moov atom not found", "Error opening input files"]
        );
    }
}
