package knowledge

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:embed framework.txt
var frameworkText string

//go:embed constants.tsv
var constantsText string

//go:embed gestures.txt
var gesturesText string

//go:embed carried.txt
var carriedText string

//go:embed virtual-tables.tsv
var virtualTablesText string

// A Role says what a call of the framework means to the analysis of code.
type Role string

// The roles of framework.txt.
const (
	RoleEffect Role = "effect" // it does something to the phone
	RoleGuard  Role = "guard"  // it asks who calls, or whether he may
	RoleSource Role = "source" // it yields data of a kind
	RoleSink   Role = "sink"   // it lets data out of the app
	RoleInput  Role = "input"  // it yields what somebody far away says
)

// A Fact is what framework.txt says of one call.
type Fact struct {
	Role Role
	Kind *FactKind
	// Class is the descriptor of the class that declares the method; it holds for subclasses too.
	// Name is the method's name. Proto is "(args)ret", or "" for every overload.
	Class, Name, Proto string
	// Args are the arguments that matter, the receiver of an instance call counting as 0: those that
	// steer an effect, or the name of the permission that a guard asks for.
	Args []int
	// When restricts an effect to calls whose argument Arg is a text that begins with one of Prefixes.
	When *When
	// Named is the kind of effect instead if the path ends in a part that is fixed; nil if that is no matter.
	Named *FactKind
	// Taken, of an effect that redirects, is the argument that must be an intent which the outsider made and put into what comes
	// in. With Handed it may also be the intent itself that came in.
	Taken  int
	Handed bool
	// Implicit, of a sink, is the argument that must be an intent which names no component; 0 if that is no matter.
	Implicit int
	// Content says that what the effect takes is the file that the argument names, so that whoever writes the file steers it.
	Content bool
	// Given, of a source, says that the platform hands the data to the app's override of the method, as this argument.
	Given int
	// Means tells how a guard answers: "granted 0" (an int that is 0 if allowed), "granted 1" (true if
	// allowed), "throws" (returns only if allowed), "value" (who calls: allowed if compared).
	Means string
}

// A When restricts a fact to some texts of an argument.
type When struct {
	Arg      int
	Prefixes []string
	Action   bool // the argument is an intent, and its action is meant
}

// A FactKind is a kind of effect, guard or source.
type FactKind struct {
	Role  Role
	ID    string
	Words string
	// Rank of an effect: "grave", "private" (hands out personal data), "slight" (a nuisance: at most weak); of a
	// sink: "far" (somebody far away gets it), "apps" (every app of the phone may); of an input, whence it comes: "network", "radio".
	Rank string
	CWE  int
	// Redirects is set if the effect is that an intent of the outsider's goes on: see Fact.Taken.
	Redirects bool
	// Later names a gate that stands behind the call, in a part of the phone that no check of code sees.
	Later string
}

type framework struct {
	facts  map[string][]Fact // by method name
	kinds  map[string]*FactKind
	inputs []*FactKind
}

var frameworkOnce = sync.OnceValue(func() *framework {
	f, err := parseFramework(frameworkText)
	if err != nil {
		panic(err) // the file is part of the program; a test reads it
	}
	return f
})

// Facts returns what is known of methods of this name, in file order.
func Facts(name string) []Fact { return frameworkOnce().facts[name] }

// Kind returns a kind by its id, or nil.
func Kind(id string) *FactKind { return frameworkOnce().kinds[id] }

// Personal reports whether a source yields data that says something of the owner or of this very phone.
func (k *FactKind) Personal() bool {
	return k.Role == RoleSource && (k.Rank == "private" || k.Rank == "slight") && k.CWE == 200
}

// Inputs returns the kinds of what comes in from far away, in file order.
func Inputs() []*FactKind { return frameworkOnce().inputs }

//go:embed incoming-actions.tsv
var incomingActionsText string

var incomingActionsOnce = sync.OnceValue(func() map[string]*FactKind {
	m := map[string]*FactKind{}
	for _, f := range rows(incomingActionsText) {
		m[f[0]] = Kind(f[1])
	}
	return m
})

// Incoming returns the kind of what the intent of an action carries from far away, or nil.
func Incoming(action string) *FactKind { return incomingActionsOnce()[action] }

// parseFramework reads the form that framework.txt describes at its head.
func parseFramework(text string) (*framework, error) {
	fw := &framework{facts: map[string][]Fact{}, kinds: map[string]*FactKind{}}
	var role Role
	var kind *FactKind
	for i, line := range strings.Split(text, "\n") {
		fail := func(msg string) error { return fmt.Errorf("framework.txt:%d: %s: %q", i+1, msg, line) }
		if t := strings.TrimSpace(line); t == "" || t[0] == '#' {
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			head, words, _ := strings.Cut(line, ":")
			f := strings.Fields(head)
			if len(f) < 2 {
				return nil, fail("a head wants a role and an id")
			}
			role = Role(f[0])
			if role != RoleEffect && role != RoleGuard && role != RoleSource && role != RoleSink && role != RoleInput {
				return nil, fail("no such role")
			}
			words, later, _ := strings.Cut(words, "; later:")
			kind = &FactKind{Role: role, ID: f[1], Words: strings.TrimSpace(words), Later: strings.TrimSpace(later)}
			for _, w := range f[2:] {
				if n, ok := strings.CutPrefix(w, "cwe"); ok {
					kind.CWE, _ = strconv.Atoi(n)
				} else {
					kind.Rank = w
				}
			}
			if fw.kinds[kind.ID] != nil {
				return nil, fail("defined twice")
			}
			fw.kinds[kind.ID] = kind
			if role == RoleInput {
				fw.inputs = append(fw.inputs, kind)
			}
			continue
		}
		f := strings.Fields(line)
		class, rest, ok := strings.Cut(f[0], ";.")
		name, proto, ok2 := strings.Cut(rest, ":")
		if kind == nil || !ok || !ok2 {
			return nil, fail("not a signature")
		}
		fact := Fact{Role: role, Kind: kind, Class: class + ";", Name: name}
		if proto != "*" {
			fact.Proto = proto
		}
		for k := 1; k < len(f); k++ {
			switch w := f[k]; {
			case w == "arg" && k+1 < len(f):
				k++
				for n := range strings.SplitSeq(f[k], ",") {
					v, err := strconv.Atoi(n)
					if err != nil {
						return nil, fail("not an argument")
					}
					fact.Args = append(fact.Args, v)
				}
			case (w == "when" || w == "action") && k+2 < len(f):
				v, err := strconv.Atoi(f[k+1])
				if err != nil {
					return nil, fail("not an argument")
				}
				fact.When = &When{v, strings.Split(f[k+2], ","), w == "action"}
				k += 2
			case (w == "implicit" || w == "given" || w == "taken" || w == "handed") && k+1 < len(f):
				k++
				v, err := strconv.Atoi(f[k])
				if err != nil {
					return nil, fail("not an argument")
				}
				switch w {
				case "given":
					fact.Given = v
				case "implicit":
					fact.Implicit = v
				default:
					fact.Taken, fact.Handed, kind.Redirects = v, w == "handed", true
				}
			case w == "granted" && k+1 < len(f):
				k++
				fact.Means = "granted " + f[k]
			case w == "named" && k+1 < len(f):
				k++
				if fact.Named = fw.kinds[f[k]]; fact.Named == nil {
					return nil, fail("no such kind above")
				}
			case w == "content":
				fact.Content = true
			case w == "throws", w == "value":
				fact.Means = w
			default:
				return nil, fail("what is " + strconv.Quote(w))
			}
		}
		if fact.Named != nil && kind.Redirects {
			fact.Named.Redirects = true
		}
		fw.facts[name] = append(fw.facts[name], fact)
	}
	return fw, nil
}

// rows yields the fields of each line of a tab-separated file that is not a comment.
func rows(text string) [][]string {
	var out [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line != "" && line[0] != '#' {
			out = append(out, strings.Split(line, "\t"))
		}
	}
	return out
}

var constantsOnce = sync.OnceValue(func() map[[2]string]string {
	m := map[[2]string]string{}
	for _, f := range rows(constantsText) {
		m[[2]string{f[0], f[1]}] = f[2]
	}
	return m
})

// Constant returns the text of a constant field of the framework: a Uri or String.
func Constant(class, field string) (string, bool) {
	s, ok := constantsOnce()[[2]string{class, field}]
	return s, ok
}

// BeginsConstant reports whether a text begins with a text that the framework keeps in a constant field.
func BeginsConstant(text string) bool {
	for _, c := range constantsOnce() {
		if len(c) > 1 && strings.HasPrefix(text, c) { // a separator begins anything
			return true
		}
	}
	return false
}

// BuildField returns the system property behind a field of android.os.Build or Build.VERSION.
func BuildField(name string) (string, bool) {
	s, ok := constantsOnce()[[2]string{"Landroid/os/Build;", name}]
	return s, ok
}

var gesturesOnce = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for _, f := range rows(gesturesText) {
		m[f[0]] = true
	}
	return m
})

// Gesture reports whether the methods of an interface run only when a person touches the screen or a key.
// The name of a method, "onKeyDown", stands for the overrides of components.
func Gesture(name string) bool { return gesturesOnce()[name] }

var carriedOnce = sync.OnceValue(func() [][]string { return rows(carriedText) })

// Carried reports whether a class belongs to a library of which apps carry a copy and whose role is known: "support" for one that
// stands between an app and the framework, "transport" for one that speaks to servers, "values" for one that makes text of
// objects and objects of text.
func Carried(class string) (role string, carried bool) {
	for _, p := range carriedOnce() {
		if strings.HasPrefix(class, p[0]) {
			return p[1], true
		}
	}
	return "", false
}

var virtualTablesOnce = sync.OnceValue(func() map[string][][]string {
	m := map[string][][]string{}
	for _, f := range rows(virtualTablesText) {
		m[f[0]] = append(m[f[0]], f[1:])
	}
	return m
})

// VirtualTable returns the selectors of a platform class's table of virtual methods, in its order, for an
// API level; false if the whole table is not known. An empty selector is a place that is not known.
func VirtualTable(class string, api int) ([]string, bool) {
	for _, f := range virtualTablesOnce()[class] {
		from, to, _ := strings.Cut(f[0], "-")
		lo, _ := strconv.Atoi(from)
		hi, _ := strconv.Atoi(to)
		if api >= lo && api <= hi {
			return strings.Fields(f[1]), true
		}
	}
	return nil, false
}

// VirtualTables yields every selector of every known table, so that they can be interned.
func VirtualTables() []string {
	var out []string
	for _, f := range rows(virtualTablesText) {
		out = append(out, strings.Fields(f[2])...)
	}
	return out
}
