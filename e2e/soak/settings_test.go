package soak

import (
	"strings"
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	from := func(env ...string) (Settings, error) {
		return SettingsFrom(func(name string) string {
			for _, e := range env {
				if value, ok := strings.CutPrefix(e, name+"="); ok {
					return value
				}
			}
			return ""
		})
	}
	if s, err := from("SOAK=2m", "SOAK_SCHEDULE=restarts", "SOAK_SEED=7", "SOAK_BROKERS=3", "SOAK_RATE=1000"); err != nil || s != (Settings{2 * time.Minute, Restarts, 7, 3, 1000}) {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := from("SOAK=full"); err != nil || s.Duration != 0 || s.Schedule != Everything || s.Rate < 50_000 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, wrong := range []string{"SOAK=", "SOAK=long", "SOAK=-1m", "SOAK_SCHEDULE=all", "SOAK_SEED=x", "SOAK_BROKERS=2", "SOAK_RATE=0"} {
		if _, err := from(wrong, "SOAK=full"); err == nil || !strings.Contains(err.Error(), wrong+":") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
