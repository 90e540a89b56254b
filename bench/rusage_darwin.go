package bench

import "syscall"

// maxRSS returns bytes; macOS reports them.
func maxRSS(u *syscall.Rusage) int64 { return u.Maxrss }
