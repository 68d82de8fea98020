use super::super::sample::{SECP256K1, Sample, file, pem};
use super::*;
use Reader::{Bundle, Go, OpenSsl, Ruby};

fn key_code(reader: Reader, text: impl AsRef<[u8]>) -> &'static str {
    reader.key(&file(text)).map_or_else(|fault| fault.code(), |_| "ok")
}

fn certificate_code(reader: Reader, text: impl AsRef<[u8]>) -> &'static str {
    reader.certificates(&file(text)).map_or_else(|fault| fault.code(), |_| "ok")
}

/// Every line in the block after the first marker changed by `change`.
fn body_lines(text: &str, change: impl Fn(usize, &str) -> String) -> String {
    text.lines().enumerate().map(|(number, line)| change(number, line) + "\n").collect()
}

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    [0xff, 0xfe].into_iter().chain(units).collect()
}

fn cut(text: &str) -> &str {
    &text[..text.len() / 2]
}

/// What nginx, Rails and a Go program make of the file as a key.
fn of_key(text: impl AsRef<[u8]>) -> [&'static str; 3] {
    [OpenSsl, Ruby, Go].map(|reader| key_code(reader, text.as_ref()))
}

/// What nginx and a Go program make of the file as certificates.
fn of_certificate(text: impl AsRef<[u8]>) -> [&'static str; 2] {
    [OpenSsl, Go].map(|reader| certificate_code(reader, text.as_ref()))
}

#[test]
fn forms_of_keys() {
    let (rsa, ec) = (Sample::rsa(1), Sample::ec(1));
    let unusable = "unusable-algorithm";
    assert_eq!(of_key(rsa.key_pem()), ["ok"; 3]);
    assert_eq!(of_key(pem("RSA PRIVATE KEY", &rsa.old)), ["ok"; 3]);
    assert_eq!(of_key(pem("RSA PRIVATE KEY", &rsa.pkcs8)), ["ok"; 3]);
    assert_eq!(of_key(pem("PRIVATE KEY", &rsa.old)), ["mislabelled", "mislabelled", "ok"]);
    assert_eq!(of_key(pem("ANY PRIVATE KEY", &rsa.pkcs8)), ["mislabelled", "mislabelled", "ok"]);
    assert_eq!(of_key(&rsa.pkcs8), ["der", "ok", "der"]);
    assert_eq!(of_key(ec.key_pem()), ["ok", unusable, "ok"]);
    let sec1 = pem("EC PRIVATE KEY", &ec.old);
    let parameters = pem("EC PARAMETERS", &[6, 1, 1]);
    assert_eq!(of_key(format!("{parameters}{sec1}")), ["ok", unusable, "ok"]);
    assert_eq!(of_key(pem("PRIVATE KEY", &ec.old)), ["mislabelled", "mislabelled", "ok"]);
    assert_eq!(of_key(Sample::ed25519().key_pem()), ["ok", unusable, "ok"]);
    assert_eq!(of_key(Sample::ed448().key_pem()), ["ok", unusable, unusable]);
    assert_eq!(of_key(Sample::rsa_pss(1).key_pem()), ["ok", unusable, unusable]);
    let bitcoin = Sample::on_curve(SECP256K1, 1).key_pem();
    assert_eq!(of_key(bitcoin), ["ok", unusable, unusable]);
    assert_eq!(
        of_key("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
        ["openssh-format"; 3]
    );
    assert_eq!(of_key(pem("PUBLIC KEY", &rsa.spki)), ["wrong-contents"; 3]);
    assert_eq!(of_key(rsa.certificate_pem()), ["swapped"; 3]);
    assert_eq!(of_key(""), ["empty"; 3]);
}

#[test]
fn encrypted_keys() {
    let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
    let key = pem("RSA PRIVATE KEY", &Sample::rsa(1).old);
    let encrypted = key.replacen("KEY-----\n", &format!("KEY-----\n{headers}"), 1);
    assert_eq!(of_key(&encrypted), ["encrypted"; 3]);
    let plain = Sample::rsa(2).key_pem();
    assert_eq!(of_key(format!("{encrypted}{plain}")), ["encrypted"; 3]);
    assert_eq!(of_key(format!("{plain}{encrypted}")), ["ok"; 3]);
}

#[test]
fn damaged_keys() {
    let key = Sample::rsa(1).key_pem();
    assert_eq!(of_key(format!("\u{feff}{key}")), ["ok", "ok", "byte-order-mark"]);
    assert_eq!(of_key(key.replace('\n', "\r\n")), ["ok"; 3]);
    assert_eq!(of_key(key.replace('\n', "  \n")), ["ok"; 3]);
    assert_eq!(of_key(format!("a note\n{key}another")), ["ok"; 3]);
    assert_eq!(of_key(body_lines(&key, |_, line| format!(" {line}"))), ["damaged"; 3]);
    assert_eq!(of_key(key.replace("-----", "----")), ["damaged"; 3]);
    assert_eq!(of_key(key.replace('\n', "\r")), ["damaged"; 3]);
    assert_eq!(of_key(key.replace('\n', "\\n")), ["literal-newlines"; 3]);
    assert_eq!(of_key(utf16(&key)), ["utf-16"; 3]);
    assert_eq!(of_key(cut(&key)), ["truncated"; 3]);
    let gap = body_lines(&key, |n, line| if n == 4 { format!("\n{line}") } else { line.into() });
    assert_eq!(of_key(gap), ["damaged", "damaged", "ok"]);
    let garbled = body_lines(&key, |n, line| if n == 4 { "!".into() } else { line.into() });
    assert_eq!(of_key(&garbled), ["damaged"; 3]);
    // What cannot be decoded is passed over while something better may come.
    assert_eq!(of_key(format!("{garbled}{key}")), ["ok"; 3]);
}

#[test]
fn forms_of_certificates() {
    let rsa = Sample::rsa(1);
    let certificate = rsa.certificate_pem();
    assert_eq!(of_certificate(&certificate), ["ok"; 2]);
    assert_eq!(of_certificate(format!("{}{certificate}", rsa.key_pem())), ["ok"; 2]);
    let labelled = pem("X509 CERTIFICATE", &rsa.certificate);
    assert_eq!(of_certificate(labelled), ["ok", "mislabelled"]);
    let trusted = pem("TRUSTED CERTIFICATE", &[&rsa.certificate[..], &[0x30, 0]].concat());
    assert_eq!(of_certificate(trusted), ["ok", "mislabelled"]);
    assert_eq!(of_certificate(&rsa.certificate), ["der"; 2]);
    assert_eq!(of_certificate(rsa.key_pem()), ["swapped"; 2]);
    assert_eq!(of_certificate(pem("PKCS7", &[0x30, 0])), ["wrong-contents"; 2]);
    assert_eq!(of_certificate("<html><head>"), ["not-pem"; 2]);
}

#[test]
fn damaged_certificates() {
    let (certificate, other) = (Sample::rsa(1).certificate_pem(), Sample::rsa(2).certificate_pem());
    assert_eq!(of_certificate(format!("\u{feff}{certificate}")), ["ok", "byte-order-mark"]);
    assert_eq!(of_certificate(certificate.replace('\n', "\r\n")), ["ok"; 2]);
    assert_eq!(of_certificate(format!("-----END X-----\n{certificate}")), ["ok"; 2]);
    let indented = body_lines(&certificate, |_, line| format!(" {line}"));
    assert_eq!(of_certificate(&indented), ["damaged"; 2]);
    let glued = format!("{}{other}", certificate.trim_end());
    assert_eq!(of_certificate(glued), ["damaged"; 2]);
    assert_eq!(of_certificate(cut(&certificate)), ["truncated"; 2]);
    // nginx refuses the whole file for a block behind the first; Go leaves the block out.
    assert_eq!(of_certificate(format!("{certificate}{}", cut(&other))), ["truncated", "ok"]);
    let gap = certificate.replacen("-----\n", "-----\n\n", 1);
    assert_eq!(of_certificate(&gap), ["ok"; 2]);
    let inner =
        body_lines(&certificate, |n, line| if n == 3 { format!("\n{line}") } else { line.into() });
    assert_eq!(of_certificate(inner), ["damaged", "ok"]);
    let note = certificate.replacen("-----\n", "-----\nNote: old\n\n", 1);
    assert_eq!(of_certificate(note), ["damaged", "ok"]);
}

#[test]
fn what_is_left_out_is_told() {
    let text =
        format!("{}{}", Sample::rsa(1).certificate_pem(), cut(&Sample::rsa(2).certificate_pem()));
    let read = file(text);
    let certificates = Go.certificates(&read).unwrap();
    assert_eq!(certificates.found.len(), 1);
    assert_eq!(certificates.ignored[0].code(), "truncated");
}

#[test]
fn the_registry_trusts_fewer_algorithms_than_go_knows() {
    let certificate = |sample: Sample| sample.certificate_pem();
    for (sample, go, bundle) in [
        (certificate(Sample::rsa(1)), "ok", "ok"),
        (certificate(Sample::ec(1)), "ok", "ok"),
        (certificate(Sample::ed25519()), "ok", "unusable-algorithm"),
        (certificate(Sample::ed448()), "unusable-algorithm", "unusable-algorithm"),
        (certificate(Sample::rsa_pss(1)), "unusable-algorithm", "unusable-algorithm"),
    ] {
        assert_eq!(certificate_code(Go, &sample), go);
        assert_eq!(certificate_code(Bundle, &sample), bundle);
    }
}

#[test]
fn the_first_of_several_keys_counts() {
    let text = format!("{}{}", Sample::rsa(1).key_pem(), Sample::ec(1).key_pem());
    let read = file(text);
    let keys = OpenSsl.key(&read).unwrap();
    assert!(matches!(keys.first.algorithm, Algorithm::Rsa { .. }));
    assert_eq!(keys.others.len(), 1);
}
