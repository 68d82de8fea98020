use proptest::prelude::*;

use super::*;
use crate::parse::corpus;

fn parsed(text: &str) -> Nginx {
    read(text.as_bytes()).unwrap()
}

fn filled(name: &str) -> Option<String> {
    let headers =
        "    proxy_set_header Host $http_host;\n    proxy_set_header X-Forwarded-Proto https;\n";
    let values = [
        ("LISTEN_PORT", "5050"),
        ("FQDN", "gitlab.internal"),
        ("SSL_CERT", "/etc/gitlab/ssl/gitlab.internal.crt"),
        ("SSL_KEY", "/etc/gitlab/ssl/gitlab.internal.key"),
        ("HEADERS", headers),
        ("HOST_HEADER", "gitlab.internal"),
        ("REGISTRY_HTTP_ADDR", "127.0.0.1:5000"),
        ("REGISTRY_INCLUDE", "include /var/opt/gitlab/nginx/conf/gitlab-registry.conf;"),
    ];
    Some(corpus::fill(&corpus::read(&format!("omnibus/{name}.tmpl"))?, &values))
}

fn line_of(text: &str, start: &str) -> u32 {
    let at = text.lines().position(|line| line.trim_start().starts_with(start)).unwrap();
    u32::try_from(at + 1).unwrap()
}

#[test]
fn the_package_s_registry_server_is_read() {
    let Some(text) = filled("nginx-gitlab-registry.conf") else { return };
    let nginx = parsed(&text);
    let [server] = nginx.servers.as_slice() else { panic!("{nginx:?}") };
    let listen = Listen {
        address: "*".to_owned(),
        port: Some(5050),
        ssl: true,
        line: line_of(&text, "listen"),
        ..Listen::default()
    };
    assert_eq!(server.listen, [listen]);
    assert_eq!(server.names[0].value, "gitlab.internal");
    let certificate = "/etc/gitlab/ssl/gitlab.internal.crt".to_owned();
    let line = line_of(&text, "ssl_certificate ");
    assert_eq!(server.scope.ssl_certificate, [Located::at(line, certificate)]);
    assert_eq!(server.scope.ssl_protocols.as_ref().unwrap().value, ["TLSv1.2", "TLSv1.3"]);
    assert_eq!(server.scope.directives["client_max_body_size"][0].value, "0");
    let [location] = server.scope.locations.as_slice() else { panic!("{server:?}") };
    assert_eq!(location.scope.proxy_pass.as_ref().unwrap().value, "http://127.0.0.1:5000");
    let headers: Vec<_> = location.scope.proxy_set_header.iter().collect();
    assert_eq!(headers[0].value.as_deref(), Some("$http_host"));
    assert_eq!(headers[1].value.as_deref(), Some("https"));
    assert_eq!(location.scope.directives["proxy_request_buffering"][0].value, "off");
}

#[test]
fn the_package_s_other_files_are_read() {
    if let Some(text) = filled("nginx.conf") {
        let nginx = parsed(&text);
        assert!(nginx.servers.is_empty());
        assert_eq!(nginx.upstreams[0].name, "gitlab-workhorse");
        assert_eq!(
            nginx.upstreams[0].servers[0].value,
            "unix:/var/opt/gitlab/gitlab-workhorse/sockets/socket"
        );
        let names: Vec<&str> =
            nginx.includes.iter().map(|include| include.path.rsplit('/').next().unwrap()).collect();
        assert_eq!(
            names,
            ["mime.types", "gitlab-http.conf", "gitlab-registry.conf", "nginx-status.conf"]
        );
    }
    if let Some(text) = filled("nginx-gitlab-http.conf") {
        let nginx = parsed(&text);
        assert_eq!(nginx.includes[0].within, Within::Server(0));
        assert_eq!(nginx.servers[0].scope.locations.len(), 5);
        assert_eq!(nginx.servers[0].scope.locations[0].modifier, "~");
    }
    if let Some(text) = filled("nginx-status.conf") {
        assert_eq!(parsed(&text).servers[0].listen[0].port, Some(8060));
    }
    if let Some(text) = filled("nginx-gitlab-health.conf") {
        assert!(!parsed(&text).outside.locations.is_empty());
    }
}

#[test]
fn listen_takes_many_forms() {
    let table = [
        ("443 ssl", "*", Some(443), true),
        ("*:443 ssl http2 default_server", "*", Some(443), true),
        ("[::]:443 ssl", "[::]", Some(443), true),
        ("[::]", "[::]", Some(80), false),
        ("127.0.0.1", "127.0.0.1", Some(80), false),
        ("localhost:8060", "localhost", Some(8060), false),
        ("unix:/run/x.sock", "unix:/run/x.sock", None, false),
        ("8000-8010", "*", None, false),
        ("127.0.0.1:8000-8010", "127.0.0.1", None, false),
        ("99999", "*", None, false),
        ("", "", Some(80), false),
    ];
    for (text, address, port, ssl) in table {
        let nginx = parsed(&format!("server {{ listen {text}; }}"));
        let listen = &nginx.servers[0].listen[0];
        assert_eq!(
            (listen.address.as_str(), listen.port, listen.ssl),
            (address, port, ssl),
            "{text}"
        );
    }
}

#[test]
fn a_hand_written_file_is_read() {
    let nginx = parsed(
        "proxy_set_header Host $host;
stream { upstream r { server 10.0.0.1:5000 weight=2; } server { listen 5050; proxy_pass r; } }
http {
  map $a $b { default 1; include maps/*.map; }
  server { listen 80; server_name a b; if ($x = y) { return 403; } return 301 https://$host$request_uri; }
  server {
    location = /v2/ { proxy_pass http://u:hush@reg/?hush;
      location ~* \\.x$ { return 200 \"hush\"; } }
    location ~^/api { include snippets/api.conf; }
    include sites/*.conf;
  }
}",
    );
    assert_eq!(nginx.outside.proxy_set_header[0].value.as_deref(), Some("$host"));
    assert!(nginx.servers[0].stream && !nginx.servers[1].stream);
    assert_eq!(nginx.servers[0].scope.proxy_pass.as_ref().unwrap().value, "r");
    assert_eq!(nginx.upstreams[0].servers[0].value, "10.0.0.1:5000");
    let returns = &nginx.servers[1].scope.returns;
    assert_eq!((returns[0].code, returns[0].conditional), (Some(403), true));
    assert_eq!(returns[1].target.as_deref(), Some("https://$host$request_uri"));
    assert_eq!(nginx.servers[1].names.len(), 2);
    let locations = &nginx.servers[2].scope.locations;
    assert_eq!((locations[0].modifier.as_str(), locations[0].path.as_str()), ("=", "/v2/"));
    assert_eq!(locations[0].scope.proxy_pass, Some(Located::at(7, "http://reg/".to_owned())));
    assert_eq!(locations[0].scope.locations[0].scope.returns[0].target, None);
    assert_eq!((locations[1].modifier.as_str(), locations[1].path.as_str()), ("~", "^/api"));
    let within: Vec<_> = nginx.includes.iter().map(|include| include.within).collect();
    assert_eq!(within, [Within::Server(2), Within::Server(2)]);
}

#[test]
fn no_secret_is_kept() {
    let nginx = parsed(
        "auth_basic hush; proxy_ssl_password_file hush;
server { set $token hush; ssl_password_file hush; ssl_certificate_key '-----BEGIN hush';
  access_log syslog:server=u:hush@h; return 301 https://u:hush@h/?hush; rewrite ^ /?token=hush;
  location / { proxy_pass https://u:hush@h/?hush; proxy_set_header Authorization 'Basic hush';
    proxy_set_header Private-Token hush; proxy_set_header Cookie hush; add_header X hush;
    proxy_set_header X-Auth $http_x; return 200 hush; return hush; } }
upstream x { server u:hush@h; } map $a $b { hush hush; }",
    );
    let json = serde_json::to_string(&nginx).unwrap();
    assert!(!format!("{nginx:?}{json}").contains("hush"), "{json}");
    let headers = &nginx.servers[0].scope.locations[0].scope.proxy_set_header;
    let values: Vec<_> = headers.iter().map(|header| header.value.as_deref()).collect();
    assert_eq!(values, [None, None, None, Some("$http_x")]);
    assert_eq!(serde_json::from_str::<Nginx>(&json).unwrap(), nginx);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = read(&bytes);
    }

    #[test]
    fn nginx_like_text_is_read_or_refused(
        text in "(server|http|location|listen|return|include|proxy_pass|[ \\t\r\n;{}#'\"$~=:@/a0\\\\é-]){0,60}"
    ) {
        let _ = read(text.as_bytes());
    }
}
