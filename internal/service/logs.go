package service

import (
	"io"
	"log/slog"
	"strings"
)

func (p *Process) level() (slog.Level, error) {
	switch strings.ToLower(p.LogLevel) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, WrongValue("log-level", p.LogLevel, "debug, info, warn or error")
}

func (p *Process) json() (bool, error) {
	switch strings.ToLower(p.LogFormat) {
	case "text":
		return false, nil
	case "json":
		return true, nil
	}
	return false, WrongValue("log-format", p.LogFormat, "text or json")
}

// logger returns the logger of a process whose settings are valid.
func (p *Process) logger(w io.Writer) (*slog.Logger, error) {
	level, err := p.level()
	if err != nil {
		return nil, err
	}
	json, err := p.json()
	if err != nil {
		return nil, err
	}
	options := &slog.HandlerOptions{Level: level}
	if json {
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return slog.New(slog.NewTextHandler(w, options)), nil
}
