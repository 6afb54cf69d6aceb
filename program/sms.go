package program

import (
	"slices"
	"strings"

	"gifthorse/format/dex"
	"gifthorse/phone"
)

// firstVirtual is the place of abortBroadcast in the table of virtual methods of BroadcastReceiver, for code that ART quickened: the
// eleven of Object come first, then the class's own by name, and no other name of it is less.
const firstVirtual = 11

// Stops returns the call with which a receiver can stop the broadcast that it is called with, so that those behind it do not get it. It
// is looked for in the receiver's own methods and in what these call in the app, whatever is decided on the way.
func (p *Program) Stops(c *phone.Component) (at Step, ok bool) {
	sp, known := p.ofPackage[c.Package]
	id := ClassID(0)
	if known {
		id = p.find(sp, p.syms.ids[c.Name])
	}
	if id == 0 {
		return Step{}, false
	}
	t := &tracer{p: p, sp: sp, flows: map[MethodID]*flow{}}
	seen := map[MethodID]bool{}
	var todo []MethodID
	enter := func(m MethodID) {
		if m != 0 && !seen[m] && p.methods[m].code != 0 && len(seen) < maxStops {
			seen[m] = true
			todo = append(todo, m)
		}
	}
	for k := id; k != 0; k = p.classes[k].super {
		for m := p.classes[k].methods[0]; m < p.classes[k].methods[1]; m++ {
			enter(m)
		}
	}
	for ; len(todo) > 0; todo = todo[1:] {
		m := todo[0]
		f := t.flow(m)
		if f == nil {
			continue
		}
		for i := range f.insns {
			in := &f.insns[i]
			switch {
			case !in.Op.IsInvoke():
			case in.Op.IndexKind() == dex.IndexVtable:
				class := Sym(0)
				if in.A == 1 && in.Index == firstVirtual && p.api < 28 {
					class = t.typeOf(spot{m, in.PC}, in.Arg(0), 0)
				}
				if class != 0 && p.typeIs(sp, class, "Landroid/content/BroadcastReceiver;") {
					return Step{p.Ref(m, in.PC), "stops the broadcast: BroadcastReceiver.abortBroadcast, by its place in the table of methods"}, true
				}
			case in.Op.IndexKind() == dex.IndexMethod && in.Index < uint32(len(f.d.targets)):
				if tg := f.d.targets[in.Index]; tg.method != 0 {
					enter(tg.method)
				} else if name, _ := cutSel(p.syms.text[f.d.sels[in.Index]]); name == "abortBroadcast" && slices.Contains([]string{"Landroid/content/BroadcastReceiver;",
					"Landroid/content/BroadcastReceiver$PendingResult;"}, p.syms.text[p.externs[tg.extern].class]) {
					return Step{p.Ref(m, in.PC), "stops the broadcast: " + strings.TrimSuffix(p.calleeAt(m, in.PC), ":()V")}, true
				}
			}
		}
		delete(t.flows, m)
	}
	return Step{}, false
}

// maxStops bounds the methods looked at for one receiver: who stops a broadcast does it near its beginning.
const maxStops = 2000
