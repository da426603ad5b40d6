package docker

import (
	"fmt"
	"strings"
)

// Stage is one FROM of a Dockerfile with all that follows it, up to the next.
type Stage struct {
	Base         string // the image it starts from
	Name         string // after AS; empty when it has none
	Instructions []Instruction
}

// Instruction is one line of a Dockerfile, with its continuation lines joined to it.
type Instruction struct {
	Line  int    // where it starts
	Verb  string // upper case
	Flags map[string]string
	Rest  string // what follows the verb and its flags
}

// Find returns the last instruction with the verb, which for most verbs is the one that counts.
func (s Stage) Find(verb string) (found Instruction, ok bool) {
	for _, i := range s.Instructions {
		if i.Verb == verb {
			found, ok = i, true
		}
	}
	return found, ok
}

// Parse reads the stages of a Dockerfile. Heredocs and parser directives are not known.
func Parse(text string) ([]Stage, error) {
	var stages []Stage
	lines := strings.Split(text, "\n")
	for n := 0; n < len(lines); n++ {
		line := strings.TrimSpace(lines[n])
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		start := n + 1
		for strings.HasSuffix(line, `\`) && n+1 < len(lines) {
			n++
			if next := strings.TrimSpace(lines[n]); !strings.HasPrefix(next, "#") {
				line = strings.TrimSuffix(line, `\`) + next
			}
		}
		i := instruction(start, line)
		if i.Verb == "FROM" {
			words := strings.Fields(i.Rest)
			stage := Stage{Base: words[0]}
			if len(words) == 3 && strings.EqualFold(words[1], "AS") {
				stage.Name = words[2]
			}
			stages = append(stages, stage)
			continue
		}
		if len(stages) == 0 {
			return nil, fmt.Errorf("line %d: %s comes before the first FROM", start, i.Verb)
		}
		last := &stages[len(stages)-1]
		last.Instructions = append(last.Instructions, i)
	}
	return stages, nil
}

func instruction(line int, text string) Instruction {
	verb, rest, _ := strings.Cut(text, " ")
	i := Instruction{Line: line, Verb: strings.ToUpper(verb), Flags: map[string]string{}, Rest: strings.TrimSpace(rest)}
	for strings.HasPrefix(i.Rest, "--") {
		flag, rest, _ := strings.Cut(i.Rest, " ")
		name, value, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		i.Flags[name], i.Rest = value, strings.TrimSpace(rest)
	}
	return i
}
