package storetest

import "syscall"

// dieWithParent makes the kernel end Postgres with a test binary that was
// killed before it could.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
}
