//! A stand-in for GitLab's Rails: `/jwt/auth`, which issues tokens for the registry, and as much
//! of the rest as makes a GitLab recognizable. GitLab itself cannot be had for the lab.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};

use crate::http::{HttpServer, Request, Response};

/// The only user whose password is accepted.
pub(crate) const USER: &str = "lab";
/// Their password.
pub(crate) const PASSWORD: &str = "lab-password";

/// What the tokens are like. The default is what GitLab of the Linux package issues.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// Seconds by which the clock of the issuer is ahead.
    pub(crate) clock_ahead: i64,
    /// A key to sign with instead of the installation's own.
    pub(crate) key_pem: Option<String>,
    /// What comes back from `/jwt/auth` instead of all this.
    pub(crate) instead: Option<Response>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            issuer: "omnibus-gitlab-issuer".to_owned(),
            audience: "container_registry".to_owned(),
            clock_ahead: 0,
            key_pem: None,
            instead: None,
        }
    }
}

/// Starts the stand-in on a Unix socket, where nginx of the Linux package looks for Rails.
pub(crate) fn serve(socket: &Path, key_pem: &str, tokens: Tokens) -> HttpServer {
    let key = SigningKey::read(tokens.key_pem.as_deref().unwrap_or(key_pem));
    fs::remove_file(socket).ok();
    HttpServer::unix(UnixListener::bind(socket).unwrap(), move |request| match request.path() {
        "/jwt/auth" => authenticate(request, &key, &tokens),
        "/users/sign_in" => Response::new(200, "<title>Sign in · GitLab</title>")
            .with("Content-Type", "text/html; charset=utf-8"),
        "/" => Response::new(302, "").with("Location", "/users/sign_in"),
        path if path.starts_with("/api/v4/") => {
            Response::json(401, &json!({ "message": "401 Unauthorized" }))
        }
        _ => Response::new(404, "<title>404: Page not found</title>")
            .with("Content-Type", "text/html; charset=utf-8"),
    })
}

/// As `JwtController` and `Auth::ContainerRegistryAuthenticationService` answer.
fn authenticate(request: &Request, key: &SigningKey, tokens: &Tokens) -> Response {
    if let Some(instead) = &tokens.instead {
        return instead.clone();
    }
    let services = request.query("service");
    if request.method != "GET" || services.iter().all(|it| it != "container_registry") {
        return Response::new(404, "");
    }
    let right = format!("Basic {}", base64(format!("{USER}:{PASSWORD}").as_bytes(), STANDARD));
    let user = match request.header("authorization") {
        None => "",
        Some(given) if given == right => USER,
        Some(_) => {
            let refusal =
                json!({ "code": "UNAUTHORIZED", "message": "HTTP Basic: Access denied." });
            return Response::json(401, &json!({ "errors": [refusal] }));
        }
    };
    let scopes = request.query("scope");
    if user.is_empty() && scopes.is_empty() {
        let refusal = json!({ "code": "DENIED", "message": "access forbidden" });
        return Response::json(403, &json!({ "errors": [refusal], "http_status": "forbidden" }));
    }
    let access: Vec<_> =
        scopes.iter().flat_map(|scope| scope.split(' ')).filter_map(grant).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let now = now + tokens.clock_ahead;
    let claims = json!({
        "iss": tokens.issuer, "aud": tokens.audience, "sub": user, "jti": "lab",
        "iat": now, "nbf": now - 5, "exp": now + 300, "access": access,
    });
    Response::json(200, &json!({ "token": key.sign(&claims) }))
}

/// `repository:group/project:pull,push` as a claim. Everybody may do everything here.
fn grant(scope: &str) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let actions: Vec<_> = actions.split(',').collect();
    Some(json!({ "type": kind, "name": name, "actions": actions }))
}

struct SigningKey {
    pair: RsaKeyPair,
    id: String,
}

impl SigningKey {
    fn read(pem: &str) -> Self {
        let pair = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap() {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => panic!("a signing key has to be RSA"),
        };
        let pair = pair.unwrap();
        let id = key_id(pair.public().as_ref());
        Self { pair, id }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": self.id });
        let text = [header, claims.clone()].map(|part| base64(part.to_string().as_bytes(), URL));
        let text = text.join(".");
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let random = SystemRandom::new();
        self.pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
        format!("{text}.{}", base64(&signature, URL))
    }
}

/// The name that libtrust gives to a key: the start of a digest over its `SubjectPublicKeyInfo`,
/// in base32, four letters a group.
fn key_id(rsa_public_key: &[u8]) -> String {
    // SEQUENCE { SEQUENCE { OID rsaEncryption, NULL }, BIT STRING { RSAPublicKey } }
    let algorithm = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    let bits = der(0x03, &[&[0], rsa_public_key].concat());
    let spki = der(0x30, &[algorithm.as_slice(), &bits].concat());
    let letters = base32(&digest(&SHA256, &spki).as_ref()[..30]);
    let groups: Vec<_> = letters.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
    groups.join(":")
}

/// A DER value of 256 to 65,535 bytes, as any key of 2048 bits or more is.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    assert_ne!(high, 0, "a shorter value has another form");
    [&[tag, 0x82, high, low], content].concat()
}

const STANDARD: (&[u8; 2], bool) = (b"+/", true);
const URL: (&[u8; 2], bool) = (b"-_", false);

/// Base64 with its last two letters and padding as told.
fn base64(bytes: &[u8], (last, padded): (&[u8; 2], bool)) -> String {
    let letters = [&letters(), last.as_slice()].concat();
    let mut text = spell(bytes, &letters, 6);
    while padded && !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// Base32 for lengths that need no padding.
fn base32(bytes: &[u8]) -> String {
    spell(bytes, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5)
}

fn letters() -> Vec<u8> {
    (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect()
}

/// Bytes as letters of `width` bits each, the last one filled up with zeros.
fn spell(bytes: &[u8], letters: &[u8], width: usize) -> String {
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
    (0..bytes.len() * 8)
        .step_by(width)
        .map(|start| (start..start + width).fold(0, |value, at| value * 2 + usize::from(bit(at))))
        .map(|value| char::from(letters[value]))
        .collect()
}
