package uring

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is one io_uring with buffers for what is received. All but Close must be
// called by one thread, the one that called New: the goroutine must stay on it
// (runtime.LockOSThread).
type Ring struct {
	fd        int
	idly      uintptr  // the flag by which a wait counts as idle, where the kernel has it
	mapped    [][]byte // all that is to be unmapped
	sqFlags   *uint32
	sqHead    *uint32
	sqTail    *uint32
	sqMask    uint32
	sqEntries uint32
	sqes      []submission
	tail      uint32 // of the submissions, those that the kernel was not shown included
	shown     uint32 // of those that it was

	cqHead *uint32
	cqTail *uint32
	cqMask uint32
	cqes   []completion

	buffers    []byte
	bufferSize int
	pool       []lent
	poolTail   uint16

	wait    limit    // in the heap, which does not move: the kernel is given its address
	waitFor [2]int64 // seconds and nanoseconds
}

// Completion is what became of an operation.
type Completion struct {
	Data   uint64 // what the operation was given
	Result int    // bytes, or a poll's events; -1 with Err
	Err    unix.Errno
	flags  uint32
}

// New makes a ring for so many operations at a time between two calls of Enter,
// with so many buffers of so many bytes, both powers of two. The error says what
// the kernel lacks or forbids: it takes Linux 6.1, and some sandboxes let
// nobody use io_uring.
func New(entries, buffers, size int) (*Ring, error) {
	p := params{flags: setupCQSize | setupSingleIssuer | setupDeferTaskrun, cqEntries: uint32(16 * entries)}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	r := &Ring{fd: int(fd), bufferSize: size}
	if err := r.lay(&p, buffers); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// lay maps what the kernel and we share.
func (r *Ring) lay(p *params, buffers int) error {
	if need := uint32(featSingleMmap | featNoDrop | featExtArg | featSkip); p.features&need != need {
		return fmt.Errorf("io_uring without features %#x", need&^p.features)
	}
	if p.features&featNoIOWait != 0 { // Linux 6.15; before, whoever waits for a quiet socket counts as waiting for a disk
		r.idly = enterNoIOWait
	}
	size := max(p.sqOff.array+4*p.sqEntries, p.cqOff.cqes+p.cqEntries*uint32(unsafe.Sizeof(completion{})))
	rings, err := r.mmap(r.fd, offsetRings, int(size))
	if err != nil {
		return err
	}
	sqes, err := r.mmap(r.fd, offsetSQEs, int(p.sqEntries)*int(unsafe.Sizeof(submission{})))
	if err != nil {
		return err
	}
	at := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&rings[offset])) }
	r.sqHead, r.sqTail, r.sqFlags = at(p.sqOff.head), at(p.sqOff.tail), at(p.sqOff.flags)
	r.sqMask, r.sqEntries = *at(p.sqOff.ringMask), p.sqEntries
	r.sqes = unsafe.Slice((*submission)(unsafe.Pointer(&sqes[0])), p.sqEntries)
	order := unsafe.Slice(at(p.sqOff.array), p.sqEntries)
	for i := range order {
		order[i] = uint32(i)
	}
	r.cqHead, r.cqTail, r.cqMask = at(p.cqOff.head), at(p.cqOff.tail), *at(p.cqOff.ringMask)
	r.cqes = unsafe.Slice((*completion)(unsafe.Pointer(at(p.cqOff.cqes))), p.cqEntries)

	pool, err := r.mmap(-1, 0, buffers*int(unsafe.Sizeof(lent{})))
	if err != nil {
		return err
	}
	if r.buffers, err = r.mmap(-1, 0, buffers*r.bufferSize); err != nil {
		return err
	}
	r.pool = unsafe.Slice((*lent)(unsafe.Pointer(&pool[0])), buffers)
	l := lending{addr: uint64(uintptr(unsafe.Pointer(&pool[0]))), entries: uint32(buffers)}
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerBufferRing, uintptr(unsafe.Pointer(&l)), 1, 0, 0); errno != 0 {
		return fmt.Errorf("io_uring_register a ring of buffers: %w", errno)
	}
	for id := range buffers {
		r.giveBack(uint16(id))
	}
	return nil
}

func (r *Ring) mmap(fd int, offset int64, size int) ([]byte, error) {
	flags := unix.MAP_SHARED | unix.MAP_POPULATE
	if fd < 0 {
		flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	}
	m, err := unix.Mmap(fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, fmt.Errorf("io_uring's memory: %w", err)
	}
	r.mapped = append(r.mapped, m)
	return m, nil
}

// Close gives everything back. What is under way is canceled.
func (r *Ring) Close() {
	_ = unix.Close(r.fd)
	for _, m := range r.mapped {
		_ = unix.Munmap(m)
	}
	r.mapped = nil
}

// next is the submission to fill in. It is the kernel's at the next Enter or
// Submit.
func (r *Ring) next() *submission {
	if r.tail-atomic.LoadUint32(r.sqHead) == r.sqEntries {
		r.Submit()
	}
	s := &r.sqes[r.tail&r.sqMask]
	r.tail++
	*s = submission{}
	return s
}

// Receive asks for what a socket receives next, once: as soon as something is
// there, into a buffer of the ring. See Bytes.
func (r *Ring) Receive(fd int, data uint64) {
	s := r.next()
	s.opcode, s.flags, s.ioprio, s.fd, s.data = opRecv, sqeBufferSelect, pollFirst, int32(fd), data
}

// Send sends what a socket takes of p at once. It never waits, so it has been
// done when the Enter or Submit that it was handed over with returns; p must
// stay where it is until then, outside of a goroutine's stack. Nothing is said
// of it when all of p has been sent, so that Enter has something else to wait
// for.
func (r *Ring) Send(fd int, p []byte, data uint64) {
	s := r.next()
	s.opcode, s.flags, s.fd, s.data = opSend, sqeSkipSuccess, int32(fd), data
	s.addr, s.length = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))), uint32(len(p))
	s.opFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL | unix.MSG_WAITALL // for a part to be no success
}

// Poll asks to be told once when a descriptor is ready for one of events, as
// poll(2) has them.
func (r *Ring) Poll(fd int, events uint32, data uint64) {
	s := r.next()
	s.opcode, s.fd, s.data, s.opFlags = opPollAdd, int32(fd), data, pollWord(events)
}

// Submit hands over what was asked for, and does not wait.
func (r *Ring) Submit() {
	for r.tail != r.shown {
		if _, err := r.enter(0, 0, 0, true); err != nil && err != unix.EINTR && err != unix.EAGAIN && err != unix.EBUSY {
			panic(fmt.Sprintf("io_uring_enter: %v", err)) // the ring is not what it was
		}
	}
}

// Pending reports whether something was asked for and not handed over.
func (r *Ring) Pending() bool { return r.tail != r.shown }

// Enter hands over what was asked for, and waits for something to be completed,
// for at most so many milliseconds; -1 for as long as it takes. With raw, Go's
// scheduler is not told of the wait. Running out of time is no error.
func (r *Ring) Enter(timeout int, raw bool) error {
	if r.Ready() {
		timeout = 0
	}
	wait, flags := uintptr(1), enterGetEvents|r.idly
	if timeout == 0 {
		wait = 0
	}
	if timeout > 0 {
		flags |= enterExtArg
		r.waitFor = [2]int64{int64(timeout / 1000), int64(timeout%1000) * 1e6}
	}
	_, err := r.enter(wait, flags, timeout, raw)
	if err == unix.ETIME || err == unix.EINTR || err == unix.EAGAIN || err == unix.EBUSY {
		return nil
	}
	return err
}

// enter is the system call.
func (r *Ring) enter(wait, flags uintptr, timeout int, raw bool) (int, error) {
	atomic.StoreUint32(r.sqTail, r.tail)
	var arg, size uintptr
	if flags&enterExtArg != 0 {
		r.wait.timeout = uint64(uintptr(unsafe.Pointer(&r.waitFor)))
		arg, size = uintptr(unsafe.Pointer(&r.wait)), unsafe.Sizeof(r.wait)
	}
	call := unix.Syscall6
	if raw {
		call = unix.RawSyscall6
	}
	n, _, errno := call(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.tail-r.shown), wait, flags, arg, size)
	r.shown = atomic.LoadUint32(r.sqHead) // as many as the kernel took, whatever it returned
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Ready reports whether a completion can be had without waiting.
func (r *Ring) Ready() bool {
	return *r.cqHead != atomic.LoadUint32(r.cqTail) || atomic.LoadUint32(r.sqFlags)&sqOverflow != 0
}

// Next returns a completion, and false if there is none.
func (r *Ring) Next() (Completion, bool) {
	head := *r.cqHead
	if head == atomic.LoadUint32(r.cqTail) {
		return Completion{}, false
	}
	q := &r.cqes[head&r.cqMask]
	c := Completion{Data: q.data, Result: int(q.result), flags: q.flags}
	if q.result < 0 {
		c.Result, c.Err = -1, unix.Errno(-q.result)
	}
	atomic.StoreUint32(r.cqHead, head+1)
	return c, true
}

// Bytes returns what was received, in a buffer of the ring, which is to be
// given back with Done.
func (r *Ring) Bytes(c Completion) []byte {
	if c.flags&cqeBuffer == 0 {
		return nil
	}
	start := int(c.flags>>cqeBufferShift) * r.bufferSize
	return r.buffers[start : start+max(c.Result, 0)]
}

// Full reports whether the buffer was too small for what there was, perhaps.
func (r *Ring) Full(c Completion) bool { return c.Result == r.bufferSize }

// Done gives the buffer of a completion back, if it has one.
func (r *Ring) Done(c Completion) {
	if c.flags&cqeBuffer != 0 {
		r.giveBack(uint16(c.flags >> cqeBufferShift))
	}
}

func (r *Ring) giveBack(id uint16) {
	b := &r.pool[r.poolTail&uint16(len(r.pool)-1)]
	b.addr = uint64(uintptr(unsafe.Pointer(&r.buffers[int(id)*r.bufferSize])))
	b.length, b.id = uint32(r.bufferSize), id
	r.poolTail++
	// The kernel reads the tail as 16 bits; sync/atomic has 32. The identifier of the first buffer shares the word.
	word := (*uint32)(unsafe.Pointer(&r.pool[0].id))
	atomic.StoreUint32(word, join(r.pool[0].id, r.poolTail))
}
