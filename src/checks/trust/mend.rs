//! How a refused certificate is mended: commands with this host's paths, names and ports, after
//! which the client accepts.

use camino::{Utf8Path, Utf8PathBuf};

use super::client::{GoClient, Intermediates, Lack, Seen, Target, Unread, is_about_authority};
use crate::checks::shell::{convert, word};
use crate::checks::{Remedy, reload};
use crate::install::Endpoint;
use crate::parse::certificate::Certificate;
use crate::trust::{Fault, Verdict};

/// A refusal that is to be mended.
pub(super) struct Refusal<'a> {
    pub(super) client: &'a GoClient<'a>,
    pub(super) seen: &'a Seen<'a>,
    pub(super) verdict: &'a Verdict,
    pub(super) leaf: Option<&'a Certificate>,
    pub(super) lack: &'a Lack,
}

impl Refusal<'_> {
    /// What to do about it.
    pub(super) fn remedy(&self) -> Remedy {
        if is_about_authority(self.verdict) {
            return self.trust();
        }
        let fault = self.verdict.faults.first();
        match (fault, self.leaf) {
            (Some(fault), _) if fault.code == "not-yet-valid" => self.wait(),
            (Some(fault), _) if fault.depth > 0 => self.replace_authority(fault),
            (_, Some(leaf)) if leaf.self_issued => self.renew_self_signed(leaf),
            (_, leaf) => self.ask_for_another(leaf),
        }
    }

    /// A certificate of the future is nearly always a clock of the past.
    fn wait(&self) -> Remedy {
        let now = self.seen.now;
        Remedy {
            advice: format!(
                "Set this host's clock right: it says {now}. If that is the time, the clock was \
                 ahead where the certificate was made; wait, or have the certificate made anew."
            ),
            commands: vec!["timedatectl status".to_owned()],
        }
    }

    /// Acceptance is not in doubt, but rests on a certificate that will be replaced.
    pub(super) fn lasting(&self) -> Remedy {
        match self.lack {
            Lack::Elsewhere(_) | Lack::SentAlong(_) | Lack::NotSent(_) => self.trust(),
            Lack::Unread(_) | Lack::Nowhere => {
                let issuer = self.leaf.map_or("the server's CA", |leaf| leaf.issuer.as_str());
                let target = self.target();
                Remedy {
                    advice: format!("Put the root certificate above '{issuer}' into {target}."),
                    commands: Vec::new(),
                }
            }
        }
    }

    /// Gives the client what it lacks.
    fn trust(&self) -> Remedy {
        let name = self.client.name;
        match self.lack {
            Lack::Unread(unread) => rewrite(unread).unwrap_or_else(|| self.give()),
            Lack::Elsewhere(path) => Remedy {
                advice: format!("{path} holds what is lacking: give it to {name}."),
                commands: self.put(&print_file(path), Some(path)),
            },
            Lack::SentAlong(number) => Remedy {
                advice: format!(
                    "The server sends its own root certificate along. Make sure that it is your \
                     CA's, and give it to {name}."
                ),
                commands: self.put(&self.sent(*number), None),
            },
            Lack::NotSent(them) => self.send_along(them),
            Lack::Nowhere => self.give(),
        }
    }

    /// Gives the client what no file here holds: the certificate that the server shows, if that
    /// vouches for itself.
    fn give(&self) -> Remedy {
        let Some(leaf) = self.leaf.filter(|leaf| leaf.self_issued) else { return self.obtain() };
        let file = self.file_of_leaf();
        let source = file.map_or_else(|| fetch(self.seen.endpoint), print_file);
        Remedy {
            advice: format!(
                "Give {} the certificate, and compare its fingerprint with the server's: sha256 {}.",
                self.client.name, leaf.fingerprint
            ),
            commands: self.put(&source, file),
        }
    }

    /// The server has to send the intermediate certificate, which clients do not look for.
    fn send_along(&self, Intermediates { path, among }: &Intermediates) -> Remedy {
        let advice = "Let the server send its intermediate certificate along, after its own.";
        let Some(source) = self.seen.source else {
            return Remedy { advice: format!("{advice} {path} holds it."), commands: Vec::new() };
        };
        let file = &source.pair.certificate.value;
        // A root would be sent to everybody for nothing.
        let print = match among {
            Some(numbers) => pick(&print_file(path), numbers),
            None => print_file(path),
        };
        Remedy {
            advice: advice.to_owned(),
            commands: vec![append(&print, file), self.reload().to_owned()],
        }
    }

    /// The command after which the server shows another certificate. Of a server elsewhere nothing
    /// is known but that it is GitLab's.
    fn reload(&self) -> &'static str {
        self.seen.source.map_or(reload::PACKAGE, |source| reload::reload(&source.pair))
    }

    /// Nobody here has it.
    fn obtain(&self) -> Remedy {
        let issuer = self.leaf.map_or("the server's CA", |leaf| leaf.issuer.as_str());
        let target = self.target();
        let name = self.client.name;
        let file = self.seen.source.map(|source| source.pair.certificate.value.as_str());
        let file = file.unwrap_or("the server's certificate file");
        let reload = self.reload();
        let send = format!("append the certificate of '{issuer}' to {file}, and run {reload}");
        let put = format!("put the root certificate above '{issuer}' into {target}");
        let advice = match (self.seen.shown.chain.len(), self.client.files.is_empty()) {
            (1, false) => format!(
                "If {name} is given the right root certificate, the server fails to send the one \
                 between: {send}. If it is not, {put}."
            ),
            (1, true) => format!(
                "{} If '{issuer}' is itself issued by that root, the server has to send it: {send}.",
                sentence(&put)
            ),
            _ => sentence(&put),
        };
        Remedy { advice, commands: Vec::new() }
    }

    /// The path that a certificate is best written to: one that is not taken by another's.
    fn target(&self) -> Utf8PathBuf {
        match &self.client.target {
            Target::File(path) => path.clone(),
            Target::Folder(folder) => {
                let taken = |name: &str| {
                    let path = folder.join(name);
                    self.client.files.iter().any(|(own, file)| *own == path && self.needs(file))
                };
                let host = format!("{}.crt", self.seen.endpoint.host);
                let names = ["ca.crt", &host, "gitlab-ca.crt"];
                let free = names.into_iter().find(|name| !taken(name));
                folder.join(free.unwrap_or("gitlab-ca-2.crt"))
            }
        }
    }

    /// Whether a file holds certificates that others than this endpoint may need.
    fn needs(&self, file: &crate::host::files::TrustFile) -> bool {
        let stale = |der: &Vec<u8>| {
            let old = Certificate::from_der(der).ok();
            let subject = |it: &Certificate| it.subject.clone();
            old.as_ref().map(subject) == self.leaf.map(subject)
        };
        file.for_go().iter().any(|der| !stale(der))
    }

    /// Commands that write what `source` prints to where the client looks. `file` is the file that
    /// it prints, if it only prints one.
    fn put(&self, source: &str, file: Option<&Utf8Path>) -> Vec<String> {
        let target = self.target();
        let folder = target.parent().unwrap_or(Utf8Path::new("/"));
        let to = word(target.as_str());
        let own = self.client.files.iter().find(|(path, _)| *path == target);
        // The one file that a client reads must not lose what others need.
        if own.is_some_and(|(_, file)| self.needs(file)) {
            return vec![append(source, &target)];
        }
        let mkdir = format!("sudo mkdir -p {}", word(folder.as_str()));
        let copy = match file {
            Some(file) => format!("sudo cp {} {to}", word(file.as_str())),
            None => format!("{source} | sudo tee {to} >/dev/null"),
        };
        vec![mkdir, copy]
    }

    /// A command that prints a certificate that the server sends along.
    fn sent(&self, number: usize) -> String {
        let source = self.seen.source.filter(|source| source.chain == self.seen.shown.chain);
        let print = match source {
            Some(source) => print_file(&source.pair.certificate.value),
            None => format!("{} -showcerts </dev/null 2>/dev/null", connect(self.seen.endpoint)),
        };
        format!("{} | openssl x509", pick(&print, &[number]))
    }

    /// The file that holds just the certificate that is shown.
    fn file_of_leaf(&self) -> Option<&Utf8Path> {
        let source = self.seen.source?;
        let same = source.chain.first() == self.seen.shown.chain.first();
        same.then_some(source.pair.certificate.value.as_path())
    }

    fn replace_authority(&self, fault: &Fault) -> Remedy {
        let name = &fault.certificate;
        let advice = match fault.code.as_str() {
            "expired" => format!(
                "Get the current certificate of the CA '{name}', and put it wherever the old one \
                 lies: with the server if it is an intermediate one, and into {}.",
                self.target()
            ),
            _ => format!(
                "The server's certificate is not at fault, but that of the CA '{name}' is: have \
                 the CA make that one anew."
            ),
        };
        Remedy { advice, commands: Vec::new() }
    }

    /// The guide's command with the subjectAltName that it lacks, and the copies that follow.
    fn renew_self_signed(&self, leaf: &Certificate) -> Remedy {
        let names = self.alternative_names(leaf);
        let here = self.seen.source;
        let host = &self.seen.endpoint.host;
        let default = |ending| Utf8PathBuf::from(format!("/etc/gitlab/ssl/{host}.{ending}"));
        let certificate = here.map(|it| it.pair.certificate.value.clone());
        let certificate = certificate.unwrap_or_else(|| default("crt"));
        let key = here.map_or_else(|| default("key"), |it| it.pair.key.value.clone());
        let make = format!(
            "sudo openssl req -x509 -nodes -days 365 -newkey rsa:2048 -subj {} -addext {} -keyout \
             {} -out {}",
            word(&format!("/CN={}", common_name(host))),
            word(&format!("subjectAltName={names}")),
            word(key.as_str()),
            word(certificate.as_str())
        );
        let mut commands = vec![make, self.reload().to_owned()];
        let source = if here.is_some() {
            print_file(&certificate)
        } else {
            commands.insert(0, "# on GitLab's own host:".to_owned());
            commands.push("# then on this one:".to_owned());
            fetch(self.seen.endpoint)
        };
        commands.extend(self.put(&source, here.map(|_| certificate.as_path())));
        let renew = format!(
            "make a new certificate with subjectAltName {names} on GitLab's host, or let your own \
             CA issue one; then replace every copy of the old one"
        );
        Remedy { advice: self.unless_the_clock(&renew), commands }
    }

    /// A request to the CA.
    fn ask_for_another(&self, leaf: Option<&Certificate>) -> Remedy {
        let host = &self.seen.endpoint.host;
        let names =
            leaf.map_or_else(|| alternative_name(host), |leaf| self.alternative_names(leaf));
        let ask = format!(
            "let the CA issue a certificate with subjectAltName {names}, for a server \
             (serverAuth), with an RSA key of 2048 bits or more or an EC key, and signed with \
             SHA-256; put it with its intermediate certificates into the server's file, and run {}",
            self.reload()
        );
        let advice = self.unless_the_clock(&ask);
        // The request goes to the CA, which answers with the certificate.
        let request = self.seen.source.map(|source| {
            let certificate = &source.pair.certificate.value;
            format!(
                "sudo openssl req -new -key {} -subj {} -addext {} -out {}",
                word(source.pair.key.value.as_str()),
                word(&format!("/CN={}", common_name(host))),
                word(&format!("subjectAltName={names}")),
                word(certificate.with_extension("csr").as_str()),
            )
        });
        Remedy { advice, commands: request.into_iter().collect() }
    }

    /// What looks expired may be seen by a clock that is ahead.
    fn unless_the_clock(&self, clause: &str) -> String {
        if self.verdict.faults.first().is_some_and(|fault| fault.code == "expired") {
            return format!("Make sure that this host's clock is right. If it is, {clause}.");
        }
        sentence(clause)
    }

    /// Every name that the certificate has or should have: `DNS:a,IP:b`.
    fn alternative_names(&self, leaf: &Certificate) -> String {
        let mut names = vec![alternative_name(&self.seen.endpoint.host)];
        let others = self.seen.source.into_iter().flat_map(|source| &source.hosts);
        let old = leaf.dns_names.iter().filter(|name| is_plain(name));
        let addresses = leaf.ip_addresses.iter().map(ToString::to_string);
        for name in others.chain(old).cloned().chain(addresses) {
            let name = alternative_name(&name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(",")
    }
}

/// What has no meaning of its own in OpenSSL's configuration.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._*".contains(c))
}

/// `DNS:host` or `IP:address`.
fn alternative_name(host: &str) -> String {
    let kind = if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
    format!("{kind}:{host}")
}

/// A common name has 64 characters at most (RFC 5280, `ub-common-name`); clients do not read it.
fn common_name(host: &str) -> &str {
    if host.len() > 64 { "gitlab" } else { host }
}

fn connect(endpoint: &Endpoint) -> String {
    let to = word(&endpoint.socket());
    if endpoint.is_address() {
        return format!("openssl s_client -connect {to}");
    }
    format!("openssl s_client -connect {to} -servername {}", word(&endpoint.host))
}

/// A command that prints the certificate that a server shows.
fn fetch(endpoint: &Endpoint) -> String {
    format!("{} </dev/null 2>/dev/null | openssl x509", connect(endpoint))
}

/// A command that adds what another one prints to a file. That may lack a line end, and markers on
/// one line would lose both certificates.
fn append(source: &str, to: &Utf8Path) -> String {
    format!("{{ echo; {source}; }} | sudo tee -a {} >/dev/null", word(to.as_str()))
}

fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// A command that prints some of the certificates that another one prints, by number from 1.
fn pick(print: &str, numbers: &[usize]) -> String {
    let wanted: Vec<_> = numbers.iter().map(|number| format!("n == {number}")).collect();
    let wanted = wanted.join(" || ");
    format!(
        "{print} | awk '/BEGIN CERT/ {{ n++ }} /BEGIN CERT/, /END CERT/ {{ if ({wanted}) print }}'"
    )
}

/// A command that prints a file.
fn print_file(path: &Utf8Path) -> String {
    format!("sudo cat {}", word(path.as_str()))
}

/// Puts each certificate of a file into one of its own beside it. Text between them is left behind.
pub(super) fn split(path: &Utf8Path) -> Vec<String> {
    let file = word(path.as_str());
    let stem = word(path.with_extension("").as_str());
    vec![
        format!(
            "sudo awk -v stem={stem} '/^-----BEGIN/ {{ n++ }} n {{ print > (stem \"-\" n \".crt\") }}' \
             {file}"
        ),
        format!("sudo rm {file}"),
    ]
}

/// Mends a file that is there but unreadable for Go, where a command can.
pub(super) fn rewrite(unread: &Unread) -> Option<Remedy> {
    let file = word(unread.path.as_str());
    let edit = |script: &str| format!("sudo sed -i '{script}' {file}");
    let (advice, command) = match unread.code.as_str() {
        "byte-order-mark" => ("Take the byte order mark away.", edit(r"1s/^\xEF\xBB\xBF//")),
        "der" => (
            "Convert the file from DER to PEM.",
            convert(&file, &format!("openssl x509 -inform DER -in {file} -out")),
        ),
        // OpenSSL would write the first certificate and drop the others.
        "trusted-label" if unread.count == 1 => (
            "Write the certificate with the plain label.",
            convert(&file, &format!("openssl x509 -in {file} -out")),
        ),
        "x509-label" => (
            "Give the certificates the label that every client reads.",
            edit(r"s/^-----\(BEGIN\|END\) X509 /-----\1 /"),
        ),
        "indented" => ("Take the blanks before the lines away.", edit("s/^[[:blank:]]*//")),
        "glued-markers" => (
            "Break the line between the two certificates.",
            edit(r"s/----------BEGIN/-----\n-----BEGIN/g"),
        ),
        "utf-16" => (
            "Convert the file from UTF-16.",
            convert(&file, &format!("iconv -f UTF-16 -t UTF-8 {file} -o")),
        ),
        "pkcs7" => (
            "Take the certificates out of the PKCS#7 bundle.",
            convert(&file, &format!("openssl pkcs7 -print_certs -in {file} -out")),
        ),
        _ => return None,
    };
    Some(Remedy { advice: advice.to_owned(), commands: vec![command] })
}
