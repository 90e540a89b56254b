package dashboards

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func boards(t *testing.T) []Dashboard {
	t.Helper()
	all, err := Dashboards(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDashboards(t *testing.T) {
	uids := make(map[string]bool)
	for _, d := range boards(t) {
		t.Run(d.File, func(t *testing.T) {
			if d.UID == "" || uids[d.UID] {
				t.Errorf("uid %q is empty or another's", d.UID)
			}
			uids[d.UID] = true
			if d.Title == "" || d.Description == "" || d.Refresh == "" || d.Time.From == "" {
				t.Error("no title, description, refresh or time")
			}
			if d.SchemaVersion < 39 {
				t.Errorf("schema version %d is older than Grafana 11's, 39", d.SchemaVersion)
			}
			ids := make(map[int]bool)
			for i, p := range d.Panels {
				where := fmt.Sprintf("panel %d (%s)", p.ID, p.Title)
				if p.ID <= 0 || ids[p.ID] {
					t.Errorf("%s: id is 0 or another's", where)
				}
				ids[p.ID] = true
				for _, other := range d.Panels[:i] {
					if overlap(p, other) {
						t.Errorf("%s lies on panel %d", where, other.ID)
					}
				}
				if g := p.GridPos; g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
					t.Errorf("%s: outside the grid: %+v", where, g)
				}
				checkPanel(t, where, p)
			}
			for _, a := range d.Annotations.List {
				checkSource(t, "annotation "+a.Name, a.DataSource)
				if !a.Enable || a.Target.Expr == "" || a.TextFormat == "" {
					t.Errorf("annotation %s: off, or no expression or text", a.Name)
				}
			}
		})
	}
}

func overlap(a, b Panel) bool {
	p, q := a.GridPos, b.GridPos
	return p.X < q.X+q.W && q.X < p.X+p.W && p.Y < q.Y+q.H && q.Y < p.Y+p.H
}

func checkPanel(t *testing.T, where string, p Panel) {
	t.Helper()
	if p.Title == "" {
		t.Errorf("%s: no title", where)
	}
	if p.Type == "row" {
		if len(p.Panels) > 0 {
			t.Errorf("%s: collapsed, so that nobody sees what it holds, nor these tests", where)
		}
		return
	}
	if !slices.Contains([]string{"stat", "timeseries", "heatmap", "table", "state-timeline"}, p.Type) {
		t.Errorf("%s: type %q is none that these tests know", where, p.Type)
	}
	if len(p.Description) < 10 {
		t.Errorf("%s: no description", where)
	}
	unit := p.FieldConfig.Defaults.Unit
	if p.Type == "heatmap" {
		unit = p.Options.YAxis.Unit
	}
	if unit == "" {
		t.Errorf("%s: no unit", where)
	}
	checkSource(t, where, p.DataSource)
	refs := make(map[string]bool)
	for _, target := range p.Targets {
		if target.RefID == "" || refs[target.RefID] {
			t.Errorf("%s: query %q: refId is empty or another's", where, target.RefID)
		}
		refs[target.RefID] = true
		checkSource(t, where+": query "+target.RefID, target.DataSource)
		if target.Expr == "" || target.Range == target.Instant {
			t.Errorf("%s: query %s: no expression, or neither or both of range and instant", where, target.RefID)
		}
		if (target.Format == "heatmap") != (p.Type == "heatmap") || (target.Format == "table") != (p.Type == "table") {
			t.Errorf("%s: query %s: format %q", where, target.RefID, target.Format)
		}
	}
	if len(refs) == 0 {
		t.Errorf("%s: no query", where)
	}
}

func checkSource(t *testing.T, where string, s *DataSource) {
	t.Helper()
	if s == nil || *s != (DataSource{"prometheus", "prometheus"}) {
		t.Errorf("%s: data source %+v, want type and uid prometheus", where, s)
	}
}

var (
	instanceMatcher = regexp.MustCompile(`\binstance\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	address         = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+|:91\d\d\b`)
	variableUse     = regexp.MustCompile(`\$\{?(\w+)`)
	fixedRange      = regexp.MustCompile(`\[\s*\d[^\]]*\]`)
)

// Dashboards work for whatever instances there are, over any time, and leave both to the viewer.
func TestNothingHardCoded(t *testing.T) {
	for _, d := range boards(t) {
		if found := address.FindString(read(t, "deploy", "grafana", "dashboards", d.File)); found != "" {
			t.Errorf("%s: address %s", d.File, found)
		}
		variables := []string{"__rate_interval", "__interval", "__range"}
		for _, v := range d.Templating.List {
			variables = append(variables, v.Name)
			if v.Label == "" || v.Description == "" {
				t.Errorf("%s: variable %s: no label or description", d.File, v.Name)
			}
			if v.Type != "query" {
				continue
			}
			checkSource(t, d.File+": variable "+v.Name, v.DataSource)
			var query struct{ Query string }
			if err := json.Unmarshal(v.Query, &query); err != nil || query.Query != v.Definition {
				t.Errorf("%s: variable %s: query %s is not its definition %s: %v", d.File, v.Name, v.Query, v.Definition, err)
			}
			for _, use := range variableUse.FindAllStringSubmatch(v.Definition, -1) {
				if !slices.Contains(variables, use[1]) {
					t.Errorf("%s: variable %s: no variable %s before it", d.File, v.Name, use[1])
				}
			}
		}
		used := make(map[string]bool)
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				where := fmt.Sprintf("%s: panel %d (%s): %s", d.File, p.ID, p.Title, target.Expr)
				for _, m := range instanceMatcher.FindAllStringSubmatch(target.Expr, -1) {
					if m[1] != "=~" || m[2] != "$instance" {
						t.Errorf("%s: %s", where, m[0])
					}
				}
				if found := fixedRange.FindString(target.Expr); found != "" {
					t.Errorf("%s: range %s, not $window", where, found)
				}
				for _, v := range variableUse.FindAllStringSubmatch(target.Expr, -1) {
					used[v[1]] = true
					if !slices.Contains(variables, v[1]) {
						t.Errorf("%s: no variable %s", where, v[1])
					}
				}
			}
		}
		for _, must := range []string{"instance", "window"} {
			if !used[must] {
				t.Errorf("%s: no panel uses the variable %s", d.File, must)
			}
		}
	}
}

// The interval is Grafana's own, which fits the scrape interval and the width of the panel, unless a viewer chooses another.
func TestIntervalVariable(t *testing.T) {
	for _, d := range boards(t) {
		i := slices.IndexFunc(d.Templating.List, func(v Variable) bool { return v.Name == "window" })
		if i < 0 {
			t.Errorf("%s: no variable window", d.File)
			continue
		}
		v := d.Templating.List[i]
		if string(v.Current.Value) != `"$__rate_interval"` || !strings.Contains(string(v.Query), "auto : $__rate_interval,") {
			t.Errorf("%s: variable window is %s, chosen from %s: not auto", d.File, v.Current.Value, v.Query)
		}
	}
}

// The files are as jq or an editor would leave them: valid JSON, no key twice.
func TestNoKeyTwice(t *testing.T) {
	for _, d := range boards(t) {
		decoder := json.NewDecoder(strings.NewReader(read(t, "deploy", "grafana", "dashboards", d.File)))
		if err := keysOnce(decoder, ""); err != nil {
			t.Errorf("%s: %v", d.File, err)
		}
	}
}

func keysOnce(d *json.Decoder, path string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		keys := make(map[string]bool)
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return err
			}
			k := key.(string)
			if keys[k] {
				return fmt.Errorf("%s/%s is there twice", path, k)
			}
			keys[k] = true
			if err := keysOnce(d, path+"/"+k); err != nil {
				return err
			}
		}
		_, err = d.Token()
	case json.Delim('['):
		for i := 0; d.More(); i++ {
			if err := keysOnce(d, fmt.Sprintf("%s/%d", path, i)); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}
