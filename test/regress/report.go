package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tombstone/test/source"
)

// File is a script that has run.
type File struct {
	Name    string
	Results []Result
}

// Count is how many statements were answered.
func (f *File) Count() int { return len(f.Results) - f.Number(Silent) }

// Number is how many statements got a verdict.
func (f *File) Number(v Verdict) int {
	n := 0
	for i := range f.Results {
		if f.Results[i].Verdict == v {
			n++
		}
	}
	return n
}

// Unexplained are the differences without a cause.
func (f *File) Unexplained() []*Result {
	var found []*Result
	for i := range f.Results {
		if r := &f.Results[i]; r.Verdict == Differs && r.Cause == nil {
			found = append(found, r)
		}
	}
	return found
}

// Report is the whole run in Markdown.
func Report(suite source.Source, files []File, clean func(string) bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# PostgreSQL's regression scripts through the proxy\n\nScripts of Debian's source package, version %s. ", suite.Version)
	b.WriteString("Each statement ran on a server that really deletes and through the proxy on its twin, where every table has the marker and is protected.\n\n")
	if slices.ContainsFunc(files, func(f File) bool { return strings.HasSuffix(f.Name, onPrepared) }) {
		b.WriteString("A script with " + onPrepared + " behind its name ran on twins of its own, of which the soft one has the database's half: what `tombstone prepare --apply` " +
			"installs, at the start and again whenever statements that change the schema are over, as after a migration. Its temporary tables are ordinary ones, in both twins: a temporary " +
			"table is never protected.\n\n")
	}
	table(&b, files, clean)
	byCause(&b, files)
	byRule(&b, files)
	unexplained(&b, files)
	return b.String()
}

func table(b *strings.Builder, files []File, clean func(string) bool) {
	b.WriteString("| file | statements | same | other order | unsteady | refused | differences | without a cause | causes |\n|---|--:|--:|--:|--:|--:|--:|--:|---|\n")
	var sum [7]int
	for i := range files {
		f := &files[i]
		row := [7]int{f.Count(), f.Number(Same), f.Number(Reordered), f.Number(Unsteady), f.Number(Refused), f.Number(Differs), len(f.Unexplained())}
		for j, n := range row {
			sum[j] += n
		}
		name := f.Name
		if clean(name) {
			name = "**" + name + "**"
		}
		fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d | %d | %d | %s |\n", name, row[0], row[1], row[2], row[3], row[4], row[5], row[6], numbers(f))
	}
	fmt.Fprintf(b, "| all | %d | %d | %d | %d | %d | %d | %d | |\n\n", sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6])
	b.WriteString("Files in bold must be without differences that have no cause. Unsteady: two direct runs differ too. The numbers of causes are those below.\n\n")
}

// numbers names the causes of a file's differences by their numbers in the list below, each with how many it explains.
func numbers(f *File) string {
	count := map[string]int{}
	for i := range f.Results {
		if c := f.Results[i].Cause; c != nil {
			count[c.Line]++
		}
	}
	var said []string
	for i, line := range lines() {
		if n := count[line]; n > 0 {
			said = append(said, fmt.Sprintf("%d (%d)", i+1, n))
		}
	}
	return strings.Join(said, ", ")
}

func byCause(b *strings.Builder, files []File) {
	count, later := map[string]int{}, map[string]int{}
	for i := range files {
		for j := range files[i].Results {
			r := &files[i].Results[j]
			if r.Cause == nil {
				continue
			}
			count[r.Cause.Line]++
			if follows(files[i].Name, r) != "" {
				later[r.Cause.Line]++
			}
		}
	}
	b.WriteString("## Causes of differences\n\n| | differences | of these, later ones that follow | cause |\n|--:|--:|--:|---|\n")
	for i, line := range lines() {
		if n := count[line]; n > 0 {
			fmt.Fprintf(b, "| %d | %d | %d | %s |\n", i+1, n, later[line], line)
		}
	}
	b.WriteString("\n")
}

func byRule(b *strings.Builder, files []File) {
	count := map[string]int{}
	example := map[string]string{}
	for i := range files {
		for j := range files[i].Results {
			if r := &files[i].Results[j]; r.Rule != "" {
				count[r.Rule]++
				if example[r.Rule] == "" {
					example[r.Rule] = fmt.Sprintf("%s:%d", files[i].Name, r.Statement.Line)
				}
			}
		}
	}
	b.WriteString("## Refused, by rule\n\n| rule | statements | first at |\n|---|--:|---|\n")
	rules := slices.SortedFunc(maps.Keys(count), func(a, c string) int { return cmp.Or(count[c]-count[a], cmp.Compare(a, c)) })
	for _, rule := range rules {
		fmt.Fprintf(b, "| %s | %d | %s |\n", rule, count[rule], example[rule])
	}
	b.WriteString("\n")
}

func unexplained(b *strings.Builder, files []File) {
	b.WriteString("## Differences without a cause\n\n")
	none := true
	for i := range files {
		for _, r := range files[i].Unexplained() {
			none = false
			if from := follows(files[i].Name, r); from != "" {
				fmt.Fprintf(b, "### %s.sql, line %d\n\n`%s`%s\n\n", files[i].Name, r.Statement.Line, inOneLine(r.Statement.Text()), from)
				continue
			}
			b.WriteString(difference(files[i].Name, r))
		}
	}
	if none {
		b.WriteString("None.\n")
	}
}

// difference shows a statement with both answers.
func difference(file string, r *Result) string {
	return fmt.Sprintf("### %s.sql, line %d\n\n```\n%s\n```\n\nhard:\n\n%s\nsoft:\n\n%s\n", file, r.Statement.Line, r.Statement.Text(), shown(r.Hard), shown(r.Soft))
}

// follows says which earlier difference one comes from, "" if from none.
func follows(file string, r *Result) string {
	if r.Root.File == file && r.Root.Line == r.Statement.Line {
		return ""
	}
	return fmt.Sprintf("; it follows from %s.sql, line %d", r.Root.File, r.Root.Line)
}

// inOneLine is a statement in one line, not longer than a line should be.
func inOneLine(sql string) string {
	sql = strings.Join(strings.Fields(sql), " ")
	return sql[:min(len(sql), 100)]
}

// shown is an answer, cut where it is too long to read.
func shown(a Answer) string {
	const most = 60
	lines := strings.Split(strings.TrimRight(a.Output, "\n"), "\n")
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf(".. and %d lines more", len(lines)-most))
	}
	state := a.SQLSTATE
	if !a.Given {
		state = "no answer: the session has ended"
	}
	return "```\n" + strings.Join(lines, "\n") + "\n```\n" + state + "\n"
}

// explained lists the differences that have a cause.
func explained(files []File) string {
	var b strings.Builder
	b.WriteString("\n## Differences with a cause\n\n")
	for i := range files {
		for j := range files[i].Results {
			if r := &files[i].Results[j]; r.Cause != nil {
				fmt.Fprintf(&b, "%scause: %s%s\n\n", difference(files[i].Name, r), r.Cause.Line, follows(files[i].Name, r))
			}
		}
	}
	return b.String()
}
