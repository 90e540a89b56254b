package soak

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wordcount/e2e"
)

// The broker's disk is full: Kafka ends. The services wait and say so, and when there is room and a broker again, go on where they
// were. SOAK_SMALL_DISK is an empty folder of a file system of some hundred MiB that anybody may write to, such as a loop device's:
//
//	truncate -s 300M small.img && mkfs.ext4 -q small.img && mkdir small && sudo mount -o loop small.img small && sudo chmod 777 small
func TestFullDisk(t *testing.T) {
	disk := os.Getenv("SOAK_SMALL_DISK")
	if disk == "" {
		t.Skip("SOAK_SMALL_DISK names no folder of a small disk")
	}
	if os.RemoveAll(filepath.Join(disk, "lost+found")); len(listed(t, disk)) > 0 {
		t.Fatalf("%s is not empty", disk)
	}
	data := filepath.Join(disk, "data")
	if err := os.Mkdir(data, 0o777); err != nil {
		t.Fatal(err)
	}
	os.Chmod(data, 0o777) // whatever the umask: the broker is another user
	e2e.UseLocalEngine()
	cluster, err := StartCluster(t.Context(), 1, 0, data)
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Logf("remove the broker: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	broker := cluster.brokers[0]
	p := e2e.NewPipeline(t, e2e.NewPrograms(t.TempDir()), broker.Address, time.Second, "space")
	file := filepath.Join(t.TempDir(), "lines.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("some words of a line that fills the disk\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	counter := p.MeteredCounter()
	producer := p.Producer(nil, "--file", file, "--rate", "20000")
	p.Watch.Batches(2)

	ballast := filepath.Join(disk, "ballast")
	var room syscall.Statfs_t
	if err := syscall.Statfs(disk, &room); err != nil {
		t.Fatal(err)
	}
	if left := int64(room.Bavail)*room.Bsize - 4<<20; left > 0 {
		fill(t, ballast, left)
	}
	for late := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		state, err := broker.State(t.Context())
		if err == nil && !state.Running {
			t.Logf("the broker ended with status %d", state.ExitCode)
			break
		}
		if time.Now().After(late) {
			t.Fatal("the disk is full, and the broker runs")
		}
	}
	for _, s := range []*e2e.Process{counter.Process, producer} {
		s.Stderr.Wait(t, time.Minute, s.Name+" saying that it waits", func(text string) bool { return strings.Contains(text, "waiting") })
		if !s.Running() {
			t.Errorf("%s ended", s.Name)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	start(t, broker)
	p.Watch.Batches(2)
	producer.Stop()
	p.Watch.Counted(time.Minute)
	counter.Stop()
	p.Watch.Check()
}

func listed(t *testing.T, folder string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// fill writes a file of that many bytes.
func fill(t *testing.T, name string, bytes int64) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zeros := make([]byte, 1<<20)
	for ; bytes > 0; bytes -= int64(len(zeros)) {
		if _, err := f.Write(zeros); err != nil {
			return // it is full
		}
	}
}
