//! A name server that knows some names with IPv4 addresses, or tells nobody anything.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What a server knows.
pub(crate) enum Knows {
    /// These names, and that there are no others.
    Names(&'static [(&'static str, Ipv4Addr)]),
    /// Nothing: it answers "server failure".
    Fails,
}

/// A running name server. It stops when dropped.
#[must_use]
pub(crate) struct NameServer {
    stopped: Arc<AtomicBool>,
}

impl NameServer {
    /// Answers every question that comes to the socket.
    pub(crate) fn start(socket: UdpSocket, knows: Knows) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&stopped);
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        thread::spawn(move || {
            let mut packet = [0; 512];
            while !ends.load(Ordering::SeqCst) {
                let Ok((length, client)) = socket.recv_from(&mut packet) else { continue };
                if let Some(answer) = answer(&packet[..length], &knows) {
                    // A client that is gone is no fault of the server.
                    socket.send_to(&answer, client).ok();
                }
            }
        });
        Self { stopped }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

fn answer(question: &[u8], knows: &Knows) -> Option<Vec<u8>> {
    const ADDRESS: [u8; 2] = [0, 1];
    let (name, end) = name(question)?;
    let mut answer = question.get(..end + 4)?.to_vec();
    let wants_address = answer[end..end + 2] == ADDRESS;
    // No more sections than question and answer: additional records are not repeated.
    answer[8..12].fill(0);
    let (code, found) = match knows {
        Knows::Fails => (2, None),
        Knows::Names(names) => match names.iter().find(|(known, _)| *known == name) {
            Some((_, address)) => (0, wants_address.then_some(address)),
            None => (3, None),
        },
    };
    answer[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    if let Some(address) = found {
        answer[7] = 1;
        // The name of the question, an address of the internet, for a minute.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// The name that is asked for, and where it ends in the packet.
fn name(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = question.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}
