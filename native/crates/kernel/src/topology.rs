//! Where Redis is: the addresses that the settings may name.
//!
//! ```text
//! redis://host:port/0                       rediss://…            one server
//! unix:///path                                                    the same, on this machine
//! redis+cluster://host:port,host:port       rediss+cluster://…    any nodes of a Cluster
//! redis+sentinel://host:port,…/service/0    rediss+sentinel://…   Sentinels that watch `service`
//! ```
//!
//! `rediss` is TLS: the server's certificate is always verified.

use std::fmt;

use redis::{ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, RedisResult};

use crate::options::RedisOptions;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// One server among several.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Node {
    /// `host:port` or a host alone. An IPv6 host that is followed by a port stands in brackets.
    pub(crate) fn parse(text: &str, port: u16) -> Option<Self> {
        let (host, written) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(bracketed) => bracketed?,
            None if text.matches(':').count() == 1 => text.split_at(text.find(':')?),
            None => (text, ""),
        };
        let port = match written {
            "" => port,
            written => written.strip_prefix(':')?.parse().ok()?,
        };
        (!host.is_empty() && port > 0).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// What the address says.
pub(crate) enum Topology {
    Server(Box<ConnectionInfo>),
    Cluster(Vec<Node>),
    Sentinel {
        sentinels: Vec<Node>,
        service: String,
        database: i64,
    },
}

impl Topology {
    pub(crate) fn of(options: &RedisOptions) -> RedisResult<Self> {
        let (scheme, rest) = options.url.split_once("://").unwrap_or_default();
        let Some(("redis" | "rediss", kind)) = scheme.split_once('+') else {
            let info = options.url.as_str().into_connection_info()?;
            return Ok(Self::Server(Box::new(info)));
        };
        if rest.contains('@') {
            return Err(refused(
                "credentials belong into redis.username and redis.password",
            ));
        }
        if rest.contains(['?', '#']) {
            return Err(refused("options behind ? or # are not known"));
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_matches('/');
        match kind {
            "cluster" if path.is_empty() || path == "0" => {
                Ok(Self::Cluster(nodes(hosts, REDIS_PORT)?))
            }
            "cluster" => Err(refused("a Cluster has no numbered databases")),
            "sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                if service.is_empty() {
                    return Err(refused("the name of the service is missing"));
                }
                Ok(Self::Sentinel {
                    sentinels: nodes(hosts, SENTINEL_PORT)?,
                    service: service.to_owned(),
                    database: match database {
                        "" => 0,
                        number => number
                            .parse()
                            .map_err(|_| refused("the number of the database is no number"))?,
                    },
                })
            }
            _ => Err(refused("neither `cluster` nor `sentinel` stands after `+`")),
        }
    }
}

fn nodes(hosts: &str, port: u16) -> RedisResult<Vec<Node>> {
    hosts
        .split(',')
        .map(|host| {
            Node::parse(host, port).ok_or_else(|| refused(&format!("{host:?} is no host:port")))
        })
        .collect()
}

fn refused(detail: &str) -> RedisError {
    let detail = detail.to_owned();
    (ErrorKind::InvalidClientConfig, "redis.url", detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(url: &str) -> RedisResult<Topology> {
        Topology::of(&RedisOptions {
            url: url.to_owned(),
            ..RedisOptions::default()
        })
    }

    #[test]
    fn addresses_say_what_redis_is() {
        for url in ["redis://h:1/2", "rediss://h", "unix:///run/redis.sock"] {
            assert!(matches!(topology(url), Ok(Topology::Server(_))), "{url}");
        }
        let Ok(Topology::Cluster(nodes)) =
            topology("rediss+cluster://a:7000,b,[::1]:7001,[::1],::2")
        else {
            panic!("no Cluster")
        };
        let nodes: Vec<String> = nodes.iter().map(Node::to_string).collect();
        assert_eq!(
            nodes,
            ["a:7000", "b:6379", "::1:7001", "::1:6379", "::2:6379"]
        );
        let Ok(Topology::Sentinel {
            sentinels,
            service,
            database,
        }) = topology("redis+sentinel://a,b:5000/media/3")
        else {
            panic!("no Sentinel")
        };
        assert_eq!((sentinels[0].port, sentinels[1].port), (26379, 5000));
        assert_eq!((service.as_str(), database), ("media", 3));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for url in [
            "h:1",
            "http://h",
            "redis+other://h",
            "redis+cluster://h:1/2",
            "redis+cluster://h:x",
            "redis+cluster://h:0",
            "redis+cluster://[::1",
            "redis+cluster://h?ssl=false",
            "redis+cluster://,",
            "redis+cluster://user:secret@h",
            "redis+sentinel://h",
            "redis+sentinel://h/s/x",
            "redis://h/x",
        ] {
            let error = topology(url).err().expect(url);
            assert_eq!(error.kind(), ErrorKind::InvalidClientConfig, "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
