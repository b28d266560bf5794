//! Redis over TLS: whose certificate is believed, and who is asked for one of its own.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use crossbeam_channel::unbounded;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use redis::RedisResult;
use reelway_kernel::{
    connection::Link,
    installation::{self, Unfit},
    keys::Partitions,
    options::RedisOptions,
};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use support::{
    Server, field,
    running::{Running, done},
    submit, wait_until,
};
use tempfile::TempDir;

/// An authority, and what it has signed, as files.
struct Authority {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self {
            directory: tempfile::tempdir().unwrap(),
            issuer,
        };
        fs::write(authority.file("ca"), authority.issuer.pem()).unwrap();
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate for the name: its file, and its key's.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = (self.file(name), self.file(&format!("{name}.key")));
        fs::write(&files.0, certificate.pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }
}

/// Ends TLS in front of the server, under the name; gives its port.
fn listen(server: &Server, authority: &Authority, name: &str, asks_clients: bool) -> u16 {
    let (certificate, key) = authority.sign(name);
    let builder = if asks_clients {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(authority.file("ca")).unwrap())
            .unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
        ServerConfig::builder().with_client_cert_verifier(verifier.unwrap())
    } else {
        ServerConfig::builder().with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = server.socket();
    thread::spawn(move || {
        for client in listener.incoming() {
            let inside = UnixStream::connect(&socket).unwrap();
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            thread::spawn(move || pump(StreamOwned::new(tls, client.unwrap()), inside));
        }
    });
    port
}

/// Carries bytes both ways until one side ends.
fn pump(mut outside: StreamOwned<ServerConnection, TcpStream>, mut inside: UnixStream) {
    let turn = Some(Duration::from_millis(2));
    outside.sock.set_read_timeout(turn).unwrap();
    inside.set_read_timeout(turn).unwrap();
    while carry(&mut outside, &mut inside) && carry(&mut inside, &mut outside) {}
}

fn carry(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut bytes = [0; 4096];
    match from.read(&mut bytes) {
        Ok(0) => false,
        Ok(count) => to
            .write_all(&bytes[..count])
            .and_then(|()| to.flush())
            .is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

fn ping(redis: &RedisOptions) -> RedisResult<String> {
    let mut link = Link::new(redis.clone(), Duration::ZERO);
    link.once(0, |connection| redis::cmd("PING").query(connection))
}

#[test]
fn only_the_servers_of_our_authority_are_believed() {
    let server = Server::start();
    let authority = Authority::new();
    let port = listen(&server, &authority, "localhost", false);
    let ours = RedisOptions {
        url: format!("rediss://localhost:{port}"),
        ca_file: Some(authority.file("ca")),
        ..RedisOptions::default()
    };
    assert_eq!(ping(&ours).unwrap(), "PONG");

    let other = Authority::new();
    for (what, options) in [
        ("the machine's own authorities", None),
        ("another authority", Some(other.file("ca"))),
    ] {
        let options = RedisOptions {
            ca_file: options,
            ..ours.clone()
        };
        let error = ping(&options).unwrap_err().to_string();
        assert!(
            error.contains("invalid peer certificate"),
            "{what}: {error}"
        );
    }
    let wrong_name = RedisOptions {
        url: format!("rediss://127.0.0.1:{port}"),
        ..ours.clone()
    };
    let error = ping(&wrong_name).unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
    let insecure = RedisOptions {
        url: format!("rediss://localhost:{port}#insecure"),
        ..ours
    };
    let error = ping(&insecure).unwrap_err().to_string();
    assert!(error.contains("insecure"), "{error}");
}

#[test]
fn work_goes_on_over_tls_with_a_certificate_of_our_own() {
    let server = Server::start();
    let authority = Authority::new();
    let port = listen(&server, &authority, "localhost", true);
    let (certificate, key) = authority.sign("worker");
    let redis = RedisOptions {
        url: format!("rediss://localhost:{port}"),
        ca_file: Some(authority.file("ca")),
        certificate_file: Some(certificate),
        key_file: Some(key),
        ..RedisOptions::default()
    };
    let nameless = RedisOptions {
        certificate_file: None,
        key_file: None,
        ..redis.clone()
    };
    assert!(ping(&nameless).is_err());

    let (_signals, heard) = unbounded();
    let partitions = Partitions::new(1);
    let other = Authority::new();
    for wrong in [
        RedisOptions {
            ca_file: Some(authority.file("none")),
            ..redis.clone()
        },
        RedisOptions {
            key_file: None,
            ..redis.clone()
        },
        RedisOptions {
            ca_file: Some(other.file("ca")),
            ..redis.clone()
        },
    ] {
        let refused = installation::check(&wrong, &partitions, &heard);
        assert!(matches!(refused, Err(Unfit::Refused(_))));
    }
    installation::check(&redis, &partitions, &heard).unwrap();
    let running = Running::start_with(redis, 1, |_| {}, |_| Ok(done()));
    let mut connection = server.connection();
    submit(&mut connection, "j00-a", "{}");
    wait_until("it completes", || {
        field(&mut connection, "j00-a", "state") == "completed"
    });
    running.stop();
}
