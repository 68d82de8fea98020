//! Real time servers: chronyd, in the three states that matter.

use crate::lab::FAKETIME;
use crate::node::{Node, Server};

/// What a time server serves.
#[derive(Clone, Copy)]
pub(crate) enum Clock {
    /// The machine's own time.
    Right,
    /// The machine's own time and so many seconds more.
    Ahead(i32),
    /// None: it answers, but says that it is not synchronized.
    Unsynchronized,
}

/// Starts chronyd on an address of the node, on port 123. It never touches the machine's clock.
#[track_caller]
pub(crate) fn start_chronyd(node: &Node, address: &str, clock: Clock) -> Server {
    let dir = format!("/run/chronyd-{address}");
    let local = if matches!(clock, Clock::Unsynchronized) { "" } else { "local stratum 8" };
    let conf = format!(
        "port 123\nbindaddress {address}\ncmdport 0\nbindcmdaddress {dir}/chronyd.sock\n\
         pidfile {dir}/chronyd.pid\nallow all\n{local}\n"
    );
    node.write(&format!("{dir}/chrony.conf"), conf);
    // chronyd disables its command socket in a folder that others can read.
    node.must("chmod", &["750", &dir]);
    let arguments = ["-x", "-d", "-u", "root", "-f", &format!("{dir}/chrony.conf")];
    let library = faketime_library();
    let offset;
    let mut environment = Vec::new();
    if let Clock::Ahead(seconds) = clock {
        offset = format!("{seconds:+}s");
        environment = vec![("LD_PRELOAD", library.as_str()), ("FAKETIME", offset.as_str())];
    }
    let socket = node.path(&format!("{dir}/chronyd.sock"));
    node.serve_with("chronyd", &arguments, &environment, || socket.exists())
}

/// What moves the clock of a program that is told to load it, by `FAKETIME`.
pub(crate) fn faketime_library() -> String {
    format!("/usr/lib/{}-linux-gnu/{FAKETIME}/libfaketime.so.1", std::env::consts::ARCH)
}

/// What chronyd as a client thinks of a time server: `System clock wrong by 90.000013 seconds`.
/// `None` if it got no usable answer.
pub(crate) fn offset_by_chronyd(node: &Node, address: &str) -> Option<f64> {
    // One sample is enough on this wire, and saves seconds.
    let server = format!("server {address} iburst maxsamples 1");
    let ran = node.run("chronyd", &["-Q", "-t", "2", "-u", "root", &server, "pidfile /run/q.pid"]);
    let said = ran.stderr + &ran.stdout;
    let (_, after) = said.split_once("System clock wrong by ")?;
    after.split(' ').next()?.parse().ok()
}
