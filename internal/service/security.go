package service

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"wordcount/internal/kafkaio"
)

// TLS holds the settings of TLS connections to brokers.
type TLS struct {
	Enabled bool   `name:"tls" group:"security" env:"KAFKA_TLS" help:"Connect with TLS."`
	CA      string `name:"tls-ca" group:"security" env:"KAFKA_TLS_CA" placeholder:"FILE" help:"PEM file of the authorities that sign the brokers' certificates; the system's when it is not set."`
	Cert    string `name:"tls-cert" group:"security" env:"KAFKA_TLS_CERT" placeholder:"FILE" help:"PEM file of the client's certificate, for brokers that ask for one."`
	Key     string `name:"tls-key" group:"security" env:"KAFKA_TLS_KEY" placeholder:"FILE" help:"PEM file of the client's private key."`
}

// SASL holds the credentials that brokers ask for.
type SASL struct {
	Mechanism    string `name:"sasl-mechanism" group:"security" env:"KAFKA_SASL_MECHANISM" placeholder:"NAME" help:"plain, scram-sha-256 or scram-sha-512; no authentication when it is not set."`
	Username     string `name:"sasl-username" group:"security" env:"KAFKA_SASL_USERNAME" placeholder:"NAME" help:"User name."`
	Password     Secret `name:"sasl-password" group:"security" env:"KAFKA_SASL_PASSWORD" placeholder:"SECRET" help:"Password. A flag is visible to every user of the machine, a file or the environment is not."`
	PasswordFile string `name:"sasl-password-file" group:"security" env:"KAFKA_SASL_PASSWORD_FILE" placeholder:"FILE" help:"File that holds the password; a line end after it does not count."`
}

// Secret is a string that no formatting, log or JSON shows.
type Secret string

const hidden = "(hidden)"

func (Secret) String() string               { return hidden }
func (Secret) GoString() string             { return hidden }
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// ClientConfig returns the configuration of this service's Kafka client. Its TLS configuration reads the client's
// certificate anew for each connection, so that a renewed one needs no restart. Errors are *UsageErrors.
func (k *Kafka) ClientConfig(clientID string, log *slog.Logger) (kafkaio.Config, error) {
	tlsConfig, err := k.TLS.config()
	if err != nil {
		return kafkaio.Config{}, err
	}
	mechanism, err := k.SASL.mechanism()
	if err != nil {
		return kafkaio.Config{}, err
	}
	if mechanism != nil && tlsConfig == nil && mechanism.Name() == (plain.Mechanism{}).Name() {
		log.Warn("the password goes to the brokers unencrypted: add --tls, or take a scram mechanism", "sasl-mechanism", "plain")
	}
	return kafkaio.Config{Brokers: k.Brokers, ClientID: clientID, TLS: tlsConfig, SASL: mechanism, Logger: log}, nil
}

// config returns nil when TLS is off.
func (t *TLS) config() (*tls.Config, error) {
	if !t.Enabled {
		for _, setting := range []struct{ flag, value string }{{"tls-ca", t.CA}, {"tls-cert", t.Cert}, {"tls-key", t.Key}} {
			if setting.value != "" {
				return nil, Usagef("--%s is %q, but connections are plain: add --tls", setting.flag, setting.value)
			}
		}
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, unreadable("tls-ca", t.CA, err, "a file of PEM certificates")
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, WrongValue("tls-ca", t.CA, "a file of PEM certificates; it holds none")
		}
	}
	switch {
	case t.Cert != "" && t.Key == "":
		return nil, Usagef("--tls-cert is %q, but its private key is missing: set --tls-key too", t.Cert)
	case t.Key != "" && t.Cert == "":
		return nil, Usagef("--tls-key is %q, but its certificate is missing: set --tls-cert too", t.Key)
	case t.Cert != "":
		if err := t.checkKeyPair(); err != nil {
			return nil, err
		}
		cert, key := t.Cert, t.Key
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cert, key)
			if err != nil {
				return nil, fmt.Errorf("read the client's certificate for a connection: %w", err)
			}
			return &pair, nil
		}
	}
	return config, nil
}

func (t *TLS) checkKeyPair() error {
	cert, err := os.ReadFile(t.Cert)
	if err != nil {
		return unreadable("tls-cert", t.Cert, err, "a file with a PEM certificate")
	}
	key, err := os.ReadFile(t.Key)
	if err != nil {
		return unreadable("tls-key", t.Key, err, "a file with a PEM private key")
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return Usagef("--tls-cert %q and --tls-key %q are not accepted: want a PEM certificate and its private key: %w", t.Cert, t.Key, err)
	}
	return nil
}

// mechanism returns nil when authentication is off.
func (s *SASL) mechanism() (sasl.Mechanism, error) {
	name := strings.ToLower(s.Mechanism)
	switch name {
	case "":
		for _, setting := range []struct {
			flag string
			set  bool
		}{{"sasl-username", s.Username != ""}, {"sasl-password", s.Password != ""}, {"sasl-password-file", s.PasswordFile != ""}} {
			if setting.set {
				return nil, Usagef("--%s is set, but no mechanism: set --sasl-mechanism to plain, scram-sha-256 or scram-sha-512", setting.flag)
			}
		}
		return nil, nil
	case "plain", "scram-sha-256", "scram-sha-512":
	default:
		return nil, WrongValue("sasl-mechanism", s.Mechanism, "plain, scram-sha-256 or scram-sha-512")
	}
	if s.Username == "" {
		return nil, Usagef("--sasl-mechanism is %q, but the user name is missing: set --sasl-username", s.Mechanism)
	}
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	var mechanism sasl.Mechanism
	switch name {
	case "plain":
		mechanism = plain.Mechanism{Username: s.Username, Password: password}
	case "scram-sha-256":
		mechanism, err = scram.Mechanism(scram.SHA256, s.Username, password)
	case "scram-sha-512":
		mechanism, err = scram.Mechanism(scram.SHA512, s.Username, password)
	}
	if err != nil { // err itself quotes characters of the password
		return nil, Usagef("--sasl-username or --sasl-password has characters that SCRAM does not allow (RFC 4013): want no control characters, no unassigned ones")
	}
	return discreet{mechanism}, nil
}

func (s *SASL) password() (string, error) {
	switch {
	case s.Password != "" && s.PasswordFile != "":
		return "", Usagef("--sasl-password and --sasl-password-file %q are both set: want one of them", s.PasswordFile)
	case s.Password != "":
		return string(s.Password), nil
	case s.PasswordFile == "":
		return "", Usagef("--sasl-mechanism is %q, but the password is missing: set --sasl-password or --sasl-password-file", s.Mechanism)
	}
	content, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return "", unreadable("sasl-password-file", s.PasswordFile, err, "a file that holds the password")
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if password == "" {
		return "", WrongValue("sasl-password-file", s.PasswordFile, "a file that holds the password; it is empty")
	}
	return password, nil
}

// discreet is a mechanism that shows its name and not its password when something prints it.
type discreet struct{ sasl.Mechanism }

func (d discreet) String() string               { return d.Name() }
func (d discreet) GoString() string             { return d.Name() }
func (d discreet) MarshalText() ([]byte, error) { return []byte(d.Name()), nil }
