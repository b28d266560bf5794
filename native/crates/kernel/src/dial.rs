//! Making one connection: who asks, over TLS or not, and how long it may take.

use std::{fs, path::Path, time::Duration};

use redis::{
    Client, ClientTlsConfig, Connection, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisResult, TlsCertificates,
};

use crate::{
    options::{RedisOptions, seconds},
    topology::Node,
};

/// Who asks: a user of Redis, or of the Sentinels.
pub(crate) struct Credentials<'a> {
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

/// Makes connections as the options say.
pub(crate) struct Dialer<'a> {
    pub(crate) options: &'a RedisOptions,
    /// How long a command may take, blocking reads with what they block.
    pub(crate) reply: Duration,
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
        connection.set_write_timeout(Some(self.reply))?;
        connection.set_read_timeout(Some(self.reply))?;
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
