package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Programs are the services of this checkout, each built into a folder when it is first started.
type Programs struct {
	dir   string
	flags []string
	mu    sync.Mutex
	built map[string]error
}

// NewPrograms is for an empty folder. The flags are go build's.
func NewPrograms(dir string, flags ...string) *Programs {
	return &Programs{dir: dir, flags: flags, built: make(map[string]error)}
}

// path builds the program unless it was built before.
func (p *Programs) path(program string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	file := filepath.Join(p.dir, program)
	if err, done := p.built[program]; done {
		return file, err
	}
	args := append([]string{"build", "-o", file}, p.flags...)
	if os.Getenv("E2E_RACE") != "" {
		args = append(args, "-race")
	}
	args = append(args, "wordcount/"+program+"/cmd/"+program)
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	p.built[program] = err
	return file, err
}

// Process is a running service. Its methods fail the test when they cannot do what they say.
type Process struct {
	Name   string
	Stdout *Text
	Stderr *Text

	t      testing.TB
	cmd    *exec.Cmd
	exited chan struct{} // closed once it has ended
}

// Start runs a program with these arguments and no settings from the environment. Whatever still runs when the test ends is
// killed; after a failed test the last lines of both outputs are shown.
func (p *Programs) Start(t testing.TB, stdin io.Reader, program string, args ...string) *Process {
	t.Helper()
	return p.StartTo(t, stdin, nil, program, args...)
}

// StartTo is Start for a program whose standard output goes to a writer, and not to Stdout; nil is Stdout.
func (p *Programs) StartTo(t testing.TB, stdin io.Reader, stdout io.Writer, program string, args ...string) *Process {
	t.Helper()
	file, err := p.path(program)
	if err != nil {
		t.Fatal(err)
	}
	s := &Process{Name: program, Stdout: newText(), Stderr: newText(), t: t, exited: make(chan struct{})}
	s.cmd = exec.Command(file, args...)
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GORACE=halt_on_error=1"}
	if stdout == nil {
		stdout = s.Stdout
	}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = stdin, stdout, s.Stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	go func() {
		_ = s.cmd.Wait() // its status is in ProcessState
		close(s.exited)
	}()
	t.Cleanup(func() {
		if s.Running() {
			_ = s.cmd.Process.Kill()
			<-s.exited
		}
		if t.Failed() {
			t.Logf("%s %s: %v\n-- standard error\n%s\n-- standard output\n%s", program, strings.Join(args, " "), s.cmd.ProcessState,
				s.Stderr.last(200), s.Stdout.last(5))
		}
	})
	return s
}

// MemoryPeak is the most memory that the process has had so far, in bytes, where the system tells (Linux).
func (s *Process) MemoryPeak() (bytes int64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		if n, err := fmt.Sscanf(line, "VmHWM: %d kB", &bytes); n == 1 && err == nil {
			return bytes << 10, true
		}
	}
	return 0, false
}

// Running says whether the process has not ended.
func (s *Process) Running() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Exit waits until the process has ended, and returns its exit status, -1 after a signal.
func (s *Process) Exit(within time.Duration) int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(within):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // what it is doing, on its standard error
		select {
		case <-s.exited:
		case <-time.After(5 * time.Second):
		}
		s.t.Fatalf("%s has not ended in %v", s.Name, within)
	}
	return s.cmd.ProcessState.ExitCode()
}

// Stop asks the process to stop, as Ctrl-C or an orchestrator would, and demands that it ends with status 0.
func (s *Process) Stop() {
	s.t.Helper()
	s.Signal(syscall.SIGTERM)
	if status := s.Exit(20 * time.Second); status != 0 {
		s.t.Fatalf("%s ended with status %d when asked to stop", s.Name, status)
	}
}

// Kill ends the process without its knowing (SIGKILL).
func (s *Process) Kill() {
	s.t.Helper()
	s.Signal(syscall.SIGKILL)
	<-s.exited
}

// Signal sends a signal: SIGSTOP freezes the process and SIGCONT wakes it.
func (s *Process) Signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("send %v to %s: %v", sig, s.Name, err)
	}
}

// Text is what a process has written so far.
type Text struct {
	mu      sync.Mutex
	written bytes.Buffer
	changed chan struct{} // closed and replaced with every write
}

func newText() *Text { return &Text{changed: make(chan struct{})} }

func (o *Text) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.written.Write(p)
}

func (o *Text) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written.String()
}

// Wait waits until ok says yes to all that was written, and returns that.
func (o *Text) Wait(t testing.TB, within time.Duration, what string, ok func(text string) bool) string {
	t.Helper()
	late := time.After(within)
	for {
		o.mu.Lock()
		text, changed := o.written.String(), o.changed
		o.mu.Unlock()
		if ok(text) {
			return text
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("not seen in %v: %s", within, what)
		}
	}
}

func (o *Text) last(lines int) string {
	all := strings.Split(strings.TrimRight(o.String(), "\n"), "\n")
	for i, line := range all {
		if len(line) > 700 {
			all[i] = line[:700] + "…"
		}
	}
	if cut := len(all) - lines; cut > 0 {
		all = append([]string{fmt.Sprintf("(%d lines before these)", cut)}, all[cut:]...)
	}
	return strings.Join(all, "\n")
}
