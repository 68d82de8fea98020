"""The verdict table of real clients: what sites have, and what goes wrong with it.

Codes of Go: G1 … G10, of OpenSSL: the numbers of its verification errors; `file` means that the
file is refused as a store.
"""

from forge import *  # noqa: F403


def cases():
    wide = "*.lab.internal"
    top = root()
    mid = intermediate(top)
    end = leaf(mid)
    full = [end, mid]

    # a: self-signed, its own ca.crt
    def alone(ident, what, verdicts, host=HOST, **options):
        cert = own(**options)
        case(ident, what, verdicts, [cert], [cert], host)

    alone("a01", "CN only, CA:TRUE: the offline guide's certificate", "G1 OK OK OK",
          keys=key("rsa2048"))
    alone("a02", "the same with a DNS SAN", "OK OK OK OK", san=["DNS:" + HOST])
    alone("a03", "the same, CA:FALSE", "OK OK OK OK", san=["DNS:" + HOST], ca=False)
    alone("a04", "DNS SAN of another host, CN right", "G2 62 no no", san=["DNS:other.internal"])
    alone("a05", "IP SAN only, reached by name", "G3 OK no no", san=["IP:10.0.0.1"])
    alone("a06", "IP SAN, reached by IP", "OK OK OK OK", "10.0.0.1", san=["IP:10.0.0.1"])
    alone("a07", "CN = IP, no SAN, reached by IP", "G1 64 OK OK", "10.0.0.1", cn="10.0.0.1")
    alone("a08", "DNS SAN holding the IP, reached by IP", "G4 64 no OK", "10.0.0.1",
          san=["DNS:10.0.0.1"])
    alone("a09", "RSA 1024", "OK 66 no no", san=["DNS:" + HOST], keys=key("rsa1024"))
    alone("a10", "SHA-1 self-signature", "OK OK OK OK", san=["DNS:" + HOST],
          keys=key("rsa2048"), digest="sha1")
    alone("a11", "keyUsage only keyCertSign", "OK 26 no no", san=["DNS:" + HOST], ku=(5,))
    alone("a12", "URI SAN only, CN = name", "G3 OK OK OK", san=["URI:https://" + HOST])

    # b: chains and files
    other = root("Unrelated Root", keys=key(which=3))
    good = top.pem()
    case("b01", "full chain served, root in ca.crt", "OK OK OK OK", full, [top])
    case("b02", "intermediate not served", "G5 20 no no", [end], [top])
    case("b03", "full chain, ca.crt = intermediate", "OK 2 OK no", full, [mid])
    case("b04", "leaf served, ca.crt = intermediate", "OK 2 OK no", [end], [mid])
    case("b05", "ca.crt = the CA-issued leaf", "OK 20 OK no", full, [end])
    case("b06", "ca.crt = unrelated CA", "G5 20 no no", full, [other])
    case("b07", "ca.crt is DER", "G5 file no no", full, top.der)
    case("b08", "CRLF", "OK OK OK OK", full, good.replace("\n", "\r\n"))
    case("b09", "leading text", "OK OK OK OK", full, "Certificate:\n    Data:\n" + good)
    case("b10", "byte order mark", "G5 OK OK OK", full, "\ufeff" + good)
    case("b11", "empty file", "G5 file no no", full, b"")
    case("b12", "unrelated CA, then the right one", "OK OK OK OK", full, [other, top])
    case("b13", "glued blocks", "G5 file no no", full, other.pem().rstrip("\n") + good)
    with open(key().path) as file:
        private = file.read()
    case("b14", "private key before the certificate", "OK OK OK OK", full, private + good)
    case("b15", "no newline at the end", "OK OK OK OK", full, good.rstrip("\n"))
    case("b16", "indented", "G5 file no no", full,
         "".join("  " + line + "\n" for line in good.splitlines()))
    broken = other.pem().replace("MI", "!!", 1)
    case("b17", "broken first block, good second", "OK file no no", full, broken + good)
    case("b18", "TRUSTED CERTIFICATE", "G5 OK OK OK", full, top.pem("TRUSTED CERTIFICATE"))
    case("b19", "X509 CERTIFICATE", "G5 OK OK OK", full, top.pem("X509 CERTIFICATE"))
    case("b20", "UTF-16", "G5 file no no", full, good.encode("utf-16"))
    bundle = seq(oid("1.2.840.113549.1.7.2"), tlv(0xA0, seq(
        integer(1), tlv(0x31), seq(oid("1.2.840.113549.1.7.1")), tlv(0xA0, top.der), tlv(0x31))))
    case("b21", "PKCS#7", "G5 file no no", full, armour(bundle, "PKCS7"))
    second = intermediate(mid, "Second CA", keys=key(which=4))
    long_end = leaf(second)
    case("b22", "chain in wrong order", "OK OK OK OK", [long_end, mid, second], [top])
    case("b23", "leaf sent twice", "OK OK OK OK", [end, end, mid], [top])
    case("b24", "unrelated extra certificate", "OK OK OK OK", [end, mid, other], [top])

    # c: dates
    past = {"start": "20240101", "end": "20250101"}
    future = {"start": "20270101", "end": "20280101"}
    case("c01", "leaf expired", "G6 10 no no", [leaf(mid, **past), mid], [top])
    case("c02", "leaf not yet valid", "G6 9 no no", [leaf(mid, **future), mid], [top])
    alone("c03", "self-signed expired", "G6 10 no no", san=["DNS:" + HOST], **past)
    old_top = root(**past)
    old_mid = intermediate(old_top)
    case("c04", "root expired", "G6 10 no no", [leaf(old_mid), old_mid], [old_top])
    old_mid = intermediate(top, **past)
    case("c05", "intermediate expired", "G6 10 no no", [leaf(old_mid), old_mid], [top])

    # d: keys and digests
    rsa_top = root(keys=key("rsa2048", 1))
    rsa_mid = intermediate(rsa_top, keys=key("rsa2048", 2))

    def rsa(ident, what, verdicts, mid=rsa_mid, top=rsa_top, **options):
        case(ident, what, verdicts, [leaf(mid, **options), mid], [top])

    rsa("d01", "leaf signed with SHA-1", "G5s 68 no no", digest="sha1")
    sha1_top = root(keys=key("rsa2048", 1), digest="sha1")
    sha1_mid = intermediate(sha1_top, keys=key("rsa2048", 2))
    rsa("d02", "root self-signed with SHA-1", "OK OK OK OK", mid=sha1_mid, top=sha1_top)
    rsa("d13", "leaf signed with MD5", "G5s 68 no no", digest="md5")
    rsa("d03", "leaf RSA 1024", "OK 66 no no", keys=key("rsa1024"))
    for ident, size in [("d04", "1024"), ("d12", "1536")]:
        weak = root(keys=key("rsa" + size))
        rsa(ident, f"root RSA {size}", "OK 67 no no", mid=intermediate(weak), top=weak)
    rsa("d05", "leaf EC P-256", "OK OK OK OK", keys=key())
    rsa("d06", "leaf Ed25519", "OK OK OK OK", keys=key("ed25519"))
    rsa("d07", "leaf EC P-521", "OK OK OK OK", keys=key("ec:P-521"))
    for ident, kind in [("d08", "ed25519"), ("d09", "ec:P-521")]:
        strange = root(keys=key(kind))
        rsa(ident, "root " + kind, "OK OK OK OK", mid=intermediate(strange), top=strange)
    rsa("d10", "leaf signed RSA-PSS", "OK OK OK OK", salt=32)
    rsa("d11", "leaf RSA 4096", "OK OK OK OK", keys=key("rsa4096"))

    # e: names
    def named(ident, what, verdicts, host, **options):
        case(ident, what, verdicts, [leaf(mid, **options), mid], [top], host)

    named("e01", "wildcard, one label deep", "OK OK OK OK", "git.lab.internal", san=["DNS:" + wide])
    named("e02", "wildcard, two labels deep", "G2 62 no no", "a.b.lab.internal",
          san=["DNS:" + wide])
    named("e03", "wildcard, host is the apex", "G2 62 no no", "lab.internal", san=["DNS:" + wide])
    named("e04", "*.internal", "OK 62 no OK", HOST, san=["DNS:*.internal"])
    named("e05", "host in upper case", "OK OK OK OK", HOST.upper())
    named("e06", "SAN in upper case", "OK OK OK OK", HOST, san=["DNS:" + HOST.upper()])
    named("e07", "host with trailing dot", "OK 62 OK OK", HOST + ".")
    named("e08", "SAN with trailing dot", "G2 62 OK OK", HOST, san=["DNS:" + HOST + "."])
    named("e09", "underscore in host", "OK OK OK OK", "my_host.internal",
          san=["DNS:my_host.internal"])
    named("e10", "one-label host", "OK OK OK OK", "git", san=["DNS:git"])
    named("e11", "my-*.internal", "G2 62 no OK", HOST, san=["DNS:my-*.internal"])
    named("e12", "IP SAN only, CN = name", "G3 OK no no", HOST, san=["IP:10.0.0.1"])
    named("e13", "SAN with port", "G2 62 no no", HOST, san=["DNS:" + HOST + ":4567"])
    named("e14", "SAN with https://", "G2 62 no no", HOST, san=["DNS:https://" + HOST])
    named("e15", "empty subject, SAN critical", "OK OK OK OK", HOST, subject=name(),
          san_critical=True)
    named("e16", "CN only", "G1 OK OK OK", HOST, san=None)
    named("e17", "a wrong and the right name", "OK OK OK OK", HOST,
          san=["DNS:other.internal", "DNS:" + HOST])
    named("e18", "IPv6 SAN, by IPv6", "OK OK OK OK", "fd00::1", san=["IP:fd00::1"])
    named("e20", "SAN *, one-label host", "G2 62 no no", "git", san=["DNS:*"])

    # f: name constraints
    def under(ident, what, verdicts, where="root", permitted=(), excluded=(), **options):
        limits = {"nc": constraints(permitted, excluded)}
        limited = root(**(limits if where == "root" else {}))
        below = intermediate(limited, **(limits if where == "mid" else {}))
        case(ident, what, verdicts, [leaf(below, **options), below], [limited])

    under("f01", "root permits the domain", "OK OK OK OK", permitted=["DNS:internal"])
    under("f02", "root permits another", "G7 47 no no", permitted=["DNS:example"])
    under("f03", "root excludes the domain", "G7 48 no no", excluded=["DNS:internal"])
    under("f04", "root permits .domain", "OK OK OK OK", permitted=["DNS:.internal"])
    under("f05", "intermediate permits another", "G7 47 no no", "mid", permitted=["DNS:example"])
    under("f06", "root constrains IP only", "OK OK OK OK", permitted=["IP:10.0.0.0/8"])
    under("f07", "CN outside, SAN inside", "OK OK OK OK", permitted=["DNS:internal"],
          cn="host.example")
    under("f08", "CN-only leaf outside", "G1 47 no no", permitted=["DNS:example"], san=None)

    # g: extensions
    def purposes(ident, what, verdicts, at, eku):
        a = root(**({"eku": eku} if at == "root" else {}))
        b = intermediate(a, **({"eku": eku} if at == "mid" else {}))
        c = leaf(b, **({"eku": eku} if at == "leaf" else {}))
        case(ident, what, verdicts, [c, b], [a])

    purposes("g01", "leaf EKU only clientAuth", "G8 26 no no", "leaf", [CLIENT])
    purposes("g02", "intermediate EKU only clientAuth", "G8 26 no no", "mid", [CLIENT])
    purposes("g03", "root EKU only clientAuth", "G8 26 no no", "root", [CLIENT])
    purposes("g04", "leaf without EKU", "OK OK OK OK", "leaf", None)
    purposes("g05", "leaf EKU only any", "OK 26 no no", "leaf", [ANY])

    def authority(ident, what, verdicts, at, **options):
        a = root(**(options if at == "root" else {}))
        b = intermediate(a, **(options if at == "mid" else {}))
        case(ident, what, verdicts, [leaf(b), b], [a])

    authority("g06", "intermediate CA:FALSE", "G5p 79 no no", "mid", ca=False, ku=None)
    authority("g07", "intermediate without BC", "G5p 79 no no", "mid", ca=None, ku=None)
    authority("g08", "intermediate without keyCertSign", "G5p 79 no no", "mid", ku=(0,))
    authority("g09", "root CA:FALSE", "G5p 79 no no", "root", ca=False, ku=None)
    authority("g10", "root v3 without BC", "G5p 79 no no", "root", ca=None, ku=None)
    authority("g18", "root without keyCertSign", "G5p 79 no no", "root", ku=(0,))
    authority("g11", "root pathlen 0 above an intermediate", "G9 25 no no", "root", pathlen=0)
    tight = intermediate(top, pathlen=0)
    below = intermediate(tight, "Second CA", keys=key(which=4))
    case("g12", "intermediate pathlen 0 above another", "G9 25 no no",
         [leaf(below), below, tight], [top])
    case("g13", "CA-issued leaf with CA:TRUE", "OK OK OK OK", [leaf(mid, ca=True), mid], [top])
    unknown = extension("1.2.3.4.5", octets(b"x"), True)
    case("g14", "unknown critical extension", "G10 34 no no", [leaf(mid, extra=[unknown]), mid],
         [top])
    case("g15", "leaf without digitalSignature", "OK OK OK OK",
         [leaf(rsa_mid, ku=(2,), keys=key("rsa2048")), rsa_mid], [rsa_top])
    plain_top = root(ski=False)
    plain_mid = intermediate(plain_top, ski=False)
    case("g17", "no identifiers anywhere", "OK OK OK OK",
         [leaf(plain_mid, ski=False), plain_mid], [plain_top])

    # h: renewal
    before = own(san=["DNS:" + HOST])
    new_key = own(san=["DNS:" + HOST], keys=key(which=5))
    same_key = own(san=["DNS:" + HOST], start="20260601")
    case("h01", "renewed with a new key", "G5r 18 no no", [new_key], [before])
    case("h02", "renewed with the same key", "G5 18 no no", [same_key], [before])
    case("h03", "the same, old one expired", "G5 18 no no", [same_key],
         [own(san=["DNS:" + HOST], **past)])
    case("h04", "the same, CA:FALSE", "G5 18 no no",
         [own(san=["DNS:" + HOST], ca=False, start="20260601")],
         [own(san=["DNS:" + HOST], ca=False)])
    case("h05", "ca.crt = old and new", "OK OK OK OK", [new_key], [before, new_key])
    new_top = root(keys=key(which=6))
    new_mid = intermediate(new_top)
    case("h06", "root made anew", "G5r 20 no no", [leaf(new_mid), new_mid], [top])
    again = root(start="20260601")
    again_mid = intermediate(again)
    case("h07", "root re-issued with its key", "OK OK OK OK", [leaf(again_mid), again_mid], [top])

    # i: version 1
    first = {"version": 1, "ski": False, "aki": False}
    alone("i01", "v1 self-signed", "G1 OK OK OK", ca=None, **first)
    v1_top = root(ca=None, ku=None, **first)
    v1_mid = intermediate(v1_top)
    case("i02", "v1 root", "OK OK OK OK", [leaf(v1_mid), v1_mid], [v1_top])
    v1_leaf = leaf(mid, san=None, ca=None, ku=None, eku=None, **first)
    case("i03", "v1 leaf", "G1 OK OK OK", [v1_leaf, mid], [top])
