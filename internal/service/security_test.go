package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go/sasl/plain"
)

const password = "pa55 wörd,\\"

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSASLMechanisms(t *testing.T) {
	for setting, name := range map[string]string{
		"": "", "plain": "PLAIN", "PLAIN": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "SCRAM-SHA-512": "SCRAM-SHA-512",
	} {
		var args []string
		if setting != "" {
			args = []string{"--sasl-mechanism=" + setting, "--sasl-username=bob", "--sasl-password=" + password}
		}
		config, _, err := parse(t, nil, args...)
		if err != nil {
			t.Fatal(err)
		}
		client, err := config.ClientConfig("sample-1", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case name == "" && client.SASL != nil:
			t.Errorf("no mechanism set, got %v", client.SASL)
		case name != "" && client.SASL.Name() != name:
			t.Errorf("%s: got %v", setting, client.SASL)
		}
		if client.ClientID != "sample-1" || client.TLS != nil || client.Logger == nil || len(client.Brokers) != 1 || client.Brokers[0] != "localhost:9092" {
			t.Errorf("got %+v", client)
		}
	}
}

// What the broker gets, from each place that a password may be in.
func TestPassword(t *testing.T) {
	tests := []struct {
		from, want string
		env        variables
		args       []string
	}{
		{from: "flag", want: password, args: []string{"--sasl-password", password}},
		{from: "environment", want: password, env: variables{"KAFKA_SASL_PASSWORD": password}},
		{from: "file", want: password, args: []string{"--sasl-password-file", file(t, "p", password)}},
		{from: "file with line end", want: password, args: []string{"--sasl-password-file", file(t, "p", password+"\n")}},
		{from: "file from Windows", want: password, args: []string{"--sasl-password-file", file(t, "p", password+"\r\n")}},
		{from: "file with spaces", want: " p \n", env: variables{"KAFKA_SASL_PASSWORD_FILE": file(t, "p", " p \n\n")}},
	}
	for _, test := range tests {
		config, _, err := parse(t, test.env, append(test.args, "--sasl-mechanism=plain", "--sasl-username=bob")...)
		if err != nil {
			t.Errorf("from %s: %v", test.from, err)
			continue
		}
		client, err := config.ClientConfig("", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("from %s: %v", test.from, err)
			continue
		}
		_, sent, err := client.SASL.Start(context.Background())
		if want := "\x00bob\x00" + test.want; string(sent) != want || err != nil {
			t.Errorf("from %s: sent %q, want %q, error %v", test.from, sent, want, err)
		}
	}
}

func TestPasswordIsShownNowhere(t *testing.T) {
	const secret = "s3cret"
	var shown bytes.Buffer
	p, config := sample(func(_ context.Context, c *sampleConfig) error {
		client, err := c.ClientConfig("", c.Runtime.Log)
		if err != nil {
			return err
		}
		c.Runtime.Log.Info("config", "config", *c, "kafka", c.Kafka, "sasl", client.SASL, "password", c.SASL.Password)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(c.Runtime.Stdout, verb+verb+verb+"\n", c.Kafka, c.SASL.Password, client.SASL)
		}
		return json.NewEncoder(c.Runtime.Stdout).Encode(c.Kafka)
	})
	run := func(env variables, args ...string) int {
		return p.start(host{args: append(args, "--metrics-addr="), lookupEnv: env.lookup, stdout: &shown, stderr: &shown})
	}
	env := variables{"KAFKA_SASL_PASSWORD": secret, "KAFKA_SASL_USERNAME": "bob", "KAFKA_SASL_MECHANISM": "plain"}
	if run(env) != exitGraceful || string(config.SASL.Password) != secret || !strings.Contains(shown.String(), hidden) {
		t.Errorf("the process didn't show its config: %s", shown.String())
	}
	for status, args := range map[int][][]string{
		exitGraceful: {{"--log-format=json"}, {"--help"}, {"--version"}},
		exitUsage: {
			{"--sasl-password-file=x"}, {"--sasl-mechanism=scram"}, {"--sasl-username="},
			{"--sasl-password=" + secret, "--sasl-pasword=" + secret}, {"--sasl-password", "-" + secret}, {"--sasl-password", "--" + secret},
			{"--sasl-mechanism=scram-sha-256", "--sasl-password=" + secret + "\u0007"},
		},
	} {
		for _, args := range args {
			if got := run(env, args...); got != status {
				t.Errorf("%q: status %d, want %d", args, got, status)
			}
		}
	}
	for line := range strings.Lines(shown.String()) {
		for _, text := range []string{secret, "733363726574", "0x73, 0x33"} { // %x, %#v of bytes
			if strings.Contains(line, text) {
				t.Errorf("the password is shown as %s: %s", text, line)
			}
		}
	}
}

func TestWrongSASLSettings(t *testing.T) {
	empty, full := file(t, "empty", "\n"), file(t, "full", password)
	missing := filepath.Join(t.TempDir(), "missing")
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"--sasl-mechanism=gssapi"}, `--sasl-mechanism: "gssapi" is not accepted: want plain, scram-sha-256 or scram-sha-512`},
		{[]string{"--sasl-mechanism=plain", "--sasl-password=p"}, `--sasl-mechanism is "plain", but the user name is missing: set --sasl-username`},
		{[]string{"--sasl-mechanism=plain", "--sasl-username=u"}, `--sasl-mechanism is "plain", but the password is missing: set --sasl-password or --sasl-password-file`},
		{[]string{"--sasl-mechanism=plain", "--sasl-username=u", "--sasl-password=p", "--sasl-password-file=" + full}, fmt.Sprintf(`--sasl-password and --sasl-password-file %q are both set: want one of them`, full)},
		{[]string{"--sasl-mechanism=plain", "--sasl-username=u", "--sasl-password-file=" + empty}, fmt.Sprintf(`--sasl-password-file: %q is not accepted: want a file that holds the password; it is empty`, empty)},
		{[]string{"--sasl-mechanism=plain", "--sasl-username=u", "--sasl-password-file=" + missing}, fmt.Sprintf(`--sasl-password-file: %q is not accepted: want a file that holds the password: no such file or directory`, missing)},
		{[]string{"--sasl-mechanism=scram-sha-512", "--sasl-username=u", "--sasl-password=\a"}, `--sasl-username or --sasl-password has characters that SCRAM does not allow (RFC 4013): want no control characters, no unassigned ones`},
		{[]string{"--sasl-password=p"}, `--sasl-password is set, but no mechanism: set --sasl-mechanism to plain, scram-sha-256 or scram-sha-512`},
		{[]string{"--sasl-password-file=p"}, `--sasl-password-file is set, but no mechanism: set --sasl-mechanism to plain, scram-sha-256 or scram-sha-512`},
	}
	for _, test := range tests {
		if _, _, err := parse(t, nil, test.args...); fmt.Sprint(err) != test.want {
			t.Errorf("%q:\ngot  %v\nwant %s", test.args, err, test.want)
		}
	}
}

func TestPlainPasswordWithoutTLSIsWarnedOf(t *testing.T) {
	for args, warned := range map[string]bool{"plain": true, "plain --tls": false, "scram-sha-256": false} {
		config, _, err := parse(t, nil, strings.Fields("--sasl-username=u --sasl-password=p --sasl-mechanism="+args)...)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		if _, err := config.ClientConfig("", slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "unencrypted"); got != warned {
			t.Errorf("%s: warned %t: %s", args, got, log.String())
		}
	}
	if name := (plain.Mechanism{}).Name(); name != "PLAIN" {
		t.Errorf("kafka-go calls it %s", name)
	}
}
