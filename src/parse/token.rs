//! What may be known of a token (JWT): who issued it, for whom, with which key, and how long it is
//! valid. Nothing here verifies a signature, and nothing keeps one.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest token that is read; GitLab's have about 1 KB.
const LONGEST: usize = 64 << 10;

/// As much of a claim as is kept: no issuer, service or key ID is longer.
const LONGEST_CLAIM: usize = 200;

/// The harmless parts of a token's header and claims.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenFacts {
    /// Whether it is a JWT at all; otherwise nothing else is known.
    pub is_jwt: bool,
    /// The algorithm of the signature, such as `RS256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// By which ID the key is to be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The audience: for a registry the name of its service.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<String>,
    /// Issued at, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// Not valid before, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Not valid after, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// How many permissions it holds.
    pub access: usize,
}

impl TokenFacts {
    /// Reads a token.
    pub fn of(token: &str) -> Self {
        facts(token).unwrap_or_default()
    }
}

fn facts(token: &str) -> Option<TokenFacts> {
    if token.len() > LONGEST {
        return None;
    }
    let mut parts = token.split('.');
    let mut part = || -> Option<Value> {
        let text = parts.next()?.trim_end_matches('=');
        serde_json::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()
    };
    let (header, claims) = (part()?, part()?);
    claims.as_object()?;
    let audience = match &claims["aud"] {
        Value::Array(several) => several.iter().take(8).filter_map(claim).collect(),
        one => claim(one).into_iter().collect(),
    };
    Some(TokenFacts {
        is_jwt: parts.next().is_some(),
        alg: claim(&header["alg"]),
        kid: claim(&header["kid"]),
        iss: claim(&claims["iss"]),
        aud: audience,
        iat: seconds(&claims["iat"]),
        nbf: seconds(&claims["nbf"]),
        exp: seconds(&claims["exp"]),
        access: claims["access"].as_array().map_or(0, Vec::len),
    })
}

fn claim(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    Some(text.chars().filter(|c| !c.is_control()).take(LONGEST_CLAIM).collect())
}

/// Some libraries write a fraction of a second.
fn seconds(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a fraction of a second tells nothing")]
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str, claims: &str) -> String {
        let [header, claims] = [header, claims].map(|it| BASE64URL_NOPAD.encode(it.as_bytes()));
        format!("{header}.{claims}.c2VjcmV0")
    }

    #[test]
    fn a_token_of_gitlab_is_read() {
        let facts = TokenFacts::of(&token(
            r#"{"typ":"JWT","alg":"RS256","kid":"ABCD:EFGH"}"#,
            r#"{"iss":"omnibus-gitlab-issuer","aud":"container_registry","sub":"root","iat":1000,
                "nbf":995,"exp":1300.5,"access":[{}],"user":"hush"}"#,
        ));
        assert!(facts.is_jwt);
        assert_eq!(facts.kid.as_deref(), Some("ABCD:EFGH"));
        assert_eq!(facts.iss.as_deref(), Some("omnibus-gitlab-issuer"));
        assert_eq!(facts.aud, ["container_registry"]);
        assert_eq!((facts.iat, facts.nbf, facts.exp), (Some(1000), Some(995), Some(1300)));
        assert_eq!(facts.access, 1);
        let kept = serde_json::to_string(&facts).unwrap();
        assert!(!kept.contains("hush") && !kept.contains("c2VjcmV0"), "{kept}");
    }

    #[test]
    fn audiences_may_be_several() {
        assert_eq!(TokenFacts::of(&token("{}", r#"{"aud":["a","b"]}"#)).aud, ["a", "b"]);
    }

    #[test]
    fn what_is_no_jwt_tells_nothing() {
        for text in ["", "a.b.c", "glpat-hush", "e30.e30", "e30.W10.x", "e30"] {
            let facts = TokenFacts::of(text);
            assert!(!facts.is_jwt, "{text}");
            assert!(!serde_json::to_string(&facts).unwrap().contains("hush"));
        }
    }

    proptest! {
        #[test]
        fn never_panics(text: String, header: String, claims: String) {
            TokenFacts::of(&text);
            TokenFacts::of(&token(&header, &claims));
        }
    }
}
