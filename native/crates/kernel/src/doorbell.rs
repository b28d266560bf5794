//! Waiting for work: one blocking XREAD behind the ids that the groups have delivered. It consumes
//! nothing, so nothing is lost when nobody waits for it any more.

use std::{thread, time::Duration};

use crossbeam_channel::{Sender, bounded};
use redis::{RedisResult, Value, from_redis_value};

use crate::{connection::Link, options::RedisOptions};

/// Longest wait. Afterwards the worker takes from everywhere: an inbox that was lost may begin again at
/// smaller ids.
pub(crate) const BLOCK: Duration = Duration::from_secs(5);

/// Where to listen, all in one slot or on one server.
pub(crate) struct Bells {
    pub(crate) slot: u16,
    /// Inbox and the id behind which it is listened to.
    pub(crate) inboxes: Vec<(String, String)>,
    /// Longest wait, at most [`BLOCK`].
    pub(crate) block: Duration,
}

/// What the thread is asked to do.
enum Request {
    Listen(Bells),
    /// Ask the primary of the slot whether it answers.
    Ping(u16),
}

/// What came of a request.
pub(crate) enum Answer {
    /// The inboxes that have an entry behind their id; none after the longest wait.
    Rang(RedisResult<Vec<String>>),
    Pinged(RedisResult<()>),
}

/// The number of the doorbell, and its answer.
pub(crate) type Ring = (usize, Answer);

/// A thread with one blocking connection. It answers every request once.
pub(crate) struct Doorbell {
    requests: Sender<Request>,
}

impl Doorbell {
    /// The thread ends after this end was dropped, and its last wait is over.
    pub(crate) fn start(
        number: usize,
        redis: RedisOptions,
        rings: Sender<Ring>,
    ) -> std::io::Result<Self> {
        let (requests, requested) = bounded(1);
        thread::Builder::new()
            .name("doorbell".to_owned())
            .spawn(move || {
                let mut link = Link::new(redis, BLOCK);
                for request in requested {
                    let answer = match request {
                        Request::Listen(bells) => Answer::Rang(listen(&mut link, &bells)),
                        Request::Ping(slot) => Answer::Pinged(
                            link.once(slot, |connection| redis::cmd("PING").exec(connection)),
                        ),
                    };
                    if rings.send((number, answer)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { requests })
    }

    /// Begins to wait.
    pub(crate) fn listen(&self, bells: Bells) {
        // It is always taken: the thread ends only after this end was dropped.
        let _ = self.requests.send(Request::Listen(bells));
    }

    /// Asks whether the primary of the slot answers.
    pub(crate) fn ping(&self, slot: u16) {
        let _ = self.requests.send(Request::Ping(slot));
    }
}

fn listen(link: &mut Link, bells: &Bells) -> RedisResult<Vec<String>> {
    let mut command = redis::cmd("XREAD");
    command
        .arg("COUNT")
        .arg(1)
        .arg("BLOCK")
        .arg(u64::try_from(bells.block.as_millis()).unwrap_or(u64::MAX))
        .arg("STREAMS");
    for (inbox, _) in &bells.inboxes {
        command.arg(inbox);
    }
    for (_, id) in &bells.inboxes {
        command.arg(id);
    }
    let reply: Option<Vec<(String, Value)>> = link.once(bells.slot, |connection| {
        from_redis_value(command.query(connection)?).map_err(Into::into)
    })?;
    Ok(reply
        .unwrap_or_default()
        .into_iter()
        .map(|(inbox, _)| inbox)
        .collect())
}
