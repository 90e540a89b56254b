package bench

import "syscall"

// maxRSS returns bytes; Linux reports KiB.
func maxRSS(u *syscall.Rusage) int64 { return u.Maxrss << 10 }
