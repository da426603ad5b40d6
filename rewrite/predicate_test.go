package rewrite

import (
	"slices"
	"testing"

	"tombstone/policy"
)

// Only a predicate that every row of the index meets tells that no tombstone
// is in it.
func TestLiveOnly(t *testing.T) {
	table := &policy.Table{Marker: "deleted_at", MarkerType: "timestamp with time zone"}
	for where, want := range map[string]bool{
		"(deleted_at IS NULL)":                                          true,
		"((deleted_at IS NULL) AND active)":                             true,
		"((a > 1) AND (deleted_at IS NULL) AND (b = 'x AND (y'::text))": true,
		"":                                 false,
		"(deleted_at IS NOT NULL)":         false,
		"((deleted_at IS NULL) OR active)": false,
		"((a) OR (b AND (deleted_at IS NULL) AND c))":        false,
		"(NOT (deleted_at IS NULL))":                         false,
		"((x = ' AND deleted_at IS NULL AND '::text) AND y)": false,
	} {
		if got := liveOnly(table, where); (got == "deleted_at IS NULL") != want || !want && got != "" {
			t.Errorf("%s: %q", where, got)
		}
	}
	table.Live = policy.Live{Value: policy.False}
	if liveOnly(table, "(NOT deleted_at)") == "" || liveOnly(table, "deleted_at") != "" {
		t.Error("a flag's predicate is misread")
	}
	if got := conjuncts("((a IS NULL) AND ((b = 1) OR (c = 2)) AND d)"); !slices.Equal(got, []string{"a IS NULL", "(b = 1) OR (c = 2)", "d"}) {
		t.Errorf("%q", got)
	}
}
