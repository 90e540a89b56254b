package bench

import (
	"fmt"
	"os"
	"time"
)

// peakMemory watches the most memory that was resident in a process, in bytes, until it has exited. The kernel's ru_maxrss is of no use: a
// child's begins at what its parent had when it forked (setmax_mm_hiwater_rss in exec_mmap of fs/exec.c).
func peakMemory(process *os.Process, exited <-chan *os.ProcessState) (peak int64, _ *os.ProcessState) {
	const pause = 20 * time.Millisecond
	status := fmt.Sprintf("/proc/%d/status", process.Pid)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		var kB int64
		if _, err := fmt.Sscanf(procField(status, "VmHWM"), "%d kB", &kB); err == nil {
			peak = max(peak, kB<<10)
		}
		select {
		case state := <-exited:
			return peak, state
		case <-tick.C:
		}
	}
}
