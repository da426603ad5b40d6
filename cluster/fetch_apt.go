package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// aptScript installs the package named by its argument. Debian's package would also create and start a cluster
// on port 5432; a setting that exists only while the script runs says no to that, and nothing else changes.
const aptScript = `set -e
folder=/etc/postgresql-common/createcluster.d
setting=$folder/tombstone-no-main-cluster.conf
made=
[ -d /etc/postgresql-common ] || made="$folder /etc/postgresql-common"
[ -n "$made" ] || [ -d "$folder" ] || made=$folder
tidy() { rm -f "$setting"; [ -z "$made" ] || rmdir --ignore-fail-on-non-empty $made; }
trap tidy EXIT
trap 'exit 130' INT TERM
mkdir -p "$folder"
echo 'create_main_cluster = false' > "$setting"
export DEBIAN_FRONTEND=noninteractive
apt-get -q -o DPkg::Lock::Timeout=120 update
apt-get -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$1"
`

// fetchAPT installs Debian's or Ubuntu's package.
func fetchAPT(ctx context.Context, w io.Writer, major int) (Programs, error) {
	if runtime.GOOS != "linux" {
		return Programs{}, errors.New("this system has no apt-get")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return Programs{}, errors.New("this system has no apt-get")
	}
	name := "postgresql"
	if major != 0 {
		name = fmt.Sprintf("postgresql-%d", major)
	}
	args := []string{"sh", "-c", aptScript, "sh", name}
	if os.Geteuid() != 0 {
		if exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
			return Programs{}, errors.New("apt-get needs root, or a sudo that asks no password")
		}
		args = append([]string{"sudo", "-n"}, args...)
	}
	fmt.Fprintf(w, "installing the package %s with apt-get\n", name)
	var out strings.Builder
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	// Killed half-way, dpkg leaves a system to repair: the script is asked to end after the command it is at.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		return Programs{}, fmt.Errorf("install %s: %w%s", name, err, indent(lastLines(out.String(), 5)))
	}
	return find(major)
}

// lastLines keeps the end of a long output, where the reason is.
func lastLines(text string, n int) []byte {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return []byte(strings.Join(lines[max(0, len(lines)-n):], "\n"))
}
