//! Waiting for work: one blocking XREAD behind the ids that the groups have delivered. It consumes
//! nothing, so nothing is lost when nobody waits for it any more.

use std::{
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use redis::{RedisResult, Value, from_redis_value};

use crate::{connection::Link, options::RedisOptions};

/// Longest wait. Afterwards the worker takes from everywhere: an inbox that was lost may begin again at
/// smaller ids.
const BLOCK: Duration = Duration::from_secs(5);

/// Inbox and the id behind which it is listened to.
pub(crate) type Bells = Vec<(String, String)>;

/// A thread with one blocking connection. It waits once for every request.
pub(crate) struct Doorbell {
    requests: Sender<Bells>,
    /// Inboxes that have an entry behind their id; none after the longest wait.
    pub(crate) rings: Receiver<RedisResult<Vec<String>>>,
    _thread: JoinHandle<()>,
}

impl Doorbell {
    pub(crate) fn start(redis: RedisOptions) -> std::io::Result<Self> {
        let (requests, requested) = bounded::<Bells>(1);
        let (ring, rings) = bounded(1);
        let thread = thread::Builder::new()
            .name("doorbell".to_owned())
            .spawn(move || {
                let mut link = Link::new(redis, BLOCK);
                for bells in requested {
                    if ring.send(listen(&mut link, &bells)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            requests,
            rings,
            _thread: thread,
        })
    }

    /// Begins to wait; the answer comes through `rings`.
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
        .arg(u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX))
        .arg("STREAMS");
    for (inbox, _) in bells {
        command.arg(inbox);
    }
    for (_, id) in bells {
        command.arg(id);
    }
    let reply: Option<Vec<(String, Value)>> =
        link.once(|connection| from_redis_value(command.query(connection)?).map_err(Into::into))?;
    Ok(reply
        .unwrap_or_default()
        .into_iter()
        .map(|(inbox, _)| inbox)
        .collect())
}
