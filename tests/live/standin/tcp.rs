//! TCP servers that stall, lie, or never stop talking, with or without TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::pki::Certificate;

/// What a server does with every connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Accepts, reads, and never says a word.
    Silent,
    /// Resets the connection as soon as the client has said something.
    Reset,
    /// Closes it in good order as soon as the client has said something, without an answer.
    Hangup,
    /// Answers these bytes and closes: another protocol, or a truncated answer.
    Says(&'static [u8]),
    /// Answers a TLS hello with the start of a record that never gets finished.
    StalledHandshake,
    /// Answers these bytes one at a time, each after a pause.
    Drips(&'static [u8], Duration),
    /// A head of a response that goes on and on.
    EndlessHeaders,
    /// A good head, and a body that goes on and on.
    EndlessBody,
}

/// A running server. It stops when dropped, and so do its connections.
#[must_use]
pub(crate) struct TcpStandin {
    connections: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    socket: OwnedFd,
}

impl TcpStandin {
    /// Misbehaves from the first byte on.
    pub(crate) fn plain(listener: TcpListener, fault: Fault) -> Self {
        Self::run(listener, move |stream, stopped| misbehave(stream, fault, stopped))
    }

    /// Misbehaves after a faultless TLS handshake with this certificate.
    pub(crate) fn tls(listener: TcpListener, certificate: &Certificate, fault: Fault) -> Self {
        let chain = CertificateDer::pem_file_iter(&certificate.chain).unwrap();
        let chain: Result<Vec<_>, _> = chain.collect();
        let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.unwrap(), key)
            .unwrap();
        let config = Arc::new(config);
        Self::run(listener, move |stream, stopped| {
            let connection =
                ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            misbehave(StreamOwned::new(connection, stream), fault, stopped)
        })
    }

    fn run(
        listener: TcpListener,
        serve: impl Fn(TcpStream, &AtomicBool) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let standin = Self {
            connections: Arc::default(),
            stopped: Arc::default(),
            socket: listener.as_fd().try_clone_to_owned().unwrap(),
        };
        let (connections, stopped) =
            (Arc::clone(&standin.connections), Arc::clone(&standin.stopped));
        let serve = Arc::new(serve);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (serve, stopped) = (Arc::clone(&serve), Arc::clone(&stopped));
                // Errors are the client's going away, which is what many tests wait for.
                thread::spawn(move || serve(stream, &stopped).ok());
            }
        });
        standin
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for TcpStandin {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // On Linux this ends a pending accept.
        TcpStream::from(self.socket.try_clone().unwrap()).shutdown(Shutdown::Both).ok();
    }
}

/// A stream on which a fault can be played: plain TCP, or TLS over it.
trait Wire: Read + Write {
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

fn misbehave(mut wire: impl Wire, fault: Fault, stopped: &AtomicBool) -> io::Result<()> {
    let going = || !stopped.load(Ordering::SeqCst);
    if !matches!(fault, Fault::Reset) {
        let mut hello = [0; 4096];
        // Over TLS this finishes the handshake, too. How much came does not matter.
        let _ = wire.read(&mut hello)?;
    }
    match fault {
        Fault::Silent => hold(&wire, going),
        Fault::Reset => {
            // To close while bytes wait to be read makes the kernel send a reset.
            wire.tcp().peek(&mut [0])?;
            Ok(())
        }
        Fault::Hangup => Ok(()),
        Fault::Says(bytes) => wire.write_all(bytes),
        Fault::StalledHandshake => {
            // A handshake record of 122 bytes, of which four come: the start of a ServerHello.
            wire.write_all(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76")?;
            hold(&wire, going)
        }
        Fault::Drips(bytes, pause) => {
            for byte in bytes.iter().take_while(|_| going()) {
                wire.write_all(&[*byte])?;
                wire.flush()?;
                thread::sleep(pause);
            }
            Ok(())
        }
        Fault::EndlessHeaders => {
            wire.write_all(b"HTTP/1.1 200 OK\r\n")?;
            while going() {
                wire.write_all(b"X-Padding: one more header that says nothing at all\r\n")?;
            }
            Ok(())
        }
        Fault::EndlessBody => {
            wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")?;
            while going() {
                wire.write_all(&[b' '; 4096])?;
            }
            Ok(())
        }
    }
}

/// Keeps the connection open until the client closes it or the server is stopped.
fn hold(wire: &impl Wire, going: impl Fn() -> bool) -> io::Result<()> {
    wire.tcp().set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut tcp = wire.tcp();
    let mut rest = [0; 4096];
    while going() {
        match tcp.read(&mut rest) {
            Ok(0) => break,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
