//! A small HTTP/1.1 server inside the test, for what no real program can be made to answer.
//!
//! One request a connection. What comes in is remembered, so that a test can also say what
//! gldoctor must *not* ask or send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, not decoded.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Every decoded value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).collect()
    }

    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    fn read(stream: impl Read) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
            Some(line.trim_end().to_owned())
        };
        let first = line()?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = Vec::new();
        loop {
            let header = line()?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut request = Self { method, target, headers, body: Vec::new() };
        let length = request.header("content-length").and_then(|text| text.parse().ok());
        request.body.resize(length.unwrap_or(0), 0);
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }
}

/// What is sent back.
#[derive(Clone)]
pub(crate) struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// An answer without headers of its own.
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// An answer in JSON.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, body.to_string()).with("Content-Type", "application/json")
    }

    /// One header more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn write(&self, mut stream: impl Write) -> std::io::Result<()> {
        // The phrase is for people; no client reads it.
        let mut whole = Vec::new();
        write!(whole, "HTTP/1.1 {} Lab\r\nConnection: close\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(whole, "{name}: {value}\r\n")?;
        }
        write!(whole, "Content-Length: {}\r\n\r\n", self.body.len())?;
        whole.extend_from_slice(&self.body);
        stream.write_all(&whole)
    }
}

/// A running server. It stops when dropped.
#[must_use]
pub(crate) struct HttpServer {
    seen: Arc<Mutex<Vec<Request>>>,
    /// A duplicate of the listening socket, by which to wake the thread that waits on it.
    socket: OwnedFd,
}

type Answer = dyn Fn(&Request) -> Response + Send + Sync;

impl HttpServer {
    /// Serves on a TCP socket, such as [`Node::listen`](crate::node::Node::listen) makes.
    pub(crate) fn tcp(
        listener: TcpListener,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let socket = listener.as_fd().try_clone_to_owned().unwrap();
        Self::run(socket, answer, move || listener.accept().map(|(stream, _)| stream))
    }

    /// Serves on a Unix socket.
    pub(crate) fn unix(
        listener: UnixListener,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let socket = listener.as_fd().try_clone_to_owned().unwrap();
        Self::run(socket, answer, move || listener.accept().map(|(stream, _)| stream))
    }

    fn run<S>(
        socket: OwnedFd,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
        accept: impl Fn() -> std::io::Result<S> + Send + 'static,
    ) -> Self
    where
        S: Send + 'static,
        for<'a> &'a S: Read + Write,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&seen));
        thread::spawn(move || {
            while let Ok(stream) = accept() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                thread::spawn(move || {
                    let Some(request) = Request::read(&stream) else { return };
                    log.lock().unwrap().push(request.clone());
                    // A client that went away is no fault of the server.
                    answer(&request).write(&stream).ok();
                });
            }
        });
        Self { seen, socket }
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // On Linux this ends a pending accept, for Unix sockets too.
        let listener = TcpStream::from(self.socket.try_clone().unwrap());
        listener.shutdown(Shutdown::Both).ok();
    }
}

/// Percent signs and plus signs, as in a query.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (byte, length) = match (first, byte) {
            (b'%', Some(byte)) => (byte, 3),
            (b'+', _) => (b' ', 1),
            _ => (first, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
