package prop

import (
	"strconv"
	"strings"
)

// Init is a file in init's language, as init.rc.
//
// Everything stands here in the order of the file and as written, ${property} unexpanded. Services holds a second
// definition of a name too: init takes the first it meets among all files, and another only if it has Override.
type Init struct {
	Imports  []Import
	Services []Service
	Actions  []Action
	Problems []Problem
}

// A Service is a program that init starts.
type Service struct {
	Name    string
	Args    []string // path of the program, then its arguments
	Line    int
	Classes []string // {"default"} if the file names none

	User   string   // as written; "" is root, and so is what a name the phone does not know leaves
	Groups []string // as written: the group, then supplementary groups; none is root's
	// Capabilities are those the program keeps, without "CAP_". HasCapabilities tells an empty list, which drops
	// all, from no such option, which leaves root all.
	Capabilities    []string
	HasCapabilities bool
	Seclabel        string // SELinux context; "" if the policy decides

	Sockets    []Socket
	Files      []string // opened for the program before its user is set
	Interfaces []string // "interface/instance", whose first caller starts the service
	Keycodes   []string // pressed together they start the service
	Namespaces []string // "pid", "mnt", "net:/path"

	Disabled, Oneshot, Critical, Override, Updatable, Console bool

	OnRestart [][]string // commands run when the service restarts
	Options   []Command  // every option as written, those above too
}

// A Socket is a UNIX socket that init makes for a service, /dev/socket/Name.
type Socket struct {
	Name, Type  string // Type may have decorations: "stream+passcred"
	Perm        uint32
	User, Group string // "" is root
	Context     string
	Line        int
}

// An Action is a list of commands and what sets it off: all triggers together.
type Action struct {
	Triggers []string // "boot", "property:sys.boot_completed=1"
	Commands []Command
	Line     int
}

// A Command is a command of an action or an option of a service.
type Command struct {
	Name string
	Args []string
	Line int
}

// arity is how many arguments a command or option takes.
type arity struct{ least, most int }

const many = 1 << 30 // no limit

// serviceOptions are the options of init over its versions with their widest arities: service_parser.cpp GetParserMap
// of Android 15, keywords.h of Android 5, and some that existed in between only.
var serviceOptions = map[string]arity{
	"animation_class":           {0, 0},
	"capabilities":              {0, many},
	"capability":                {0, many}, // taken and without effect up to Android 6
	"class":                     {1, many},
	"console":                   {0, 1},
	"critical":                  {0, 2},
	"disabled":                  {0, 0},
	"enter_namespace":           {2, 2},
	"file":                      {2, 2},
	"gentle_kill":               {0, 0},
	"group":                     {1, 33}, // the group and NR_SVC_SUPP_GIDS, 12 or 32
	"interface":                 {2, 2},
	"ioprio":                    {2, 2},
	"keycodes":                  {1, many},
	"memcg.limit_in_bytes":      {1, 1},
	"memcg.limit_percent":       {1, 1},
	"memcg.limit_property":      {1, 1},
	"memcg.soft_limit_in_bytes": {1, 1},
	"memcg.swappiness":          {1, 1},
	"namespace":                 {1, 2},
	"oneshot":                   {0, 0},
	"onrestart":                 {1, many},
	"oom_score_adjust":          {1, 1},
	"override":                  {0, 0},
	"priority":                  {1, 1},
	"reboot_on_failure":         {1, 1},
	"restart_period":            {1, 1},
	"rlimit":                    {3, 3},
	"seclabel":                  {1, 1},
	"setenv":                    {2, 2},
	"shared_kallsyms":           {0, 0},
	"shutdown":                  {1, 1},
	"sigstop":                   {0, 0},
	"socket":                    {3, 6},
	"stdio_to_kmsg":             {0, 0},
	"task_profiles":             {1, many},
	"timeout_period":            {1, 1},
	"updatable":                 {0, 0},
	"user":                      {1, 1},
	"writepid":                  {1, many},
}

// commands are the commands of init over its versions with their widest arities: builtins.cpp GetBuiltinFunctionMap
// of Android 13, keywords.h of Android 5, and some that existed in between only. Up to Android 6 init checks no upper
// limit; a line with more arguments does something there and nothing later, and is a Problem.
var commands = map[string]arity{
	"bootchart":              {1, 1},
	"bootchart_init":         {0, 0},
	"chmod":                  {2, 2},
	"chown":                  {2, 3},
	"class_reset":            {1, 1},
	"class_reset_post_data":  {1, 1},
	"class_restart":          {1, 2},
	"class_start":            {1, 1},
	"class_start_post_data":  {1, 1},
	"class_stop":             {1, 1},
	"copy":                   {2, 2},
	"copy_per_line":          {2, 2},
	"domainname":             {1, 1},
	"enable":                 {1, 1},
	"enter_default_mount_ns": {0, 0},
	"exec":                   {1, many},
	"exec_background":        {1, many},
	"exec_start":             {1, 1},
	"execonce":               {1, many},
	"export":                 {2, 2},
	"hostname":               {1, 1},
	"ifup":                   {1, 1},
	"init_user0":             {0, 0},
	"insmod":                 {1, many},
	"installkey":             {1, 1},
	"interface_restart":      {1, 1},
	"interface_start":        {1, 1},
	"interface_stop":         {1, 1},
	"load_all_props":         {0, 0},
	"load_exports":           {1, 1},
	"load_persist_props":     {0, 0},
	"load_system_props":      {0, 0},
	"loglevel":               {1, 1},
	"mark_post_data":         {0, 0},
	"mkdir":                  {1, 6},
	"mount":                  {3, many},
	"mount_all":              {0, many},
	"parse_apex_configs":     {0, 0},
	"perform_apex_config":    {0, 1},
	"powerctl":               {1, 1},
	"readahead":              {1, 2},
	"remount_userdata":       {0, 0},
	"restart":                {1, 2},
	"restorecon":             {1, many},
	"restorecon_recursive":   {1, many},
	"rm":                     {1, 1},
	"rmdir":                  {1, 1},
	"setcon":                 {1, 1},
	"setenforce":             {1, 1},
	"setkey":                 {2, 2},
	"setprop":                {2, 2},
	"setrlimit":              {3, 3},
	"setsebool":              {1, many},
	"start":                  {1, 1},
	"stop":                   {1, 1},
	"swapoff":                {1, 1},
	"swapon_all":             {0, 1},
	"symlink":                {2, 2},
	"sysclktz":               {1, 1},
	"trigger":                {1, 1},
	"umount":                 {1, 1},
	"umount_all":             {0, 1},
	"update_linker_config":   {0, 0},
	"verity_load_state":      {0, 0},
	"verity_update_state":    {0, 1},
	"wait":                   {1, 2},
	"wait_for_prop":          {2, 2},
	"write":                  {2, 2},
}

// ParseInit reads a file in init's language (system/core/init/README.md; parser.cpp, service_parser.cpp,
// action_parser.cpp, init_parser.cpp). It never fails.
//
// A section init would not open (a service without a program, an action without a trigger) is left out with its
// lines, and is a Problem. A line inside a section that no version of AOSP's init would take is a Problem and
// stands in Commands or Options all the same, because vendors add commands to init; only what is read out of
// Options is left out.
func ParseInit(b []byte) *Init {
	in := &Init{}
	var probs problems
	sc := newScanner(b, &probs)
	var (
		section string // the open section: "on", "service", "import", "bad", or "" before the first
		defined = map[string]bool{}
		sockets = map[string]bool{} // of the open service
	)
	service := func() *Service { return &in.Services[len(in.Services)-1] }
	finish := func() {
		if section != "service" {
			return
		}
		if s := service(); s.Classes == nil {
			s.Classes = []string{"default"}
		}
		s := service()
		if s.Critical && s.Oneshot {
			probs.add(s.Line, "service %q is critical and oneshot, which init refuses since Android 11", s.Name)
		}
		if defined[s.Name] && !s.Override {
			probs.add(s.Line, "service %q is defined above: init ignores this one", s.Name)
		}
		defined[s.Name] = true
	}
	for {
		st, ok := sc.next()
		if !ok {
			break
		}
		w := st.words
		cmd := Command{Name: w[0], Args: w[1:], Line: st.line}
		switch w[0] {
		case "on":
			finish()
			section = "bad"
			if triggers := parseTriggers(w[1:], st.line, &probs); triggers != nil {
				in.Actions = append(in.Actions, Action{Triggers: triggers, Line: st.line})
				section = "on"
			}
			continue
		case "service":
			finish()
			section = "bad"
			switch {
			case len(w) < 3:
				probs.add(st.line, "service without a name and a program")
			case !serviceName(w[1]):
				probs.add(st.line, "invalid service name %q", clip(w[1]))
			default:
				in.Services = append(in.Services, Service{Name: w[1], Args: w[2:], Line: st.line})
				section = "service"
				clear(sockets)
			}
			continue
		case "import":
			finish()
			section = "import"
			if len(w) != 2 {
				probs.add(st.line, "import with %d arguments, one wanted", len(w)-1)
				continue
			}
			in.Imports = append(in.Imports, Import{Path: w[1], Line: st.line})
			continue
		}
		switch section {
		case "on":
			checkCommand(cmd, &probs)
			a := &in.Actions[len(in.Actions)-1]
			a.Commands = append(a.Commands, cmd)
		case "service":
			s := service()
			s.Options = append(s.Options, cmd)
			s.option(cmd, sockets, &probs)
		case "import":
			probs.add(st.line, "%q follows an import: init ignores it", clip(w[0]))
		case "":
			probs.add(st.line, "%q stands before the first section: init ignores it", clip(w[0]))
		}
	}
	finish()
	in.Problems = probs
	return in
}

// parseTriggers reads what follows "on", or returns nil if no init would.
func parseTriggers(args []string, line int, probs *problems) []string {
	if len(args) == 0 {
		probs.add(line, "action without a trigger")
		return nil
	}
	var triggers []string
	events := 0
	for i, a := range args {
		if a == "" {
			probs.add(line, "empty trigger: init refuses the action")
			return nil
		}
		if i%2 == 1 {
			if a != "&&" {
				probs.add(line, "%q between triggers, only && may stand there: init refuses the action", clip(a))
				return nil
			}
			continue
		}
		if name, ok := strings.CutPrefix(a, "property:"); !ok {
			if events++; events == 2 {
				probs.add(line, "two events as triggers, which init refuses since Android 7")
			}
		} else if !strings.Contains(name, "=") {
			probs.add(line, "property trigger without '=': init refuses the action")
			return nil
		}
		triggers = append(triggers, a)
	}
	return triggers
}

// serviceName is ServiceParser::IsValidName with the widest limits of all versions.
func serviceName(name string) bool {
	return len(name) <= 92 && Refusal(30, Prop{Name: "init.svc." + name}) == ""
}

func checkCommand(c Command, probs *problems) {
	n, ok := commands[c.Name]
	switch {
	case !ok:
		probs.add(c.Line, "AOSP's init has no command %q", clip(c.Name))
	case len(c.Args) < n.least:
		probs.add(c.Line, "%s with %d arguments: init ignores the command", c.Name, len(c.Args))
	case len(c.Args) > n.most:
		probs.add(c.Line, "%s with %d arguments: init ignores the command since Android 7", c.Name, len(c.Args))
	}
}

// option reads an option into the service, whose sockets so far are named by sockets.
func (s *Service) option(c Command, sockets map[string]bool, probs *problems) {
	n, ok := serviceOptions[c.Name]
	switch {
	case !ok:
		probs.add(c.Line, "AOSP's init has no service option %q", clip(c.Name))
		return
	case len(c.Args) < n.least || len(c.Args) > n.most:
		// So "user radio system" leaves a service root.
		probs.add(c.Line, "%s with %d arguments: init ignores the option", c.Name, len(c.Args))
		return
	}
	switch c.Name {
	case "class":
		s.Classes = c.Args
	case "user":
		s.User = c.Args[0]
	case "group":
		// A second line sets the group again and adds to the supplementary groups.
		s.Groups = append(s.Groups, c.Args[min(len(s.Groups), 1):]...)
		s.Groups[0] = c.Args[0]
	case "capabilities":
		s.Capabilities, s.HasCapabilities = c.Args, true
	case "seclabel":
		s.Seclabel = c.Args[0]
	case "socket":
		s.socket(c, sockets, probs)
	case "file":
		s.Files = append(s.Files, c.Args[0])
	case "interface":
		s.Interfaces = append(s.Interfaces, c.Args[0]+"/"+c.Args[1])
	case "keycodes":
		s.Keycodes = append(s.Keycodes, c.Args...)
	case "namespace":
		s.Namespaces = append(s.Namespaces, c.Args...)
	case "enter_namespace":
		s.Namespaces = append(s.Namespaces, c.Args[0]+":"+c.Args[1])
	case "onrestart":
		s.OnRestart = append(s.OnRestart, c.Args)
		checkCommand(Command{c.Args[0], c.Args[1:], c.Line}, probs)
	case "disabled":
		s.Disabled = true
	case "oneshot":
		s.Oneshot = true
	case "critical":
		s.Critical = true
	case "override":
		s.Override = true
	case "updatable":
		s.Updatable = true
	case "console":
		s.Console = true
	}
}

func (s *Service) socket(c Command, sockets map[string]bool, probs *problems) {
	perm, err := strconv.ParseUint(c.Args[2], 8, 32)
	if err != nil {
		probs.add(c.Line, "socket %q has permissions %q", clip(c.Args[0]), clip(c.Args[2]))
		return
	}
	if sockets[c.Args[0]] {
		probs.add(c.Line, "socket %q is defined twice: init takes the first", clip(c.Args[0]))
		return
	}
	switch kind, _, _ := strings.Cut(c.Args[1], "+"); kind {
	case "stream", "dgram", "seqpacket":
	default:
		probs.add(c.Line, "socket %q has type %q: init does not make it", clip(c.Args[0]), clip(c.Args[1]))
		return
	}
	sockets[c.Args[0]] = true
	arg := func(i int) string {
		if i < len(c.Args) {
			return c.Args[i]
		}
		return ""
	}
	s.Sockets = append(s.Sockets, Socket{
		Name: c.Args[0], Type: c.Args[1], Perm: uint32(perm),
		User: arg(3), Group: arg(4), Context: arg(5), Line: c.Line,
	})
}
