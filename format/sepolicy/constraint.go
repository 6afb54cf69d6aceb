package sepolicy

import "slices"

// A constraint takes permissions away from whoever does not meet it.
type constraint struct {
	class Class
	perms Perms
	terms []term // operands before what joins them
}

// maxTerms bounds the terms of all constraints of one class, each of which is looked at for each answer; shipped policy has at most
// 37.
const maxTerms = 256

// A term is one step of an expression (struct constraint_expr of the kernel's constraint.h).
type term struct {
	kind  uint8
	op    uint8
	attr  uint16
	types []Type // in order
}

// Kinds of terms, their operators, and what they compare (CEXPR_ of constraint.h).
const (
	termNot   = 1
	termAnd   = 2
	termOr    = 3
	termAttr  = 4
	termNames = 5

	termEqual        = 1
	termUnequal      = 2
	termDominates    = 3
	termDominated    = 4
	termIncomparable = 5

	attrUser   = 1
	attrRole   = 2
	attrType   = 4
	attrTarget = 8
	attrL1L2   = 32
	attrL1H2   = 64
	attrH1L2   = 128
	attrH1H2   = 256
	attrL1H1   = 512
	attrL2H2   = 1024
)

// A Level says how the MLS level of a source stands to that of a target.
type Level uint8

// The levels there are on a phone: programs of the system and their files have no categories, apps have some of their own
// (levelFrom of seapp_contexts).
const (
	Same  Level = iota
	Above       // the source has categories and the target has none
)

// Denied returns the permissions that constraints deny source on target, whatever the rules allow. Terms on users and roles are
// taken for true: Android has one user.
func (p *Policy) Denied(source, target Type, c Class, l Level) (set Perms) {
	i, _ := slices.BinarySearchFunc(p.constraints, c, func(k constraint, c Class) int { return int(k.class) - int(c) })
	for ; i < len(p.constraints) && p.constraints[i].class == c; i++ {
		if k := &p.constraints[i]; k.perms&^set != 0 && !k.met(source, target, l) {
			set |= k.perms
		}
	}
	return set
}

// met reports whether a constraint is met. One that makes no sense is.
func (k *constraint) met(source, target Type, l Level) bool {
	var room [16]bool // deeper than any shipped expression
	stack := room[:0]
	for i := range k.terms {
		e, n := &k.terms[i], len(stack)
		switch {
		case e.kind == termNot && n > 0:
			stack[n-1] = !stack[n-1]
		case e.kind == termAnd && n > 1:
			stack = append(stack[:n-2], stack[n-2] && stack[n-1])
		case e.kind == termOr && n > 1:
			stack = append(stack[:n-2], stack[n-2] || stack[n-1])
		case e.kind == termAttr || e.kind == termNames:
			stack = append(stack, e.holds(source, target, l))
		default:
			return true
		}
	}
	return len(stack) != 1 || stack[0]
}

func (e *term) holds(source, target Type, l Level) bool {
	if e.kind == termNames {
		t := source
		switch {
		case e.attr&attrType == 0:
			return true
		case e.attr&attrTarget != 0:
			t = target
		}
		_, in := slices.BinarySearch(e.types, t)
		return in == (e.op == termEqual)
	}
	equal, dominated := true, true // the first and the second
	switch e.attr {
	case attrType:
		equal = source == target
	case attrL1L2, attrL1H2, attrH1L2, attrH1H2: // no program and no file of a phone has two levels
		equal, dominated = l == Same, l == Same
	case attrL1H1, attrL2H2:
	default:
		return true
	}
	switch e.op {
	case termEqual:
		return equal
	case termUnequal:
		return !equal
	case termDominates: // the first has at least what the second has
		return true
	case termDominated:
		return dominated
	}
	return false
}

// put adds a constraint, if its class does not have too many terms already.
func (p *Policy) put(k constraint, terms map[Class]int) bool {
	if terms[k.class] += len(k.terms); terms[k.class] > maxTerms {
		return false
	}
	p.constraints = append(p.constraints, k)
	return true
}
