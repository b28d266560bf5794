//! The worker's half of the kernel: takes jobs of one stage, keeps their leases, ends them.
//!
//! # Layout
//!
//! - [`options`]: the connection, and the times and bounds of the protocol.
//! - [`keys`]: partitions and the names of keys.
//! - [`scripts`]: the Lua verbs, compiled in.
//! - [`connection`]: connections, and which errors mean "wait".
//! - [`worker`]: the verbs as typed calls; every verb is a list. `items` is what travels in them.
//! - [`handler`]: what a stage is to its author.
//! - [`beats`]: heartbeats, in a thread of their own with a connection of their own.
//! - `doorbell`, `ends`, `execution`: waiting for work, sending ends, the life of one job.
//! - [`actor`]: the loop around them; `order`: in which order it reads.
//! - [`installation`]: what must be true of Redis before a role starts.

pub mod actor;
pub mod beats;
pub mod connection;
mod doorbell;
mod ends;
mod execution;
pub mod handler;
pub mod installation;
mod items;
pub mod keys;
pub mod options;
mod order;
pub mod scripts;
pub mod worker;
