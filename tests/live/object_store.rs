//! An S3-compatible object store: `SeaweedFS`, whose path is in `GLDOCTOR_WEED` (`scripts/test` puts
//! it there). It checks signatures as Amazon does.

use std::time::{Duration, Instant};

use crate::lab::skip;
use crate::node::{Node, Server};

/// The store's port on every address of its node.
pub(crate) const PORT: u16 = 9004;
/// Where nginx puts TLS in front of it.
pub(crate) const TLS_PORT: u16 = 9443;
/// The bucket that is there.
pub(crate) const BUCKET: &str = "images";

const ACCESS_KEY: &str = "lab";
const SECRET_KEY: &str = "lab-secret-key";

/// Its sockets below /tmp have fixed names, and nodes share that folder: so it gets one of its own.
/// The program is opened before, since it may lie there, too.
const START: &str = r#"
exec 3< "$0"
mount -t tmpfs lab /tmp
cd /var/lib/weed
exec /proc/self/fd/3 server -dir=/var/lib/weed -ip=127.0.0.1 -ip.bind=0.0.0.0 \
  -master.port=9333 -volume.port=9340 -volume.max=5 -master.volumeSizeLimitMB=64 \
  -filer -filer.port=9350 -s3 -s3.port=9004 -s3.config=/var/lib/weed/s3.json
"#;

/// Starts a store with one bucket, or says why the test is skipped.
pub(crate) fn start(node: &Node) -> Option<Server> {
    let Some(program) = std::env::var_os("GLDOCTOR_WEED") else {
        return skip("GLDOCTOR_WEED does not name SeaweedFS (scripts/test installs it)");
    };
    let identities = serde_json::json!({ "identities": [{
        "name": "lab",
        "credentials": [{ "accessKey": ACCESS_KEY, "secretKey": SECRET_KEY }],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }] });
    node.write("/var/lib/weed/s3.json", identities.to_string());
    let program = program.to_str().unwrap();
    let server =
        node.serve("unshare", &["--mount", "sh", "-c", START, program], || node.listens(PORT));
    make_bucket(node);
    Some(server)
}

/// The store listens before it can take anything.
fn make_bucket(node: &Node) {
    let url = format!("http://127.0.0.1:{PORT}/{BUCKET}");
    let user = format!("{ACCESS_KEY}:{SECRET_KEY}");
    let since = Instant::now();
    loop {
        let put = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT"];
        let sign = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &user, &url];
        let made = node.run("curl", &[&put[..], &sign[..]].concat());
        if made.stdout == "200" {
            return;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "no bucket can be made: {made}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The section `storage` of a registry that keeps its images there; `more` goes into the driver's
/// parameters, `beside` beside the driver.
pub(crate) fn storage(endpoint: &str, more: &str, beside: &str) -> String {
    format!(
        "storage: {{\"s3\": {{\"region\": \"us-east-1\", \"bucket\": \"{BUCKET}\", \"accesskey\": \
         \"{ACCESS_KEY}\", \"secretkey\": \"{SECRET_KEY}\", \"regionendpoint\": \"{endpoint}\"{more}}}, \
         \"delete\": {{\"enabled\": true}}{beside}}}"
    )
}

/// Starts nginx with TLS in front of the store.
pub(crate) fn start_tls(node: &Node, pem: &str, key_pem: &str) -> Server {
    node.write("/etc/store/tls.crt", pem);
    node.write("/etc/store/tls.key", key_pem);
    node.write(
        "/etc/store/nginx.conf",
        format!(
            "daemon off; pid /run/store-nginx.pid; error_log stderr; events {{}}
             http {{ access_log off; server {{ listen {TLS_PORT} ssl; client_max_body_size 0;
               ssl_certificate /etc/store/tls.crt; ssl_certificate_key /etc/store/tls.key;
               location / {{ proxy_pass http://127.0.0.1:{PORT}; proxy_set_header Host $http_host;
                 proxy_request_buffering off; }} }} }}"
        ),
    );
    node.serve("nginx", &["-c", "/etc/store/nginx.conf", "-e", "stderr"], || node.listens(TLS_PORT))
}

/// Lets the system's store hold this and nothing else. A debug build takes seconds to read all the
/// roots of a machine, and no recording should hold them.
pub(crate) fn trust_only(node: &Node, pem: &str) {
    node.must("sh", &["-c", "rm -rf /etc/ssl/certs/*"]);
    node.write("/etc/ssl/certs/ca-certificates.crt", pem);
}
