package standalone

import (
	"reflect"
	"slices"
	"testing"

	printer "wordcount/consumer-printer"
	"wordcount/counter"
	"wordcount/internal/service"
	"wordcount/producer"
)

// settings returns the tags of a config's settings by the name of their environment variable.
func settings(t reflect.Type, found map[string]reflect.StructTag) map[string]reflect.StructTag {
	for i := range t.NumField() {
		f := t.Field(i)
		_, embed := f.Tag.Lookup("embed")
		switch {
		case f.Tag.Get("env") != "":
			found[f.Tag.Get("env")] = f.Tag
		case f.Type.Kind() == reflect.Struct && (f.Anonymous || embed):
			settings(f.Type, found)
		}
	}
	return found
}

// A setting that a service gets is one of the whole, too, with the same flag, default and help.
func TestSettingsAreTheUnion(t *testing.T) {
	elsewhere := []string{ // a broker elsewhere
		"KAFKA_BROKERS", "REPLICATION_FACTOR", "KAFKA_TLS", "KAFKA_TLS_CA", "KAFKA_TLS_CERT", "KAFKA_TLS_KEY",
		"KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "KAFKA_SASL_PASSWORD_FILE",
	}
	senseless := []string{ // topics that are there at the start
		"AVAILABLE_NOW", "FROM_BEGINNING",
	}
	got := settings(reflect.TypeFor[Config](), map[string]reflect.StructTag{})
	want := map[string]reflect.StructTag{}
	for _, t := range []reflect.Type{reflect.TypeFor[producer.Config](), reflect.TypeFor[counter.Config](), reflect.TypeFor[printer.Config]()} {
		settings(t, want)
	}
	for env, tag := range want {
		switch _, there := got[env]; {
		case slices.Contains(elsewhere, env) || slices.Contains(senseless, env):
			if there {
				t.Errorf("%s makes no sense here", env)
			}
		case !there:
			t.Errorf("%s is missing", env)
		case got[env] != tag:
			t.Errorf("%s:\n%s\nis in the service\n%s", env, got[env], tag)
		}
	}
	for env := range got {
		if _, there := want[env]; !there && env != "BROKER_ADDR" {
			t.Errorf("%s is no service's", env)
		}
	}
}

func TestValidate(t *testing.T) {
	valid := testConfig(t)
	if err := valid.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"broker-addr":   func(c *Config) { c.BrokerAddr = "nowhere" },
		"lines-topic":   func(c *Config) { c.LinesTopic = "a topic" },
		"batches-topic": func(c *Config) { c.BatchesTopic = c.LinesTopic },
		"shuffle-topic": func(c *Config) { c.Counter.ShuffleTopic = c.CountsTopic },
	} {
		cfg := valid
		spoil(&cfg)
		var usage *service.UsageError
		if err := cfg.Validate(); !asUsage(err, &usage) {
			t.Errorf("wrong --%s: %v", name, err)
		}
	}
}
