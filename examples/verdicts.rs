//! How fast certificates are read and judged, without the rest of gldoctor: what `bench/run` runs.
//!
//! ```text
//! verdicts matrix FOLDER        every FOLDER/chains/HOST.pem against every FOLDER/stores/*.pem
//! verdicts corpus FILE ROUNDS   every case of a corpus for every client; prints verdicts/s
//! verdicts read FILE            a file of certificates, as each library reads it
//! verdicts make FILE COUNT      writes such a file
//! ```
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it is a program of its own")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use gldoctor::host::files::{Format as _, TrustFile};
use gldoctor::trust::{Client, Store, judge, store};
use jiff::Timestamp;
use serde_json::Value;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["matrix", folder] => matrix(Path::new(folder)),
        ["corpus", file, rounds] => corpus(file, rounds.parse()?),
        ["read", file] => read(file),
        ["make", file, count] => make(file, count.parse()?),
        _ => Err("see the source for its arguments".into()),
    }
}

fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<Outcome<Vec<PathBuf>>>()?;
    files.sort();
    Ok(files)
}

/// Each store is read once.
fn matrix(folder: &Path) -> Outcome {
    let mut chains = Vec::new();
    for file in files(&folder.join("chains"))? {
        let host = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        chains.push((host, store::served(&fs::read(file)?)));
    }
    let now = Timestamp::now();
    let (mut accepted, mut refused) = (0, 0);
    for file in files(&folder.join("stores"))? {
        let mut store = Store::new(Client::OpenSsl);
        store.add_file(&file.to_string_lossy(), &fs::read(&file)?);
        for (host, chain) in &chains {
            if judge(&store, chain, host, now).accepted {
                accepted += 1;
            } else {
                refused += 1;
            }
        }
    }
    println!("{accepted} accepted, {refused} refused");
    Ok(())
}

/// With its store for each verdict: no two cases share one.
fn corpus(file: &str, rounds: u32) -> Outcome {
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(file)?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all =
        |value: &Value| -> String { value.as_array().into_iter().flatten().map(text).collect() };
    let mut prepared = Vec::new();
    for case in &cases {
        let chain = store::served((text(&case["leaf"]) + &all(&case["intermediates"])).as_bytes());
        let at: Timestamp = text(&case["validation_time"]).parse()?;
        prepared.push((chain, all(&case["roots"]), text(&case["peer_name"]["value"]), at));
    }
    let mut verdicts = 0_u32;
    let start = Instant::now();
    for _ in 0..rounds {
        for (chain, roots, name, at) in &prepared {
            for client in Client::ALL {
                let mut store = Store::new(client);
                store.add_file("roots.pem", roots.as_bytes());
                judge(&store, chain, name, *at);
                verdicts += 1;
            }
        }
    }
    println!("{:.0}", f64::from(verdicts) / start.elapsed().as_secs_f64());
    Ok(())
}

fn read(file: &str) -> Outcome {
    let file = TrustFile::parse(&fs::read(file)?)?;
    println!("{} for Go, {} for OpenSSL", file.go.taken.len(), file.openssl.taken.len());
    Ok(())
}

fn make(file: &str, count: u32) -> Outcome {
    let mut text = String::new();
    for number in 0..count {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("Root {number}"));
        text += &params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
    }
    fs::write(file, text)?;
    Ok(())
}
