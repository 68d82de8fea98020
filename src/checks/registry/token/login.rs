//! What GitLab says to a login.

use crate::checks::Finding;
use crate::checks::path::Service;
use crate::checks::registry::realm::{Realm, error, is_shut_out};
use crate::host::network::TokenAnswer;

/// What is wrong with GitLab's answer to a user; `None` where it is a token.
pub(super) fn judge(realm: &Realm, user: &str, answer: &TokenAnswer) -> Option<Finding> {
    let response = &answer.response;
    let status = response.status;
    if status == 200 && answer.token.as_ref().is_some_and(|token| token.is_jwt) {
        return None;
    }
    let said = error(response).map(|(code, message)| format!("{code}: {message}"));
    let finding = match status {
        401 => refused(realm, user),
        _ if is_shut_out(response) => realm.shut_out(status),
        403 => forbidden(realm, user),
        500.. => realm.failing(status),
        _ => {
            let message = format!("answers the login of '{user}' with {status}, and no token");
            realm.error("login-failed", message).remedy(
                realm.advice("look for the reason in the log of Rails"),
                ["sudo tail -n 50 /var/log/gitlab/gitlab-rails/auth_json.log"],
            )
        }
    };
    let finding = finding.seen("status of the login", status);
    Some(match said {
        Some(said) => finding.seen("GitLab says", said),
        None => finding,
    })
}

fn refused(realm: &Realm, user: &str) -> Finding {
    let message = format!("GitLab refuses the login of '{user}'");
    realm.error("login-refused", message).remedy(
        "See that user name and password are right; who has a second factor needs a personal \
         access token with the scope read_registry in place of the password. Do not repeat it with \
         the same ones: GitLab shuts out an address after some wrong logins.",
        ["sudo tail -n 5 /var/log/gitlab/gitlab-rails/auth_json.log"],
    )
}

fn forbidden(realm: &Realm, user: &str) -> Finding {
    let message = format!("GitLab knows '{user}', but lets them have no token for the registry");
    realm.error("login-forbidden", message).remedy(
        "Take an access token with the scope read_registry.",
        ["sudo tail -n 5 /var/log/gitlab/gitlab-rails/auth_json.log"],
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::path::tests::response;
    use crate::host::network::Body;
    use crate::parse::token::TokenFacts;

    fn code(status: u16, body: Body, token: Option<TokenFacts>) -> Option<&'static str> {
        let answer = TokenAnswer { response: response(status, &[], body), token };
        judge(&Realm::for_tests(), "root", &answer).map(|finding| finding.code)
    }

    fn error(code: &str) -> Body {
        Body::Json(json!({ "errors": [{ "code": code, "message": "no" }] }))
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let jwt = TokenFacts { is_jwt: true, ..TokenFacts::default() };
        assert_eq!(code(200, Body::Json(json!({})), Some(jwt)), None);
        assert_eq!(code(200, Body::Json(json!({})), None), Some("login-failed"));
        let other = Some(TokenFacts::default());
        assert_eq!(code(200, Body::Json(json!({})), other), Some("login-failed"));
        assert_eq!(code(401, error("UNAUTHORIZED"), None), Some("login-refused"));
        assert_eq!(code(403, error("DENIED"), None), Some("login-forbidden"));
        assert_eq!(code(403, Body::Text("Forbidden\n".to_owned()), None), Some("shut-out"));
        assert_eq!(code(429, Body::Text("Retry later\n".to_owned()), None), Some("shut-out"));
        assert_eq!(code(500, Body::Html { title: None }, None), Some("gitlab-error"));
        assert_eq!(code(404, Body::Empty, None), Some("login-failed"));
    }
}
