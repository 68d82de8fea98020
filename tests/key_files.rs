//! Real files, made by `openssl` and `ssh-keygen` on the spot, against what gldoctor says of them.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test runs programs and reads files")]

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use gldoctor::parse::der::Structure;
use gldoctor::parse::key::{self, Algorithm, Curve, Fault, Format, Key, PublicKey};
use gldoctor::parse::pem::{self, Body, Broken, Encryption, PemFile, Shape};

/// Makes all files once. Each line leaves its file or fails.
const MAKE: &str = r#"
set -e
exec 2>make.log
genpkey() { openssl genpkey -quiet -out $1 -algorithm $2 -pkeyopt $3 2>/dev/null ||
            openssl genpkey -out $1 -algorithm $2 -pkeyopt $3; }
genpkey rsa8.key RSA rsa_keygen_bits:2048
genpkey rsa2047.key RSA rsa_keygen_bits:2047
genpkey rsa3.key RSA rsa_keygen_pubexp:3
genpkey pss.key RSA-PSS rsa_keygen_bits:2048
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_pss_keygen_md:sha256 -out pss256.key
openssl rsa -traditional -in rsa8.key -out rsa1.key
openssl genrsa -primes 3 -traditional -out rsa_primes.key 2048
for curve in P-224 P-256 P-384 P-521 secp256k1 brainpoolP256r1 brainpoolP384r1 brainpoolP512r1 prime192v1
do
    openssl ecparam -genkey -name $curve -out sec1_$curve.key
    openssl ec -in sec1_$curve.key -param_enc explicit -out explicit_$curve.key
    openssl ec -in sec1_$curve.key -conv_form compressed -out compressed_$curve.key
    openssl ec -in sec1_$curve.key -no_public -out no_public_$curve.key
    openssl pkcs8 -topk8 -nocrypt -in sec1_$curve.key -out ec8_$curve.key
    openssl pkcs8 -topk8 -nocrypt -in explicit_$curve.key -out explicit8_$curve.key
done
openssl ec -in sec1_P-256.key -conv_form hybrid -out hybrid.key
openssl genpkey -algorithm ED25519 -out ed25519.key
openssl genpkey -algorithm ED448 -out ed448.key
openssl dsaparam -genkey -noout -out dsa.key 1024
openssl pkcs8 -topk8 -in rsa8.key -passout pass:secret -out encrypted8.key
openssl rsa -traditional -aes128 -in rsa8.key -passout pass:secret -out encrypted1.key
openssl ec -aes128 -in sec1_P-256.key -passout pass:secret -out encrypted_ec.key
sed 's/RSA PRIVATE/PRIVATE/' rsa1.key > rsa1_as_8.key
sed 's/PRIVATE/RSA PRIVATE/' rsa8.key > rsa8_as_1.key
(printf '\357\273\277'; cat rsa8.key) > bom.key
sed 's/$/\r/' rsa8.key > crlf.key
sed 's/-----/----/g' rsa8.key > dashes.key
awk '{printf "%s\\n", $0}' rsa8.key > literal.key
cat rsa8.key sec1_P-256.key > two.key
for key in rsa8 rsa2047 pss sec1_P-256 compressed_P-256 explicit_P-384 ed25519 ed448 sec1_secp256k1
do openssl req -x509 -key $key.key -subj /CN=x -days 9 -out $key.crt
done
cat rsa8.crt rsa8.key > both.pem
openssl pkcs8 -topk8 -nocrypt -in rsa8.key -outform DER -out rsa8.der
openssl rsa -traditional -in rsa8.key -outform DER -out rsa1.der
openssl pkcs8 -topk8 -in rsa8.key -passout pass:secret -outform DER -out encrypted.der
openssl ec -in sec1_P-256.key -outform DER -out sec1.der
openssl x509 -in rsa8.crt -outform DER -out crt.der
openssl x509 -in rsa8.crt -trustout -addtrust serverAuth -out trusted.crt
openssl pkcs12 -export -inkey rsa8.key -in rsa8.crt -passout pass:secret -out archive.p12
openssl crl2pkcs7 -nocrl -certfile rsa8.crt -out bundle.p7b
openssl crl2pkcs7 -nocrl -certfile rsa8.crt -outform DER -out p7b.der
openssl pkey -in rsa8.key -pubout -out public.pem
openssl pkey -in rsa8.key -pubout -outform DER -out public.der
openssl rsa -in rsa8.key -RSAPublicKey_out -out rsa_public.pem
openssl req -new -key rsa8.key -subj /CN=x -out request.csr
openssl req -new -key rsa8.key -subj /CN=x -outform DER -out csr.der
touch index
printf '[ca]\ndefault_ca=x\n[x]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=9\n' > ca.cnf
openssl ca -gencrl -config ca.cnf -keyfile rsa8.key -cert rsa8.crt -out list.crl
openssl dhparam -dsaparam -out dh.pem 512
! command -v ssh-keygen > ssh-keygen.path || ssh-keygen -q -t ed25519 -N '' -f openssh.key
! command -v ssh-keygen > ssh-keygen.path || ssh-keygen -q -t rsa -N secret -f openssh_encrypted.key
"#;

/// Every file with a private key that is not encrypted, alone in the file.
const PLAIN: &str = "rsa8 rsa2047 rsa3 pss pss256 rsa1 rsa_primes ed25519 ed448 dsa rsa1_as_8 \
    rsa8_as_1 bom crlf hybrid";

/// Says so even where the output of passing tests is not shown.
fn skip(reason: &str) {
    std::io::stderr().write_all(format!("SKIPPED: {reason}\n").as_bytes()).unwrap();
}

/// The folder with the files, or `None` if this machine cannot make them.
fn files() -> Option<&'static Path> {
    static FILES: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        if Command::new("openssl").arg("version").output().is_err() {
            skip("no openssl, hence no real key files");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let status = Command::new("sh").args(["-c", MAKE]).current_dir(&path).status().unwrap();
        let log = std::fs::read_to_string(path.join("make.log")).unwrap();
        assert!(status.success(), "{log}");
        Some((folder, path))
    });
    files.as_ref().map(|(_, path)| path.as_path())
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(files().unwrap().join(name)).unwrap()
}

fn read(name: &str) -> PemFile {
    pem::read(&bytes(name))
}

fn only_key(name: &str) -> Key {
    let file = read(name);
    let keys: Vec<&Key> = file.private_keys().collect();
    assert_eq!(keys.len(), 1, "{name}: {file:?}");
    keys[0].clone()
}

fn public(name: &str) -> PublicKey {
    only_key(name).public.unwrap_or_else(|| panic!("{name} without a public half"))
}

fn of_certificate(name: &str) -> PublicKey {
    key::of_certificate(read(name).certificates().next().unwrap().as_ref()).unwrap()
}

fn only_body(name: &str) -> Body {
    let file = read(name);
    assert_eq!((&file.shape, file.blocks.len()), (&Shape::Pem, 1), "{name}");
    file.blocks[0].body.clone()
}

/// What a shell prints in the folder, up to the first blank.
fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).current_dir(files().unwrap()).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.split_ascii_whitespace().next().unwrap_or_default().to_owned()
}

fn plain_files() -> Vec<String> {
    let curves = "P-224 P-256 P-384 P-521 secp256k1 brainpoolP256r1 brainpoolP384r1 \
        brainpoolP512r1 prime192v1";
    let forms = ["sec1", "explicit", "compressed", "ec8", "explicit8"];
    let of_curve = |curve| forms.map(|form| format!("{form}_{curve}.key"));
    let on_curves = curves.split_ascii_whitespace().flat_map(of_curve);
    let others = PLAIN.split_ascii_whitespace().map(|name| format!("{name}.key"));
    others.chain(on_curves).collect()
}

#[test]
fn fingerprints_and_key_ids_are_those_of_openssl() {
    if files().is_none() {
        return;
    }
    for name in plain_files() {
        let Some(public) = only_key(&name).public else {
            assert!(["ed448.key", "dsa.key"].contains(&name.as_str()), "{name}");
            continue;
        };
        let spki = format!("openssl pkey -in {name} -pubout -outform DER");
        let expected = shell(&format!("{spki} | openssl dgst -sha256 -r"));
        assert_eq!(public.spki_sha256, expected, "{name}");
        let key_id = shell(&format!(
            "{spki} | openssl dgst -sha256 -binary | head -c 30 | base32 | sed 's/..../&:/g; s/:$//'"
        ));
        assert_eq!(public.key_id, key_id, "{name}");
    }
}

#[test]
fn the_modulus_is_hashed_as_the_documentation_does() {
    if files().is_none() {
        return;
    }
    for name in ["rsa8", "rsa2047", "rsa3", "rsa1", "rsa_primes", "pss"] {
        let script = format!("openssl rsa -in {name}.key -noout -modulus | openssl sha256 -r");
        assert_eq!(public(&format!("{name}.key")).modulus_sha256, Some(shell(&script)), "{name}");
    }
    for name in ["rsa8", "rsa2047", "pss"] {
        let script = format!("openssl x509 -in {name}.crt -noout -modulus | openssl sha256 -r");
        let of_certificate = of_certificate(&format!("{name}.crt"));
        assert_eq!(of_certificate.modulus_sha256, Some(shell(&script)), "{name}");
    }
    assert_eq!(public("sec1_P-256.key").modulus_sha256, None);
}

#[test]
fn algorithms_and_formats_are_named() {
    if files().is_none() {
        return;
    }
    let of = |name: &str| {
        let key = only_key(name);
        (key.format, key.algorithm)
    };
    let rsa = |bits, exponent| Algorithm::Rsa { bits, exponent: Some(exponent) };
    assert_eq!(of("rsa8.key"), (Format::Pkcs8, rsa(2048, 65537)));
    assert_eq!(of("rsa2047.key"), (Format::Pkcs8, rsa(2047, 65537)));
    assert_eq!(of("rsa3.key"), (Format::Pkcs8, rsa(2048, 3)));
    assert_eq!(of("rsa1.key"), (Format::Pkcs1, rsa(2048, 65537)));
    assert_eq!(of("rsa_primes.key"), (Format::Pkcs1, rsa(2048, 65537)));
    assert_eq!(of("rsa1_as_8.key"), (Format::Pkcs1, rsa(2048, 65537)));
    assert_eq!(of("rsa8_as_1.key"), (Format::Pkcs8, rsa(2048, 65537)));
    assert_eq!(of("pss.key"), (Format::Pkcs8, Algorithm::RsaPss { bits: 2048 }));
    assert_eq!(of("ed25519.key"), (Format::Pkcs8, Algorithm::Ed25519));
    assert_eq!(of("ed448.key"), (Format::Pkcs8, Algorithm::Ed448));
    assert_eq!(of("dsa.key").1, Algorithm::Dsa);
    assert!(read("rsa1_as_8.key").blocks[0].is_mislabelled());
    assert!(read("rsa8_as_1.key").blocks[0].is_mislabelled());
    assert!(!read("rsa1.key").blocks[0].is_mislabelled());
    assert_eq!(of_certificate("pss.crt").algorithm, Algorithm::RsaPss { bits: 2048 });
    assert_eq!(of_certificate("rsa8.crt").algorithm, rsa(2048, 65537));
}

#[test]
fn a_curve_is_known_by_name_and_by_its_parameters() {
    if files().is_none() {
        return;
    }
    for (name, curve) in [
        ("P-224", Curve::P224),
        ("P-256", Curve::P256),
        ("P-384", Curve::P384),
        ("P-521", Curve::P521),
        ("secp256k1", Curve::Secp256k1),
        ("brainpoolP256r1", Curve::BrainpoolP256r1),
        ("brainpoolP384r1", Curve::BrainpoolP384r1),
        ("brainpoolP512r1", Curve::BrainpoolP512r1),
    ] {
        let named = |explicit| Algorithm::Ec { curve: curve.clone(), explicit };
        let sec1 = public(&format!("sec1_{name}.key"));
        assert_eq!(sec1.algorithm, named(false));
        let ec8 = public(&format!("ec8_{name}.key"));
        assert_eq!(ec8, sec1);
        for form in ["explicit", "explicit8"] {
            let explicit = public(&format!("{form}_{name}.key"));
            assert_eq!(explicit.algorithm, named(true));
            assert!(explicit.is_same_key_as(&sec1), "{form}_{name}");
        }
        assert!(public(&format!("compressed_{name}.key")).is_same_key_as(&sec1), "{name}");
        let key = only_key(&format!("no_public_{name}.key"));
        assert_eq!((key.algorithm, key.public), (named(false), None));
        assert_eq!(curve.to_string(), name);
    }
    let other = Curve::Other(Some("1.2.840.10045.3.1.1".to_owned()));
    let algorithm = public("sec1_prime192v1.key").algorithm;
    assert_eq!(algorithm, Algorithm::Ec { curve: other, explicit: false });
    let explicit = public("explicit_prime192v1.key").algorithm;
    assert!(matches!(explicit, Algorithm::Ec { curve: Curve::Unrecognised(_), explicit: true }));
    // The name stands before the key, in a block of its own.
    let file = read("sec1_P-256.key");
    assert_eq!(file.blocks[0].body, Body::EcParams);
    assert!(public("hybrid.key").is_same_key_as(&public("sec1_P-256.key")));
}

#[test]
fn certificates_match_their_own_keys_only() {
    if files().is_none() {
        return;
    }
    let names = "rsa8 rsa2047 pss sec1_P-256 explicit_P-384 ed25519 sec1_secp256k1";
    for certificate in names.split(' ') {
        for key in names.split(' ') {
            let (of_certificate, of_key) =
                (of_certificate(&format!("{certificate}.crt")), public(&format!("{key}.key")));
            assert_eq!(of_certificate.is_same_key_as(&of_key), certificate == key);
            assert_eq!(of_certificate.spki_sha256 == of_key.spki_sha256, certificate == key);
            assert_eq!(of_certificate == of_key, certificate == key);
        }
    }
    // One key in two spellings.
    let (compressed, whole) = (of_certificate("compressed_P-256.crt"), public("sec1_P-256.key"));
    assert!(compressed.is_same_key_as(&whole));
    assert_ne!(compressed.spki_sha256, whole.spki_sha256);
    assert_eq!(of_certificate("ed448.crt").algorithm, Algorithm::Ed448);
    assert_eq!(key::of_certificate(&bytes("public.der")), Err(Fault::Malformed));
}

#[test]
fn other_things_in_pem_are_named() {
    if files().is_none() {
        return;
    }
    let encrypted = |how| Body::EncryptedKey { how };
    assert_eq!(only_body("encrypted8.key"), encrypted(Encryption::Pkcs8));
    assert_eq!(only_body("encrypted1.key"), encrypted(Encryption::Headers));
    assert_eq!(only_body("encrypted_ec.key"), encrypted(Encryption::Headers));
    assert_eq!(only_body("bundle.p7b"), Body::Pkcs7);
    assert_eq!(only_body("public.pem"), Body::PublicKey(public("rsa8.key")));
    assert_eq!(only_body("rsa_public.pem"), Body::PublicKey(public("rsa8.key")));
    assert_eq!(only_body("request.csr"), Body::Csr);
    assert_eq!(only_body("list.crl"), Body::Crl);
    assert_eq!(only_body("dh.pem"), Body::DhParams);
    let trusted = only_body("trusted.crt");
    assert!(
        matches!(trusted, Body::TrustedCertificate { der } if der.as_ref() == bytes("crt.der"))
    );
    assert_eq!(read("two.key").private_keys().count(), 2);
    assert_eq!(read("both.pem").private_keys().count(), 1);
    assert_eq!(read("both.pem").certificates().count(), 1);
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        skip("no ssh-keygen, hence no key in OpenSSH format");
        return;
    }
    assert_eq!(only_body("openssh.key"), Body::OpenSshKey);
    assert_eq!(only_body("openssh_encrypted.key"), Body::OpenSshKey);
    assert_eq!(read("openssh.key.pub").shape, Shape::SshPublicKey);
}

#[test]
fn der_files_are_named() {
    if files().is_none() {
        return;
    }
    let shape = |name: &str| read(name).shape;
    assert!(matches!(shape("crt.der"), Shape::DerCertificate { .. }));
    assert_eq!(shape("rsa8.der"), Shape::DerKey { key: only_key("rsa8.key") });
    assert_eq!(shape("rsa1.der"), Shape::DerKey { key: only_key("rsa1.key") });
    assert_eq!(only_key("sec1.der"), only_key("sec1_P-256.key"));
    assert_eq!(shape("encrypted.der"), Shape::DerEncryptedKey);
    assert_eq!(shape("archive.p12"), Shape::Pkcs12);
    assert_eq!(shape("p7b.der"), Shape::Pkcs7);
    assert_eq!(shape("public.der"), Shape::DerOther { holds: Structure::PublicKey });
    assert_eq!(shape("csr.der"), Shape::DerOther { holds: Structure::CertificateRequest });
    assert_eq!(shape("literal.key"), Shape::LiteralNewlines);
}

#[test]
fn a_file_with_the_wrong_thing_names_it() {
    if files().is_none() {
        return;
    }
    let swapped =
        String::from_utf8(bytes("rsa8.crt")).unwrap().replace("CERTIFICATE", "PRIVATE KEY");
    let body = pem::read(swapped.as_bytes()).blocks.remove(0).body;
    assert_eq!(body, Body::Broken { why: Broken::Holds(Structure::Certificate) });
    let relabelled =
        String::from_utf8(bytes("bundle.p7b")).unwrap().replace("PKCS7", "CERTIFICATE");
    let body = pem::read(relabelled.as_bytes()).blocks.remove(0).body;
    assert_eq!(body, Body::Broken { why: Broken::Holds(Structure::Pkcs7) });
}

/// The secret bytes in a file: its text, and what its Base64 lines decode to.
fn secrets(name: &str) -> Vec<Vec<u8>> {
    let bytes = bytes(name);
    let text = String::from_utf8_lossy(&bytes).replace(r"\n", "\n");
    let mut secrets: Vec<Vec<u8>> = vec![bytes.clone()];
    let mut lines = text.lines().skip_while(|line| !line.contains("KEY---"));
    lines.by_ref().next();
    let body: Vec<&str> = lines.take_while(|line| !line.contains("---")).collect();
    let decoded = shell(&format!(
        "printf '%s\n' '{}' | grep -v : | openssl base64 -d | od -An -v -tu1 | tr -s ' \n' ',,'",
        body.join("\n")
    ));
    secrets.push(decoded.split(',').filter_map(|byte| byte.parse().ok()).collect());
    secrets
}

#[test]
fn no_key_material_is_in_the_facts() {
    if files().is_none() {
        return;
    }
    let others = "encrypted8.key encrypted1.key encrypted_ec.key dashes.key literal.key two.key \
        rsa8.der rsa1.der sec1.der encrypted.der archive.p12 no_public_P-256.key";
    let others = others.split_ascii_whitespace().map(str::to_owned);
    let ssh = ["openssh.key", "openssh_encrypted.key"].map(str::to_owned).into_iter();
    let ssh = ssh.filter(|name| files().unwrap().join(name).exists());
    let mut windows = 0;
    for name in plain_files().into_iter().chain(others).chain(ssh) {
        let file = read(&name);
        assert!(file.has_private_key() || file.shape == Shape::Pkcs12, "{name}");
        let texts = [serde_json::to_string(&file).unwrap(), format!("{file:?} {file:#?}")];
        let texts = texts.map(|text| text.to_ascii_lowercase().replace([' ', '\n'], ""));
        let seen: HashSet<&[u8]> =
            texts.iter().flat_map(|text| text.as_bytes().windows(16)).collect();
        for secret in secrets(&name) {
            for window in secret.windows(16) {
                // As text, as a list of numbers, and in hex.
                let marker = window.windows(3).any(|three| three == b"---");
                assert!(marker || !seen.contains(&window.to_ascii_lowercase()[..]), "{name}");
                let (mut list, mut hex) = (Vec::new(), Vec::new());
                for byte in window {
                    write!(list, "{byte},").unwrap();
                    write!(hex, "{byte:02x}").unwrap();
                }
                assert!(!seen.contains(&list[..16]) && !seen.contains(&hex[..16]), "{name}");
                windows += 1;
            }
        }
    }
    // The test would pass as well if there were nothing to look for.
    assert!(windows > 50_000, "{windows}");
}
