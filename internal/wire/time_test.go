package wire

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestAppendTime(t *testing.T) {
	for _, tc := range []struct {
		ms   int64
		want string
	}{
		{1769030725000, "2026-01-21T21:25:25Z"},
		{1769030725100, "2026-01-21T21:25:25.1Z"},
		{1769030725120, "2026-01-21T21:25:25.12Z"},
		{1769030725123, "2026-01-21T21:25:25.123Z"},
		{1769030725003, "2026-01-21T21:25:25.003Z"},
		{1769030725020, "2026-01-21T21:25:25.02Z"},
		{0, "1970-01-01T00:00:00Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{951782399999, "2000-02-28T23:59:59.999Z"},
		{951782400000, "2000-02-29T00:00:00Z"},
		{minTime, "0000-01-01T00:00:00Z"},
		{minTime - 1, "0000-01-01T00:00:00Z"},
		{math.MinInt64, "0000-01-01T00:00:00Z"},
		{maxTime, "9999-12-31T23:59:59.999Z"},
		{maxTime + 1, "9999-12-31T23:59:59.999Z"},
		{math.MaxInt64, "9999-12-31T23:59:59.999Z"},
	} {
		if got := string(AppendTime([]byte("<"), tc.ms)); got != "<"+tc.want {
			t.Errorf("AppendTime(%d) = %q, want %q", tc.ms, got[1:], tc.want)
		}
	}
}

// Days of all years, and times of day at random: as package time writes them, and read back.
func TestTimeAgreesWithPackageTime(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for day := int64(minTime / msPerDay); day <= maxTime/msPerDay; day += 1 + random.Int64N(10) {
		ms := day*msPerDay + random.Int64N(msPerDay)
		got := AppendTime(nil, ms)
		if want := time.UnixMilli(ms).UTC().Format(time.RFC3339Nano); string(got) != want {
			t.Fatalf("AppendTime(%d) = %q, want %q", ms, got, want)
		}
		if back, n, ok := scanTime(got); back != ms || n != len(got) || !ok {
			t.Fatalf("scanTime(%q) = %d, %d, %t, want %d", got, back, n, ok, ms)
		}
	}
}

func TestParseTime(t *testing.T) {
	for _, tc := range []struct {
		s    string
		want string // as AppendTime writes it, "" when refused
	}{
		{"2026-01-21T21:25:25Z", "2026-01-21T21:25:25Z"},
		{"2026-01-21T21:25:25.100Z", "2026-01-21T21:25:25.1Z"},
		{"2026-01-21T21:25:25.000000Z", "2026-01-21T21:25:25Z"},
		{"2026-01-21T22:25:25+01:00", "2026-01-21T21:25:25Z"},
		{"2026-01-21T21:25:25.0001Z", ""},
		{"2026-02-29T21:25:25Z", ""},
		{"2000-02-29T21:25:25Z", "2000-02-29T21:25:25Z"},
		{"2100-02-29T21:25:25Z", ""},
		{"2026-04-31T21:25:25Z", ""},
		{"2026-13-01T21:25:25Z", ""},
		{"2026-01-21T24:00:00Z", ""},
		{"2026-01-21T21:60:25Z", ""},
		{"2026-01-21T21:25:60Z", ""},
		{"2026-01-21 21:25:25Z", ""},
		{"2026-01-21T21:25:25", ""},
		{"2026-01-21T21:25:25.Z", ""},
		{"0000-01-01T00:00:00+01:00", ""},
		{"", ""},
	} {
		ms, ok := parseTime(tc.s)
		if ok != (tc.want != "") || ok && string(AppendTime(nil, ms)) != tc.want {
			t.Errorf("parseTime(%q) = %q, %t, want %q", tc.s, AppendTime(nil, ms), ok, tc.want)
		}
	}
}

func FuzzScanTime(f *testing.F) {
	f.Add("2026-01-21T21:25:25.123Z")
	f.Add("2026-02-29T21:25:25Z")
	f.Add("2026-01-21T21:25:25.10Z")
	f.Fuzz(func(t *testing.T, s string) {
		ms, n, ok := scanTime([]byte(s))
		if !ok {
			return
		}
		if got := string(AppendTime(nil, ms)); got != s[:n] {
			t.Errorf("scanTime(%q) read %q", s, got)
		}
		if want, err := time.Parse(time.RFC3339Nano, s[:n]); err != nil || want.UnixMilli() != ms {
			t.Errorf("scanTime(%q) = %d, package time says %v, %v", s, ms, want, err)
		}
	})
}
