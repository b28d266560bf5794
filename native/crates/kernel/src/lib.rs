//! The worker's half of the kernel: takes jobs of one stage, keeps their leases, ends them.
//!
//! # Layout
//!
//! - [`options`]: the connection, and the times and bounds of the protocol.
//! - [`keys`]: partitions and the names of keys.
//! - [`scripts`]: the Lua verbs, compiled in.
//! - [`connection`]: connections, and which errors mean "wait"; `topology`: where Redis is; `routes`: which
//!   node has the slot, or is the primary; `dial`: making one connection.
//! - [`worker`]: the verbs as typed calls; every verb is a list. `items` and `children` are what travels in
//!   them, `replies` what comes back.
//! - [`handler`]: what a stage is to its author; `family`: how its job has children.
//! - [`beats`]: heartbeats, in a thread of their own with a connection of their own.
//! - `doorbell`, `ends`, `execution`: waiting for work, sending ends, the life of one job; `control`: stopping
//!   it.
//! - [`actor`]: the loop around them; `order`: in which order it reads; `presence`: says that it is there.
//! - [`installation`]: what must be true of Redis before a role starts.

pub mod actor;
pub mod beats;
mod children;
pub mod connection;
mod control;
mod dial;
mod doorbell;
mod ends;
mod execution;
mod family;
pub mod handler;
pub mod installation;
mod items;
pub mod keys;
pub mod options;
mod order;
mod presence;
mod replies;
mod routes;
pub mod scripts;
mod topology;
pub mod worker;
