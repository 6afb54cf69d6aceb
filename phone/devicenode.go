package phone

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/prop"
	"gifthorse/knowledge"
)

// A DeviceNode is a rule of ueventd or a command of init that says who may open a device, or a file of the kernel's. What
// SELinux adds is not in it.
type DeviceNode struct {
	Pattern     string // "/dev/diag", "/dev/block/*"; for a file of sysfs the whole path
	Mode        uint32
	User, Group string
	At          evidence.Ref
}

// Apps says what any app may do with the node by its mode. permission is the one that gives an app the node's group; it is "" if no
// permission is needed, or nothing is allowed.
func (n *DeviceNode) Apps(android string) (read, write bool, permission string) {
	if read, write = n.Mode&4 != 0, n.Mode&2 != 0; read || write {
		return read, write, ""
	}
	role, permission, _ := strings.Cut(knowledge.Boot("group", n.Group, android), " ")
	if role != "app" {
		return false, false, ""
	}
	return n.Mode&0o40 != 0, n.Mode&0o20 != 0, permission
}

// maxNodes bounds how many rules are kept. A phone has some six hundred, every eighth with a wildcard.
const maxNodes = 8000

// A nodeTable holds the rules in order, with what finds the last that fits a node.
type nodeTable struct {
	rules []DeviceNode
	named map[string]int
	wild  []int
}

func (t *nodeTable) add(n DeviceNode) {
	if len(t.rules) >= maxNodes {
		return
	}
	if t.named[n.Pattern] = len(t.rules); strings.Contains(n.Pattern, "*") {
		t.wild = append(t.wild, len(t.rules))
	}
	t.rules = append(t.rules, n)
}

// last returns the last rule that fits a node or is the same pattern, or -1.
func (t *nodeTable) last(name string) int {
	best, ok := t.named[name]
	if !ok {
		best = -1
	}
	for _, i := range slices.Backward(t.wild) {
		if i <= best || strings.Contains(name, "*") {
			break
		}
		if fits, _ := path.Match(t.rules[i].Pattern, name); fits {
			return i
		}
	}
	return best
}

// readDeviceNodes reads ueventd's files in its order (system/core init/ueventd.cpp), and what init's commands change afterwards. Of
// several rules for one node the last holds; /ueventd.HARDWARE.rc is whichever is there.
func (b *builder) readDeviceNodes() {
	names := []string{"/system/etc/ueventd.rc", "/ueventd.rc", "/vendor/ueventd.rc", "/vendor/etc/ueventd.rc", "/odm/ueventd.rc", "/odm/etc/ueventd.rc"}
	for _, f := range b.ev.Files() {
		if path.Dir(f.Path) == "/" && strings.HasPrefix(f.Path, "/ueventd.") && path.Ext(f.Path) == ".rc" {
			names = append(names, f.Path)
		}
	}
	t := nodeTable{named: map[string]int{}}
	seen := map[*evidence.File]bool{}
	for i := 0; i < len(names) && i < maxInitFiles; i++ {
		f := b.ev.File(names[i])
		if f == nil || seen[f] {
			continue
		}
		seen[f] = true
		data, ok := b.text(evidence.Init, f)
		if !ok {
			continue
		}
		u := prop.ParseUeventd(data)
		for _, r := range u.Rules {
			pattern := r.Pattern
			if r.Attr != "" {
				pattern += "/" + r.Attr
			}
			t.add(DeviceNode{pattern, r.Mode, r.User, r.Group, lineRef(f.Ref, r.Line)})
		}
		for _, imp := range u.Imports {
			names = append(names, imp.Path)
		}
	}
	for _, a := range b.phone.Actions {
		if !b.phone.Happens([]string{trigger(a.Triggers)}) {
			continue
		}
		for _, c := range a.Commands {
			if c.Name != "chmod" && c.Name != "chown" || len(c.Args) < 2 {
				continue
			}
			name := path.Clean("/" + c.Args[len(c.Args)-1])
			if !kernelFile(name) {
				continue
			}
			d := DeviceNode{Pattern: name, Mode: 0o600, User: "root", Group: "root"}
			if i := t.last(name); i >= 0 {
				d = t.rules[i]
				d.Pattern = name
			}
			d.At = c.At
			if c.Name == "chown" {
				if d.User = c.Args[0]; len(c.Args) > 2 {
					d.Group = c.Args[1]
				}
			} else if m, err := strconv.ParseUint(c.Args[0], 8, 12); err == nil {
				d.Mode = uint32(m)
			} else {
				continue
			}
			t.add(d)
		}
	}
	for i, n := range t.rules {
		if t.last(n.Pattern) == i {
			b.phone.DeviceNodes = append(b.phone.DeviceNodes, n)
		}
	}
}

// kernelFile reports whether a path is a device or a file of the kernel's, and not one that is stored.
func kernelFile(name string) bool {
	return slices.ContainsFunc([]string{"/dev/", "/proc/", "/sys/"}, func(dir string) bool { return strings.HasPrefix(name, dir) }) &&
		!strings.HasPrefix(name, "/dev/socket/") && !strings.HasPrefix(name, "/dev/cpuctl") && !strings.HasPrefix(name, "/dev/cpuset") && !strings.HasPrefix(name, "/dev/stune")
}
