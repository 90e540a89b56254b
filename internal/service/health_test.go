package service

import (
	"context"
	"net/http/httptest"
	"testing"
)

func TestReadiness(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	health := &Health{}
	health.endWith(ctx)
	steps := []struct {
		what   string
		do     func()
		status int
		body   string
	}{
		{"nothing named", func() {}, 503, "not ready: starting\n"},
		{"one part, not ready", func() { health.SetReady("group", false) }, 503, "not ready: group\n"},
		{"a second part, ready", func() { health.SetReady("page", true) }, 503, "not ready: group\n"},
		{"all ready", func() { health.SetReady("group", true) }, 200, "ready\n"},
		{"two lost", func() { health.SetReady("page", false); health.SetReady("group", false) }, 503, "not ready: group, page\n"},
		{"all ready again", func() { health.SetReady("page", true); health.SetReady("group", true) }, 200, "ready\n"},
		{"stopping", cancel, 503, "not ready: stopping\n"},
		{"ready, but stopping", func() { health.SetReady("page", true) }, 503, "not ready: stopping\n"},
	}
	for _, step := range steps {
		step.do()
		response := httptest.NewRecorder()
		health.serveReady(response, httptest.NewRequest("GET", "/readyz", nil))
		if response.Code != step.status || response.Body.String() != step.body {
			t.Errorf("%s: %d %q, want %d %q", step.what, response.Code, response.Body, step.status, step.body)
		}
		if ready := len(health.NotReady()) == 0; ready != (step.status == 200) {
			t.Errorf("%s: NotReady() is %q", step.what, health.NotReady())
		}
	}
}

func TestNilHealth(t *testing.T) {
	var health *Health
	health.SetReady("group", true)
	if waiting := health.NotReady(); len(waiting) == 0 {
		t.Error("a nil *Health is ready")
	}
}

func TestHealthOfATestHasNoEnd(t *testing.T) {
	var health Health
	health.SetReady("group", true)
	if waiting := health.NotReady(); len(waiting) != 0 {
		t.Errorf("not ready: %q", waiting)
	}
}
