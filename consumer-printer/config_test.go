package printer

import (
	"errors"
	"strings"
	"testing"

	"wordcount/internal/service"
)

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		change func(c *Settings)
		want   string // "" when accepted
	}{
		{func(c *Settings) {}, ""},
		{func(c *Settings) { c.Format = "json" }, ""},
		{func(c *Settings) { c.Format = "table" }, ""},
		{func(c *Settings) { c.Format = "xml" }, `--format: "xml" is not accepted`},
		{func(c *Settings) { c.Format = "" }, `--format: "" is not accepted`},
		{func(c *Settings) { c.Num = 0 }, ""},
		{func(c *Settings) { c.Num = -1 }, `--num: "-1" is not accepted`},
		{func(c *Settings) { c.Sort = "word" }, ""},
		{func(c *Settings) { c.Sort = "length" }, `--sort: "length" is not accepted`},
		{func(c *Settings) { c.Filter = " spark  stream* " }, ""},
		{func(c *Settings) { c.TimeZone = "" }, ""},
		{func(c *Settings) { c.TimeZone = "Local" }, ""},
		{func(c *Settings) { c.TimeZone = "Asia/Tokyo" }, ""},
		{func(c *Settings) { c.TimeZone = "Mars/Olympus" }, `--time-zone: "Mars/Olympus" is not accepted`},
		{func(c *Settings) { c.TimeZone = "../etc/passwd" }, `--time-zone: "../etc/passwd" is not accepted`},
	} {
		c := Settings{Format: "pprint", Num: 10, Sort: "count", TimeZone: "UTC"}
		tc.change(&c)
		err := c.Validate()
		var usage *service.UsageError
		if tc.want == "" && err != nil || tc.want != "" && (!errors.As(err, &usage) || !strings.HasPrefix(err.Error(), tc.want)) {
			t.Errorf("%q %d %q: %v, want %q", c.Format, c.Num, c.TimeZone, err, tc.want)
		}
	}
}
