// Judges chains as Go's TLS client does: one JSON case a line in, one error a line out.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

type question struct {
	Name  string   `json:"name"`
	At    string   `json:"at"`
	Chain [][]byte `json:"chain"`
	Store []byte   `json:"store"`
}

// What crypto/tls does with a server's certificates (handshake_client.go), without a handshake:
// most of the keys are gone.
func judge(q question) error {
	at, err := time.Parse(time.RFC3339, q.At)
	if err != nil {
		return err
	}
	certs := []*x509.Certificate{}
	for _, der := range q.Chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("tls: failed to parse certificate from server: %w", err)
		}
		certs = append(certs, cert)
	}
	roots, sent := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(q.Store)
	for _, cert := range certs[1:] {
		sent.AddCert(cert)
	}
	_, err = certs[0].Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: at, DNSName: q.Name, Intermediates: sent,
	})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
	}
	return nil
}

// Shakes hands with a server on this machine.
func dial(address string, q question) error {
	at, err := time.Parse(time.RFC3339, q.At)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(q.Store)
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	connection, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{
		RootCAs: roots, ServerName: q.Name, Time: func() time.Time { return at },
	})
	if err == nil {
		connection.Close()
	}
	return err
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			panic(err)
		}
		err := error(nil)
		if len(os.Args) > 1 {
			err = dial(os.Args[1], q)
		} else {
			err = judge(q)
		}
		if err == nil {
			fmt.Println("OK")
		} else {
			fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
}
