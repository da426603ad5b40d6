package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// sharedMemory is what the server needs with our settings, in bytes: 575 MB in PostgreSQL 15, and some more for other versions.
const sharedMemory = 640 << 20

// hugePool holds how many huge pages the kernel keeps, used or not. Only root may write it.
const hugePool = "/proc/sys/vm/nr_hugepages"

// reserveHugePages makes sure that huge pages for so many bytes are free. It returns how many it had to have the kernel make for that,
// which are to be given back. After an error nothing is.
func reserveHugePages(bytes int) (made int, err error) {
	missing, err := missingHugePages(bytes)
	if err != nil || missing == 0 {
		return 0, err
	}
	before, after, err := resizeHugePool(missing)
	if err != nil {
		return 0, fmt.Errorf("%d huge pages are missing: %w", missing, err)
	}
	if missing, err = missingHugePages(bytes); err == nil && missing > 0 {
		err = errors.New("the kernel finds too little memory in large pieces")
	}
	if err != nil {
		return 0, errors.Join(err, returnHugePages(after-before))
	}
	return after - before, nil
}

// returnHugePages gives back what reserveHugePages made. It takes them off what there is by now, rather than put back what there was,
// because somebody else may have changed it in between. Pages that are still in use go when their user does.
func returnHugePages(made int) error {
	if made == 0 {
		return nil
	}
	_, _, err := resizeHugePool(-made)
	return err
}

// resizeHugePool changes the kernel's number of huge pages. It makes fewer than asked for when it cannot find the memory.
func resizeHugePool(by int) (before, after int, err error) {
	if before, err = sizeOfHugePool(); err != nil {
		return 0, 0, err
	}
	if err := os.WriteFile(hugePool, []byte(strconv.Itoa(max(0, before+by))), 0o644); err != nil {
		return 0, 0, err
	}
	after, err = sizeOfHugePool()
	return before, after, err
}

func sizeOfHugePool() (int, error) {
	text, err := os.ReadFile(hugePool)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func missingHugePages(bytes int) (int, error) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return parseMissing(string(info), bytes)
}

// parseMissing reads /proc/meminfo. Of the free pages some are promised to programs that have not touched them yet.
func parseMissing(meminfo string, bytes int) (int, error) {
	var free, promised, kib int
	for name, value := range map[string]*int{"HugePages_Free": &free, "HugePages_Rsvd": &promised, "Hugepagesize": &kib} {
		text := field(meminfo, name)
		if text == "" {
			return 0, errors.New("the kernel has no huge pages")
		}
		var err error
		if *value, err = strconv.Atoi(strings.TrimSuffix(text, " kB")); err != nil {
			return 0, fmt.Errorf("/proc/meminfo: %s: %w", name, err)
		}
	}
	if kib <= 0 {
		return 0, fmt.Errorf("/proc/meminfo: huge pages of %d kB", kib)
	}
	need := (bytes + kib<<10 - 1) / (kib << 10)
	return max(0, need-(free-promised)), nil
}
