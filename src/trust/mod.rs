//! Who accepts a certificate, and why not: judged as each real client would.
