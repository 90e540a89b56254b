package dashboards

import (
	"fmt"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"
)

// Rule is a recording rule, or an alert rule where Alert is set.
type Rule struct {
	File, Group string `yaml:"-"`

	Record      string
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

// Name is the metric that a rule records, or the alert's name.
func (r Rule) Name() string {
	if r.Alert != "" {
		return r.Alert
	}
	return r.Record
}

// Rules reads the rules of the checkout at root, in order.
func Rules(root string) ([]Rule, error) {
	files, err := filepath.Glob(filepath.Join(root, "deploy", "prometheus", "rules", "*.yml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no rules in %s/deploy/prometheus/rules", root)
	}
	var all []Rule
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var content struct {
			Groups []struct {
				Name  string
				Rules []Rule
			}
		}
		if err := yaml.Unmarshal(text, &content); err != nil {
			return nil, fmt.Errorf("parse %s: %w", file, err)
		}
		for _, group := range content.Groups {
			for _, rule := range group.Rules {
				rule.File, rule.Group = filepath.Base(file), group.Name
				all = append(all, rule)
			}
		}
	}
	return all, nil
}
