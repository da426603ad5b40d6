package uring

import "unsafe"

// join is two neighbouring fields of 16 bits as one of 32.
func join(first, second uint16) (word uint32) {
	*(*[2]uint16)(unsafe.Pointer(&word)) = [2]uint16{first, second}
	return word
}

// pollWord is a poll's events as the kernel reads them: of the 32 bits, a
// machine that has the high half first has the two halves swapped.
func pollWord(events uint32) uint32 {
	if join(1, 0) == 1 {
		return events
	}
	return events<<16 | events>>16
}
