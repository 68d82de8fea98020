#!/usr/bin/env python3
"""Asks real clients, in real handshakes, about cases that were generated with KEEP_KEYS=1.

    KEEP_KEYS=1 python3 tests/trust/generate.py FOLDER
    python3 tests/trust/measure.py FOLDER/tls_clients.json GO_BINARY [ID…]

Needs openssl, curl, ruby, faketime and client.go, built. Prints every client that says otherwise
than expected, and what it says.
"""

import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time

RUBY = """
require 'net/http'
http = Net::HTTP.new(ARGV[0], ARGV[1].to_i)
http.ipaddr = '127.0.0.1'
http.use_ssl = true
http.open_timeout = 5
http.ca_file = ARGV[2]
begin
  http.start { }
  puts 'OK'
rescue => error
  puts error.message
end
"""
FOLDER = tempfile.mkdtemp()


def shell(*command, given=None, moment=None):
    if moment:
        command = ["faketime", "-f", moment.replace("T", " ").rstrip("Z"), *command]
    return subprocess.run(command, input=given, capture_output=True, timeout=20)


def path(name, content):
    full = os.path.join(FOLDER, name)
    with open(full, "wb") as file:
        file.write(content)
    return full


def serve(case, port):
    chain = [base64.b64decode(text) for text in case["chain"]]
    pems = [ssl.DER_cert_to_PEM_cert(der).encode() for der in chain]
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-quiet",
               "-cert", path("leaf.pem", pems[0]), "-key", case["key"],
               "-cipher", "ALL:@SECLEVEL=0"]
    if pems[1:]:
        command += ["-cert_chain", path("chain.pem", b"".join(pems[1:]))]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    import socket
    for _ in range(100):
        if server.poll() is not None:
            return None
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
            return server
        except OSError:
            time.sleep(0.01)
    return server


def ask(case, port, go):
    store = path("store.pem", base64.b64decode(case["store"]))
    name, at = case["name"], case["at"]
    is_ip = name.replace(".", "").isdigit() or ":" in name
    said = {}
    question = {field: case[field] for field in ["name", "at", "chain", "store"]}
    said["go"] = shell(go, f"127.0.0.1:{port}", given=json.dumps(question).encode()).stdout.decode()
    check = ["-verify_ip", name] if is_ip else ["-verify_hostname", name, "-servername", name]
    out = shell("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-verify_return_error",
                *check, "-CAfile", store, "-no-CApath", "-no-CAstore", given=b"", moment=at)
    text = (out.stdout + out.stderr).decode(errors="replace")
    errors = [line for line in text.splitlines() if "rror" in line and "Verify return" not in line]
    good = "Verify return code: 0 (ok)" in text and "BEGIN CERTIFICATE" in text
    said["openssl"] = "OK" if good and not errors else "; ".join(errors) or text[-300:]
    host = f"[{name}]" if ":" in name else name
    out = shell("curl", "-sS", "--max-time", "5", "-o", "/dev/null", "--capath", FOLDER + "/none",
                "--cacert", store, "--connect-to", f"::127.0.0.1:{port}", f"https://{host}/",
                moment=at)
    said["curl"] = "OK" if out.returncode == 0 else out.stderr.decode()
    out = shell("ruby", "-e", RUBY, "--", name, str(port), store, moment=at)
    said["ruby"] = out.stdout.decode() or out.stderr.decode()
    return said


def main():
    cases, go, *only = sys.argv[1:]
    with open(cases) as file:
        cases = json.load(file)
    wrong = asked = 0
    for number, case in enumerate(cases):
        if only and case["id"] not in only:
            continue
        port = 20000 + number
        server = case.get("key") and serve(case, port)
        if not server:
            print(f"{case['id']} {case['what']}: cannot be served")
            continue
        try:
            said = ask(case, port, go)
        finally:
            server.kill()
            server.wait()
        asked += 1
        for client, text in said.items():
            expected = case["expected"][client]
            if only or (text.strip() == "OK") != (expected == "OK"):
                wrong += 1
                print(f"{case['id']} {case['what']}, {client}: expected {expected}: {text.strip()}")
    print(f"{asked} cases asked, {wrong} lines above")


main()
