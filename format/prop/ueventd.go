package prop

import (
	"strconv"
	"strings"
)

// Ueventd is a ueventd.rc.
type Ueventd struct {
	Rules        []DeviceRule
	Handlers     []FirmwareHandler
	FirmwareDirs []string
	Imports      []Import
	Problems     []Problem
}

// A DeviceRule gives a device node, or an attribute of sysfs, its mode and owners. Of several that match a node the
// last holds.
type DeviceRule struct {
	// Pattern is a path, matched as fnmatch(3) does with FNM_PATHNAME (up to Android 8 only a final '*' is special).
	Pattern     string
	Attr        string // attribute below a /sys path; "" for a node
	Mode        uint32
	User, Group string
	Line        int
}

// A FirmwareHandler is a program that ueventd runs for a device that asks for firmware.
type FirmwareHandler struct {
	DevPath     string
	User, Group string // Group "" if not given
	Args        []string
	Line        int
}

// ParseUeventd reads a ueventd.rc (system/core/init/ueventd_parser.cpp, README.ueventd.md; ueventd_parser.c before
// Android 8). Its statements are cut as init's are. Subsystem sections, which say how nodes are named, and switches
// of ueventd itself are passed over.
func ParseUeventd(b []byte) *Ueventd {
	u := &Ueventd{}
	var probs problems
	sc := newScanner(b, &probs)
	inSection := false
	for {
		st, ok := sc.next()
		if !ok {
			break
		}
		w := st.words
		switch {
		case w[0] == "subsystem" && len(w) == 2:
			inSection = true
			continue
		case inSection && (w[0] == "devname" || w[0] == "dirname") && len(w) == 2:
			continue
		case w[0] == "import" && len(w) == 2:
			u.Imports = append(u.Imports, Import{Path: w[1], Line: st.line})
		case w[0] == "firmware_directories" && len(w) >= 2:
			u.FirmwareDirs = append(u.FirmwareDirs, w[1:]...)
		case w[0] == "external_firmware_handler" && (len(w) == 4 || len(w) == 5):
			h := FirmwareHandler{DevPath: w[1], User: w[2], Line: st.line}
			if len(w) == 5 {
				h.Group = w[3]
			}
			h.Args = strings.Fields(w[len(w)-1]) // one word of the file, run as a command line
			u.Handlers = append(u.Handlers, h)
		case (w[0] == "modalias_handling" || w[0] == "parallel_restorecon" || w[0] == "uevent_socket_rcvbuf_size" ||
			w[0] == "parallel_restorecon_dir") && len(w) == 2:
		case strings.HasPrefix(w[0], "/") || strings.HasPrefix(w[0], "mtd@"):
			if r, why := deviceRule(w); why != "" {
				probs.add(st.line, "%s", why)
			} else {
				r.Line = st.line
				u.Rules = append(u.Rules, r)
			}
		default:
			probs.add(st.line, "%q with %d arguments: ueventd ignores it", clip(w[0]), len(w)-1)
			continue
		}
		inSection = false
	}
	u.Problems = probs
	return u
}

func deviceRule(w []string) (r DeviceRule, why string) {
	r.Pattern = w[0]
	rest := w[1:]
	if n := len(rest); n > 0 && rest[n-1] == "no_fnm_pathname" {
		rest = rest[:n-1]
	}
	if strings.HasPrefix(r.Pattern, "/sys/") && len(rest) == 4 {
		r.Attr, rest = rest[0], rest[1:]
	}
	if len(rest) != 3 {
		return r, "a device line needs mode, user and group: ueventd ignores it"
	}
	mode, err := strconv.ParseUint(rest[0], 8, 32)
	if err != nil {
		return r, "mode " + strconv.Quote(clip(rest[0])) + " is not octal: ueventd ignores the line"
	}
	r.Mode, r.User, r.Group = uint32(mode), rest[1], rest[2]
	return r, ""
}
