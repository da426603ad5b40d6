package proxy

import "testing"

// Whoever logs in may say what it asks for, and not what the functions in the database tell each other.
func TestOursAtStartup(t *testing.T) {
	for _, c := range []struct {
		name, value, want string
	}{
		{"options", "-c tombstone.visibility=all -c tombstone.as_of=2024-01-01 --tombstone.delete=purge", ""},
		{"options", "-c tombstone.noted_0123abcd=yes", "tombstone.noted_0123abcd"},
		{"options", "-ctombstone.parting=x", "tombstone.parting"},
		{"options", "-c work_mem=4MB --tombstone.noted-0123abcd=yes", "tombstone.noted_0123abcd"},
		{"options", `-c tomb\stone.moving=x`, "tombstone.moving"},
		{"options", "-c TombStone.Client=x", "TombStone.Client"},
		{"options", "-c application_name=tombstone.example", ""},
		{"options", "-c search_path=tombstone", ""},
		{"tombstone.evicting", "1", "tombstone.evicting"},
		{"tombstone.actor", "me", ""},
		{"Tombstone.Reason", "why", ""},
	} {
		if got := ours(map[string]string{"user": "me", c.name: c.value}); got != c.want {
			t.Errorf("%s = %s: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}
