package dashboards

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Dashboard is a file of deploy/grafana/dashboards.
type Dashboard struct {
	File          string `json:"-"` // its name without the folder
	UID           string
	Title         string
	Description   string
	Tags          []string
	SchemaVersion int
	Refresh       string
	Time          struct{ From, To string }
	Links         []Link
	Annotations   struct{ List []Annotation }
	Templating    struct{ List []Variable }
	Panels        []Panel
}

// Link is a dashboard's or a panel's.
type Link struct {
	Type, Title, URL string
	Tags             []string
}

// DataSource refers to a data source by its uid.
type DataSource struct{ Type, UID string }

// Annotation marks events in all panels.
type Annotation struct {
	Name       string
	Enable     bool
	DataSource *DataSource
	Target     Target
	TextFormat string
}

// Variable is a choice above the dashboard.
type Variable struct {
	Type, Name, Label, Description string
	DataSource                     *DataSource
	Definition                     string          // what a variable of type query asks
	Query                          json.RawMessage // the same again, in an object; of other types their choices, a string
	AllValue                       string
	Current                        struct{ Value json.RawMessage }
}

// Panel is a row's title where Type is "row".
type Panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ H, W, X, Y int }
	DataSource               *DataSource
	FieldConfig              struct {
		Defaults struct{ Unit string }
	}
	Options struct {
		YAxis struct{ Unit string } // of a heat map
	}
	Links   []Link
	Targets []Target
	Panels  []Panel // of a collapsed row
}

// Target is a query.
type Target struct {
	RefID        string
	DataSource   *DataSource
	Expr         string
	LegendFormat string
	Format       string
	Range        bool
	Instant      bool
}

// Dashboards reads the dashboards of the checkout at root.
func Dashboards(root string) ([]Dashboard, error) {
	files, err := filepath.Glob(filepath.Join(root, "deploy", "grafana", "dashboards", "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no dashboards in %s/deploy/grafana/dashboards", root)
	}
	var all []Dashboard
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		d := Dashboard{File: filepath.Base(file)}
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("parse %s: %w", file, err)
		}
		all = append(all, d)
	}
	return all, nil
}
