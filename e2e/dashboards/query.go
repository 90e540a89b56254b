package dashboards

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Query has a Prometheus (http://host:port) evaluate an expression now, and returns how many of the series that come out have a
// value: a number other than NaN, or a histogram.
func Query(ctx context.Context, prometheus, expr string) (values int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("evaluate %s: %w", expr, err)
		}
	}()
	body := strings.NewReader(url.Values{"query": {expr}}.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, prometheus+"/api/v1/query", body)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, fmt.Errorf("answer %s: %w", response.Status, err)
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("%s", answer.Error)
	}
	if answer.Data.ResultType != "vector" {
		return 0, fmt.Errorf("it is a %s, not a vector", answer.Data.ResultType)
	}
	var vector []struct {
		Value     []any // time, number as a text
		Histogram []any
	}
	if err := json.Unmarshal(answer.Data.Result, &vector); err != nil {
		return 0, err
	}
	for _, series := range vector {
		if series.Histogram != nil || len(series.Value) == 2 && series.Value[1] != "NaN" {
			values++
		}
	}
	return values, nil
}

// WithoutData evaluates the expressions that must have data while all is well, and returns those that have none, each as a line
// for people.
func WithoutData(ctx context.Context, prometheus string, expressions []Expression) ([]string, error) {
	var missing []string
	for _, e := range expressions {
		values, err := Query(ctx, prometheus, e.Expr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Where, err)
		}
		if values == 0 && e.Quiet == "" {
			missing = append(missing, e.Where+": "+e.Expr)
		}
	}
	return missing, nil
}
