package bench

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// Programs knows how to start the programs that are measured.
type Programs struct {
	// Command returns the program's file, and what it needs in its environment.
	Command func(name string) (file string, env []string)
	// Versions of what they are built from, by name.
	Versions map[string]string
}

// Program names.
const (
	counterProgram  = "counter"
	producerProgram = "producer"
	printerProgram  = "consumer-printer"
	loopProgram     = "loop"
)

// BuildPrograms builds the programs of this checkout into a folder, as make build does.
func BuildPrograms(ctx context.Context, dir string) (Programs, error) {
	args := []string{"build", "-trimpath", "-o", dir + string(filepath.Separator)}
	for _, name := range []string{counterProgram, producerProgram, printerProgram} {
		args = append(args, "wordcount/"+name+"/cmd/"+name)
	}
	args = append(args, "wordcount/bench/cmd/loop")
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	p := Programs{Command: func(name string) (string, []string) { return filepath.Join(dir, name), nil }, Versions: make(map[string]string)}
	for _, name := range []string{loopProgram, counterProgram} {
		info, err := buildinfo.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return Programs{}, fmt.Errorf("read what %s was built from: %w", name, err)
		}
		p.addVersions(info)
	}
	return p, nil
}

func (p Programs) addVersions(info *debug.BuildInfo) {
	p.Versions["Go"] = info.GoVersion
	for _, d := range info.Deps {
		switch d.Path {
		case "github.com/segmentio/kafka-go", "github.com/twmb/franz-go":
			p.Versions[path.Base(d.Path)] = d.Version
		}
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if revision := settings["vcs.revision"]; revision != "" {
		if settings["vcs.modified"] == "true" {
			revision += " with changes"
		}
		p.Versions["wordcount"] = revision
	}
}

// Usage is what a process took.
type Usage struct {
	Wall    time.Duration // from its start to its exit
	CPU     time.Duration // user and system
	MaxRSS  int64         // bytes, the most memory that was resident; on Linux as of at most 20 ms before the exit
	Started time.Time
}

// process is a program under way.
type process struct {
	name    string
	cmd     *exec.Cmd
	started time.Time
	stderr  tail
	exited  chan struct{} // closed once the fields below are known
	usage   Usage
	err     error // of the exit, with the end of the standard error
}

// start runs a program without settings from our environment; a nil stdout discards what it prints. The context's end kills it.
func (p Programs) start(ctx context.Context, stdout io.Writer, name string, args ...string) (*process, error) {
	file, env := p.Command(name)
	s := &process{name: name, cmd: exec.CommandContext(ctx, file, args...), exited: make(chan struct{})}
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	s.cmd.Stdout, s.cmd.Stderr = stdout, &s.stderr
	s.started = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	states := make(chan *os.ProcessState, 1)
	go func() {
		if err := s.cmd.Wait(); err != nil {
			s.err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, s.stderr.String())
		}
		s.usage.Wall = time.Since(s.started)
		states <- s.cmd.ProcessState
	}()
	go func() {
		defer close(s.exited)
		peak, state := peakMemory(s.cmd.Process, states)
		s.usage.Started, s.usage.MaxRSS, s.usage.CPU = s.started, peak, state.UserTime()+state.SystemTime()
	}()
	return s, nil
}

// wait waits for the exit.
func (s *process) wait() (Usage, error) {
	<-s.exited
	return s.usage, s.err
}

// running returns an error when the process, which should go on, has ended.
func (s *process) running() error {
	select {
	case <-s.exited:
		return errors.Join(fmt.Errorf("%s ended early", s.name), s.err)
	default:
		return nil
	}
}

// stop asks the process to end, and waits for it.
func (s *process) stop() (Usage, error) {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended
	return s.wait()
}

// end makes sure that nothing is left of the process.
func (s *process) end() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// run runs a program to its end.
func (p Programs) run(ctx context.Context, name string, args ...string) (Usage, error) {
	s, err := p.start(ctx, nil, name, args...)
	if err != nil {
		return Usage{}, err
	}
	return s.wait()
}

// tail keeps the last of what is written.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	const most = 16 << 10
	t.Buffer.Write(p)
	if t.Len() > 2*most {
		t.Next(t.Len() - most)
	}
	return len(p), nil
}
