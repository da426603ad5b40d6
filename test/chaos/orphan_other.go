//go:build !linux

package chaos

import "syscall"

// withUs would have the kernel end a child when this process ends; only Linux can.
func withUs() *syscall.SysProcAttr { return nil }
