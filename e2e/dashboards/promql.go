package dashboards

import (
	"regexp"
	"slices"
)

// promql splits PromQL into what the tests care for: texts, ranges, names and everything else one character at a time.
var promql = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|'(?:[^'\\\\]|\\\\.)*'|`[^`]*`|\\[[^\\]]*\\]|[0-9][0-9a-zA-Z_.]*|[a-zA-Z_:][a-zA-Z0-9_:]*|\\s+|.")

var (
	name = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

	// keywords that a list of labels follows.
	withLabels = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}

	keywords = append([]string{"and", "or", "unless", "atan2", "bool", "offset", "start", "end", "inf", "nan",
		"sum", "min", "max", "avg", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values"}, withLabels...)
)

// Names returns the metrics and the labels that an expression without syntax errors names.
func Names(expr string) (metrics, labels []string) {
	var tokens []string
	for _, token := range promql.FindAllString(expr, -1) {
		if token[0] != ' ' && token[0] != '\n' && token[0] != '\t' {
			tokens = append(tokens, token)
		}
	}
	next := func(i int) string {
		if i+1 < len(tokens) {
			return tokens[i+1]
		}
		return ""
	}
	inLabels := false // inside {…} or a list of labels
	for i, token := range tokens {
		switch {
		case token == "{", token == "(" && i > 0 && slices.Contains(withLabels, tokens[i-1]):
			inLabels = true
		case inLabels && (token == "}" || token == ")"):
			inLabels = false
		case !name.MatchString(token):
		case inLabels:
			labels = append(labels, token)
		case next(i) == "(" || slices.Contains(keywords, token):
		default:
			metrics = append(metrics, token)
		}
	}
	return metrics, labels
}
