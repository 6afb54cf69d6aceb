package program

// This file says which messages every app of the phone may get.

// Told returns which personal data the apps, by themselves, put into messages that every app may get.
func (p *Program) Told() []Sending { return p.told }

// keyPackage of an intent: the app that it is meant for.
const keyPackage = 12 << 28

// addressed is a model of what says for which app an intent is meant.
func addressed(r *run, s *site) value {
	for _, o := range r.objectsOf(s.arg(0)) {
		r.write(s.cur, o, keyPackage, s.arg(1), true)
	}
	v := r.general(s)
	if s.arg(0).kind == object {
		return s.arg(0)
	}
	return v
}

// toAll reports whether a message goes to every app that listens: the app made it, names nobody in it, and asks no
// permission of who gets it.
func (r *run) toAll(s *site) bool {
	os := r.objectsOf(s.arg(1))
	for _, o := range os {
		if r.objects[o].incoming != "" {
			return false
		}
		if to, ok := s.cur.heap.get(fieldKey(o, keyPackage)); ok && !to.isNull() {
			return false
		}
	}
	i := 0
	for t := range params(s.proto) { // the first text that is given besides is the permission
		i++
		if t == "Ljava/lang/String;" || t == "[Ljava/lang/String;" {
			return len(os) > 0 && s.arg(i).isNull()
		}
	}
	return len(os) > 0
}
