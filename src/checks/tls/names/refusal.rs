//! Which clients refuse a certificate because of the name, in whose words.

use jiff::Timestamp;

use crate::trust::{Client, Der, Store, judge};

/// A client that refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) client: Client,
    /// What its users see.
    pub(super) words: String,
}

/// Every client that does not take this certificate for this host, all else being well.
pub(super) fn refusals(leaf: &Der, host: &str) -> Vec<Refusal> {
    Client::ALL.into_iter().filter_map(|client| refusal(client, leaf, host)).collect()
}

/// Trust and time are the matter of other checks: the store holds the certificate itself, and of
/// the verdict only faults of the name count.
fn refusal(client: Client, leaf: &Der, host: &str) -> Option<Refusal> {
    let mut store = Store::new(client);
    store.add_certificates("the certificate", std::slice::from_ref(leaf));
    let verdict = judge(&store, std::slice::from_ref(leaf), host, Timestamp::UNIX_EPOCH);
    let of_name = |code: &str| matches!(code, "common-name-only" | "name-mismatch");
    let fault = verdict.faults.into_iter().find(|fault| of_name(&fault.code))?;
    Some(Refusal { client, words: fault.error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusing(params: &rcgen::CertificateParams, host: &str) -> Vec<Client> {
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = params.self_signed(&key).unwrap().der().to_vec();
        refusals(&leaf, host).into_iter().map(|refusal| refusal.client).collect()
    }

    fn with(common: &str, names: &[&str]) -> rcgen::CertificateParams {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, common);
        params
    }

    #[test]
    fn each_client_has_its_own_rules() {
        use Client::{Curl, Go, OpenSsl};
        // Measured with the real clients: reference cases a01, a02, a04, e02, e04, a06.
        let host = "my-host.internal";
        assert_eq!(refusing(&with(host, &[]), host), [Go]);
        assert_eq!(refusing(&with(host, &[host]), host), []);
        assert_eq!(refusing(&with(host, &["other.internal"]), host), Client::ALL);
        assert_eq!(refusing(&with("x", &["*.test"]), "a.b.test"), Client::ALL);
        assert_eq!(refusing(&with("x", &["*.internal"]), host), [OpenSsl, Curl]);
        assert_eq!(refusing(&with("x", &["10.0.0.5"]), "10.0.0.5"), []);
    }

    #[test]
    fn the_issuer_need_not_be_known() {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(with("CA", &[]), &ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = with("x", &["a.test"]).signed_by(&key, &issuer).unwrap().der().to_vec();
        assert_eq!(refusals(&leaf, "a.test"), []);
        assert_eq!(refusals(&leaf, "b.test").len(), 4);
    }
}
