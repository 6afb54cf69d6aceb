package program

import (
	"cmp"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/dex"
	"gifthorse/phone"
)

// A Start is something that sets a component off by itself: a message of the system, and where the component is
// named by whoever hears it.
type Start struct {
	By      *phone.Component // who hears it: the component itself, or a receiver of its app that names it
	Actions []string
	At      evidence.Ref
}

// Starts returns what sets a component off with nobody at the screen: the messages it hears itself, and those that
// receivers of its app hear in whose code it is named. A receiver that is switched off hears nothing. It looks at
// names, not at ways: whether the receiver comes to starting it is not asked.
func (p *Program) Starts(c *phone.Component) (out []Start) {
	hears := func(x *phone.Component) (actions []string) {
		if x.Kind != phone.KindReceiver || !x.Enabled {
			return nil
		}
		for _, f := range x.Filters {
			actions = append(actions, f.Actions...)
		}
		slices.Sort(actions)
		return slices.Compact(actions)
	}
	if a := hears(c); len(a) > 0 {
		out = append(out, Start{c, a, c.At})
	}
	sp, ok := p.ofPackage[c.Package]
	if !ok {
		return out
	}
	for _, x := range c.Package.Components {
		a := hears(x)
		if x == c || len(a) == 0 {
			continue
		}
		if at, ok := p.names(sp, x.Name, c); ok {
			out = append(out, Start{x, a, at})
		}
	}
	slices.SortFunc(out, func(a, b Start) int { return cmp.Compare(a.By.Name, b.By.Name) })
	return out
}

// names looks for a component's class, or its name as a text, in the code of a class and the classes inside it.
func (p *Program) names(sp int, class string, c *phone.Component) (at evidence.Ref, found bool) {
	inside := strings.TrimSuffix(class, ";") + "$"
	for _, i := range p.spaces[sp].dexes {
		d := &p.dexes[i]
		for k := d.classes[0]; k < d.classes[1]; k++ {
			if name := p.syms.text[p.classes[k].name]; name != class && !strings.HasPrefix(name, inside) {
				continue
			}
			for m := p.classes[k].methods[0]; m < p.classes[k].methods[1]; m++ {
				code, err := d.Code(p.methods[m].code)
				if err != nil || p.methods[m].code == 0 {
					continue
				}
				var in dex.Insn
				for pc := uint32(0); pc < code.Units() && in.Decode(code.Insns, pc) == nil; pc = in.Next {
					if in.Op == dex.OpConstClass && p.syms.text[d.typeSym(in.Index)] == c.Name ||
						(in.Op == dex.OpConstString || in.Op == dex.OpConstStringJumbo) && d.String(in.Index) == c.Class() {
						return p.Ref(m, pc), true
					}
				}
			}
		}
	}
	return at, false
}
