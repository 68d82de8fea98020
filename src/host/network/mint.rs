//! Tokens as GitLab signs them for its registry, without any permission.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};

use crate::parse::key;
use crate::parse::netrc::Secret;

/// How long such a token is valid, in seconds.
const LIFETIME: i64 = 60;

/// GitLab dates its tokens back by so many seconds.
const DATED_BACK: i64 = 5;

/// A key that signs tokens.
pub(super) struct SigningKey {
    pair: RsaKeyPair,
    id: String,
}

impl SigningKey {
    /// Reads a file as Ruby's `OpenSSL::PKey::RSA` would; the error says why it signs nothing.
    pub(super) fn read(content: &[u8]) -> Result<Self, &'static str> {
        let der = PrivateKeyDer::from_pem_slice(content)
            .or_else(|_| PrivateKeyDer::try_from(content.to_vec()))
            .map_err(|_| "it holds no private key that is readable without a passphrase")?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err("it is no RSA key"),
        };
        let pair = pair.map_err(|_| "it is no RSA key with 2048 to 4096 bits")?;
        let public = key::of_private(der.secret_der()).ok().and_then(|key| key.public);
        let id = public.ok_or("it is no RSA key")?.key_id;
        Ok(Self { pair, id })
    }
}

/// A token that is valid for a minute from `now` and permits nothing.
pub(super) fn mint(
    key: &SigningKey,
    issuer: Option<&str>,
    service: &str,
    now: Timestamp,
) -> Option<Secret> {
    let random = SystemRandom::new();
    let mut id = [0; 16];
    random.fill(&mut id).ok()?;
    let now = now.as_second();
    let header = json!({ "typ": "JWT", "alg": "RS256", "kid": key.id });
    let claims = json!({
        "iss": issuer, "aud": service, "sub": "", "jti": HEXLOWER.encode(&id),
        "iat": now, "nbf": now - DATED_BACK, "exp": now + LIFETIME, "access": [],
    });
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let mut token = format!("{}.{}", part(&header), part(&claims));
    let mut signature = vec![0; key.pair.public().modulus_len()];
    key.pair.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature).ok()?;
    token.push('.');
    token.push_str(&BASE64URL_NOPAD.encode(&signature));
    Some(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;
    use crate::parse::token::TokenFacts;

    /// GitLab's signing key in the demo.
    const KEY: &str =
        include_str!("../../../fixtures/demo/var/opt/gitlab/gitlab-rails/etc/gitlab-registry.key");

    #[test]
    fn tokens_are_signed_and_permit_nothing() {
        let key = SigningKey::read(KEY.as_bytes()).unwrap();
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let token = mint(&key, Some("omnibus-gitlab-issuer"), "container_registry", now).unwrap();
        let facts = TokenFacts::of(token.reveal());
        assert_eq!(facts.iss.as_deref(), Some("omnibus-gitlab-issuer"));
        assert_eq!(facts.aud, ["container_registry"]);
        assert_eq!(facts.exp.unwrap() - facts.iat.unwrap(), LIFETIME);
        assert_eq!((facts.access, facts.kid.as_deref()), (0, Some(key.id.as_str())));
        let (text, signature) = token.reveal().rsplit_once('.').unwrap();
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.pair.public());
        public.verify(text.as_bytes(), &signature).unwrap();
    }

    #[test]
    fn no_two_tokens_are_equal() {
        let key = SigningKey::read(KEY.as_bytes()).unwrap();
        let mint = || mint(&key, None, "x", Timestamp::UNIX_EPOCH).unwrap();
        assert_ne!(mint().reveal(), mint().reveal());
    }

    #[test]
    fn what_signs_nothing_is_told_without_its_content() {
        for text in
            ["", "hush", "-----BEGIN PRIVATE KEY-----\naHVzaA==\n-----END PRIVATE KEY-----\n"]
        {
            let why = SigningKey::read(text.as_bytes()).err().unwrap();
            assert!(!why.contains("hush"), "{why}");
        }
    }
}
