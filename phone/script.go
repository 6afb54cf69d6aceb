package phone

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"gifthorse/evidence"
	"gifthorse/knowledge"
)

// An Act is what the start of the phone does with a file.
type Act string

// The acts.
const (
	ActRun    Act = "runs"
	ActModule Act = "loads into the kernel"
	ActMount  Act = "mounts" // over the place Over
	ActCode   Act = "puts on a code path"
	ActServe  Act = "starts as a remote shell"
	ActFetch  Act = "fetches" // File is then where it lands, if that is known
)

// A Launch is one thing that init sets going, by itself or over shell scripts that it runs.
type Launch struct {
	Act     Act
	File    string   // absolute, as far as it is known: what is not known stands as $name
	Over    string   // of a mount, the place that it hides
	Args    []string // the command, as written
	Starter string   // "service mounts", "on boot"
	User    string
	Label   string   // SELinux label that the init file names; "" if the policy decides
	When    []string // what sets it off, as in Service.Start; empty if nothing that was read does
	At      evidence.Ref
	Via     []evidence.Ref // the lines that lead there, init's first, without At
	// Conditional is set if a script asks something first, other than whether files are there.
	Conditional bool
	Read        bool   // a shell reads File, which then need not be executable
	URL         string // where the file, or the text that is run, was fetched from
	Writer      Writer // who can put another file in File's place
}

// A Writer says who besides root may put another file in the place of one, by file modes. What SELinux adds is not read.
type Writer struct {
	Who        string // "any app", "app" (that of Package), "shell", "system", "root", "nobody"; "" if it cannot be told
	Permission string // that any app must hold; "" if none
	Package    string
	Storage    bool // it lies on the shared storage, where no file is executable
	// At is the line by which the phone's own init opens the place; zero if AOSP's table says it.
	At evidence.Ref
}

// The bounds of following scripts. A phone has some twenty scripts of a few kilobytes, which call each other two deep.
const (
	maxScript       = 1 << 20 // bytes of one
	maxScriptDepth  = 8
	maxTokens       = 1 << 18 // words and operators of all, read again for each call
	maxLaunches     = 20000
	maxAlternatives = 16   // values that a variable of a loop may have
	maxWord         = 4096 // bytes; no path is longer (PATH_MAX)
)

// launches finds what init sets going. A script is read as a shell would read it, with its variables where they are known, and every
// branch is taken.
func (b *builder) launches() {
	p := b.phone
	l := &launcher{ph: p}
	for i := range p.Services {
		s := &p.Services[i]
		l.start(Launch{Starter: "service " + s.Name, User: s.User, Label: s.Label, When: s.Start, At: s.At}, l.expand(s.Args))
	}
	for i := range p.Actions {
		a := &p.Actions[i]
		when := trigger(a.Triggers)
		for _, c := range a.Commands {
			l.command(Launch{Starter: when, User: "root", When: []string{when}, At: c.At}, c.Name, l.expand(c.Args))
		}
	}
	dirs := p.initDirs()
	for i := range l.out {
		l.out[i].Writer = p.writer(l.out[i].File, dirs)
	}
	if p.Launches = l.out; l.tokens > maxTokens || len(l.out) >= maxLaunches {
		b.gap(evidence.Init, evidence.Gap{At: l.last, Reason: evidence.TooLarge, Detail: "the scripts that init runs are too many or too long to follow to the end"})
	}
}

// Happens reports whether anything of when, in the form of Launch.When, may come about. A value that is asked of a property which nothing
// can change (ro.) must be that of this phone.
func (p *Phone) Happens(when []string) bool {
	return slices.ContainsFunc(when, func(w string) bool {
		for t := range strings.SplitSeq(w, " && ") {
			name, want, ok := strings.Cut(strings.TrimPrefix(t, "property:"), "=")
			if v, set := p.Property(name); ok && strings.HasPrefix(name, "ro.") && set && v != want && want != "*" {
				return false
			}
		}
		return true
	})
}

// SwitchesSELinuxOff reports whether init itself orders SELinux to log what it forbids, and not to stop it.
func (p *Phone) SwitchesSELinuxOff() bool {
	return slices.ContainsFunc(p.Actions, func(a Action) bool {
		return slices.ContainsFunc(a.Commands, func(c Command) bool {
			return c.Name == "setenforce" && slices.Equal(c.Args, []string{"0"}) || c.Name == "write" && slices.Equal(c.Args, []string{"/sys/fs/selinux/enforce", "0"})
		}) && p.Happens([]string{trigger(a.Triggers)})
	})
}

type launcher struct {
	ph     *Phone
	out    []Launch
	last   evidence.Ref // of the script that was read last
	tokens int          // read so far
}

// expand replaces the properties in init's words.
func (l *launcher) expand(words []string) []string {
	out := slices.Clone(words)
	for i, w := range out {
		for from := 0; ; {
			k := strings.Index(w[from:], "${")
			if k < 0 {
				break
			}
			k += from
			end := strings.IndexByte(w[k:], '}')
			if end < 0 {
				break
			}
			name, def, _ := strings.Cut(w[k+2:k+end], ":-")
			v, ok := l.ph.Property(name)
			if !ok {
				v = def
			}
			w, from = w[:k]+v+w[k+end+1:], k+len(v)
		}
		out[i] = w
	}
	return out
}

// command reads a command of an action (builtins.cpp).
func (l *launcher) command(base Launch, name string, args []string) {
	switch name {
	case "exec", "exec_background":
		if i := slices.Index(args, "--"); i >= 0 { // exec [ <seclabel> [ <user> [ <group>* ] ] ] -- <command>
			if i > 0 && args[0] != "-" {
				base.Label = args[0]
			}
			if i > 1 {
				base.User = args[1]
			}
			args = args[i+1:]
		}
		l.start(base, args)
	case "insmod":
		l.start(base, append([]string{"insmod"}, args...))
	case "mount": // mount <type> <device> <dir> [ <flag>* ] [<options>]
		if len(args) > 2 {
			l.mount(base, strings.TrimPrefix(args[1], "loop@"), args[2])
		}
	case "export":
		if len(args) > 1 {
			l.variable(base, args[0], args[1])
		}
	case "write":
		if len(args) > 1 {
			l.helper(base, args[0], args[1])
		}
	}
}

func (l *launcher) start(base Launch, argv []string) {
	sh := &shell{launcher: l, base: base, vars: map[string][]string{}, fetched: map[string]string{}}
	sh.dispatch(shellCommand{words: argv})
}

func (l *launcher) add(x Launch) {
	if len(l.out) < maxLaunches {
		l.out = append(l.out, x)
	}
}

// mount notes what is mounted over a place that is not for files anyway, or that is not known.
func (l *launcher) mount(base Launch, file, over string) {
	closed := strings.Contains(over, "$") || knowledge.BootPlace(path.Clean(over)+"/x", l.ph.Device.Android) == "nobody"
	if closed && strings.HasPrefix(file, "/") && !strings.HasPrefix(file, "/dev/") {
		base.Act, base.File, base.Over = ActMount, file, over
		l.add(base)
	}
}

func (l *launcher) variable(base Launch, name, value string) {
	if l.role("variable", name) == "" {
		return
	}
	for f := range strings.SplitSeq(value, ":") {
		if strings.HasPrefix(f, "/") {
			base.Act, base.File = ActCode, f
			l.add(base)
		}
	}
}

func (l *launcher) helper(base Launch, file, value string) {
	value = strings.TrimLeft(value, "| ")
	if l.role("helper", file) != "" && strings.HasPrefix(value, "/") {
		base.Act, base.File, base.User = ActRun, strings.Fields(value)[0], "root"
		l.add(base)
	}
}

func (l *launcher) role(kind, name string) string {
	return knowledge.Boot(kind, name, l.ph.Device.Android)
}

// script returns the text of a file if it is one that a shell reads.
func (l *launcher) script(name string, asked bool) (string, *evidence.File) {
	f := l.ph.Evidence.File(name)
	if f == nil || f.Size > maxScript || !f.Mode.IsRegular() {
		return "", nil
	}
	data, err := f.Data()
	if err != nil || len(data) > maxScript {
		return "", nil
	}
	text := string(data)
	if !asked && !strings.HasPrefix(text, "#!") && path.Ext(name) != ".sh" || strings.HasPrefix(text, "\x7fELF") {
		return "", nil
	}
	return text, f
}

// A shell reads one script.
type shell struct {
	*launcher
	base    Launch
	depth   int
	file    evidence.Ref // the script; zero for a command of init's
	vars    map[string][]string
	fetched map[string]string // path to URL
}

// A shellCommand is a simple command.
type shellCommand struct {
	assigns [][2]string
	words   []string
	in, out string // redirections
	line    int
	piped   string // URL whose text comes in by a pipe
	unsure  bool
}

// launch returns a launch by a command, without its act.
func (s *shell) launch(c shellCommand) Launch {
	b := s.base
	b.Conditional = b.Conditional || c.unsure
	b.Args = c.words
	if s.file != (evidence.Ref{}) {
		b.Via = append(slices.Clone(b.Via), b.At)
		b.At = lineRef(s.file, c.line)
	}
	return b
}

// ran is a command of which the shell has resolved all words. It returns the URL whose text it puts out, if it fetches one.
func (s *shell) ran(c shellCommand) (url string) {
	b := s.launch(c)
	for _, a := range c.assigns {
		s.variable(b, a[0], a[1])
		if len(c.words) == 0 {
			s.vars[a[0]] = []string{a[1]}
		}
	}
	if len(c.words) == 0 {
		return ""
	}
	if c.words[0] == "echo" && c.out != "" {
		s.helper(b, c.out, strings.Join(c.words[1:], " "))
	}
	switch c.words[0] {
	case "export", "local", "readonly", "set", "typeset":
		for _, w := range c.words[1:] {
			if k, v, ok := strings.Cut(w, "="); ok {
				s.variable(b, k, v)
				s.vars[k] = []string{v}
			}
		}
		return ""
	}
	return s.dispatch(c)
}

// dispatch does what the first word of a command stands for.
func (s *shell) dispatch(c shellCommand) (url string) {
	box := "" // the program before it, of which it may be a part: "busybox telnetd"
	for wrapped := 0; len(c.words) > 0 && wrapped < 16; wrapped++ {
		name, args := c.words[0], c.words[1:]
		b := s.launch(c)
		b.Act, b.File = ActRun, name
		b.URL = s.fetched[name]
		if strings.HasPrefix(name, "/") {
			s.add(b)
		}
		role := s.role("command", path.Base(name))
		switch role {
		case "wrapper", "switch":
			if i := slices.Index(args, "-c"); role == "switch" && i >= 0 && i+1 < len(args) {
				s.read(args[i+1], c)
				return ""
			}
			c.words = operands(args)
			if box == "" {
				box = s.installed(name)
			}
			continue
		case "shell":
			s.shellCall(c, args)
		case "source":
			if len(args) > 0 && strings.HasPrefix(args[0], "/") {
				b.File, b.URL, b.Read = args[0], s.fetched[args[0]], true
				s.add(b)
				s.follow(c, args[0], nil, true)
			}
		case "runtime":
			for i, a := range args {
				v, ok := strings.CutPrefix(a, "-Djava.class.path=")
				if ok || i > 0 && (args[i-1] == "-cp" || args[i-1] == "-classpath") {
					s.variable(b, "CLASSPATH", v)
				}
			}
		case "module":
			for _, a := range args {
				if strings.HasPrefix(a, "/") {
					b.Act, b.File = ActModule, a
					s.add(b)
				}
			}
		case "mount":
			if o := mountOperands(args); len(o) > 1 {
				s.mount(b, o[0], o[1])
			}
		case "each":
			for _, a := range args {
				if !strings.HasPrefix(a, "/") {
					continue
				}
				b.File = a + "/*"
				s.add(b)
				for _, f := range s.ph.Evidence.Under(a) {
					s.follow(c, f.Path, nil, false)
				}
			}
		case "fetch":
			return s.fetch(c, b, name, args)
		case "serve", "serve-shell":
			given := slices.ContainsFunc(args, func(a string) bool { return s.role("command", path.Base(a)) == "shell" })
			if file := cmp.Or(s.installed(name), box); file != "" && (role == "serve" || given) {
				b.Act, b.File = ActServe, file
				s.add(b)
			}
		default:
			if strings.HasPrefix(name, "/") {
				s.follow(c, name, args, false)
			}
		}
		return ""
	}
	return ""
}

// operands skips the options of a program that runs another: flags, numbers, NAME=VALUE, users and SELinux labels.
func operands(args []string) []string {
	return args[min(len(args), max(0, slices.IndexFunc(append(slices.Clone(args), "/"), func(a string) bool {
		_, err := strconv.Atoi(a)
		return err != nil && !strings.HasPrefix(a, "-") && !strings.Contains(a, "=") && a != "root" && (strings.HasPrefix(a, "/") || !strings.Contains(a, ":"))
	}))):]
}

func mountOperands(args []string) (out []string) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-o" || a == "-t":
			i++
		case !strings.HasPrefix(a, "-"):
			out = append(out, a)
		}
	}
	return out
}

// installed returns where a program lies that is named without its path, or "".
func (s *shell) installed(name string) string {
	dirs := []string{"/sbin/", "/system/bin/", "/system/xbin/", "/vendor/bin/"} // the PATH of init.environ.rc
	if strings.HasPrefix(name, "/") {
		dirs = []string{""}
	}
	for _, d := range dirs {
		if s.ph.Evidence.File(d+name) != nil {
			return d + name
		}
	}
	return ""
}

func (s *shell) shellCall(c shellCommand, args []string) {
	for i, a := range args {
		switch {
		case strings.HasPrefix(a, "-") && strings.HasSuffix(a, "c"):
			if i+1 < len(args) {
				s.read(args[i+1], c)
			}
			return
		case !strings.HasPrefix(a, "-"):
			if !strings.HasPrefix(a, "/") {
				return
			}
			b := s.launch(c)
			b.Act, b.File, b.URL, b.Read = ActRun, a, s.fetched[a], true
			s.add(b)
			s.follow(c, a, args[i+1:], true)
			return
		}
	}
	b := s.launch(c)
	if b.Act, b.Read = ActRun, true; strings.HasPrefix(c.in, "/") {
		b.File, b.URL = c.in, s.fetched[c.in]
		s.add(b)
		s.follow(c, c.in, nil, true)
	} else if c.piped != "" {
		b.URL = c.piped
		s.add(b)
	}
}

// fetch reads a call of a program that gets a file from the network. If the program is there, it returns the URL.
func (s *shell) fetch(c shellCommand, b Launch, name string, args []string) string {
	b.Act, b.File = ActFetch, ""
	for i, a := range args {
		if strings.Contains(a, "://") {
			b.URL = a
		} else if i > 0 && (args[i-1] == "-O" || args[i-1] == "-o") {
			b.File = a
		}
	}
	if b.File == "" && strings.HasPrefix(c.out, "/") {
		b.File = c.out
	}
	if b.URL == "" {
		return ""
	}
	s.add(b)
	if s.installed(name) == "" {
		return ""
	}
	if b.File != "" {
		s.fetched[b.File] = b.URL
	}
	return b.URL
}

// follow reads a script that a command runs. asked says that a shell is told to read it, whatever it begins with.
func (s *shell) follow(c shellCommand, name string, args []string, asked bool) {
	if s.depth >= maxScriptDepth {
		return
	}
	text, f := s.script(name, asked)
	if f == nil {
		return
	}
	s.last = f.Ref
	in := &shell{launcher: s.launcher, base: s.launch(c), depth: s.depth + 1, file: f.Ref, vars: map[string][]string{"0": {name}}, fetched: s.fetched}
	in.base.Args = nil
	for k, v := range s.vars {
		if len(k) > 1 || k[0] < '0' || k[0] > '9' {
			in.vars[k] = v
		}
	}
	for i, a := range args[:min(len(args), 9)] {
		in.vars[strconv.Itoa(i+1)] = []string{a}
	}
	in.readText(text, 1)
}

// read reads commands that stand in a word of a command.
func (s *shell) read(text string, c shellCommand) {
	if s.depth >= maxScriptDepth {
		return
	}
	in := *s
	in.depth++
	in.base.Conditional = in.base.Conditional || c.unsure
	in.readText(text, c.line)
}

// An initDir is how init sets a file or folder up.
type initDir struct {
	mode        uint64
	user, group string
	at          evidence.Ref
}

// initDirs collects the modes and owners that init's own commands give.
func (p *Phone) initDirs() map[string]initDir {
	dirs := map[string]initDir{}
	mode := func(s string, d *initDir) bool {
		m, err := strconv.ParseUint(s, 8, 16)
		d.mode = m
		return err == nil
	}
	for _, a := range p.Actions {
		for _, c := range a.Commands {
			if len(c.Args) == 0 {
				continue
			}
			last := path.Clean("/" + c.Args[len(c.Args)-1])
			switch {
			case c.Name == "mkdir" && len(c.Args) > 1: // mkdir <path> [<mode>] [<owner>] [<group>]
				d := initDir{at: c.At}
				if mode(c.Args[1], &d) {
					if len(c.Args) > 2 {
						d.user = c.Args[2]
					}
					if len(c.Args) > 3 {
						d.group = c.Args[3]
					}
					dirs[path.Clean("/"+c.Args[0])] = d
				}
			case c.Name == "chmod" && len(c.Args) == 2:
				if d := dirs[last]; mode(c.Args[0], &d) {
					d.at = c.At
					dirs[last] = d
				}
			case c.Name == "chown" && len(c.Args) > 1: // chown <owner> [<group>] <path>
				d := dirs[last]
				d.user = c.Args[0]
				if d.at = c.At; len(c.Args) > 2 {
					d.group = c.Args[1]
				}
				dirs[last] = d
			}
		}
	}
	return dirs
}

// writerRank orders writers, the one with the least power first.
var writerRank = []string{"any app", "app", "shell", "system", "root", "nobody", ""}

// writer says who may put another file in the place of file: whoever may write to it or to a folder on its way.
func (p *Phone) writer(file string, dirs map[string]initDir) Writer {
	if !strings.HasPrefix(file, "/") {
		return Writer{}
	}
	file = p.target(path.Clean(file))
	role := knowledge.BootPlace(file, p.Device.Android)
	w := writerOf(role)
	if w.Who == "nobody" {
		return w
	}
	better := func(role string, at evidence.Ref) {
		if x := writerOf(role); slices.Index(writerRank, x.Who) < slices.Index(writerRank, w.Who) || x.Who == w.Who && x.Permission == "" && w.Permission != "" {
			w, w.At = x, at
		}
	}
	for f := file; f != "/"; f = path.Dir(f) {
		d, ok := dirs[f]
		if !ok {
			continue
		}
		if d.mode&0o002 != 0 {
			better("app", d.at)
		}
		if d.mode&0o020 != 0 {
			better(knowledge.Boot("group", d.group, p.Device.Android), d.at)
		}
		if d.mode&0o200 != 0 {
			better(knowledge.Boot("group", d.user, p.Device.Android), d.at)
		}
	}
	return w
}

func writerOf(role string) Writer {
	who, what, _ := strings.Cut(role, " ")
	switch who {
	case "app", "storage":
		return Writer{Who: "any app", Permission: what, Storage: who == "storage"}
	case "owner":
		return Writer{Who: "app", Package: what}
	}
	return Writer{Who: who}
}

// target follows the symbolic links of the evidence, also to places that are not in it.
func (p *Phone) target(name string) string {
	for range 8 {
		i, ok := slices.BinarySearchFunc(p.Evidence.Files(), name, func(f *evidence.File, n string) int { return strings.Compare(f.Path, n) })
		if !ok || p.Evidence.Files()[i].Link == "" {
			return name
		}
		if link := p.Evidence.Files()[i].Link; strings.HasPrefix(link, "/") {
			name = path.Clean(link)
		} else {
			name = path.Join(path.Dir(name), link)
		}
	}
	return name
}
