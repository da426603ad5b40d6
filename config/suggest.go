package config

import "strings"

// suggest says what to write instead of an unknown name.
func suggest(name string, known []string) string {
	best, least := "", 1+len(name)/3 // more typos than that and it is another word
	for _, k := range known {
		if d := distance(strings.ToLower(name), k, least); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	if best != "" {
		return `did you mean "` + best + `"?`
	}
	return "known here: " + strings.Join(known, ", ")
}

// distance counts the letters to insert, delete, replace or swap with a neighbour to get from a to b (the
// restricted Damerau-Levenshtein distance). It gives up, with limit+1, on words whose lengths already differ by more than limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	var before, previous []int
	current := make([]int, len(b)+1)
	for j := range current {
		current[j] = j
	}
	for i := range len(a) {
		before, previous, current = previous, current, make([]int, len(b)+1)
		current[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			current[j+1] = min(previous[j+1]+1, current[j]+1, previous[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				current[j+1] = min(current[j+1], before[j-1]+1)
			}
		}
	}
	return current[len(b)]
}
