package program

// A spare keeps what calls are done with, for the next ones: locals by how many registers they have, and frames.
type spare struct {
	locals [64][]*local
	frames []*frame
}

// local returns one with n registers, of which nothing is known.
func (s *spare) local(n int) *local {
	if n < len(s.locals) {
		if list := s.locals[n]; len(list) > 0 {
			l := list[len(list)-1]
			s.locals[n] = list[:len(list)-1]
			clear(l.regs)
			*l = local{regs: l.regs}
			return l
		}
	}
	return &local{regs: make([]value, n)}
}

func (s *spare) clone(l *local) *local {
	c := s.local(len(l.regs))
	copy(c.regs, l.regs)
	c.res, c.exc, c.state = l.res, l.exc, l.state
	return c
}

// done takes back a local that nothing refers to any more.
func (s *spare) done(l *local) {
	if n := len(l.regs); n < len(s.locals) {
		s.locals[n] = append(s.locals[n], l)
	}
}

func (s *spare) frame() *frame {
	if n := len(s.frames); n > 0 {
		f := s.frames[n-1]
		s.frames = s.frames[:n-1]
		return f
	}
	return &frame{in: map[uint32]*local{}}
}

// left takes back a frame whose call has ended, with the locals in it.
func (s *spare) left(f *frame) {
	for _, l := range f.in {
		s.done(l)
	}
	clear(f.in)
	*f = frame{in: f.in, work: f.work[:0]}
	s.frames = append(s.frames, f)
}
