//! Where Redis is: the addresses that the settings may name, and who it is that asks.
//!
//! ```text
//! redis://host:port/0                       rediss://…            one server
//! unix:///path                                                    the same, on this machine
//! redis+cluster://host:port,host:port       rediss+cluster://…    any nodes of a Cluster
//! redis+sentinel://host:port,…/service/0    rediss+sentinel://…   Sentinels that watch `service`
//! ```
//!
//! `rediss` is TLS: the server's certificate is always verified.

use std::{fmt, fs, path::Path, time::Duration};

use redis::{
    Client, ClientTlsConfig, Connection, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult,
    TlsCertificates,
};

use crate::options::{RedisOptions, seconds};

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

/// Who asks: a user of Redis, or of the Sentinels.
pub(crate) struct Credentials<'a> {
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

/// Makes connections as the options say.
pub(crate) struct Dialer<'a> {
    pub(crate) options: &'a RedisOptions,
    /// The longest blocking read of the connection.
    pub(crate) block: Duration,
}

impl Dialer<'_> {
    /// A connection to the server of a `redis://`, `rediss://` or `unix://` address.
    pub(crate) fn server(&self, info: &ConnectionInfo) -> RedisResult<Connection> {
        let of_url = info.redis_settings();
        let credentials = Credentials {
            username: self.options.username.as_deref().or(of_url.username()),
            password: self.options.password.as_deref().or(of_url.password()),
        };
        self.dial(info.addr().clone(), &credentials, of_url.db())
    }

    /// A connection to a node of a Cluster, or to the primary that a Sentinel named.
    pub(crate) fn node(&self, node: &Node, database: i64) -> RedisResult<Connection> {
        let credentials = Credentials {
            username: self.options.username.as_deref(),
            password: self.options.password.as_deref(),
        };
        self.dial(self.address(node), &credentials, database)
    }

    /// A connection to a Sentinel.
    pub(crate) fn sentinel(&self, node: &Node) -> RedisResult<Connection> {
        let credentials = Credentials {
            username: self.options.sentinel_username.as_deref(),
            password: self.options.sentinel_password.as_deref(),
        };
        self.dial(self.address(node), &credentials, 0)
    }

    fn address(&self, node: &Node) -> ConnectionAddr {
        let host = node.host.clone();
        if self.options.url.starts_with("rediss") {
            ConnectionAddr::TcpTls {
                host,
                port: node.port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, node.port)
        }
    }

    fn dial(
        &self,
        address: ConnectionAddr,
        credentials: &Credentials<'_>,
        database: i64,
    ) -> RedisResult<Connection> {
        let mut redis = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        if let Some(username) = credentials.username {
            redis = redis.set_username(username);
        }
        if let Some(password) = credentials.password {
            redis = redis.set_password(password);
        }
        let encrypted = matches!(address, ConnectionAddr::TcpTls { .. });
        let info = address.into_connection_info()?.set_redis_settings(redis);
        let client = if encrypted {
            Client::build_with_tls(info, certificates(self.options)?)?
        } else {
            Client::open(info)?
        };
        let mut connection =
            client.get_connection_with_timeout(seconds(self.options.connect_timeout_s))?;
        let reply = seconds(self.options.reply_timeout_s);
        connection.set_write_timeout(Some(reply))?;
        connection.set_read_timeout(Some(reply + self.block))?;
        if database != 0 {
            // Sent here, because the library hides why a server refused it.
            redis::cmd("SELECT").arg(database).exec(&mut connection)?;
        }
        Ok(connection)
    }
}

/// Reads the files of the options. This is done for every connection, so that a certificate can be
/// renewed under a running process.
pub(crate) fn certificates(options: &RedisOptions) -> RedisResult<TlsCertificates> {
    let client_tls = match (&options.certificate_file, &options.key_file) {
        (Some(certificate), Some(key)) => Some(ClientTlsConfig {
            client_cert: read("redis.certificate_file", certificate)?,
            client_key: read("redis.key_file", key)?,
        }),
        (None, None) => None,
        _ => {
            let detail = "redis.certificate_file and redis.key_file belong together".to_owned();
            return Err((ErrorKind::InvalidClientConfig, "TLS", detail).into());
        }
    };
    let root_cert = options
        .ca_file
        .as_deref()
        .map(|file| read("redis.ca_file", file))
        .transpose()?;
    Ok(TlsCertificates {
        client_tls,
        root_cert,
    })
}

fn read(name: &str, file: &Path) -> RedisResult<Vec<u8>> {
    fs::read(file).map_err(|error| {
        std::io::Error::new(error.kind(), format!("{name} {}: {error}", file.display())).into()
    })
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
