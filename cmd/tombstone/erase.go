package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"tombstone/lifecycle/purge"
	"tombstone/policy"
)

func erase(ctx context.Context, s stdio, args []string) error {
	f := flags(s, "erase", "--config FILE [--dsn URL] (--key VALUE[,VALUE..] | --where SQL) [--live] [--cascade] [--despite-hold] [--dry-run] [--json] TABLE",
		`Deletes certain rows for good, whatever their retention, as when somebody has a right to be forgotten: with their copies in the archive,
and with all that is noted down of them. It is all or nothing: if a row is live or held, or if anything that stays refers to one, nothing is
done and all of that is listed. The receipt has no personal data: how many rows of which tables, when and by whom, and of each key the
SHA-256 of TABLE:VALUE,VALUE, e.g. of public.users:5. Look with --dry-run first. Backups, and replicas that lag, keep what they have, and the
disk what VACUUM has not been over.`)
	w := whereFlags(f)
	var o purge.EraseOptions
	f.Func("key", "the row whose key has this `VALUE`, or these values for a key of several columns; may be given several times", func(text string) error {
		r := csv.NewReader(strings.NewReader(text))
		key, err := r.Read()
		if err != nil {
			return fmt.Errorf("%q is no key; write its values with commas between, and one that has a comma or a quote in double quotes", text)
		}
		o.Keys = append(o.Keys, key)
		return nil
	})
	f.StringVar(&o.Where, "where", "", "the rows that meet the condition `SQL`, in the table and in the archive")
	f.BoolVar(&o.Live, "live", false, "live rows, too")
	f.BoolVar(&o.Cascade, "cascade", false, "and deleted rows that refer to them, never live ones")
	f.BoolVar(&o.DespiteHold, "despite-hold", false, "rows that are held, too")
	f.BoolVar(&o.Dry, "dry-run", false, "show what would go, and delete nothing")
	asJSON := f.Bool("json", false, "print a JSON object instead")
	if err := parse(s, f, args); err != nil {
		return err
	}
	if o.Table = f.Arg(0); f.NArg() > 1 { // options may come after the table, as in the manual
		if err := parse(s, f, f.Args()[1:]); err != nil {
			return err
		}
		if f.NArg() > 0 {
			f.Usage()
			return errUsage
		}
	}
	if *w.file == "" || o.Table == "" || (o.Where == "") == (len(o.Keys) == 0) {
		f.Usage()
		return errUsage
	}
	conn, c, err := w.open(ctx, purger)
	if err != nil {
		return plainly(s, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := mayWrite(ctx, conn, o.Dry); err != nil {
		return err
	}
	o.Purge, o.Who = c.Purge, who("erase")
	out, err := purge.Erase(ctx, conn, policy.New(c.Tables, c.Bodies), o)
	if err != nil {
		return plainlyRefused(s, err)
	}
	if *asJSON {
		return encode(s.out, out)
	}
	write := &errWriter{w: s.out}
	verb := "erased"
	if o.Dry {
		verb = "would be erased"
	}
	slices.SortFunc(out.Tables, func(a, b *purge.ErasedTable) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range out.Tables {
		write.f("%s: %s %s", t.Name, rows(t.Erased), verb)
		if t.Archived > 0 {
			write.f(", %d of them archived", t.Archived)
		}
		write.f("\n")
	}
	switch {
	case out.Receipt != 0:
		write.f("receipt %d in tombstone.receipts: %s, as %s\n", out.Receipt, out.Who, out.Role)
	case !o.Dry:
		write.f("no receipt is kept, since there is no table tombstone.receipts; tombstone prepare makes it\n")
	}
	return write.err
}
