package uring

// What io_uring_setup takes and returns.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sqOff                                                                  struct {
		head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
		userAddr                                                    uint64
	}
	cqOff struct {
		head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
		userAddr                                                    uint64
	}
}

// submission is what the kernel is asked to do (struct io_uring_sqe).
type submission struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	length        uint32
	opFlags       uint32 // of the operation: MSG_ for send and recv, POLL for poll
	data          uint64
	bufGroup      uint16
	personality   uint16
	spliceFD      int32
	addr3, _      uint64
}

// completion is what became of it (struct io_uring_cqe).
type completion struct {
	data   uint64
	result int32
	flags  uint32
}

// lent is a buffer that the kernel may pick (struct io_uring_buf). The ring's
// tail lies where the first one's last field is.
type lent struct {
	addr     uint64
	length   uint32
	id, tail uint16
}

// lending says where the buffers are (struct io_uring_buf_reg).
type lending struct {
	addr    uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

// limit is how long io_uring_enter waits (struct io_uring_getevents_arg).
type limit struct {
	sigmask     uint64
	sigmaskSize uint32
	minWait     uint32
	timeout     uint64 // address of a struct __kernel_timespec
}

const (
	opPollAdd = 6
	opSend    = 26
	opRecv    = 27

	setupCQSize       = 1 << 3
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1
	featExtArg     = 1 << 8
	featSkip       = 1 << 11
	featNoIOWait   = 1 << 17

	offsetRings = 0
	offsetSQEs  = 0x10000000

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3
	enterNoIOWait  = 1 << 7

	sqOverflow = 1 << 1 // in the submission ring's flags: completions wait for room

	registerBufferRing = 22

	sqeBufferSelect = 1 << 5
	sqeSkipSuccess  = 1 << 6
	pollFirst       = 1 << 0 // do not try to receive before something is there

	cqeBuffer      = 1 << 0
	cqeBufferShift = 16
)
