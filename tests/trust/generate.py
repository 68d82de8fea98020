#!/usr/bin/env python3
"""Writes the certificates and expected verdicts of tests/trust_cases.rs.

    python3 tests/trust/generate.py fixtures/trust_cases

Needs openssl 3. Keys are thrown away: nothing but certificates is kept, and each run makes others.
"""

import importlib
import json
import os
import sys

import forge

target = sys.argv[1]
os.makedirs(target, exist_ok=True)
for module in ["tls_trust", "tls_clients"]:
    forge.CASES.clear()
    try:
        importlib.import_module(module).cases()
    except ModuleNotFoundError:
        continue
    keep = os.environ.get("KEEP_KEYS")
    kept = [{field: case[field] for field in case if keep or field != "key"} for case in forge.CASES]
    with open(os.path.join(target, module + ".json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(case) for case in kept) + "\n]\n")
    print(f"{module}: {len(kept)} cases")
