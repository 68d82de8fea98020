//! A TLS server inside a unit test, for what must not reach a stranger.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A running server, until the test's runtime ends.
pub(super) struct Standin {
    pub(super) address: SocketAddr,
    /// The SHA-256 of its certificate.
    pub(super) sha256: String,
    /// How many requests it has read.
    pub(super) requests: Arc<AtomicUsize>,
}

impl Standin {
    /// Answers each connection's one request, head and all, with what `answer` makes of it.
    pub(super) async fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(["git.test".to_owned()]).unwrap();
        let sha256 = HEXLOWER.encode(digest(&SHA256, made.cert.der()).as_ref());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let stream = listener.accept().await.unwrap().0;
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut sent = vec![0; 4096];
                let Ok(length) = stream.read(&mut sent).await else { continue };
                if length > 0 {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
                let response = answer(&String::from_utf8_lossy(&sent[..length]));
                stream.write_all(response.as_bytes()).await.ok();
                stream.shutdown().await.ok();
            }
        });
        Self { address, sha256, requests }
    }
}
