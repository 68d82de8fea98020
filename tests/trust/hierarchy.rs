//! Random hierarchies: a handful of authorities, some of one name or with equal key identifiers,
//! that certify each other and themselves, every certificate with limits of its own. So several
//! paths lead from each server's certificate to each root, and most of them are barred somewhere.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose as Purpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    SanType, SerialNumber,
};

use super::{Dice, Mixture};

/// A certificate, and how it was made.
struct Made {
    der: Vec<u8>,
    note: String,
    /// The numbers of the authorities.
    subject: usize,
    issuer: usize,
}

/// A name and a key.
struct Authority {
    name: &'static str,
    key: KeyPair,
    identifier: KeyIdMethod,
}

/// The tags of general names.
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const ADDRESS: u8 = 0x87;

/// One in `sides`, the first of `rare`; otherwise the common one.
fn rarely<'a, T>(dice: &mut Dice, sides: usize, common: &'a T, rare: &'a [T]) -> &'a T {
    if dice.roll(sides) == 0 { dice.pick(rare) } else { common }
}

fn say(note: &mut String, text: std::fmt::Arguments<'_>) {
    note.push(' ');
    note.push_str(&text.to_string());
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag, u8::try_from(content.len()).unwrap()];
    bytes.extend(content);
    bytes
}

fn subtrees(tag: u8, names: &[(u8, &[u8])]) -> Vec<u8> {
    let names = names.iter().map(|(tag, value)| tlv(0x30, &tlv(*tag, value)));
    let list = names.collect::<Vec<_>>().concat();
    if list.is_empty() { Vec::new() } else { tlv(tag, &list) }
}

fn constraint(dice: &mut Dice) -> (u8, &'static [u8]) {
    const SOME: &[(u8, &[u8])] = &[
        (DNS, b"lab.test"),
        (DNS, b"lab.test"),
        (DNS, b"test"),
        (DNS, b".lab.test"),
        (DNS, b"git.lab.test"),
        (DNS, b"LAB.test"),
        (DNS, b"ab.test"),
        (DNS, b"b.test"),
        (DNS, b""),
        (DNS, b"*.lab.test"),
        (EMAIL, b"lab.test"),
        (EMAIL, b".lab.test"),
        (EMAIL, b"root@lab.test"),
        (URI, b".lab.test"),
        (URI, b"git.lab.test"),
        (ADDRESS, &[10, 0, 0, 0, 255, 0, 0, 0]),
        (ADDRESS, &[10, 0, 0, 5, 255, 255, 255, 255]),
        (ADDRESS, &[0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    *dice.pick(SOME)
}

/// `nameConstraints` with up to two subtrees of each kind.
fn constraints(dice: &mut Dice, note: &mut String) -> CustomExtension {
    let (permitted, excluded) = match dice.roll(4) {
        0 => (vec![constraint(dice)], vec![constraint(dice)]),
        1 => (Vec::new(), vec![constraint(dice)]),
        2 => (vec![constraint(dice), constraint(dice)], Vec::new()),
        _ => (vec![constraint(dice)], Vec::new()),
    };
    for (sign, list) in [("+", &permitted), ("-", &excluded)] {
        for (tag, value) in list {
            say(note, format_args!("{sign}{tag:x}:{}", String::from_utf8_lossy(value)));
        }
    }
    let both = [subtrees(0xa0, &permitted), subtrees(0xa1, &excluded)].concat();
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], tlv(0x30, &both));
    extension.set_criticality(dice.roll(2) == 0);
    extension
}

/// `certificatePolicies`, and rarely `policyConstraints` or `inhibitAnyPolicy`.
fn policies(dice: &mut Dice, note: &mut String) -> Vec<CustomExtension> {
    let any = tlv(0x06, &[0x55, 0x1d, 0x20, 0x00]);
    let (one, two) = (tlv(0x06, &[0x2a, 0x03, 0x01]), tlv(0x06, &[0x2a, 0x03, 0x02]));
    let lists: [(&str, Vec<u8>); 4] = [
        ("any", tlv(0x30, &any)),
        ("1", tlv(0x30, &one)),
        ("2", tlv(0x30, &two)),
        ("1,2", [tlv(0x30, &one), tlv(0x30, &two)].concat()),
    ];
    let mut extensions = Vec::new();
    if dice.roll(2) == 0 {
        let (name, list) = dice.pick(&lists);
        say(note, format_args!("policy={name}"));
        let content = tlv(0x30, list);
        extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 32], content));
    }
    if dice.roll(5) == 0 {
        let after = u8::try_from(dice.roll(3)).unwrap();
        let tag = *dice.pick(&[0x80, 0x81]);
        say(note, format_args!("policy-constraint={tag:x}:{after}"));
        let content = tlv(0x30, &tlv(tag, &[after]));
        extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 36], content));
    }
    if dice.roll(8) == 0 {
        let after = u8::try_from(dice.roll(2)).unwrap();
        say(note, format_args!("inhibit-any={after}"));
        extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 54], tlv(2, &[after])));
    }
    extensions
}

fn common(dice: &mut Dice, note: &mut String) -> CertificateParams {
    let mut params = CertificateParams::default();
    let (from, to) = *rarely(dice, 10, &(2020, 2100), &[(2020, 2026), (2027, 2100)]);
    params.not_before = rcgen::date_time_ymd(from, 3, 1);
    params.not_after = rcgen::date_time_ymd(to, 3, 1);
    if (from, to) != (2020, 2100) {
        say(note, format_args!("{from}-{to}"));
    }
    let serial = (0..8).map(|_| u8::try_from(dice.roll(127)).unwrap() + 1);
    params.serial_number = Some(SerialNumber::from(serial.collect::<Vec<u8>>()));
    params.use_authority_key_identifier_extension = dice.roll(3) > 0;
    let purposes: [&[Purpose]; 4] = [
        &[Purpose::ServerAuth],
        &[Purpose::ClientAuth],
        &[Purpose::ServerAuth, Purpose::ClientAuth],
        &[Purpose::Any],
    ];
    params.extended_key_usages = rarely(dice, 5, &&[][..], &purposes).to_vec();
    if !params.extended_key_usages.is_empty() {
        say(note, format_args!("eku={:?}", params.extended_key_usages));
    }
    // Where policies matter, they matter all along the path.
    if dice.roll(6) == 0 {
        params.custom_extensions = policies(dice, note);
    }
    params
}

fn authority(dice: &mut Dice, all: &[Authority], subject: usize, issuer: usize) -> Made {
    let (own, by) = (&all[subject], &all[issuer]);
    let mut note = format!("{}#{subject} by {}#{issuer}", own.name, by.name);
    let mut params = common(dice, &mut note);
    params.distinguished_name = name(own.name);
    params.key_identifier_method = own.identifier.clone();
    let free = IsCa::Ca(BasicConstraints::Unconstrained);
    let tight = |length| IsCa::Ca(BasicConstraints::Constrained(length));
    let unfit = [tight(0), tight(0), tight(1), tight(1), IsCa::NoCa, IsCa::ExplicitNoCa];
    params.is_ca = *rarely(dice, 3, &free, &unfit);
    if params.is_ca != free {
        say(&mut note, format_args!("{:?}", params.is_ca));
    }
    let signs = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let usages = [Vec::new(), vec![KeyUsagePurpose::DigitalSignature]];
    params.key_usages.clone_from(rarely(dice, 5, &signs, &usages));
    if params.key_usages != signs {
        say(&mut note, format_args!("ku={:?}", params.key_usages));
    }
    if dice.roll(4) == 0 {
        params.custom_extensions.push(constraints(dice, &mut note));
    }
    Made { der: signed(&params, own, by), note, subject, issuer }
}

fn leaf(dice: &mut Dice, all: &[Authority], key: &Authority, issuer: usize) -> Made {
    let by = &all[issuer];
    let mut note = format!("leaf by {}#{issuer}", by.name);
    let mut params = common(dice, &mut note);
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let lists: [Vec<SanType>; 10] = [
        vec![dns("*.lab.test")],
        vec![dns("GIT.lab.test")],
        vec![dns("git.lab.test"), dns("other.test")],
        vec![dns("git.lab.test"), SanType::Rfc822Name("root@lab.test".try_into().unwrap())],
        vec![dns("git.lab.test"), SanType::Rfc822Name("Root@o.test".try_into().unwrap())],
        vec![dns("git.lab.test"), SanType::URI("https://git.lab.test/a".try_into().unwrap())],
        vec![dns("git.lab.test"), SanType::URI("spiffe://o.test/x".try_into().unwrap())],
        vec![dns("git.lab.test"), SanType::IpAddress([10, 0, 0, 5].into())],
        vec![dns("*.test"), dns("x.lab.test")],
        Vec::new(),
    ];
    let names = rarely(dice, 2, &vec![dns("git.lab.test")], &lists).clone();
    say(&mut note, format_args!("{names:?}"));
    params.subject_alt_names = names;
    let common_name =
        *rarely(dice, 6, &"git.lab.test", &["Git Server", "git.o.test", "*.lab.test"]);
    params.distinguished_name = self::name(common_name);
    say(&mut note, format_args!("cn={common_name}"));
    let ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.is_ca = *rarely(dice, 6, &IsCa::ExplicitNoCa, &[IsCa::NoCa, ca]);
    let usual = vec![KeyUsagePurpose::DigitalSignature];
    let usages =
        [Vec::new(), vec![KeyUsagePurpose::KeyCertSign], vec![KeyUsagePurpose::KeyEncipherment]];
    params.key_usages.clone_from(rarely(dice, 5, &usual, &usages));
    Made { der: signed(&params, key, by), note, subject: usize::MAX, issuer }
}

fn name(common: &str) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn signed(params: &CertificateParams, own: &Authority, by: &Authority) -> Vec<u8> {
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = name(by.name);
    issuer.key_identifier_method = by.identifier.clone();
    let issuer = Issuer::from_params(&issuer, &by.key);
    params.signed_by(&own.key, &issuer).unwrap().der().to_vec()
}

/// Mixtures of the certificates of one hierarchy after another.
pub(super) fn mixtures(count: usize) -> Vec<Mixture> {
    const EACH: usize = 40;
    let mut dice = Dice(0x5851_f42d_4c95_7f2d);
    let mut made = Vec::with_capacity(count);
    while made.len() < count {
        let hierarchy = Hierarchy::new(&mut dice);
        let wanted = EACH.min(count - made.len());
        made.extend((0..wanted).map(|_| hierarchy.mixture(&mut dice)));
    }
    made
}

struct Hierarchy {
    authorities: Vec<Made>,
    leaves: Vec<Made>,
}

impl Hierarchy {
    fn new(dice: &mut Dice) -> Self {
        let kinds =
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
        let mut one = |name| {
            let key = KeyPair::generate_for(kinds[dice.roll(kinds.len())]).unwrap();
            let same = KeyIdMethod::PreSpecified(vec![7; 20]);
            let identifier = rarely(dice, 4, &KeyIdMethod::Sha256, &[same]).clone();
            Authority { name, key, identifier }
        };
        let all = ["Root", "Root", "Upper", "Lower", "Lower"].map(&mut one);
        let key = one("leaf");
        let mut authorities = Vec::new();
        for _ in 0..24 {
            let subject = dice.roll(all.len());
            let issuer = if dice.roll(3) == 0 { subject } else { dice.roll(all.len()) };
            authorities.push(authority(dice, &all, subject, issuer));
        }
        let leaves = (0..6).map(|_| {
            let issuer = dice.roll(all.len());
            leaf(dice, &all, &key, issuer)
        });
        let leaves = leaves.collect();
        Self { authorities, leaves }
    }

    /// A leaf, and authorities that mostly lead upwards from it.
    fn mixture(&self, dice: &mut Dice) -> Mixture {
        let leaf = dice.pick(&self.leaves);
        let (mut sent, mut stored): (Vec<&Made>, Vec<&Made>) = (Vec::new(), Vec::new());
        let mut above = leaf.issuer;
        for step in 0..=dice.roll(4) {
            let fit: Vec<&Made> =
                self.authorities.iter().filter(|it| it.subject == above).collect();
            if fit.is_empty() {
                break;
            }
            let next = *dice.pick(&fit);
            if next.subject == next.issuer || (step > 0 && dice.roll(4) == 0) {
                stored.push(next);
            } else {
                sent.push(next);
            }
            above = next.issuer;
        }
        for _ in 0..dice.roll(3) {
            sent.insert(dice.roll(sent.len() + 1), dice.pick(&self.authorities));
        }
        for _ in 0..dice.roll(4) {
            stored.insert(dice.roll(stored.len() + 1), dice.pick(&self.authorities));
        }
        if dice.roll(12) == 0 || stored.is_empty() {
            stored.push(leaf);
        }
        let hosts = ["x.lab.test", "10.0.0.5", "other.test", "Git.Lab.test", "git.lab.test."];
        let host = *rarely(dice, 8, &"git.lab.test", &hosts);
        let at = if dice.roll(8) == 0 { "2028-01-01T00:00:00Z" } else { "2026-11-22T12:00:00Z" };
        let notes = |list: &[&Made]| {
            let notes: Vec<_> = list.iter().map(|it| it.note.as_str()).collect();
            notes.join("\n         ")
        };
        let made =
            format!("sent: {}\n         {}\n  store: {}", leaf.note, notes(&sent), notes(&stored));
        let bytes = |list: &[&Made]| list.iter().map(|it| it.der.clone()).collect::<Vec<_>>();
        Mixture {
            chain: [vec![leaf.der.clone()], bytes(&sent)].concat(),
            store: bytes(&stored),
            name: host.to_owned(),
            at: at.parse().unwrap(),
            made: Some(made),
        }
    }
}
