//go:build unix && !linux

package bench

import (
	"os"
	"runtime"
	"syscall"
)

// peakMemory returns the most memory that was resident in a process, in bytes, when it has exited.
func peakMemory(_ *os.Process, exited <-chan *os.ProcessState) (peak int64, _ *os.ProcessState) {
	state := <-exited
	peak = state.SysUsage().(*syscall.Rusage).Maxrss
	if runtime.GOOS != "darwin" { // elsewhere it is in KiB
		peak <<= 10
	}
	return peak, state
}
