package soak

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"time"
)

// Settings are those of one run.
type Settings struct {
	Duration time.Duration // of the whole run, about; 0: until the schedule's end
	Schedule string        // Everything or Restarts
	Seed     uint64
	Brokers  int
	Rate     float64 // lines a second of all producers together
}

// SettingsFrom reads them from the environment: SOAK is full or a duration, SOAK_SCHEDULE what breaks (everything, if not set),
// SOAK_SEED repeats a schedule, SOAK_BROKERS is how many brokers there are (3 where there are 4 processors, else 1), SOAK_RATE how
// many lines are published a second.
func SettingsFrom(getenv func(string) string) (s Settings, err error) {
	s = Settings{Schedule: Everything, Seed: uint64(rand.Uint32()), Brokers: 1, Rate: 66_000}
	if runtime.NumCPU() >= 4 {
		s.Brokers = 3
	}
	wrong := func(name, value, want string) error { return fmt.Errorf("%s=%s: want %s", name, value, want) }
	if text := getenv("SOAK"); text != "full" {
		if s.Duration, err = time.ParseDuration(text); err != nil || s.Duration <= 0 {
			return s, wrong("SOAK", text, "full or a duration such as 2m")
		}
	}
	if text := getenv("SOAK_SCHEDULE"); text != "" {
		if s.Schedule = text; text != Everything && text != Restarts {
			return s, wrong("SOAK_SCHEDULE", text, Everything+" or "+Restarts)
		}
	}
	if text := getenv("SOAK_SEED"); text != "" {
		if s.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return s, wrong("SOAK_SEED", text, "a number")
		}
	}
	if text := getenv("SOAK_BROKERS"); text != "" {
		if s.Brokers, err = strconv.Atoi(text); err != nil || s.Brokers != 1 && s.Brokers != 3 {
			return s, wrong("SOAK_BROKERS", text, "1 or 3")
		}
	}
	if text := getenv("SOAK_RATE"); text != "" {
		if s.Rate, err = strconv.ParseFloat(text, 64); err != nil || s.Rate <= 0 {
			return s, wrong("SOAK_RATE", text, "lines a second")
		}
	}
	return s, nil
}
