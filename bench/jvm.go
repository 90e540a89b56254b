package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// StartJVM starts Kafka without a container: jars is a folder with the jars of a distribution (its libs), dir gets its data, which Close leaves
// there. It needs java in the PATH.
func StartJVM(ctx context.Context, jars, dir string) (*Broker, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("localhost:%d", ports[0])
	properties := filepath.Join(dir, "server.properties")
	settings := brokerSettings(address, fmt.Sprintf("localhost:%d", ports[1]))
	settings["log.dirs"] = filepath.Join(dir, "logs")
	var file strings.Builder
	for name, value := range settings {
		fmt.Fprintf(&file, "%s=%s\n", name, value)
	}
	if err := os.WriteFile(properties, []byte(file.String()), 0o600); err != nil {
		return nil, err
	}
	classes := filepath.Join(jars, "*")
	format := exec.CommandContext(ctx, "java", "-cp", classes, "kafka.tools.StorageTool", "format", "--cluster-id", "YmVuY2htYXJrLWNsdXN0ZQ", "--config", properties)
	if out, err := format.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format Kafka's storage: %w\n%s", err, out)
	}
	args := slices.Concat(heap, []string{"-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-cp", classes, "kafka.Kafka", properties})
	s, err := Programs{Command: func(string) (string, []string) { return "java", nil }}.start(ctx, nil, "java", args...)
	if err != nil {
		return nil, err
	}
	b := &Broker{
		Addresses: []string{address},
		Describe:  "JVM, " + heapReads + ", on the same machine",
		CPU:       func(context.Context) (time.Duration, error) { return processCPU(s.cmd.Process.Pid) },
		Close: func() error {
			_, err := s.stop()
			if state := s.cmd.ProcessState; state != nil && state.ExitCode() == 128+int(syscall.SIGTERM) {
				return nil // so a JVM ends when it is asked to
			}
			return err
		},
	}
	if err := s.listens(ctx, address); err != nil {
		s.end()
		return nil, err
	}
	return b, nil
}

// listens waits until a process takes connections.
func (s *process) listens(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return errors.Join(fmt.Errorf("%s ended before it listened at %s", s.name, address), s.err)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen at %s: %w", s.name, address, ctx.Err())
		}
	}
}

// processCPU is what a process has taken so far, by Linux.
func processCPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the broker's CPU time: %w", err)
	}
	// The name in parentheses may hold spaces. After it, utime and stime are the 12th and 13th fields (proc_pid_stat(5)), in ticks of 10 ms.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read the broker's CPU time: %q", stat)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the broker's CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
