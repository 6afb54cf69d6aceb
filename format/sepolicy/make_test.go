package sepolicy

import (
	"encoding/binary"
	"slices"
)

// A writer writes binary policy as the specification says (libsepol src/write.c), for tests.
type writer struct {
	b        []byte
	version  int
	android6 bool
}

func (w *writer) u32(vs ...uint32) {
	for _, v := range vs {
		w.b = binary.LittleEndian.AppendUint32(w.b, v)
	}
}

func (w *writer) text(s string) { w.b = append(w.b, s...) }

// bits writes a bitmap with some bits set.
func (w *writer) bits(set ...uint32) {
	slices.Sort(set)
	nodes := map[uint32]uint64{}
	var order []uint32
	for _, v := range set {
		if _, ok := nodes[v&^63]; !ok {
			order = append(order, v&^63)
		}
		nodes[v&^63] |= 1 << (v & 63)
	}
	w.u32(64, uint32(64*len(order)), uint32(len(order)))
	for _, first := range order {
		w.u32(first, uint32(nodes[first]), uint32(nodes[first]>>32))
	}
}

func (w *writer) level() { // from s0 to s0:c0
	w.u32(2, 1, 1)
	w.bits()
	w.bits(0)
}

func (w *writer) context(t uint32) {
	w.u32(1, 1, t)
	w.level()
}

func (w *writer) vector(s, t, c, key uint16, data uint32) {
	for _, v := range []uint16{s, t, c, key} {
		w.b = binary.LittleEndian.AppendUint16(w.b, v)
	}
	w.u32(data)
}

// ioctls writes a rule that lets s send t the ioctls 0x8901 and 0x8902, or, if whole, all of driver 0x54.
func (w *writer) ioctls(s, t, c uint16, whole bool) {
	key, head, bits := uint16(avXAllowed), []byte{xpermFunction, 0x89}, [8]uint32{0: 1<<1 | 1<<2}
	if whole {
		head, bits = []byte{xpermDriver, 0}, [8]uint32{0x54 >> 5: 1 << (0x54 & 31)}
	}
	if w.android6 {
		if head = head[1:]; whole {
			key <<= 4
		}
	}
	for _, v := range []uint16{s, t, c, key} {
		w.b = binary.LittleEndian.AppendUint16(w.b, v)
	}
	w.b = append(w.b, head...)
	w.u32(bits[:]...)
}

// Numbers of what tiny declares, as they stand in the file.
const (
	numInit = iota + 1
	numApp
	numDevice
	numDomain
	numNameless
	numRadio
)

// tiny is a policy with one of everything:
//
//	type init, domain; type app, domain; type device; type radio, domain, an attribute without a name; typealias modem alias of radio
//	permissive radio
//	allow domain device:file { read ioctl };  allow init device:file write;  dontaudit app device:file write
//	allowxperm app device:file ioctl { 0x8901 0x8902 };  allowxperm init device:file ioctl 0x5400-0x54ff
//	type_transition init device:process radio;  type_transition app device:file "x" radio
//	mlsconstrain file write (l1 eq l2 or t2 == radio)
//	if (on) { allow app device:file append } else { allow init device:file append }, with on set
func tiny(version int, android6 bool) []byte {
	w := &writer{version: version, android6: android6}
	w.u32(magic, 8)
	w.text(target)
	w.u32(uint32(version), 1|4, 8, 7)
	w.bits(0)
	w.bits(numRadio)
	if version >= versNeverAudit {
		w.bits()
	}
	perm := func(name string, n uint32) {
		w.u32(uint32(len(name)), n)
		w.text(name)
	}
	w.u32(1, 1) // commons
	w.u32(6, 1, 2, 2)
	w.text("common")
	perm("read", 1)
	perm("ioctl", 2)
	w.u32(2, 2)             // classes
	w.u32(4, 6, 1, 4, 2, 1) // file, with one constraint
	w.text("filecommon")
	perm("write", 3)
	perm("append", 4)
	w.u32(4, 3, termAttr, attrL1L2, termEqual)
	w.u32(termNames, attrType|attrTarget, termEqual)
	w.bits(numRadio - 1)
	if version >= versConstraint {
		w.bits()
		w.bits()
		w.u32(0)
	}
	w.u32(termOr, 0, 0)
	w.u32(0)
	more := func() {
		if version >= versDefaults {
			w.u32(0, 0, 0)
		}
		if version >= versDefType {
			w.u32(0)
		}
	}
	more()
	w.u32(7, 0, 2, 1, 1, 0)
	w.text("process")
	perm("fork", 1)
	w.u32(0)
	more()
	w.u32(1, 1) // roles
	w.u32(1, 1, 0)
	w.text("r")
	w.bits()
	w.bits(0, 1)
	w.u32(numRadio, 6) // types
	typ := func(name string, n, property uint32) {
		w.u32(uint32(len(name)), n, property, 0)
		w.text(name)
	}
	typ("radio", numRadio, 1)
	typ("modem", numRadio, 0)
	typ("init", numInit, 1)
	typ("device", numDevice, 1)
	typ("app", numApp, 1)
	typ("domain", numDomain, 1|2)
	w.u32(1, 1) // users
	w.u32(1, 1, 0)
	w.text("u")
	w.bits(0)
	w.level()
	w.u32(1)
	w.bits()
	w.u32(1, 1) // booleans
	w.u32(1, 1, 2)
	w.text("on")
	w.u32(1, 1) // levels
	w.u32(2, 0)
	w.text("s0")
	w.u32(1)
	w.bits(0)
	w.u32(1, 1) // categories
	w.u32(2, 1, 0)
	w.text("c0")

	rules := uint32(4)
	if version >= versXperms {
		rules += 2
	}
	w.u32(rules)
	w.vector(numDomain, numDevice, 1, avAllowed, 1|2)
	w.vector(numInit, numDevice, 1, avAllowed, 4)
	w.vector(numApp, numDevice, 1, avAuditDeny, ^uint32(4))
	w.vector(numInit, numDevice, 2, avTransition, numRadio)
	if version >= versXperms {
		w.ioctls(numApp, numDevice, 1, false)
		w.ioctls(numInit, numDevice, 1, true)
	}
	w.u32(1)    // conditions
	w.u32(1, 2) // "on not"
	w.u32(1, 1, 2, 0)
	w.u32(1)
	w.vector(numInit, numDevice, 1, avAllowed|avEnabled, 8)
	w.u32(1)
	w.vector(numApp, numDevice, 1, avAllowed|avEnabled, 8)
	w.u32(1, 1, numInit, 1) // role transitions
	if version >= versRoleTrans {
		w.u32(2)
	}
	w.u32(1, 1, 1) // role allow
	if version >= versFilename2 {
		w.u32(1, 1)
		w.text("x")
		w.u32(numDevice, 1, 1)
		w.bits(numApp - 1)
		w.u32(numRadio)
	} else if version >= versFilename {
		w.u32(1, 1)
		w.text("x")
		w.u32(numApp, numDevice, 1, numRadio)
	}
	w.u32(1, 27) // initial SIDs
	w.context(numDevice)
	w.u32(1, 1) // file systems
	w.text("f")
	w.context(numDevice)
	w.context(numDevice)
	w.u32(1, 6, 1, 2) // ports
	w.context(numDevice)
	w.u32(0)       // interfaces
	w.u32(1, 1, 2) // nodes
	w.context(numDevice)
	w.u32(1, 2, 4) // uses
	w.text("ext4")
	w.context(numDevice)
	w.u32(0) // nodes of IPv6
	w.u32(1, 4)
	w.text("proc")
	w.u32(1, 5)
	w.text("/kmsg")
	w.u32(0)
	w.context(numDevice)
	w.u32(1, numInit, numDevice, 2) // range transitions
	w.level()
	w.bits(numInit-1, numDomain-1)
	w.bits(numApp-1, numDomain-1)
	w.bits(numDevice - 1)
	w.bits(numDomain - 1)
	w.bits(numNameless - 1)
	w.bits(numRadio-1, numDomain-1, numNameless-1)
	return w.b
}

// tinyCIL is the same policy as text; CIL has no attribute without a name.
const tinyCIL = `; one of everything
(handleunknown allow) (mls true)
(class file (write append)) (classorder (file process)) (class process (fork))
(common common (read ioctl)) (classcommon file common)
(sid devnull) (sidorder (devnull)) (sidcontext devnull (u object_r device ((s0) (s0))))
(type init) (type app) (type device) (type radio) (typealias modem) (typealiasactual modem radio)
(typeattribute domain) (typeattribute nameless) (typeattribute phone)
(typeattributeset domain (or (init) (app))) (typeattributeset domain (radio))
(typeattributeset nameless (and (domain) (not (or (init app) phone))))
(typeattributeset phone ((xor (app) (app)) device))
(typepermissive radio)
(classpermission readers) (classpermissionset readers (file (and (not (write append)) (all))))
(allow domain device readers)
(mlsconstrain (file (write)) (or (eq l1 l2) (eq t2 radio)))
(allow init device (file (write)))
(dontaudit app device (file (write)))
(allowx app device (ioctl file (0x8901 0x8902)))
(allowx init device (ioctl file (not (not ((range 0x5400 0x54ff))))))
(typetransition init device process radio)
(typetransition app device file "x" radio)
(allow app device (file (append)))
(fsuse trans ext4 (u object_r device ((s0) (s0))))
(genfscon proc /kmsg (u object_r device ((s0) (s0))))
(neverallow nameless self (process (fork)))
`
