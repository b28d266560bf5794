//! What a media job is, without queues and without network.
//!
//! # Layout
//!
//! - [`task`]: the bodies that travel with a job, shared with Python.
//! - [`errors`]: the error table, how ffmpeg's messages are read, how failures are retried.
//! - [`ffmpeg`]: one supervised ffmpeg process: limits, progress, log, the way it is ended.
//! - [`probe`]: what a file holds, from one reading of all its packets.
//! - `arguments`, `encode`: the plan of an output as arguments of ffmpeg, and the call that makes it.
//! - [`verify`]: whether a finished file is what the plan says, by decoding it.
//! - [`transcode`]: plan → work → verify, for one output in one directory.

mod arguments;
mod encode;
pub mod errors;
pub mod ffmpeg;
pub mod probe;
pub mod task;
pub mod transcode;
pub mod verify;
