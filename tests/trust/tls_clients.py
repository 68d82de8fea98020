"""Rules beyond the common situations, each as one or several cases.

Verdicts are written Y or n for Go, OpenSSL, curl and Ruby, as they were measured in handshakes.
"""

import re

from forge import *  # noqa: F403

COUNT = {}


def rule(topic, what, verdicts, *arguments, **options):
    COUNT[topic] = COUNT.get(topic, 0) + 1
    words = " ".join({"Y": "OK", "n": "no"}[letter] for letter in verdicts.split())
    case(f"{topic}{COUNT[topic]:02}", what, words, *arguments, **options)


def cases():
    names()
    paths()
    extensions()
    keys_and_encodings()
    files()


def names():
    top = root()
    mid = intermediate(top)

    def named(what, verdicts, host=HOST, **options):
        rule("n", what, verdicts, [leaf(mid, **{"san": None, **options}), mid], [top], host)

    def common(*texts):
        return {"subject": name(*[("CN", text) for text in texts])}

    named("two CNs, the last fits", "n Y Y Y", **common("other.internal", HOST))
    named("two CNs, the first fits", "n Y n Y", **common(HOST, "other.internal"))
    both = attribute("CN", HOST) + attribute("CN", "zz-other.internal")
    named("two CNs in one part, the first fits", "n Y n Y", subject=name(both))
    named("CN with a final dot", "n n Y Y", cn=HOST + ".")
    dotted = ["DNS:" + HOST + "."]
    named("SAN and host with a final dot", "Y Y Y Y", HOST + ".", san=dotted)
    named("SAN with a final dot", "n n Y Y", san=dotted)
    named("wildcard SAN with a final dot", "n n Y Y", "git.lab.internal",
          san=["DNS:*.lab.internal."])
    named("one-label SAN with a final dot", "n n Y n", "git", san=["DNS:git."])
    named("one label, SAN in another case", "Y Y Y n", "git", san=["DNS:GIT"])
    named("one label, CN in another case", "n Y Y n", "git", cn="GIT")
    named("wildcard and underscore", "Y n Y Y", "git_lab.lab.internal", san=["DNS:*.lab.internal"])
    named("wildcard above an underscore", "Y n Y Y", "gitlab.my_site.internal",
          san=["DNS:*.my_site.internal"])
    named("wildcard and leading hyphen", "n Y Y Y", "-gitlab.lab.internal",
          san=["DNS:*.lab.internal"])
    for pattern, verdicts in [("gi*", "n Y n Y"), ("*ab", "n Y n Y"), ("gitlab*", "n Y n n"),
                              ("g*b", "n n n Y")]:
        named("partial wildcard " + pattern, verdicts, "gitlab.lab.internal",
              san=[f"DNS:{pattern}.lab.internal"])
    for pattern, verdicts in [("xn--*", "n n n n"), ("*abc", "n n n n"), ("*", "Y Y Y Y")]:
        named("A-label under " + pattern, verdicts, "xn--abc.lab.internal",
              san=[f"DNS:{pattern}.lab.internal"])
    named("DNS wildcard for an address", "n n n Y", "1.2.3.4", san=["DNS:*.2.3.4"])
    named("mapped IPv4 SAN", "Y n n n", "10.0.0.1", san=["IP:::ffff:10.0.0.1"])
    for size in [0, 3, 5, 8, 32]:
        named(f"IP SAN of {size} bytes beside the right name", "n Y Y Y",
              san=["DNS:" + HOST, tlv(0x87, bytes(size))])
    named("non-ASCII DNS SAN beside the right name", "n Y Y Y",
          san=["DNS:" + HOST, dns("ü.internal".encode())])
    for address in ["10.0.0.1", "fd00::1"]:
        named("CN an address", "n n Y Y", address, cn=address)
        named("CN an address, email and URI SAN", "n n Y Y", address, cn=address,
              san=["email:a@b.test", "URI:https://b.test/"])
        named("CN an address, DNS SAN", "n n n n", address, cn=address, san=["DNS:" + HOST])
    for tag, kind in [(0x14, "T61String"), (0x16, "IA5String")]:
        named("CN as " + kind, "n Y Y Y", **common(tlv(tag, HOST.encode())))
    named("CN as BMPString", "n Y Y n", **common(tlv(0x1E, HOST.encode("utf-16-be"))))
    named("CN as UniversalString", "n Y Y n", **common(tlv(0x1C, HOST.encode("utf-32-be"))))
    directory = tlv(0xA4, name(("CN", "x")))
    other = tlv(0xA0, oid("1.2.3.4"), tlv(0xA0, utf8("x")))
    registered = tlv(0x88, oid("1.2.3.4")[2:])
    for what, san in [("empty", []), ("email", ["email:a@b.test"]), ("URI", ["URI:https://b.test"]),
                      ("directory", [directory]), ("other", [other]), ("registered", [registered])]:
        named(f"CN right, SAN list with {what}", "n Y Y Y", san=san)


def paths():
    top = root()
    mid = intermediate(top)
    end = leaf(mid)
    past = {"start": "20240101", "end": "20250101"}
    future = {"start": "20270101", "end": "20280101"}
    unknown = extension("1.2.3.4.5", octets(b"x"), True)
    # An unfit copy of the intermediate in the store, a good one sent.
    for what, flaw in [
        ("expired", past), ("not yet valid", future),
        ("name constraints", {"nc": constraints(["DNS:example"])}),
        ("client EKU", {"eku": [CLIENT]}), ("no keyCertSign", {"ku": (0,)}),
        ("CA:FALSE", {"ca": False, "ku": None}), ("unknown critical", {"extra": [unknown]}),
    ]:
        unfit = intermediate(top, **flaw)
        rule("p", f"stored intermediate unfit ({what}), good one sent", "Y n n n",
             [end, mid], [top, unfit])
        if flaw is past:
            rule("p", "expired twin sent first", "Y Y Y Y", [end, unfit, mid], [top])
            rule("p", "expired twin stored first, good one stored", "Y Y Y Y", [end],
                 [top, unfit, mid])
        elif flaw is not future:
            rule("p", f"unfit twin sent first ({what})", "Y n n n", [end, unfit, mid], [top])
            rule("p", f"unfit twin sent last ({what})", "Y Y Y Y", [end, mid, unfit], [top])
    # Once from the store, always from the store.
    upper = intermediate(top, "Upper CA", keys=key(which=7))
    issuing = intermediate(upper)
    low = leaf(issuing)
    rule("p", "store = root and issuing CA, upper one sent", "Y n Y n", [low, issuing, upper],
         [top, issuing])
    rule("p", "store = leaf and issuing CA", "Y n Y n", [low, issuing, upper], [low, issuing])
    rule("p", "store = everything", "Y Y Y Y", [low, issuing, upper], [top, upper, issuing])
    # Two CAs of one name.
    for what, ski in [("no identifiers", False), ("equal identifiers", b"same")]:
        old = root(ski=ski)
        new = root(ski=ski, keys=key(which=8))
        new_mid = intermediate(new, ski=ski)
        new_end = leaf(new_mid, ski=ski)
        rule("p", f"old root first, {what}", "Y n n n", [new_end, new_mid], [old, new])
        rule("p", f"old root last, {what}", "Y Y Y Y", [new_end, new_mid], [new, old])
    before = own(san=["DNS:" + HOST], ski=b"same")
    after = own(san=["DNS:" + HOST], ski=b"same", keys=key(which=5))
    rule("p", "self-signed leaves with equal SKI, old first", "Y n Y n", [after], [before, after])
    # authorityKeyIdentifier with issuer and serial.
    def by_serial(issuer):
        return seq(tlv(0x80, issuer.key_id), tlv(0xA1, tlv(0xA4, issuer.name)),
                   tlv(0x82, issuer.serial[2:]))
    again = root()
    serial_mid = intermediate(top, aki=by_serial(top))
    rule("p", "AKI by issuer and serial, root as it was", "Y Y Y Y",
         [leaf(serial_mid), serial_mid], [top])
    rule("p", "AKI by issuer and serial, root re-issued", "Y n n n",
         [leaf(serial_mid), serial_mid], [again])
    wrong_aki = intermediate(top, aki=seq(tlv(0x80, b"elsewhere")))
    rule("p", "wrong AKI key identifier", "Y n n n", [leaf(wrong_aki), wrong_aki], [top])
    # A root whose own AKI does not fit itself.
    odd = root(aki=seq(tlv(0x80, b"elsewhere")))
    odd_mid = intermediate(odd)
    rule("p", "root's own AKI does not fit", "Y n Y n", [leaf(odd_mid), odd_mid], [odd])
    # CAs without basicConstraints.
    ssl_ca = extension(NS_TYPE, bits(5))
    for what, options in [("keyCertSign", {"ca": None, "ku": (5,)}),
                          ("SSL CA bit", {"ca": None, "ku": None, "extra": [ssl_ca]})]:
        bare = root(**options)
        bare_mid = intermediate(bare)
        rule("p", f"root without BC, {what}", "n Y Y Y", [leaf(bare_mid), bare_mid], [bare])
        bare_mid = intermediate(top, **options)
        rule("p", f"intermediate without BC, {what}", "n n n n", [leaf(bare_mid), bare_mid], [top])
    # TRUSTED CERTIFICATE.
    def trusted(cert, trust=(), reject=()):
        given = seq(*[oid(purpose) for purpose in trust]) if trust else b""
        refused = tlv(0xA0, *[oid(purpose) for purpose in reject]) if reject else b""
        return cert.pem("TRUSTED CERTIFICATE", after=seq(given, refused))
    for what, purpose in [("serverAuth", SERVER), ("any", ANY)]:
        rule("p", f"intermediate trusted for {what}", "n Y Y Y", [end, mid],
             trusted(mid, [purpose]))
        narrow = intermediate(top, eku=[CLIENT])
        rule("p", f"the same against its own EKU, {what}", "n Y Y Y", [leaf(narrow), narrow],
             trusted(narrow, [purpose]))
        rule("p", f"leaf trusted for {what}", "n n Y n", [end, mid], trusted(end, [purpose]))
    rule("p", "root trusted for clients only", "n n n n", [end, mid], trusted(top, [CLIENT]))
    rule("p", "root rejected for servers", "n n n n", [end, mid], trusted(top, reject=[SERVER]))
    rule("p", "root without settings", "n Y Y Y", [end, mid], trusted(top))
    expired = intermediate(top, **past)
    # Without partial chains, nobody looks at the dates of a top that is not its own issuer.
    rule("p", "expired intermediate, trusted", "n Y n Y", [leaf(expired), expired],
         trusted(expired, [SERVER]))
    # The leaf alone in the store.
    rule("p", "leaf in the store, leaf sent", "Y n Y n", [end], [end])
    for what, options in [("expired", past), ("CA:FALSE", {"ca": False, "ku": None}),
                          ("RSA 1024", {"keys": key("rsa1024")})]:
        flawed = intermediate(top, **options)
        flawed_end = leaf(flawed)
        rule("p", f"leaf in the store, {what} intermediate sent", "Y n n n",
             [flawed_end, flawed], [flawed_end])
    rsa_mid = intermediate(top, keys=key("rsa2048", 2))
    sha1 = leaf(rsa_mid, digest="sha1")
    rule("p", "SHA-1 leaf in the store, chain sent", "Y n n n", [sha1, rsa_mid], [sha1])
    rule("p", "SHA-1 leaf in the store, leaf sent", "Y n Y n", [sha1], [sha1])
    # Unreadable extensions.
    rubbish = b"\x31\x00"
    for what, which in [("BC", BC), ("KU", KU), ("EKU", EKU), ("SKI", SKI), ("AKI", AKI),
                        ("NC", NC), ("SAN", SAN)]:
        plain = {"ski": False, "aki": False, "ca": None}
        sound = [] if which == SAN else [extension(SAN, seq(dns(HOST)))]
        lone = own(extra=[*sound, extension(which, rubbish)], **plain)
        # Without a readable SAN, the common name is what is left.
        rule("p", f"self-signed, rubbish in {what}", "n n Y n", [lone], [lone])
        flawed = leaf(mid, ski=False, aki=False, san=None if which == SAN else ["DNS:" + HOST],
                      ku=None, eku=None, ca=None, extra=[extension(which, rubbish)])
        rule("p", f"issued, rubbish in {what}", "n n n n", [flawed, mid], [top])
    empty = leaf(mid, ku=())
    rule("p", "issued, empty keyUsage", "Y n n n", [empty, mid], [top])
    twice = leaf(mid, extra=[extension(SAN, seq(dns(HOST)))])
    rule("p", "issued, SAN twice", "n n n n", [twice, mid], [top])


def extensions():
    top = root()
    mid = intermediate(top)

    def both(what, leaf_verdicts, ca_verdicts, leaf_options, ca_options=None):
        if leaf_verdicts:
            rule("x", "leaf: " + what, leaf_verdicts, [leaf(mid, **leaf_options), mid], [top])
        if ca_verdicts:
            options = ca_options if ca_options is not None else leaf_options
            flawed = intermediate(top, **options)
            rule("x", "CA: " + what, ca_verdicts, [leaf(flawed), flawed], [top])

    for what, purpose in [("Netscape", NS_SGC), ("Microsoft", MS_SGC)]:
        both(f"EKU {what} SGC only", "n Y Y Y", "n Y Y Y", {"eku": [purpose]})
    both("EKU any only", None, "Y n n n", {"eku": [ANY]})
    both("empty EKU list", "Y n n n", "Y n n n", {"eku": []})
    both("nsCertType without SSL server", "Y n n n", None,
         {"extra": [extension(NS_TYPE, bits(0))]})
    both("nsCertType without SSL CA, no BC", None, "n n n n",
         {"extra": [extension(NS_TYPE, bits(6))], "ca": None, "ku": None})
    both("nsCertType critical", "n Y Y Y", None,
         {"extra": [extension(NS_TYPE, bits(1), True)]})
    url = tlv(0x86, b"http://ca.internal/ca.crt")
    access = seq(seq(oid("1.3.6.1.5.5.7.48.2"), url))
    for what, which, value in [
        ("AIA", AIA, access), ("issuerAltName", "2.5.29.18", seq(dns("ca.internal"))),
        ("TLS feature", "1.3.6.1.5.5.7.1.24", seq(integer(5))),
        ("subjectDirectoryAttributes", "2.5.29.9", seq(seq(oid("1.2.3.4"), tlv(0x31, utf8("x"))))),
        ("nsComment", "2.16.840.1.113730.1.13", tlv(0x16, b"x")),
    ]:
        both(f"critical {what}", "n n n n", None, {"extra": [extension(which, value, True)]})
    both("critical SKI", "n n n n", None,
         {"ski": False, "extra": [extension(SKI, octets(b"x"), True)]})
    both("critical AKI", "n n n n", None,
         {"aki": False, "extra": [extension(AKI, seq(tlv(0x80, mid.key_id)), True)]})
    policy = seq(seq(oid("1.2.3.4")))
    points = seq(seq(tlv(0xA0, tlv(0xA0, url))))
    for what, which, value in [("policies", POLICIES, policy), ("CRL points", CRLDP, points)]:
        both(f"critical {what}", "Y Y Y Y", None, {"extra": [extension(which, value, True)]})
    for what, which, value in [
        ("policyConstraints", POLICY_CONSTRAINTS, seq(tlv(0x81, b"\x05"))),
        ("policyMappings", "2.5.29.33", seq(seq(oid("1.2.3.4"), oid("1.2.3.5")))),
        ("inhibitAnyPolicy", "2.5.29.54", integer(5)),
    ]:
        both(f"critical {what}", None, "Y Y Y Y", {"extra": [extension(which, value, True)]})
    explicit = extension(POLICY_CONSTRAINTS, seq(tlv(0x80, b"\0")), True)
    both("requireExplicitPolicy, none below", None, "n Y Y Y", {"extra": [explicit]})
    asking = root(extra=[explicit])
    asked = intermediate(asking)
    rule("x", "requireExplicitPolicy on the root", "Y Y Y Y", [leaf(asked), asked], [asking])
    asserted = intermediate(top, extra=[explicit, extension(POLICIES, policy)])
    rule("x", "requireExplicitPolicy fulfilled", "Y Y Y Y",
         [leaf(asserted, extra=[extension(POLICIES, policy)]), asserted], [top])
    both("the same policy twice", "n Y Y Y", None,
         {"extra": [extension(POLICIES, seq(seq(oid("1.2.3.4")), seq(oid("1.2.3.4"))))]})
    both("rubbish in AIA", "n Y Y Y", None, {"extra": [extension(AIA, b"\x31\0")]})
    both("rubbish in policies", "n Y Y Y", None, {"extra": [extension(POLICIES, b"\x31\0")]})
    both("rubbish in CRL points", "n n n n", None, {"extra": [extension(CRLDP, b"\x31\0")]})
    comment = extension("2.16.840.1.113730.1.13", tlv(0x16, b"x"))
    both("a harmless extension twice", "n Y Y Y", None, {"extra": [comment, comment]})

    def under(what, verdicts, value, host=HOST, critical=True, **options):
        limited = root(nc=value, nc_critical=critical)
        below = intermediate(limited)
        rule("x", "NC: " + what, verdicts, [leaf(below, **options), below], [limited], host)

    directory = tlv(0xA4, name(("O", "Elsewhere")))
    here = tlv(0xA4, name(("O", "Lab")))
    # Both the intermediate and the leaf have subjects to be compared with directory names.
    def lab(what, verdicts, value, critical):
        limited = root(nc=value, nc_critical=critical)
        subject = name(("O", "Lab"), ("CN", "Issuing"))
        below = Cert("x", limited, keys=key(which=2), ca=True, ku=(5, 6), subject=subject)
        end = leaf(below, subject=name(("O", "Lab"), ("CN", HOST)))
        rule("x", "NC: " + what, verdicts, [end, below], [limited])

    lab("dirName, obeyed", "n Y Y Y", constraints([here]), True)
    lab("dirName, violated, not critical", "Y n n n", constraints([directory]), False)
    other = tlv(0xA0, oid("1.2.3.4"), tlv(0xA0, utf8("x")))
    under("otherName", "n Y Y Y", constraints([other]))
    under("registeredID", "n Y Y Y", constraints([tlv(0x88, oid("1.2.3.4")[2:])]))
    under("IP mask with holes", "n Y Y Y", constraints([tlv(0x87, bytes([10, 0, 0, 0, 255, 0, 255, 0]))]))
    under("IP of 4 bytes", "n Y Y Y", constraints([tlv(0x87, bytes(4))]))
    under("empty", "n Y Y Y", seq())
    base = dns("internal")
    under("minimum other than 0", "Y n n n", constraints([seq(base, tlv(0x80, b"\1"))]))
    under("a maximum", "Y n n n", constraints([seq(base, tlv(0x81, b"\5"))]))
    mail = {"subject": name(("CN", HOST), ("E", tlv(0x16, b"root@example.test")))}
    under("email in the subject outside", "Y n n n", constraints(["email:internal"]), **mail)
    under("permitted .host for host", "n n n n", constraints(["DNS:." + HOST]))
    under("excluded .host for host", "Y Y Y Y", constraints((), ["DNS:." + HOST]))
    limits = constraints(["DNS:example"])
    lone = own(san=["DNS:" + HOST], nc=limits)
    rule("x", "NC on the leaf itself", "Y Y Y Y", [lone], [lone])
    rule("x", "NC on an issued leaf", "Y Y Y Y", [leaf(mid, nc=limits), mid], [top])
    for what, verdicts, value in [("larger than 64 bits", "n Y Y Y", 1 << 70),
                                  ("negative", "n n n n", -1)]:
        flawed = intermediate(top, bc=seq(boolean(True), integer(value)))
        rule("x", "pathlen " + what, verdicts, [leaf(flawed), flawed], [top])


def keys_and_encodings():
    top = root()
    mid = intermediate(top)
    end = leaf(mid)
    rsa_top = root(keys=key("rsa2048", 1))
    rsa_mid = intermediate(rsa_top, keys=key("rsa2048", 2))

    def rsa(what, verdicts, **options):
        rule("k", what, verdicts, [leaf(rsa_mid, **options), rsa_mid], [rsa_top])

    def anchored(what, verdicts, **options):
        anchor = root(**options)
        below = intermediate(anchor)
        rule("k", what, verdicts, [leaf(below), below], [anchor])

    def issued(what, verdicts, store=None, **options):
        cert = leaf(mid, **options)
        rule("k", what, verdicts, [cert, mid], store or [top])

    rsa("SHA-224", "n Y Y Y", digest="sha224")
    rsa("PSS with a salt of 20", "n Y Y Y", salt=20)
    rsa("SHA-384", "Y Y Y Y", digest="sha384")
    rsa("SHA-512 with PSS", "Y Y Y Y", digest="sha512", salt=64)
    issued("P-256 with SHA-512", "Y Y Y Y", digest="sha512")
    issued("P-256 with SHA-384", "Y Y Y Y", digest="sha384")
    issued("ECDSA with SHA-224", "n Y Y Y", digest="sha224")
    bare = key("rsa2048", 3).info.replace(bytes([0x06, 0x09]) + oid(RSA + "1")[2:] + NULL,
                                          oid(RSA + "1"))
    bare = seq(bare[4:].replace(bytes([0x30, 0x0D]), bytes([0x30, 0x0B]), 1))
    rsa("RSA key without NULL", "n Y Y Y", keys=key("rsa2048", 3), info=bare)
    sha256 = seq(oid(RSA + "11"))
    rsa("RSA signature algorithm without NULL", "Y Y Y Y", inner=sha256)
    for kind, verdicts in [("ec:secp256k1", "n Y Y Y"), ("ed448", "n Y Y Y"),
                           ("rsa-pss", "n Y Y Y"), ("ec:P-224", "Y Y Y Y"), ("rsa3e", "Y Y Y Y"),
                           ("explicit:P-256", "n n n n"), ("ec:brainpoolP256r1", "n Y Y Y"),
                           ("ec:P-384", "Y Y Y Y")]:
        anchored(f"root with a key of {kind}", verdicts, keys=key(kind))
    compressed = run("openssl", "ec", "-in", key().path, "-pubout", "-conv_form", "compressed",
                     "-outform", "DER")
    issued("compressed point", "n Y Y Y", info=compressed)
    anchored("spoilt signature of the anchor", "Y Y Y Y", spoilt=True)
    issued("spoilt signature of the leaf", "n n n n", spoilt=True)
    # Unneeded certificates, sent or stored.
    strange = [("secp256k1", root("Strange", keys=key("ec:secp256k1"))),
               ("negative serial", root("Strange", serial=integer(-5))),
               ("bad SAN", root("Strange", san=[dns("ü".encode())]))]
    for what, cert in strange:
        rule("k", f"unneeded, {what}, sent", "n Y Y Y", [end, mid, cert], [top])
        rule("k", f"unneeded, {what}, stored", "Y Y Y Y", [end, mid], [top, cert])
    rule("k", "unneeded with trailing bytes", "n n n n", [end, mid, top.der + b"\0"], [top])
    rule("k", "unneeded and no certificate", "n n n n", [end, mid, b"rubbish"], [top])
    differing = algorithm(key(), "sha384")
    anchored("algorithms differ, anchor", "n Y Y Y", outer=differing)
    issued("algorithms differ, leaf", "n n n n", outer=differing)
    # Versions.
    plain = {"ski": False, "aki": False, "ca": None, "ku": None}
    anchored("v2 root", "Y n n n", version=2, **plain)
    for version in [1, 2]:
        flawed = intermediate(top, version=version, **plain)
        rule("k", f"v{version} intermediate", "n n n n", [leaf(flawed), flawed], [top])
    issued("v4 leaf", "n Y Y Y", version=4)
    anchored("v4 root", "n Y Y Y", version=4)
    issued("v1 leaf with extensions", "n Y Y Y", version=1)
    anchored("v1 root with extensions", "Y Y Y Y", version=1)
    flawed = intermediate(top, version=1)
    rule("k", "v1 intermediate with extensions", "n Y Y Y", [leaf(flawed), flawed], [top])
    # Serials.
    for what, verdicts, serial in [
        ("0", "Y Y Y Y", integer(0)), ("21 bytes", "Y Y Y Y", tlv(2, b"\x01" + bytes(20))),
        ("40 bytes", "Y Y Y Y", tlv(2, b"\x01" + bytes(39))),
        ("negative", "n Y Y Y", integer(-1000)), ("padded", "n n n n", tlv(2, b"\0\x01")),
        ("empty", "n n n n", tlv(2)),
    ]:
        issued("serial " + what, verdicts, serial=serial)
    # Names spelt otherwise than the CA's subject.
    spaced = root("Lab  Root")
    for what, spelling in [
        ("PrintableString", tlv(0x13, b"Lab Root")), ("T61String", tlv(0x14, b"Lab Root")),
        ("BMPString", tlv(0x1E, "Lab Root".encode("utf-16-be"))),
        ("lower case", utf8("lab root")), ("inner spaces", utf8("Lab   Root")),
        ("outer spaces", utf8(" Lab Root ")),
    ]:
        respelt = intermediate(top, issuer_name=name(("CN", spelling)))
        rule("k", f"issuer respelt: {what}", "n Y Y Y", [leaf(respelt), respelt], [top])
    del spaced
    for letter, verdicts in [("_", "n Y Y Y"), ("@", "n Y Y Y"), ("*", "Y Y Y Y"),
                             ("&", "Y Y Y Y")]:
        subject = name(("O", tlv(0x13, f"a{letter}b".encode())), ("CN", HOST))
        issued(f"PrintableString with {letter}", verdicts, subject=subject)
    issued("PrintableString with an umlaut", "n Y Y Y",
           subject=name(("O", tlv(0x13, b"\xfc")), ("CN", HOST)))
    issued("invalid UTF-8", "n n n n", subject=name(("O", tlv(12, b"\xff\xfe")), ("CN", HOST)))
    # Times.
    later = when("20280101")
    for what, verdicts, start in [
        ("UTCTime with offset", "Y n n n", tlv(0x17, b"260101000000+0100")),
        ("UTCTime with no offset in digits", "n n n n", tlv(0x17, b"260101000000+0000")),
        ("UTCTime without seconds", "Y n n n", tlv(0x17, b"2601010000Z")),
        ("GeneralizedTime with fraction", "n n n n", tlv(0x18, b"20260101000000.5Z")),
        ("GeneralizedTime before 2050", "Y Y Y Y", tlv(0x18, b"20260101000000Z")),
        ("forever", "Y Y Y Y", None),
    ]:
        validity = seq(start, later) if start else seq(when("20260101"), tlv(0x18, b"99991231235959Z"))
        issued("time: " + what, verdicts, validity=validity)
    moment = "20261122120000"
    last = {"end": moment}
    issued("the last moment, leaf", "Y n n n", **last)
    tight = intermediate(top, **last)
    rule("k", "the last moment, intermediate", "Y n n n", [leaf(tight), tight], [top])
    anchored("the last moment, root", "Y n n n", **last)
    issued("the first moment, leaf", "Y Y Y Y", start=moment)


def files():
    top = root()
    other = root("Unrelated Root", keys=key(which=3))
    mid = intermediate(top)
    chain = [leaf(mid), mid]
    good, pem = top.pem(), other.pem()

    def file(what, verdicts, content):
        rule("s", what, verdicts, chain, content)

    lines = good.splitlines()
    begin, *body, end = lines

    def joined(*parts):
        return "\n".join(part for part in parts) + "\n"

    file("blank line within", "Y n n n", joined(begin, body[0], "", *body[1:], end))
    file("blank line before END", "Y n n n", joined(begin, *body, "", end))
    file("blank line after BEGIN", "Y Y Y Y", joined(begin, "", *body, end))
    empty = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
    short = armour(top.der[:100])
    for what, bad in [("empty block", empty), ("cut DER", short)]:
        file(what + " before", "Y n n n", bad + good)
        file(what + " after", "Y n n n", good + bad)
    file("unfinished last block", "Y n n n", good + "\n".join(lines[:-2]) + "\n")
    file("BEGIN twice", "Y n n n", begin + "\n" + good)
    with open(key().path) as opened:
        pkcs8 = opened.read()
    with open(key("rsa2048").path) as opened:
        rsa = opened.read()
    pkcs1 = run("openssl", "rsa", "-in", key("rsa2048").path, "-traditional").decode()
    encrypted = run("openssl", "pkcs8", "-topk8", "-in", key().path, "-passout",
                    "pass:x").decode()
    old_style = run("openssl", "rsa", "-in", key("rsa2048").path, "-aes128", "-passout",
                    "pass:x", "-traditional").decode()
    for what, private in [("PKCS#8", pkcs8), ("RSA PKCS#8", rsa), ("PKCS#1", pkcs1),
                          ("encrypted", encrypted), ("encrypted PKCS#1", old_style)]:
        file(what + " key beside", "Y Y Y Y", private + good)
    for what, private in [("PKCS#8", pkcs8), ("PKCS#1", pkcs1)]:
        label = re.search("BEGIN (.*)-----", private)[1]
        file(f"broken {what} key beside", "Y n n n", armour(b"\x30\x03\x02\x01", label) + good)
    file("broken CRL beside", "Y n n n", armour(b"\x30\x03\x02\x01", "X509 CRL") + good)
    file("stray END first", "Y Y Y Y", end + "\n" + good)
    file("indented body", "Y Y Y Y", joined(begin, *["  " + line for line in body], end))
    for width in [10, 253, 254, 255, 100_000]:
        file(f"lines of {width}", "Y Y Y Y", armour(top.der, width=width))
    file("NULs after the end", "Y Y Y Y", good.encode() + bytes(8))
    file("byte order mark on its own line", "Y Y Y Y", "\ufeff\n" + good)
    file("indented BEGIN", "n n n n", joined("  " + begin, *body, end))
    file("text after END", "n n n n", joined(begin, *body, end + " text"))
    file("header lines", "n n n n", joined(begin, "Name: value", "", *body, end))
    file("NUL inside", "n n n n", good.replace("MI", "M\0I", 1))
    unpadded = Cert("Lab Root", keys=key(which=1), ca=True, ku=(5, 6), aki=False)
    tries = 0
    while not unpadded.pem().rstrip().splitlines()[-2].endswith("="):
        tries += 1
        unpadded = root(extra=[extension("1.2.3.4", octets(b"x" * tries))])
    below = intermediate(unpadded)
    rule("s", "missing padding", "n n n n", [leaf(below), below], unpadded.pem().replace("=", ""))
    file("lower-case label", "n n n n", good.replace("CERTIFICATE", "certificate"))
    file("mismatched label", "n n n n", good.replace("END CERTIFICATE", "END X509 CERTIFICATE"))
    file("four dashes", "n n n n", good.replace("-----", "----"))
    file("six dashes", "n n n n", good.replace("-----", "------"))
    file("CR only", "n n n n", good.replace("\n", "\r"))
    file("bytes behind the certificate in its block", "n Y Y Y", top.pem(after=b"\0\0\0\0"))
    del pem
