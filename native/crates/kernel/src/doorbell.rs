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

/// The number of the doorbell, and the inboxes that have an entry behind their id; none after the longest
/// wait.
pub(crate) type Ring = (usize, RedisResult<Vec<String>>);

/// A thread with one blocking connection. It waits once for every request.
pub(crate) struct Doorbell {
    requests: Sender<Bells>,
}

impl Doorbell {
    /// The thread ends after this end was dropped, and its last wait is over.
    pub(crate) fn start(
        number: usize,
        redis: RedisOptions,
        rings: Sender<Ring>,
    ) -> std::io::Result<Self> {
        let (requests, requested) = bounded::<Bells>(1);
        thread::Builder::new()
            .name("doorbell".to_owned())
            .spawn(move || {
                let mut link = Link::new(redis, BLOCK);
                for bells in requested {
                    if rings.send((number, listen(&mut link, &bells))).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { requests })
    }

    /// Begins to wait; the answer comes as a [`Ring`].
    pub(crate) fn listen(&self, bells: Bells) {
        // It is always taken: the thread ends only after this end was dropped.
        let _ = self.requests.send(bells);
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
