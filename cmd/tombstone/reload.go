package main

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"tombstone/admin"
	"tombstone/config"
	"tombstone/proxy"
)

// watchTime is how often the configuration's files are looked at. A change counts when it is still the same at the next
// look: a certificate and its key are seldom renewed in one step.
const watchTime = 2 * time.Second

// reloader follows the configuration: its file and the files that it names.
//
// The files are looked at again and again rather than watched. Kubernetes renews a mounted file by pointing a link
// elsewhere, editors put another file in its place, and network file systems tell nothing; a look sees all of that.
type reloader struct {
	config  *config.Config // the one that is in force
	proxy   *proxy.Server
	level   *slog.LevelVar
	metrics *admin.Metrics
	log     *slog.Logger
	changed func(*config.Config) // told of a new one, nil for nobody

	loaded map[string]stamp // of the files just before they were read last
	seen   map[string]stamp // at the last look
}

// stamp tells one state of a file from another. The zero stamp is that of a file that is not there.
type stamp struct {
	device, inode uint64
	size          int64
	changed       time.Time
}

func look(files []string) map[string]stamp {
	stamps := map[string]stamp{}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			stamps[file] = stamp{}
			continue
		}
		s := stamp{size: info.Size(), changed: info.ModTime()}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			s.device, s.inode = uint64(sys.Dev), sys.Ino
		}
		stamps[file] = s
	}
	return stamps
}

// load reads a configuration. The stamps are of its files and of those given, from before they were read: one that is renewed
// meanwhile is seen to differ at the next look. Hence a second reading if the first one names files that are not among those given.
func load(file string, files []string) (*config.Config, map[string]stamp, error) {
	stamps := look(files)
	c, err := config.Load(file)
	if err != nil {
		return nil, stamps, err
	}
	var more []string
	for _, name := range c.Files() {
		if _, known := stamps[name]; !known {
			more = append(more, name)
		}
	}
	if len(more) == 0 {
		return c, stamps, nil
	}
	maps.Copy(stamps, look(more))
	c, err = config.Load(file)
	return c, stamps, err
}

// run reloads at SIGHUP and when a file has changed, until ctx is done.
func (r *reloader) run(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(watchTime)
	defer tick.Stop()
	r.seen = look(r.config.Files())
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			r.reload("SIGHUP")
		case <-tick.C:
			r.tick()
		}
	}
}

func (r *reloader) tick() {
	now := look(r.config.Files())
	settled := maps.Equal(now, r.seen)
	r.seen = now
	for file, stamp := range now {
		if settled && stamp != r.loaded[file] {
			r.reload("a file has changed")
			return
		}
	}
}

// reload reads everything anew and swaps it whole. What is wrong changes nothing.
func (r *reloader) reload(why string) {
	c, loaded, err := load(r.config.File, r.config.Files())
	if err == nil {
		err = r.proxy.Reload(proxy.From(c))
	}
	r.loaded = loaded
	r.metrics.Reloaded(err == nil)
	if err != nil {
		r.log.Error("the configuration is not reloaded, the old one stays in force", "because", why, "error", err)
		return
	}
	r.level.Set(c.Log.Level)
	if late := restartOnly(r.config, c); len(late) > 0 {
		r.log.Warn("some settings take effect at the next start only", "settings", strings.Join(late, ", "))
	}
	r.config = c
	if r.changed != nil {
		r.changed(c)
	}
	r.seen = look(c.Files()) // which may be others now
	enforced, observed, off := c.Modes()
	r.log.Info("configuration reloaded", "because", why, "enforced", enforced, "observed", observed, "off", off)
}

// restartOnly lists settings that differ and are read at the start only.
func restartOnly(before, now *config.Config) []string {
	var list []string
	for _, s := range []struct {
		name    string
		differs bool
	}{
		{"listen", before.Listen != now.Listen},
		{"admin", before.Admin != now.Admin},
		{"pprof", before.PProf != now.PProf},
		{"loops", before.Loops != now.Loops},
		{"io_uring", before.IOUring != now.IOUring},
		{"log.format", before.Log.Format != now.Log.Format},
	} {
		if s.differs {
			list = append(list, s.name)
		}
	}
	return list
}
