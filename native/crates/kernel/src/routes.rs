//! Which node to talk to: nothing to find out with one server, the primary that the Sentinels name, or the
//! node of a Cluster that has the slot.
//!
//! Every call of the kernel touches one slot, so this is all that a Cluster asks of a client: to know who
//! has a slot, and to ask again when that turns out wrong. The nodes are asked in random order, because
//! one that is cut off from the others goes on telling its old map.

use std::collections::BTreeSet;

use redis::{
    Connection, ErrorKind, FromRedisValue, RedisError, RedisResult, Value, from_redis_value,
};

use crate::{
    dial::Dialer,
    options::{RedisOptions, seconds},
    topology::{Node, Topology},
};

/// First slot, last slot, primary.
type Range = (u16, u16, Node);
/// Who has which slots, and every node that was named.
type Map = (Vec<Range>, BTreeSet<Node>);

/// What is known of the way to the primaries.
pub(crate) struct Routes {
    topology: Topology,
    /// What was learned last; nothing when it has to be learned anew. A later range that moved stands
    /// before an earlier one.
    ranges: Vec<Range>,
    /// Nodes of the Cluster that can be asked besides those of the address.
    seen: BTreeSet<Node>,
}

impl Routes {
    pub(crate) fn new(options: &RedisOptions) -> RedisResult<Self> {
        Ok(Self {
            topology: Topology::of(options)?,
            ranges: Vec::new(),
            seen: BTreeSet::new(),
        })
    }

    /// The primary of the slot; nobody in particular where there is one server.
    pub(crate) fn node(&mut self, options: &RedisOptions, slot: u16) -> RedisResult<Option<Node>> {
        if matches!(self.topology, Topology::Server(_)) {
            return Ok(None);
        }
        if self.ranges.is_empty() {
            self.learn(options)?;
        }
        let found = self
            .ranges
            .iter()
            .find(|(first, last, _)| (*first..=*last).contains(&slot))
            .map(|(_, _, node)| node.clone());
        if found.is_none() {
            self.forget();
        }
        found
            .map(Some)
            .ok_or_else(|| unknown(format!("no node has slot {slot}")))
    }

    pub(crate) fn dial(&self, dialer: &Dialer<'_>, node: Option<&Node>) -> RedisResult<Connection> {
        match (&self.topology, node) {
            (Topology::Server(info), _) => dialer.server(info),
            (Topology::Sentinel { database, .. }, Some(node)) => dialer.node(node, *database),
            (_, Some(node)) => dialer.node(node, 0),
            (_, None) => Err(unknown("no node".to_owned())),
        }
    }

    /// What is known may be wrong.
    pub(crate) fn forget(&mut self) {
        self.ranges.clear();
    }

    /// The slot is at `target`, says `from`. False when that is no address.
    pub(crate) fn moved(&mut self, slot: u16, from: Option<&Node>, target: &str) -> bool {
        let Some(node) = target.rsplit_once(':').and_then(|(host, port)| {
            let host = if host.is_empty() { &from?.host } else { host };
            let (host, port) = (host.to_owned(), port.parse().ok()?);
            Some(Node { host, port })
        }) else {
            return false;
        };
        self.ranges
            .retain(|(first, last, _)| (*first, *last) != (slot, slot));
        self.ranges.insert(0, (slot, slot, node));
        true
    }

    /// One slot of every primary.
    pub(crate) fn primaries(&mut self, options: &RedisOptions) -> RedisResult<Vec<u16>> {
        if self.node(options, 0)?.is_none() {
            return Ok(vec![0]);
        }
        let mut nodes = BTreeSet::new();
        let firsts = self.ranges.iter();
        Ok(firsts
            .filter(|(_, _, node)| nodes.insert(node))
            .map(|(first, _, _)| *first)
            .collect())
    }

    fn learn(&mut self, options: &RedisOptions) -> RedisResult<()> {
        // One that stands still takes connections and answers nothing; the next is asked instead.
        let dialer = Dialer {
            options,
            reply: seconds(options.connect_timeout_s),
        };
        let mut asked: Vec<Node> = match &self.topology {
            Topology::Server(_) => Vec::new(),
            Topology::Sentinel { sentinels, .. } => sentinels.clone(),
            Topology::Cluster(seeds) => seeds.iter().chain(&self.seen).cloned().collect(),
        };
        fastrand::shuffle(&mut asked);
        let mut last = unknown("no address to ask".to_owned());
        for node in asked {
            let found = match &self.topology {
                Topology::Sentinel { service, .. } => primary(&dialer, &node, service),
                _ => map(&dialer, &node),
            };
            match found {
                Ok((ranges, nodes)) => {
                    (self.ranges, self.seen) = (ranges, nodes);
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// What a Sentinel knows.
fn primary(dialer: &Dialer<'_>, sentinel: &Node, service: &str) -> RedisResult<Map> {
    let mut connection = dialer.sentinel(sentinel)?;
    let found: Option<(String, String)> = redis::cmd("SENTINEL")
        .arg("get-master-addr-by-name")
        .arg(service)
        .query(&mut connection)?;
    let node = found.and_then(|(host, port)| {
        let port = port.parse().ok()?;
        Some(Node { host, port })
    });
    let node =
        node.ok_or_else(|| unknown(format!("{sentinel} watches no service named {service}")))?;
    Ok((vec![(0, u16::MAX, node)], BTreeSet::new()))
}

/// What a node of a Cluster knows.
fn map(dialer: &Dialer<'_>, node: &Node) -> RedisResult<Map> {
    let mut connection = dialer.node(node, 0)?;
    let reply: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query(&mut connection)?;
    let (mut ranges, mut nodes) = (Vec::new(), BTreeSet::new());
    for range in reply {
        let [first, last, members @ ..] = range.as_slice() else {
            return Err(unknown(format!("{node} answers CLUSTER SLOTS strangely")));
        };
        let members = members.iter().map(|row| endpoint(row, node));
        let members: Vec<Node> = members.collect::<RedisResult<_>>()?;
        if let Some(primary) = members.first() {
            let first = u16::from_redis_value_ref(first)?;
            let last = u16::from_redis_value_ref(last)?;
            ranges.push((first, last, primary.clone()));
        }
        nodes.extend(members);
    }
    if ranges.is_empty() {
        return Err(unknown(format!("{node} knows no slots")));
    }
    Ok((ranges, nodes))
}

/// Host and port of a row; a node that does not know its own host is where it was asked.
fn endpoint(row: &Value, asked: &Node) -> RedisResult<Node> {
    let fields: Vec<Value> = from_redis_value(row.clone())?;
    let [host, port, ..] = fields.as_slice() else {
        return Err(unknown(format!("{asked} names a node without an address")));
    };
    let host = Option::<String>::from_redis_value_ref(host)?
        .filter(|host| !host.is_empty() && host != "?")
        .unwrap_or_else(|| asked.host.clone());
    let port = u16::from_redis_value_ref(port)?;
    Ok(Node { host, port })
}

/// It may be known soon: counts as a connection that cannot be made.
fn unknown(detail: String) -> RedisError {
    (ErrorKind::Io, "the primary is not known", detail).into()
}
