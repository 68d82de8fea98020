//! A stand-in for GitLab's Rails: `/jwt/auth`, which issues tokens for the registry, the API's list
//! of projects, and as much of the rest as makes a GitLab recognizable. GitLab itself cannot be had for the lab.

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
/// An administrator's access token, which serves as their password, too.
pub(crate) const ADMIN_TOKEN: &str = "glpat-lab-administrator-1";
/// The access token of somebody who sees only the first project.
pub(crate) const MEMBER_TOKEN: &str = "glpat-lab-member-of-one-2";
/// An access token for the registry alone.
pub(crate) const REGISTRY_TOKEN: &str = "glpat-lab-read-registry-3";

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
    /// What the API tells.
    pub(crate) api: Api,
}

/// What the API tells of projects.
#[derive(Clone, Default)]
pub(crate) struct Api {
    /// Their paths, and whether they have a container registry. Their numbers count from 1.
    pub(crate) projects: Vec<(String, bool)>,
    /// What comes back instead, from which page on, counted from 0.
    pub(crate) instead: Option<(usize, Response)>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            issuer: "omnibus-gitlab-issuer".to_owned(),
            audience: "container_registry".to_owned(),
            clock_ahead: 0,
            key_pem: None,
            instead: None,
            api: Api::default(),
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
        path if path.starts_with("/api/v4/") => tokens.api.answer(request),
        _ => Response::new(404, "<title>404: Page not found</title>")
            .with("Content-Type", "text/html; charset=utf-8"),
    })
}

impl Api {
    /// As GitLab's API answers, with keyset pagination.
    fn answer(&self, request: &Request) -> Response {
        let refusal = |status, body: Value| Response::json(status, &body);
        let is_admin = match request.header("private-token") {
            Some(ADMIN_TOKEN) => true,
            Some(MEMBER_TOKEN) => false,
            Some(REGISTRY_TOKEN) => {
                let body = json!({ "error": "insufficient_scope", "scope": "api read_api",
                    "error_description": "The request requires higher privileges than provided \
                                          by the access token." });
                return refusal(403, body);
            }
            _ => return refusal(401, json!({ "message": "401 Unauthorized" })),
        };
        let Some(path) = request.path().strip_prefix("/api/v4/") else {
            return Response::new(404, "");
        };
        let seen = if is_admin { &self.projects[..] } else { &self.projects[..1] };
        match path.split_once('/').unwrap_or((path, "")) {
            ("projects", "") => self.page(request, seen),
            ("projects", id) => match id.parse::<usize>().ok().and_then(|id| seen.get(id - 1)) {
                Some(project) => Response::json(200, &details(project)),
                None => refusal(404, json!({ "message": "404 Project Not Found" })),
            },
            ("application", "statistics") if is_admin => {
                Response::json(200, &json!({ "projects": seen.len().to_string() }))
            }
            ("application", "statistics") => refusal(403, json!({ "message": "403 Forbidden" })),
            _ => refusal(404, json!({ "error": "404 Not Found" })),
        }
    }

    fn page(&self, request: &Request, seen: &[(String, bool)]) -> Response {
        let number = |name| request.query(name).first().and_then(|text| text.parse().ok());
        let (after, size) =
            (number("id_after").unwrap_or(0), number("per_page").unwrap_or(20).min(100));
        if let Some((page, instead)) = &self.instead
            && after / size >= *page
        {
            return instead.clone();
        }
        let shown: Vec<_> = seen.iter().enumerate().skip(after).take(size).collect();
        let rows: Vec<_> = shown
            .iter()
            .map(|(index, (path, _))| {
                // The description is as long as GitLab lets it be.
                json!({ "id": index + 1, "path_with_namespace": path,
                    "description": "x".repeat(2000), "web_url": format!("https://x/{path}") })
            })
            .collect();
        let response = Response::json(200, &json!(rows));
        let Some((last, _)) = shown.last() else { return response };
        let next =
            format!("/api/v4/projects?pagination=keyset&per_page={size}&id_after={}", last + 1);
        // Nobody is to follow it: it leads to a stranger.
        response.with("Link", &format!("<https://stranger.internal{next}>; rel=\"next\""))
    }
}

/// A project by itself, as an administrator sees it.
fn details((path, has_registry): &(String, bool)) -> Value {
    json!({
        "path_with_namespace": path,
        "runners_token": "GR1348941-lab-runners-token",
        "container_registry_enabled": has_registry,
        "container_registry_access_level": if *has_registry { "enabled" } else { "disabled" },
        "container_registry_image_prefix": format!("registry/{}", path.to_lowercase()),
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
    let is_right = |given: &str| {
        [PASSWORD, ADMIN_TOKEN, MEMBER_TOKEN, REGISTRY_TOKEN].iter().any(|password| {
            let basic = base64(format!("{USER}:{password}").as_bytes(), STANDARD);
            given == format!("Basic {basic}")
        })
    };
    let user = match request.header("authorization") {
        None => "",
        Some(given) if is_right(given) => USER,
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
