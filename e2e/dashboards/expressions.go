package dashboards

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Expression is PromQL that a panel, a variable, an annotation or a rule evaluates, with every variable of Grafana in place.
type Expression struct {
	Where  string // for people: file and title
	Expr   string
	Legend string // of a panel's query: {{label}} stands for a label's value

	// Quiet says why there is no data while all is well, empty where there must be data in the default run: producer, counter
	// and printer of docker-compose.yml for a minute.
	Quiet string
}

// quietAnnotations have nothing to show while nothing happens.
var quietAnnotations = map[string]string{
	"Rebalance": "only for 20 s after a counter joined another generation",
}

// What Grafana puts in place of its own variables in a panel of 15 minutes, with the data source's timeInterval of 5 s.
var grafana = strings.NewReplacer("${__rate_interval}", "20s", "$__rate_interval", "20s", "$__interval", "5s", "$__range", "15m")

// What the values of a variable are made of.
var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// Expressions returns all expressions of the checkout at root.
func Expressions(root string) ([]Expression, error) {
	boards, err := Dashboards(root)
	if err != nil {
		return nil, err
	}
	rules, err := Rules(root)
	if err != nil {
		return nil, err
	}
	var all []Expression
	for _, rule := range rules {
		e := Expression{Where: rule.File + ": " + rule.Name(), Expr: rule.Expr}
		if rule.Alert != "" {
			e.Quiet = "an alert that does not fire"
		}
		all = append(all, e)
	}
	for _, d := range boards {
		variables, err := d.defaults()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.File, err)
		}
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			values := labelValues.FindStringSubmatch(v.Definition)
			if values == nil {
				return nil, fmt.Errorf("%s: variable %s: %q is not label_values(series, label)", d.File, v.Name, v.Definition)
			}
			all = append(all, Expression{Where: d.File + ": variable " + v.Name, Expr: variables(values[1]), Legend: "{{" + values[2] + "}}"})
		}
		for _, a := range d.Annotations.List {
			all = append(all, Expression{Where: d.File + ": annotation " + a.Name, Expr: variables(a.Target.Expr), Legend: a.TextFormat, Quiet: quietAnnotations[a.Name]})
		}
		for _, p := range d.Panels {
			for _, t := range p.Targets {
				all = append(all, Expression{Where: fmt.Sprintf("%s: panel %d, %s, query %s", d.File, p.ID, p.Title, t.RefID), Expr: variables(t.Expr), Legend: t.LegendFormat})
			}
		}
	}
	return all, nil
}

// defaults returns a function that puts the variables' values in place which they have when the dashboard is opened.
func (d Dashboard) defaults() (func(expr string) string, error) {
	var pairs []string
	for _, v := range d.Templating.List {
		value := v.AllValue
		if value == "" {
			if err := json.Unmarshal(v.Current.Value, &value); err != nil {
				return nil, fmt.Errorf("variable %s: neither allValue nor a current value that is a text: %w", v.Name, err)
			}
		}
		pairs = append(pairs, "${"+v.Name+"}", value, "$"+v.Name, value)
	}
	own := strings.NewReplacer(pairs...)
	return func(expr string) string { return grafana.Replace(own.Replace(expr)) }, nil
}
