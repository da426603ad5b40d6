package proxy

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hot is how long a loop waits for more in a way that Go's scheduler does not
// see, in milliseconds.
//
// A wait that it sees costs more than the reading and writing: whenever the one
// goroutine that is busy waits, the scheduler takes its processor away, sends
// its monitor to sleep, and wakes it again a few microseconds later. What it
// does not see keeps the processor from other goroutines, so no more than half
// of the processors are waited on in this way, whatever the number of loops, and
// only after a round in which a socket had something. A stop of the world for
// garbage collection is not held up: its signal ends the wait.
//
// Without the bound, a few dozen loops (proxies in one process, or a large
// setting of loops) keep everything else from running for seconds.
//
// It is longer than the kernel's own tick. The timer of a shorter wait is the
// next one to go off, so each wait would program the processor's clock twice,
// which a virtual machine pays a round trip to its host for.
const hot = 20

// hidden counts the waits that Go's scheduler does not see now, in all loops of
// the process.
var hidden atomic.Int32

// wait waits for sockets to be ready, for at most so many milliseconds; -1 for
// as long as it takes. It returns how many are.
func (l *loop) wait(events []unix.EpollEvent, timeout int) (int, error) {
	if !l.unseen() {
		return unix.EpollWait(l.epoll, events, timeout)
	}
	first := hot
	if timeout == 0 {
		first = 0
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(first), 0, 0)
	hidden.Add(-1)
	if errno != 0 {
		return 0, errno
	}
	if n > 0 || timeout == 0 {
		return int(n), nil
	}
	return unix.EpollWait(l.epoll, events, timeout)
}

// unseen reports whether the next wait may be one that Go's scheduler does not
// see. If so it counts as one until the caller takes 1 from hidden.
func (l *loop) unseen() bool {
	if !l.served {
		return false
	}
	if hidden.Add(1) > l.hide {
		hidden.Add(-1)
		return false
	}
	return true
}

// receive reads from a socket that does not block.
func receive(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// transmit writes to a socket that does not block.
func transmit(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
