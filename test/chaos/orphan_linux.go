package chaos

import "syscall"

// withUs has the kernel end a child when this process ends, however it does.
func withUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
