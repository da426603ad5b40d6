package main

import (
	"fmt"
	"math/rand/v2"
)

// payload are columns whose values have to come back byte for byte, with values that are easily changed on the way.
var payload = []struct {
	name   string
	values []string
}{
	{"amount", []string{"0", "1.10", "-0.000", "'NaN'", "123456789012345678901234567890.123456789", "NULL"}},
	{"ratio", []string{"0.1", "1e-300", "'-Infinity'", "'NaN'", "3.0000000000000004", "NULL"}},
	{"seen", []string{"'2026-01-31 12:00:00.000001+14'", "'infinity'", "'0044-03-15 12:00:00 BC'", "'1883-11-18 12:03:57+00'", "NULL"}},
	{"span", []string{"'1 mon -1 day 00:00:00.000001'", "'-1 year 3 days'", "NULL"}},
	{"raw", []string{`'\x00ff5c27'`, `''`, "NULL"}},
	{"doc", []string{`'{"a": 1.10, "b": [null, "\u00e9\"\\"]}'`, "'null'", "'12345678901234567890.10'", "NULL"}},
	{"words", []string{`'{NULL,"NULL","a\"b","c\\d",""}'`, "'{}'", `'{{"é",ß},{"a b",","}}'`, "NULL"}},
}

// values is a random payload: names and values.
func values() (names, list []string) {
	for _, p := range payload {
		names = append(names, p.name)
		list = append(list, p.values[rand.IntN(len(p.values))])
	}
	return names, list
}

// change is the SET list of a random change of payload.
func change() string {
	names, list := values()
	i, j := rand.IntN(len(names)), rand.IntN(len(names)-1)
	if j >= i {
		j++
	}
	return fmt.Sprintf("%s = %s, %s = %s", names[i], list[i], names[j], list[j])
}
