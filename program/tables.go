package program

import (
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/knowledge"
)

// This file follows personal data through the tables of an app's own databases: one component notes it there, and another,
// or the same one on another day, sends what the table holds.

// A row is personal data that was written to a table.
type row struct {
	table string
	label uint32
	at    *chain
	conds uint32
}

// A noted is the same, told without its run.
type noted struct {
	table string
	data  *knowledge.FactKind
	gates []Gate
	steps []Step
	read  evidence.Ref
	from  string // the table, if it is rows of one
}

// maxRows bounds what one run notes of either.
const maxRows = 64

// tableOf returns the table that a call on a database names: an argument of its own, or a word of its SQL; "" if it cannot be told.
func (r *run) tableOf(s *site) string {
	for i := 1; i < min(len(s.args), 4); i++ {
		t := r.begins(r.content(s.cur, s.arg(i)))
		words := strings.Fields(t)
		for k, w := range words {
			if k > 0 && (strings.EqualFold(words[k-1], "from") || strings.EqualFold(words[k-1], "into")) {
				w, _, _ = strings.Cut(w, "(")
				return strings.Trim(w, "\"`[];)")
			}
		}
		if len(words) == 1 {
			return t
		}
	}
	return ""
}

// rowsOf reports whether a label says that something was read of a table that is known.
func rowsOf(l *label) bool { return l.kind == "own-rows" && l.key != "" }

// private reports whether what bears a label is personal data that was read somewhere, or rows in which such data may lie.
func (l *label) private() bool {
	k := knowledge.Kind(l.kind)
	return k != nil && !l.guard && l.chain != nil && (k.Personal() || rowsOf(l))
}

// note remembers personal data that is written to a table.
func (r *run) note(s *site, set uint32) {
	table := r.tableOf(s)
	if !r.alone || table == "" || r.gesture > 0 {
		return
	}
	at := r.at(s.f, s.in.PC)
	for _, l := range r.labelSets.items[set] {
		lab := &r.labels[l]
		if !lab.private() || len(r.rows) >= maxRows {
			continue
		}
		if x := (row{table, l, at, r.condSets.union(s.cur.conds, lab.conds)}); !slices.Contains(r.rows, x) {
			r.rows = append(r.rows, x)
		}
	}
}

// noted tells what a run wrote to tables.
func (r *run) noted() (out []noted) {
	for _, x := range r.rows {
		lab := &r.labels[x.label]
		n := noted{table: x.table, data: knowledge.Kind(lab.kind), steps: r.flowSteps(lab.chain, x.at), read: r.p.Ref(lab.chain.method, lab.chain.pc)}
		n.steps[len(n.steps)-1].What = r.p.calleeAt(x.at.method, x.at.pc) + ": it is kept in the table " + x.table
		if rowsOf(lab) {
			n.from = lab.key
		}
		n.gates, _ = r.gates(&hit{kind: n.data, chain: x.at, conds: x.conds}, &Entry{})
		out = append(out, n)
	}
	return out
}

// rowsSent are rows of a table that go out.
type rowsSent struct {
	Sending
	table string
}

// maxTables bounds through how many tables data is followed, one after the other.
const maxTables = 4

// throughTables makes of rows that go out, and of what was written to their tables, the data that goes out. What was written may itself have
// been rows of another table.
func throughTables(rows []rowsSent, notes []noted) (out []Sending) {
	for range maxTables {
		var more []rowsSent
		for _, s := range rows {
			for _, n := range notes {
				if n.table != s.table || n.from == s.table || len(out) >= maxSendings {
					continue
				}
				x := s.Sending
				x.Data, x.Read = n.data, n.read
				x.Steps = slices.Concat(n.steps, s.Steps)
				x.Gates = gatesInOrder(slices.Concat(n.gates, s.Gates))
				if n.from != "" {
					more = append(more, rowsSent{x, n.from})
				} else {
					out = append(out, x)
				}
			}
		}
		rows = nearestRows(more)
	}
	return out
}

// nearestRows keeps the best way of each table.
func nearestRows(rows []rowsSent) []rowsSent {
	return best(rows, func(s *rowsSent) string { return s.table + s.Over.ID + s.At.String() }, func(a, b *rowsSent) bool { return nearer(&a.Sending, &b.Sending) })
}
