package service

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t), cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.file = file(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue returns PEM of a certificate and its key.
func (a *authority) issue(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// handshake connects to a server that asks for a client's certificate, as a broker of the authority's, and returns the
// name in it.
func handshake(t *testing.T, a *authority, config *tls.Config) (client string, err error) {
	t.Helper()
	cert, key := a.issue(t, "broker")
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	pem, err := os.ReadFile(a.file)
	if err != nil || !clients.AppendCertsFromPEM(pem) {
		t.Fatal("authority's file", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
	served := make(chan error, 1)
	go func() {
		served <- server.Handshake()
		theirs.Close()
	}()
	config = config.Clone()
	config.ServerName = "broker"
	if err := tls.Client(ours, config).Handshake(); err != nil {
		ours.Close()
		<-served
		return "", err
	}
	if err := <-served; err != nil {
		return "", err
	}
	return server.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func TestTLS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	cert, key := ours.issue(t, "first")
	certFile, keyFile := file(t, "cert.pem", cert), file(t, "key.pem", key)
	config := func(args ...string) *tls.Config {
		t.Helper()
		sample, _, err := parse(t, nil, append(args, "--tls")...)
		if err != nil {
			t.Fatal(err)
		}
		client, err := sample.ClientConfig("", slog.New(slog.DiscardHandler))
		if err != nil || client.TLS == nil {
			t.Fatal(client.TLS, err)
		}
		return client.TLS
	}
	mutual := config("--tls-ca="+ours.file, "--tls-cert="+certFile, "--tls-key="+keyFile)
	if client, err := handshake(t, ours, mutual); client != "first" || err != nil {
		t.Errorf("the broker saw %q, error %v", client, err)
	}
	if _, err := handshake(t, ours, config("--tls-ca="+others.file)); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a broker of another authority: error %v", err)
	}
	if _, err := handshake(t, ours, config()); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("with the system's authorities: error %v", err)
	}
	if _, err := handshake(t, ours, config("--tls-ca="+ours.file)); err == nil {
		t.Error("a client without certificate was let in")
	}

	cert, key = ours.issue(t, "renewed")
	if err := os.WriteFile(certFile, []byte(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	if client, err := handshake(t, ours, mutual); client != "renewed" || err != nil {
		t.Errorf("after renewal the broker saw %q, error %v", client, err)
	}
}

func TestWrongTLSSettings(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue(t, "one")
	_, otherKey := a.issue(t, "two")
	certFile, keyFile, otherKeyFile := file(t, "cert.pem", cert), file(t, "key.pem", key), file(t, "other.pem", otherKey)
	missing := filepath.Join(t.TempDir(), "missing")
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"--tls", "--tls-ca=" + missing}, fmt.Sprintf(`--tls-ca: %q is not accepted: want a file of PEM certificates: no such file or directory`, missing)},
		{[]string{"--tls", "--tls-ca=" + keyFile}, fmt.Sprintf(`--tls-ca: %q is not accepted: want a file of PEM certificates; it holds none`, keyFile)},
		{[]string{"--tls", "--tls-cert=" + certFile}, fmt.Sprintf(`--tls-cert is %q, but its private key is missing: set --tls-key too`, certFile)},
		{[]string{"--tls", "--tls-key=" + keyFile}, fmt.Sprintf(`--tls-key is %q, but its certificate is missing: set --tls-cert too`, keyFile)},
		{[]string{"--tls", "--tls-cert=" + missing, "--tls-key=" + keyFile}, fmt.Sprintf(`--tls-cert: %q is not accepted: want a file with a PEM certificate: no such file or directory`, missing)},
		{[]string{"--tls", "--tls-cert=" + certFile, "--tls-key=" + missing}, fmt.Sprintf(`--tls-key: %q is not accepted: want a file with a PEM private key: no such file or directory`, missing)},
		{[]string{"--tls", "--tls-cert=" + certFile, "--tls-key=" + otherKeyFile}, fmt.Sprintf(`--tls-cert %q and --tls-key %q are not accepted: want a PEM certificate and its private key: tls: private key does not match public key`, certFile, otherKeyFile)},
		{[]string{"--tls-cert=" + certFile}, fmt.Sprintf(`--tls-cert is %q, but connections are plain: add --tls`, certFile)},
		{[]string{"--tls-key=" + keyFile}, fmt.Sprintf(`--tls-key is %q, but connections are plain: add --tls`, keyFile)},
	}
	for _, test := range tests {
		if _, _, err := parse(t, nil, test.args...); fmt.Sprint(err) != test.want {
			t.Errorf("%q:\ngot  %v\nwant %s", test.args, err, test.want)
		}
	}
}
