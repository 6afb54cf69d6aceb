package prop

import (
	"bytes"
	"strconv"
	"strings"
)

// A FileConfig is a line of a list of files with their owners and modes.
type FileConfig struct {
	Path     string // absolute
	UID, GID int
	Mode     uint32 // permission bits, with 04000 setuid and 02000 setgid
	Caps     uint64 // permitted capabilities, by bit
	Label    string // SELinux label, "" if the list has none
	Line     int
}

// ParseFSConfig reads what AOSP's build writes of the files of a partition (build/make/tools/fs_config, META/filesystem_config.txt of
// target files) and what unpackers of images write in the same form: path, uid, gid, mode in octal, then capabilities=N and
// selabel=L. It returns nil if any of the first lines is not of that form: then the file is something else.
func ParseFSConfig(b []byte) (list []FileConfig) {
	const sample = 16 // lines that decide
	n := 0
	for line := range bytes.Lines(b) {
		n++
		w := strings.Fields(string(line))
		if len(w) == 0 || strings.HasPrefix(w[0], "#") {
			continue
		}
		c, ok := fileConfig(w)
		if !ok {
			if len(list) < sample {
				return nil
			}
			continue
		}
		c.Line = n
		list = append(list, c)
	}
	return list
}

func fileConfig(w []string) (c FileConfig, ok bool) {
	// A path may hold blanks; the numbers are then further back.
	for at := 1; at+2 < len(w); at++ {
		uid, err1 := strconv.ParseUint(w[at], 10, 31)
		gid, err2 := strconv.ParseUint(w[at+1], 10, 31)
		mode, err3 := strconv.ParseUint(w[at+2], 8, 16)
		if err1 != nil || err2 != nil || err3 != nil || mode > 0o7777 {
			continue
		}
		c = FileConfig{Path: "/" + strings.TrimPrefix(strings.Join(w[:at], " "), "/"), UID: int(uid), GID: int(gid), Mode: uint32(mode)}
		for _, x := range w[at+3:] {
			if v, found := strings.CutPrefix(x, "capabilities="); found {
				c.Caps, _ = strconv.ParseUint(v, 0, 64)
			} else if v, found := strings.CutPrefix(x, "selabel="); found {
				c.Label = v
			}
		}
		return c, true
	}
	return c, false
}
