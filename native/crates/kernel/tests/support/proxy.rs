//! A Unix socket in front of a server that can lose a reply and refuse connections.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::Server;

/// What the proxy does, changed by the test while it works.
#[derive(Default)]
struct Orders {
    /// The next call that names this script is carried out, and its connection ends before the reply.
    lose: AtomicBool,
    /// That has happened: nothing is let through any more.
    closed: AtomicBool,
}

pub(crate) struct Proxy {
    orders: Arc<Orders>,
    pub(crate) socket: PathBuf,
}

impl Proxy {
    /// `marked` is the text of the calls whose reply may be lost.
    pub(crate) fn start(server: &Server, marked: &'static str) -> Self {
        let socket = server.socket().with_file_name("proxy.sock");
        let orders = Arc::new(Orders::default());
        let listener = UnixListener::bind(&socket).unwrap();
        let behind = server.socket();
        thread::spawn({
            let orders = Arc::clone(&orders);
            move || {
                for client in listener.incoming().map_while(Result::ok) {
                    let inside = UnixStream::connect(&behind).unwrap();
                    let orders = Arc::clone(&orders);
                    thread::spawn(move || carry(client, inside, &orders, marked));
                }
            }
        });
        Self { orders, socket }
    }

    /// The next marked call loses its reply, and everything is refused from then on.
    pub(crate) fn lose_next(&self) {
        self.orders.lose.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_lost(&self) -> bool {
        self.orders.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) {
        self.orders.closed.store(false, Ordering::SeqCst);
    }
}

/// Carries requests in and replies out. Calls of these tests fit into one read.
fn carry(mut client: UnixStream, mut inside: UnixStream, orders: &Orders, marked: &str) {
    let mut replies = inside.try_clone().unwrap();
    let mut outside = client.try_clone().unwrap();
    let losing = Arc::new(AtomicBool::new(false));
    let lost = Arc::clone(&losing);
    let returning = thread::spawn(move || {
        let mut bytes = vec![0; 65_536];
        while let Ok(count @ 1..) = replies.read(&mut bytes) {
            if lost.load(Ordering::SeqCst) || outside.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = outside.shutdown(std::net::Shutdown::Both);
    });
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        if orders.closed.load(Ordering::SeqCst) {
            break;
        }
        let found = String::from_utf8_lossy(&bytes[..count]).contains(marked);
        let lose = found && orders.lose.swap(false, Ordering::SeqCst);
        if lose {
            losing.store(true, Ordering::SeqCst);
        }
        if inside.write_all(&bytes[..count]).is_err() {
            break;
        }
        if lose {
            let _ = returning.join();
            orders.closed.store(true, Ordering::SeqCst);
            return;
        }
    }
    let _ = inside.shutdown(std::net::Shutdown::Both);
    let _ = client.shutdown(std::net::Shutdown::Both);
}
