// Asks the library that Consul uses what it makes of expressions: one JSON string per line in, one letter per line out
// (T, F, S syntax error, V unknown selector, O operator, C value, R regular expression, ? anything else).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/go-bexpr"
)

// Inner is a record inside the item.
type Inner struct {
	Name   string
	Port   int
	On     bool
	Meta   map[string]string
	Tags   []string
	hidden string
}

// Item has the fields of tests/core/filter_item.py.
type Item struct {
	Name, Empty, Long, Accent string
	Port, Negative, Zero      int
	Small                     uint8
	Wide                      uint16
	On, Off                   bool
	Tags, NoTags              []string
	Ports, NoPorts            []int
	Flags                     []bool
	Meta, NoMeta              map[string]string
	Inner                     Inner
	Inners, NoInners          []Inner
	Places                    map[string]Inner
	Lists                     map[string][]string
	Maps                      map[string]map[string]string
	Not                       []string `bexpr:"not"`
	In                        []string `bexpr:"in"`
	Is                        string   `bexpr:"is"`
	And                       string   `bexpr:"and"`
	Or                        string   `bexpr:"or"`
	EmptyList                 []string `bexpr:"empty"`
	Contains                  []string `bexpr:"contains"`
	Matches                   string   `bexpr:"matches"`
}

func item() *Item {
	first := Inner{Name: "a", Port: 1, On: true, Meta: map[string]string{"k": "v"}, Tags: []string{"x", "y"}}
	second := Inner{Name: "b", Port: 2}
	return &Item{
		Name: "web", Long: "The quick brown fox", Accent: "café", Port: 80, Negative: -5, Small: 7, Wide: 8300, On: true,
		Tags: []string{"v1", "Blue", "a b"}, Ports: []int{80, 443}, Flags: []bool{true},
		Meta: map[string]string{
			"env": "prod", "Env": "other", "empty": "", "a.b": "dotted", "two words": "yes", "1": "one", "not": "negated",
		},
		Inner:  Inner{Name: "in", Port: 1, On: true, Meta: map[string]string{"k": "v"}, Tags: []string{"t"}},
		Inners: []Inner{first, second}, Places: map[string]Inner{"lan": first, "wan": second},
		Lists: map[string][]string{"full": {"1", "2"}, "none": {}},
		Maps:  map[string]map[string]string{"one": {"k": "v"}, "none": {}},
		Not:   []string{"in", "x"}, In: []string{"not"}, Is: "is", And: "and", Or: "or", Contains: []string{"contains"},
		Matches: "matches",
	}
}

func verdict(text string) string {
	// Consul takes an empty filter for none; the grammar does not know it.
	if _, err := bexpr.Parse("", []byte(text)); err != nil {
		return "S"
	}
	evaluator, err := bexpr.CreateEvaluatorForType(text, nil, (*Item)(nil))
	if err != nil {
		for part, letter := range map[string]string{
			"is not valid": "V", "Invalid match operator": "O", "Failed to coerce value": "C", "Failed to compile regular": "R",
		} {
			if strings.Contains(err.Error(), part) {
				return letter
			}
		}
		return "? " + err.Error()
	}
	kept, err := evaluator.Evaluate(item())
	if err != nil {
		return "? " + err.Error()
	}
	return map[bool]string{true: "T", false: "F"}[kept]
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var text string
		if err := json.Unmarshal(lines.Bytes(), &text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(out, verdict(text))
	}
}
