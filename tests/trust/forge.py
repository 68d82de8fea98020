"""Certificates of every shape, sound and unsound, from openssl's keys and signatures.

The certificates are put together byte by byte here, because no tool agrees to make most of the
unsound ones. Keys are made once per run and shared.
"""

import base64
import os
import subprocess
import tempfile

FOLDER = tempfile.mkdtemp()
HOST = "my-host.internal"
AT = "2026-11-22T12:00:00Z"


def run(*command, given=None):
    return subprocess.run(command, input=given, capture_output=True, check=True).stdout


# DER ------------------------------------------------------------------------------------------


def tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + len(body).to_bytes(size, "big") + body


def seq(*parts):
    return tlv(0x30, *parts)


def oid(dotted):
    first, second, *rest = [int(part) for part in dotted.split(".")]
    body = b""
    for number in [first * 40 + second, *rest]:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        body += bytes(reversed(digits))
    return tlv(6, body)


def integer(number):
    size = number.bit_length() // 8 + 1
    return tlv(2, number.to_bytes(size, "big", signed=True))


def boolean(truth):
    return tlv(1, b"\xff" if truth else b"\0")


def octets(body):
    return tlv(4, body)


def bits(*numbers):
    """A named bit string: the numbers of the bits that are set."""
    if not numbers:
        return tlv(3, b"\0")
    value = bytearray(max(numbers) // 8 + 1)
    for number in numbers:
        value[number // 8] |= 0x80 >> number % 8
    unused = 7 - max(numbers) % 8
    return tlv(3, bytes([unused]), bytes(value))


def utf8(text):
    return tlv(12, text.encode())


def attribute(kind, value):
    return seq(oid({"CN": "2.5.4.3", "O": "2.5.4.10", "E": "1.2.840.113549.1.9.1"}.get(kind, kind)),
               value if isinstance(value, bytes) else utf8(value))


def name(*attributes):
    """A name of single-valued parts, given as ("CN", "text") or ready bytes."""
    return seq(*[tlv(0x31, a if isinstance(a, bytes) else attribute(*a)) for a in attributes])


def when(text):
    """UTCTime until 2049, as RFC 5280 asks."""
    digits = "".join(letter for letter in text if letter.isdigit())
    digits = digits.ljust(14, "0")
    if digits < "2050":
        return tlv(0x17, digits[2:].encode() + b"Z")
    return tlv(0x18, digits.encode() + b"Z")


# Keys and signatures --------------------------------------------------------------------------

KEYS = {}


class Key:
    def __init__(self, kind, which=0):
        self.kind = kind
        self.path = os.path.join(FOLDER, f"{kind}-{which}.key".replace(":", "_"))
        kinds = {
            "ed25519": ["-algorithm", "ED25519"],
            "ed448": ["-algorithm", "ED448"],
            "x25519": ["-algorithm", "X25519"],
        }
        if kind.startswith("rsa-pss"):
            arguments = ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"]
        elif kind.startswith("rsa3e"):
            arguments = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                         "-pkeyopt", "rsa_keygen_pubexp:3"]
        elif kind.startswith("rsa"):
            arguments = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:" + kind[3:]]
        elif kind.startswith("ec:"):
            arguments = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + kind[3:]]
        elif kind.startswith("explicit:"):
            arguments = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + kind[9:],
                         "-pkeyopt", "ec_param_enc:explicit"]
        else:
            arguments = kinds[kind]
        run("openssl", "genpkey", *arguments, "-out", self.path)
        self.info = run("openssl", "pkey", "-in", self.path, "-pubout", "-outform", "DER")

    def key_id(self):
        import hashlib
        return hashlib.sha1(self.info).digest()


def key(kind="ec:P-256", which=0):
    if (kind, which) not in KEYS:
        KEYS[kind, which] = Key(kind, which)
    return KEYS[kind, which]


RSA = "1.2.840.113549.1.1."
DIGESTS = {"sha1": "1.3.14.3.2.26", "sha224": "2.16.840.1.101.3.4.2.4",
           "sha256": "2.16.840.1.101.3.4.2.1", "sha384": "2.16.840.1.101.3.4.2.2",
           "sha512": "2.16.840.1.101.3.4.2.3"}
SIZES = {"sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
NULL = b"\x05\0"


def algorithm(signer, digest, salt=None):
    """AlgorithmIdentifier of a signature."""
    if signer.kind.startswith("rsa-pss") or salt is not None:
        salt = SIZES[digest] if salt is None else salt
        hashed = seq(oid(DIGESTS[digest]), NULL)
        return seq(oid(RSA + "10"), seq(tlv(0xA0, hashed),
                                        tlv(0xA1, seq(oid(RSA + "8"), hashed)),
                                        tlv(0xA2, integer(salt))))
    if signer.kind.startswith("rsa"):
        which = {"md5": "4", "sha1": "5", "sha224": "14", "sha256": "11", "sha384": "12",
                 "sha512": "13"}[digest]
        return seq(oid(RSA + which), NULL)
    if signer.kind.startswith(("ec:", "explicit:")):
        which = {"sha1": "1", "sha224": "3.1", "sha256": "3.2", "sha384": "3.3",
                 "sha512": "3.4"}[digest]
        return seq(oid("1.2.840.10045.4." + which))
    return seq(oid({"ed25519": "1.3.101.112", "ed448": "1.3.101.113"}[signer.kind]))


def signature(signer, digest, message, salt=None):
    path = os.path.join(FOLDER, "message")
    with open(path, "wb") as file:
        file.write(message)
    if signer.kind.startswith("ed"):
        return run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", signer.path, "-in", path)
    options = []
    if signer.kind.startswith("rsa-pss") or salt is not None:
        salt = SIZES[digest] if salt is None else salt
        options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}"]
    return run("openssl", "dgst", "-" + digest, "-sign", signer.path, *options, path)


# Certificates ---------------------------------------------------------------------------------

BC, KU, EKU, SAN, NC = "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17", "2.5.29.30"
SKI, AKI, POLICIES, POLICY_CONSTRAINTS = "2.5.29.14", "2.5.29.35", "2.5.29.32", "2.5.29.36"
AIA, CRLDP, NS_TYPE = "1.3.6.1.5.5.7.1.1", "2.5.29.31", "2.16.840.1.113730.1.1"
SERVER, CLIENT, ANY = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0"
NS_SGC, MS_SGC = "2.16.840.1.113730.4.1", "1.3.6.1.4.1.311.10.3.3"


def extension(which, value, critical=False):
    return seq(oid(which), boolean(True) if critical else b"", octets(value))


def dns(text):
    return tlv(0x82, text if isinstance(text, bytes) else text.encode())


def ip(text):
    import ipaddress
    return tlv(0x87, ipaddress.ip_address(text).packed)


def uri(text):
    return tlv(0x86, text.encode())


def email(text):
    return tlv(0x81, text.encode())


def general(entry):
    """"DNS:x", "IP:x", "URI:x", "email:x" or ready bytes."""
    if isinstance(entry, bytes):
        return entry
    kind, text = entry.split(":", 1)
    return {"DNS": dns, "IP": ip, "URI": uri, "email": email}[kind](text)


def constraints(permitted=(), excluded=()):
    def subtrees(tag, entries):
        return tlv(tag, *[entry if isinstance(entry, bytes) and entry[:1] == b"\x30"
                          else seq(network(entry)) for entry in entries]) if entries else b""
    return seq(subtrees(0xA0, permitted), subtrees(0xA1, excluded))


def network(entry):
    if isinstance(entry, str) and entry.startswith("IP:"):
        import ipaddress
        net = ipaddress.ip_network(entry[3:])
        return tlv(0x87, net.network_address.packed, net.netmask.packed)
    return general(entry)


class Cert:
    """A certificate. `issuer` is another one, or None for a self-signed one."""

    serials = 1000

    def __init__(self, cn=HOST, issuer=None, keys=None, san=None, ca=None, pathlen=None, ku=None,
                 eku=None, nc=None, nc_critical=True, ski=True, aki=True, start="20260101",
                 end="20280101", digest="sha256", salt=None, version=3, serial=None, subject=None,
                 issuer_name=None, extra=(), san_critical=False, signer=None, bc=None,
                 spoilt=False, outer=None, inner=None, info=None, validity=None, alter=None,
                 order=None, wrapped=True):
        Cert.serials += 1
        self.key = keys or key()
        self.name = subject if subject is not None else name(("CN", cn))
        self.serial = serial if serial is not None else integer(Cert.serials)
        parent = issuer or self
        signing = signer or parent.key
        self.key_id = self.key.key_id() if ski is True else ski
        extensions = []
        if ski:
            extensions.append(extension(SKI, octets(self.key_id)))
        if aki is True:
            if parent.key_id:
                extensions.append(extension(AKI, seq(tlv(0x80, parent.key_id))))
        elif aki:
            extensions.append(extension(AKI, aki))
        if bc is not None:
            extensions.append(extension(BC, bc, True))
        elif ca is not None:
            body = boolean(True) if ca else b""
            length = integer(pathlen) if pathlen is not None else b""
            extensions.append(extension(BC, seq(body, length), True))
        if ku is not None:
            extensions.append(extension(KU, bits(*ku), True))
        if eku is not None:
            extensions.append(extension(EKU, seq(*[oid(purpose) for purpose in eku])))
        if san is not None:
            value = seq(*[general(entry) for entry in san])
            extensions.append(extension(SAN, value, san_critical))
        if nc is not None:
            extensions.append(extension(NC, nc, nc_critical))
        extensions.extend(extra)
        if order:
            extensions = order(extensions)
        inner = inner or algorithm(signing, digest, salt)
        tbs = seq(
            tlv(0xA0, integer(version - 1)) if version > 1 else b"",
            self.serial,
            inner,
            issuer_name or parent.name,
            validity or seq(when(start), when(end)),
            self.name,
            info or self.key.info,
            tlv(0xA3, seq(*extensions)) if extensions and wrapped else b"",
        )
        if alter:
            tbs = alter(tbs)
        made = signature(signing, digest, tbs, salt)
        if spoilt:
            made = made[:-1] + bytes([made[-1] ^ 1])
        self.der = seq(tbs, outer or inner, tlv(3, b"\0", made))

    def pem(self, label="CERTIFICATE", newline="\n", after=b""):
        return armour(self.der + after, label, newline)


def armour(der, label="CERTIFICATE", newline="\n", width=64):
    text = base64.b64encode(der).decode()
    lines = [text[at:at + width] for at in range(0, len(text), width)]
    begin, end = f"-----BEGIN {label}-----", f"-----END {label}-----"
    return newline.join([begin, *lines, end, ""])


def root(cn="Lab Root", **options):
    return Cert(cn, **{"keys": key(which=1), "ca": True, "ku": (5, 6), "aki": False, **options})


def intermediate(issuer, cn="Lab Issuing CA", **options):
    return Cert(cn, issuer, **{"keys": key(which=2), "ca": True, "ku": (5, 6), **options})


def leaf(issuer, cn=HOST, **options):
    return Cert(cn, issuer, **{"san": ["DNS:" + HOST], "ca": False, "ku": (0, 2), "eku": [SERVER],
                               **options})


def own(**options):
    """What `openssl req -x509` makes: self-signed and a CA."""
    return Cert(**{"ca": True, **options})


# Cases ----------------------------------------------------------------------------------------

CASES = []


def case(ident, what, verdicts, chain, store, host=HOST, at=AT):
    """`verdicts` are those of Go, OpenSSL, curl and Ruby: "OK", "no", or a code of what is
    expected to be said. `store` is certificates, or a file's text or bytes."""
    if isinstance(store, (list, tuple)):
        store = "".join(cert.pem() for cert in store)
    if isinstance(store, str):
        store = store.encode()
    go, openssl, curl, ruby = verdicts.split()
    if any(other["id"] == ident for other in CASES):
        raise ValueError(ident)
    CASES.append({
        "id": ident, "what": what, "name": host, "at": at,
        "expected": {"go": go, "openssl": openssl, "curl": curl, "ruby": ruby},
        "chain": [base64.b64encode(getattr(cert, "der", cert)).decode() for cert in chain],
        "store": base64.b64encode(store).decode(),
        "key": getattr(chain[0], "key", None) and chain[0].key.path,
    })
