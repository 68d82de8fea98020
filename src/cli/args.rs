//! The commands and their flags. Every flag can also be given as `GLDOCTOR_...` in the environment.

use std::net::Ipv6Addr;
use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::{Context as _, bail};
use camino::Utf8PathBuf;
use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use crate::checks::Severity;
use crate::host::MapRule;
use crate::report::Format;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Examine this host and report
    Run(RunArgs),
    /// Examine this host and write a support bundle (recording, reports, manifest)
    Bundle(BundleArgs),
    /// Run today's checks on a bundle
    Analyze(AnalyzeArgs),
    /// Show what gldoctor understood of the installation
    Show(ShowArgs),
    /// Tell which clients accept a chain of certificates, and why others do not
    Trust(TrustArgs),
    /// List the checks
    List(ListArgs),
    /// Explain a check: why it matters, what is looked at, how to fix it
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) look: LookArgs,
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) tell: TellArgs,
    /// List what would be looked at, as far as the files tell; the network is not asked
    #[arg(long, env = "GLDOCTOR_PLAN", value_parser = switch())]
    pub(super) plan: bool,
}

#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    #[command(flatten)]
    pub(super) look: LookArgs,
    #[command(flatten)]
    pub(super) select: SelectArgs,
    /// Where to write; a name that ends in .json holds the recording alone
    #[arg(short, long, value_name = "FILE.tar.gz", env = "GLDOCTOR_BUNDLE")]
    pub(super) output: Option<Utf8PathBuf>,
    /// Say nothing but errors
    #[arg(short, long, env = "GLDOCTOR_QUIET", value_parser = switch())]
    pub(super) quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct AnalyzeArgs {
    /// A bundle, or a recording alone
    #[arg(value_name = "FILE", required = true)]
    pub(super) file: Utf8PathBuf,
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) tell: TellArgs,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub(super) look: LookArgs,
    /// How to show it
    #[arg(long, value_enum, default_value_t = ShowFormat::Human, env = "GLDOCTOR_FORMAT")]
    pub(super) format: ShowFormat,
}

#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// Which servers are judged; without any, those that are configured here
    #[arg(value_name = "HOST[:PORT]", conflicts_with_all = ["chain", "store", "name"])]
    pub(super) endpoints: Vec<String>,
    /// The certificates as they are served, the server's own first (PEM, or one in DER)
    #[arg(long, value_name = "FILE", help_heading = "Files alone")]
    pub(super) chain: Option<Utf8PathBuf>,
    /// A file of the client's trust store; several are one store
    #[arg(long, value_name = "FILE", help_heading = "Files alone")]
    pub(super) store: Vec<Utf8PathBuf>,
    /// The host as users type it: a name or an address
    #[arg(long, value_name = "HOST", help_heading = "Files alone")]
    pub(super) name: Option<String>,
    /// How to show the table; files alone are always judged in JSON
    #[arg(long, value_enum, default_value_t = ShowFormat::Human)]
    pub(super) format: ShowFormat,
    #[command(flatten)]
    pub(super) look: LookArgs,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// How to list them
    #[arg(long, value_enum, default_value_t = ShowFormat::Human)]
    pub(super) format: ShowFormat,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The check's ID as `gldoctor list` shows it, or a group for all of its checks
    #[arg(value_name = "ID")]
    pub(super) id: String,
}

/// What is looked at, and how long.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is looked at")]
pub(super) struct LookArgs {
    /// Look at another root folder (a mounted disk, a container volume, an unpacked archive);
    /// no network is used then unless --network is given
    #[arg(long, value_name = "DIR", env = "GLDOCTOR_ROOT")]
    root: Option<Utf8PathBuf>,
    /// A folder of the installation that lies elsewhere here, such as
    /// /etc/gitlab=/srv/gitlab/config (repeatable)
    #[arg(long, value_name = "FROM=TO", env = "GLDOCTOR_MAP", value_parser = map_rule)]
    map: Vec<MapRule>,
    /// Use the network even though --root is given
    #[arg(long, env = "GLDOCTOR_NETWORK", value_parser = switch())]
    network: bool,
    /// Look at files only, never at the network
    #[arg(long, env = "GLDOCTOR_OFFLINE_FILES_ONLY", value_parser = switch())]
    offline_files_only: bool,
    /// GitLab's address, to examine it from outside
    #[arg(long, value_name = "URL", env = "GLDOCTOR_URL", value_parser = http_url)]
    pub(super) url: Option<String>,
    /// The registry's address, to examine it from outside
    #[arg(long, value_name = "URL", env = "GLDOCTOR_REGISTRY_URL", value_parser = http_url)]
    pub(super) registry_url: Option<String>,
    /// A time server to compare the clock with, besides the configured ones (repeatable)
    #[arg(long, value_name = "HOST[:PORT]", env = "GLDOCTOR_NTP", value_delimiter = ',', value_parser = time_server)]
    pub(super) ntp: Vec<String>,
    /// The user name and password (or access token) of one login at GitLab, in a file as curl
    /// reads it (netrc); or set `GLDOCTOR_USERNAME` and `GLDOCTOR_PASSWORD`. If others can read
    /// that file, a line on standard error says so
    #[arg(long, value_name = "FILE", env = "GLDOCTOR_CREDENTIALS")]
    pub(super) credentials: Option<Utf8PathBuf>,
    /// How long to wait for each answer
    #[arg(long, value_name = "TIME", default_value = "10s", env = "GLDOCTOR_TIMEOUT", value_parser = duration)]
    pub(super) timeout: Duration,
    /// How long the whole run may take
    #[arg(long, value_name = "TIME", default_value = "120s", env = "GLDOCTOR_DEADLINE", value_parser = duration)]
    pub(super) deadline: Duration,
    /// Judge as if it were this time (RFC 3339), for an old disk or a date to come
    #[arg(long, value_name = "TIME", env = "GLDOCTOR_AT")]
    pub(super) at: Option<Timestamp>,
    /// Change a threshold (repeatable); `gldoctor list` names them
    #[arg(long, value_name = "KEY=VALUE", env = "GLDOCTOR_THRESHOLD", value_delimiter = ',', value_parser = threshold)]
    pub(super) threshold: Vec<(String, u64)>,
}

/// Which checks are wanted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which checks")]
pub(super) struct SelectArgs {
    /// Only these checks: IDs, groups or globs (repeatable)
    #[arg(long, value_name = "CHECK", env = "GLDOCTOR_ONLY", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Not these checks: IDs, groups or globs (repeatable)
    #[arg(long, value_name = "CHECK", env = "GLDOCTOR_SKIP", value_delimiter = ',')]
    pub(super) skip: Vec<String>,
    /// From which severity on findings make the exit code 1
    #[arg(long, value_name = "SEVERITY", default_value = "error", env = "GLDOCTOR_FAIL_ON")]
    pub(super) fail_on: FailOn,
}

/// How the report is told.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it is told")]
pub(super) struct TellArgs {
    /// The format on standard output
    #[arg(long, value_enum, default_value_t = ReportFormat::Human, env = "GLDOCTOR_FORMAT")]
    pub(super) format: ReportFormat,
    /// Also write the report to a file (repeatable)
    #[arg(long, value_name = "FORMAT=PATH", env = "GLDOCTOR_OUTPUT", value_parser = output_file)]
    pub(super) output: Vec<(ReportFormat, Utf8PathBuf)>,
    /// When to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, env = "GLDOCTOR_COLOR")]
    pub(super) color: Color,
    /// Only problems
    #[arg(short, long, env = "GLDOCTOR_QUIET", value_parser = switch())]
    pub(super) quiet: bool,
    /// Every check, with what it looked at
    #[arg(short, long, env = "GLDOCTOR_VERBOSE", value_parser = switch())]
    pub(super) verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ShowFormat {
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    Human,
    Short,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Notice,
    Warning,
    Error,
}

impl LookArgs {
    /// The root folder, if another than `/` was named.
    pub(super) fn root(&self) -> anyhow::Result<Option<Utf8PathBuf>> {
        let Some(root) = &self.root else { return Ok(None) };
        let real = root.canonicalize_utf8().with_context(|| format!("--root {root}"))?;
        if !real.is_dir() {
            bail!("--root {root}: not a folder");
        }
        Ok((real != "/").then_some(real))
    }

    /// The folders that lie elsewhere, each made sure of.
    pub(super) fn maps(&self) -> anyhow::Result<Vec<MapRule>> {
        let real = |map: &MapRule| {
            let to = map.to.canonicalize_utf8().with_context(|| format!("--map to {}", map.to))?;
            Ok(MapRule { from: map.from.clone(), to })
        };
        self.map.iter().map(real).collect()
    }

    /// Whether the network may be asked, or why not.
    pub(super) fn network(&self) -> anyhow::Result<Result<(), String>> {
        Ok(match (self.offline_files_only, self.network) {
            (true, true) => bail!("--offline-files-only cannot be used with --network"),
            (true, false) => Err("the network was left out with --offline-files-only".to_owned()),
            (false, false) if self.root.is_some() => {
                Err("with --root the network is asked only if --network is given".to_owned())
            }
            (false, _) => Ok(()),
        })
    }
}

impl TellArgs {
    /// Makes sure that the flags go together. It is done here and not by clap, to which a switch
    /// that the environment turns off is as good as one that is on.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.quiet && self.verbose {
            bail!("--quiet cannot be used with --verbose");
        }
        let mut paths: Vec<_> = self.output.iter().map(|(_, path)| path).collect();
        paths.sort();
        let count = paths.len();
        paths.dedup();
        if paths.len() < count {
            bail!("--output names one file twice");
        }
        Ok(())
    }
}

/// What turns a switch on or off in the environment: `1`, `yes`, `true`, `on`, and the opposites.
fn switch() -> BoolishValueParser {
    BoolishValueParser::new()
}

impl From<ReportFormat> for Format {
    fn from(format: ReportFormat) -> Self {
        match format {
            ReportFormat::Human => Self::Human,
            ReportFormat::Short => Self::Short,
            ReportFormat::Json => Self::Json,
        }
    }
}

impl From<FailOn> for Severity {
    fn from(fail_on: FailOn) -> Self {
        match fail_on {
            FailOn::Notice => Self::Notice,
            FailOn::Warning => Self::Warning,
            FailOn::Error => Self::Error,
        }
    }
}

fn map_rule(text: &str) -> Result<MapRule, String> {
    let (from, to) = text.split_once('=').ok_or("expected FROM=TO")?;
    let (from, to) = (Utf8PathBuf::from(from), Utf8PathBuf::from(to));
    if !from.is_absolute() || from == "/" {
        return Err(format!("'{from}' is not an absolute path below /"));
    }
    Ok(MapRule { from, to })
}

/// `500ms`, `10s`, `2m`, and bare seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(SignedDuration::from_secs);
    let read = seconds.or_else(|_| text.parse());
    let duration = read.map_err(|_| "expected a time such as 500ms, 10s or 2m".to_owned())?;
    let duration = Duration::try_from(duration).map_err(|_| "must not be negative".to_owned())?;
    if duration < Duration::from_millis(10) {
        return Err("must be at least 10ms".to_owned());
    }
    Ok(duration)
}

fn http_url(text: &str) -> Result<String, String> {
    let url =
        reqwest::Url::parse(text).map_err(|error| format!("{error} (https://host[:port])"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("expected https://host[:port]".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong on a command line".to_owned());
    }
    Ok(text.to_owned())
}

/// `HOST`, `HOST:PORT`, `[IPv6]`, `[IPv6]:PORT` or a bare IPv6 address. A port that is none would
/// be taken for a part of the name, and the name for one that does not resolve.
fn time_server(text: &str) -> Result<String, String> {
    const EXPECTED: &str = "expected HOST or HOST:PORT";
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok(text.to_owned());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_name = !host.is_empty() && !host.contains(['/', ':', '[', ']', '@', ' ']);
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if !is_name && address.is_none_or(|address| address.parse::<Ipv6Addr>().is_err()) {
        return Err(EXPECTED.to_owned());
    }
    match port.map(str::parse::<NonZeroU16>) {
        Some(Err(_)) => Err(format!("{EXPECTED}, the port from 1 to 65535")),
        Some(Ok(_)) | None => Ok(text.to_owned()),
    }
}

fn threshold(text: &str) -> Result<(String, u64), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    let value = value.parse().map_err(|_| format!("'{value}' is not a whole number"))?;
    crate::checks::threshold::find(key).map_err(|error| error.to_string())?;
    Ok((key.to_owned(), value))
}

fn output_file(text: &str) -> Result<(ReportFormat, Utf8PathBuf), String> {
    let (format, path) = text.split_once('=').ok_or("expected FORMAT=PATH")?;
    let Ok(read) = ReportFormat::from_str(format, true) else {
        let known = ReportFormat::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let known: Vec<_> = known.map(|value| value.get_name().to_owned()).collect();
        return Err(format!("'{format}' is none of the formats {}", known.join(", ")));
    };
    if path == "-" {
        return Err(format!("--format {format} is for standard output; ./- is a file"));
    }
    Ok((read, path.into()))
}

#[test]
fn times_are_read_with_and_without_a_unit() {
    assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
    assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
    assert!(duration("-1s").is_err() && duration("soon").is_err() && duration("0").is_err());
}

#[test]
fn time_servers_have_a_host_and_a_port_from_1_to_65535() {
    for right in ["ntp1", "10.0.0.1:1123", "fd00::1", "[fd00::1]", "[fd00::1]:123"] {
        assert!(time_server(right).is_ok(), "{right}");
    }
    for wrong in ["", ":123", "ntp1:", "ntp1:0", "ntp1:99999", "ntp://ntp1", "[x]:1", "a b"] {
        assert!(time_server(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn reports_go_to_files_of_their_own() {
    assert_eq!(output_file("json=a"), Ok((ReportFormat::Json, "a".into())));
    assert!(output_file("xml=a").unwrap_err().contains("human, short, json"));
    assert!(output_file("json=-").is_err() && output_file("json=./-").is_ok());
}

#[test]
fn no_credentials_in_urls() {
    assert!(http_url("https://user:pw@host").is_err());
    assert!(http_url("ftp://host").is_err());
    assert!(http_url("https://host:5050").is_ok());
}
