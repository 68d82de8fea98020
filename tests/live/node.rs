//! One machine of the lab: a process that holds namespaces of its own for network, mounts,
//! processes and host name. It has private layers over `/etc`, `/opt`, `/var` and
//! `/usr/local/share` and an empty `/run`, so that files can lie where the real ones do.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open,
};

use crate::lab::PATH;

/// Enough for the slowest program on a busy machine; a hanging one fails its test.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs as the first process of a node: `$1` is a folder for its layers, `$2` its host name. It
/// prints its process number as the outside sees it, and from then on only keeps the namespaces.
const BOOT: &str = r#"
set -e
read -r pid rest < /proc/self/stat
mount -t tmpfs lab "$1"
for dir in etc opt usr/local/share var; do
  mkdir -p "$1/$dir/upper" "$1/$dir/work"
  mount -t overlay lab -o "lowerdir=/$dir,upperdir=$1/$dir/upper,workdir=$1/$dir/work" "/$dir"
done
mount -t tmpfs lab /run
mkdir -m 700 /run/home
mkdir -m 1777 /run/lock
mount -t proc proc /proc
hostname "$2"
echo "$2" > /etc/hostname
# What this machine happens to have configured must not colour a test.
rm -rf /etc/chrony /etc/chrony.conf /etc/ntp.conf /etc/ntpsec /etc/systemd/timesyncd.conf* \
  /etc/docker /etc/containers/certs.d /etc/gitlab /etc/gitlab-runner /opt/gitlab /var/opt/gitlab \
  /var/log/gitlab /var/spool/cron/crontabs /usr/local/share/ca-certificates/* /etc/resolv.conf
# Nobody listens there, so an unknown name is refused at once instead of timing out.
echo "nameserver 127.0.0.1" > /etc/resolv.conf
ip link set lo up
cd /
echo "$pid"
exec sleep infinity
"#;

/// Binds a socket and waits to be robbed of it: `$1` is tcp or udp, `$2` address, `$3` port.
const BIND: &str = r#"
use Socket;
my ($type, $host, $port) = @ARGV;
socket(my $socket, PF_INET, $type eq "tcp" ? SOCK_STREAM : SOCK_DGRAM, 0) or die "socket: $!";
setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) or die "setsockopt: $!";
bind($socket, sockaddr_in($port, inet_aton($host))) or die "bind: $!";
$type ne "tcp" or listen($socket, 128) or die "listen: $!";
$| = 1;
print fileno($socket), "\n";
sleep;
"#;

/// A machine of the lab. Dropping it kills every process on it.
pub(crate) struct Node {
    /// `unshare`, which waits for the first process of the node.
    unshare: Child,
    /// The first process of the node, in the numbers of the outside.
    pid: Pid,
    /// Where logs go, the same path inside and outside.
    dir: PathBuf,
}

impl Node {
    /// Makes the namespaces. An error is what the system said against it.
    pub(crate) fn boot(dir: &Path, name: &str) -> Result<Self, String> {
        let layers = dir.join(name);
        fs::create_dir(&layers).unwrap();
        // pdeathsig holds for the thread that starts a process. That is the thread of the test, so
        // even a killed test takes its lab along.
        let mut unshare = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "--uts"])
            .args(["--pid", "--fork", "--kill-child", "--", "sh", "-c", BOOT, "boot"])
            .arg(&layers)
            .arg(name)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(unshare.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(pid) = line.trim().parse().ok().and_then(Pid::from_raw) else {
            let mut said = String::new();
            unshare.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            unshare.wait().unwrap();
            return Err(said.trim().to_owned());
        };
        Ok(Self { unshare, pid, dir: dir.to_owned() })
    }

    /// Puts a network cable between two nodes: `lab0` on both.
    pub(crate) fn wire_to(&self, other: &Self) {
        // Both ends are born inside, so no name can clash with another lab's. The program itself
        // stays outside, since a node does not know the process numbers of another.
        let status = Command::new("nsenter")
            .args([&format!("--net=/proc/{}/ns/net", self.pid()), "ip", "link", "add", "lab0"])
            .args(["type", "veth", "peer", "name", "lab0", "netns", &other.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success(), "no veth pair");
    }

    /// The first process of the node, by which its namespaces are found from outside.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// A file of the node as the test sees it. Absolute links on the way lead out of the node, so
    /// prefer [`write`](Self::write) and [`read`](Self::read).
    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{absolute}", self.pid()))
    }

    /// A program on this node, in `/` and with a clean environment: variables such as
    /// `SSL_CERT_FILE` would change what the program trusts.
    pub(crate) fn command(&self, program: &str) -> Command {
        enter(self.pid(), program)
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        self.run_with_input(program, arguments, &[])
    }

    fn run_with_input(&self, program: &str, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self
            .command("timeout")
            .args(["--kill-after=1", &PATIENCE.as_secs().to_string(), program])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = thread::scope(|scope| {
            // A program that does not read its input closes it early, which is no fault.
            scope.spawn(move || stdin.write_all(input).ok());
            child.wait_with_output().unwrap()
        });
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a program that has to succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn must(&self, program: &str, arguments: &[&str]) -> String {
        let ran = self.run(program, arguments);
        assert_eq!(ran.code, Some(0), "{program} {arguments:?}: {ran}");
        ran.stdout
    }

    /// Runs the built gldoctor.
    pub(crate) fn gldoctor(&self, arguments: &[&str]) -> Ran {
        self.run(env!("CARGO_BIN_EXE_gldoctor"), arguments)
    }

    /// Writes a file of the node, with its parent folders, in place of any older one.
    #[track_caller]
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let script = r#"mkdir -p "$(dirname "$1")" && rm -f "$1" && cat > "$1""#;
        let ran = self.run_with_input("sh", &["-c", script, "write", path], text.as_ref());
        assert_eq!(ran.code, Some(0), "write {path}: {ran}");
    }

    /// The text of a file of the node.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        self.must("cat", &[path])
    }

    /// Changes a file of the node, keeping owner and mode. The change has to change something.
    #[track_caller]
    pub(crate) fn edit(&self, path: &str, change: impl FnOnce(&str) -> String) {
        let old = self.read(path);
        let new = change(&old);
        assert_ne!(old, new, "the edit of {path} found nothing to change");
        let ran = self.run_with_input("sh", &["-c", r#"cat > "$1""#, "edit", path], new.as_bytes());
        assert_eq!(ran.code, Some(0), "edit {path}: {ran}");
    }

    /// Makes a certificate part of the node's operating-system store, in Debian's way.
    pub(crate) fn trust_system_wide(&self, name: &str, pem: impl AsRef<[u8]>) {
        self.write(&format!("/usr/local/share/ca-certificates/{name}.crt"), pem);
        self.must("update-ca-certificates", &[]);
    }

    /// Lets packets to a TCP port of this node vanish, as a firewall does.
    pub(crate) fn filter(&self, port: u16) {
        let port = port.to_string();
        self.must("iptables", &["-A", "INPUT", "-p", "tcp", "--dport", &port, "-j", "DROP"]);
    }

    /// Starts a server and waits until `ready` says so. It dies with the returned value.
    #[track_caller]
    pub(crate) fn serve(
        &self,
        program: &str,
        arguments: &[&str],
        ready: impl Fn() -> bool,
    ) -> Server {
        self.serve_with(program, arguments, &[], ready)
    }

    /// The same with environment variables.
    #[track_caller]
    pub(crate) fn serve_with(
        &self,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        ready: impl Fn() -> bool,
    ) -> Server {
        let mut server = Server::start(self, program, arguments, environment);
        let since = Instant::now();
        while !ready() {
            let ended = server.nsenter.try_wait().unwrap();
            assert!(ended.is_none(), "{program} ended at once ({ended:?}):\n{}", server.log());
            assert!(since.elapsed() < PATIENCE, "{program} does not get ready:\n{}", server.log());
            thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// Starts the Docker daemon with its default socket. It can pull and push, but not run
    /// containers; its images lie in `dir`, since private layers cannot hold another's.
    #[track_caller]
    pub(crate) fn start_dockerd(&self, dir: &Path) -> Server {
        self.start_dockerd_with(dir, &[])
    }

    /// The same with more flags.
    #[track_caller]
    pub(crate) fn start_dockerd_with(&self, dir: &Path, given: &[&str]) -> Server {
        let data = dir.join("docker");
        let flags =
            ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"];
        let more = ["--bridge=none", "--storage-driver=vfs", "--data-root", data.to_str().unwrap()];
        let socket = self.path("/run/docker.sock");
        self.serve("dockerd", &[&flags[..], &more[..], given].concat(), || {
            socket.exists() && self.run("docker", &["version"]).succeeded()
        })
    }

    /// Whether somebody listens on a TCP port of this node, on any of its addresses.
    pub(crate) fn listens(&self, port: u16) -> bool {
        // A look into the table of sockets: to connect would show in the server's log.
        let suffix = format!(":{port:04X}");
        ["tcp", "tcp6"].iter().any(|table| {
            let table = fs::read_to_string(format!("/proc/{}/net/{table}", self.pid()));
            table.unwrap_or_default().lines().any(|line| {
                let mut fields = line.split_whitespace().skip(1);
                let local = fields.next().unwrap_or_default();
                local.ends_with(&suffix) && fields.nth(1) == Some("0A")
            })
        })
    }

    /// A listening socket of this node, for a stand-in that runs inside the test.
    pub(crate) fn listen(&self, address: &str, port: u16) -> TcpListener {
        TcpListener::from(self.bind("tcp", address, port))
    }

    /// A UDP socket of this node, for a stand-in that runs inside the test.
    pub(crate) fn udp(&self, address: &str, port: u16) -> UdpSocket {
        UdpSocket::from(self.bind("udp", address, port))
    }

    /// A socket belongs for life to the network in which it was made, wherever its owner lives. So
    /// a process on the node makes it, and this process takes a duplicate.
    fn bind(&self, kind: &str, address: &str, port: u16) -> OwnedFd {
        // Without --pid nsenter becomes perl instead of forking, so the child's number is perl's.
        let mut perl = Command::new("nsenter")
            .args([&format!("--net=/proc/{}/ns/net", self.pid()), "perl", "-e", BIND])
            .args([kind, address, &port.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(perl.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let number = line.trim().parse().expect("perl has said why");
        let pidfd = pidfd_open(Pid::from_child(&perl), PidfdFlags::empty()).unwrap();
        let socket = pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()).unwrap();
        perl.kill().unwrap();
        perl.wait().unwrap();
        socket
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The kernel ends all processes of a node with its first one, and only then does unshare
        // return. Failing is in order: the node may be gone already.
        kill_process(self.pid, Signal::KILL).ok();
        self.unshare.wait().ok();
    }
}

/// A command that will run in the namespaces of process `pid`.
fn enter(pid: i32, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command
        .args(["--target", &pid.to_string(), "--net", "--mount", "--uts", "--pid"])
        .args(["--root", "--wd", "--"])
        .args(["setpriv", "--pdeathsig", "KILL", "--", program])
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/run/home")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    // Where the coverage of the program under test is to be collected.
    if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
        command.env("LLVM_PROFILE_FILE", profile);
    }
    command
}

/// A program that ran to its end.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Whether it ended well.
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// What a program written in Go has against a certificate: its words from `x509:` on.
    pub(crate) fn x509_error(&self) -> Option<&str> {
        let at = self.stderr.find("x509: ")?;
        // skopeo logs a line of key="value" pairs; the text ends where the quotes do.
        self.stderr[at..].lines().next()?.split('"').next().map(str::trim_end)
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A server on a node. It is stopped when dropped; after a failed assertion its log is shown.
#[must_use]
pub(crate) struct Server {
    nsenter: Child,
    /// Of the first process of the node, and of the server in the node's own numbers.
    node: i32,
    pid: u32,
    name: String,
    log: PathBuf,
}

impl Server {
    fn start(node: &Node, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let named = tempfile::Builder::new().prefix(program).suffix(".log").tempfile_in(&node.dir);
        let (log, path) = named.unwrap().keep().unwrap();
        // The shell becomes the program, so it knows the program's number beforehand.
        let mut nsenter = node
            .command("sh")
            .args(["-c", r#"echo "$$" && exec "$0" "$@" >&2"#, program])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(nsenter.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = line.trim().parse().expect("the shell prints its number");
        Self { nsenter, node: node.pid(), pid, name: program.to_owned(), log: path }
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal by its name, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.pid);
        enter(self.node, "sh").args(["-c", &line]).stderr(Stdio::null()).status().unwrap();
    }

    /// Stops it and waits until it is gone, and its ports with it.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.signal("TERM");
        for _ in 0..500 {
            if self.nsenter.try_wait().unwrap().is_some() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.signal("KILL");
        self.nsenter.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.nsenter.try_wait().unwrap().is_none() {
            self.end();
        }
        if thread::panicking() {
            println!("---- log of {}\n{}", self.name, self.log());
        }
    }
}
