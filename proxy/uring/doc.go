// Package uring is the little of Linux's io_uring that an event loop needs:
// receive into a buffer that the kernel picks, send what fits, and wait until
// a descriptor is ready, all of it handed over and waited for in one system
// call.
//
// A system call costs as much as all that the proxy does with a message, more
// where the kernel guards against Meltdown or runs in a virtual machine. With
// epoll it is four to six for each statement; with this it is one for all that
// arrived together.
//
// The structures and numbers are those of the kernel's include/uapi/linux/io_uring.h.
// See the manual pages io_uring_setup(2), io_uring_enter(2) and
// io_uring_register(2).
package uring
