package phone

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/prop"
	"gifthorse/knowledge"
)

// A RootFile is a program that gives rights to whoever starts it: by its mode, by capabilities, or because it is a tool for that.
type RootFile struct {
	File           *evidence.File
	Setuid, Setgid bool
	User, Group    string   // "root", "1234"; "" if what was given keeps no owners
	Caps           []string // that the file gives, without "CAP_"; nil if none
	Starters       string   // who may start it: "everybody", a group, or "" if only its owner or nobody knows
	// AOSP says that its file system configuration gives the file no less in this release and kind of build.
	AOSP bool
	Tool string       // what the tool is that lies at such a path: "SuperSU", or ""
	Does string       // for a Tool, the calls by which its program takes on other rights and starts another: "setresuid, execve"; "" if none
	At   evidence.Ref // where its mode stands: the file, or a line of a list of modes
}

// capabilities are the names of the bits of a file's capabilities (Linux include/uapi/linux/capability.h).
var capabilities = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
	NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
	SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
	BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

// programPartitions are those whose files' modes count. Nothing on /data has the bits: it is mounted nosuid.
var programPartitions = []string{"/system", "/vendor", "/product", "/system_ext", "/odm", "/sbin"}

// maxTool is up to which size a tool is read to see what it calls. Programs su have some 100 KB, Magisk's some megabytes.
const maxTool = 16 << 20

// readRootFiles finds the files, and notes which partitions' modes are not known.
func (b *builder) readRootFiles() {
	listed := b.listedModes()
	known, files := map[string]bool{}, map[string]bool{}
	for _, f := range b.ev.Files() {
		partition := ""
		for _, p := range programPartitions {
			if strings.HasPrefix(f.Path, p+"/") {
				partition = p
			}
		}
		tool := knowledge.RootTool("su", f.Path)
		if partition == "" && tool == "" || f.Link != "" {
			continue
		}
		files[partition] = true
		c, ok := listed[f]
		if !ok && f.HasOwner {
			c, ok = mode{uid: f.UID, gid: f.GID, perm: unixMode(f.Mode), caps: f.Caps, at: f.Ref}, true
		}
		if !ok {
			c = mode{uid: -1, gid: -1, perm: unixMode(f.Mode) &^ 0o6000, at: f.Ref} // whoever owns it in what was given, it is not the phone's
		}
		known[partition] = known[partition] || ok
		if c.perm&0o6000 == 0 && c.caps == 0 && tool == "" || f.Mode&fs.ModeType != 0 {
			continue
		}
		b.phone.RootFiles = append(b.phone.RootFiles, b.rootFile(f, c, tool))
	}
	for _, p := range programPartitions {
		if !files[p] || p == "/sbin" {
			continue
		}
		b.listed(evidence.FileModes)
		if known[p] {
			b.read(evidence.FileModes)
		} else {
			b.failed(evidence.FileModes, evidence.Gap{At: b.root(p + "/"), Reason: evidence.Absent, Detail: "what was given keeps no owners and capabilities of the files of " + p})
		}
	}
}

// A mode is what a file system keeps of a file's rights.
type mode struct {
	uid, gid int
	perm     uint32 // with 04000 setuid and 02000 setgid
	caps     uint64
	at       evidence.Ref
}

func unixMode(m fs.FileMode) uint32 {
	p := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		p |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		p |= 0o2000
	}
	return p
}

// listedModes reads lists of modes that lie beside the partitions, as AOSP's build and unpackers of images make them.
func (b *builder) listedModes() map[*evidence.File]mode {
	out := map[*evidence.File]mode{}
	for _, f := range b.ev.Outside() {
		names := f.Ref.Names()
		if len(names) == 0 {
			continue
		}
		base := path.Base(names[len(names)-1])
		if !strings.Contains(base, "fs_config") && !strings.Contains(base, "filesystem_config") || f.Size > maxText {
			continue
		}
		data, err := f.Data()
		if err != nil {
			continue // which is a gap of the evidence
		}
		for _, c := range prop.ParseFSConfig(data) {
			to := b.ev.File(c.Path)
			if rest, ok := strings.CutPrefix(c.Path, "/system/system/"); to == nil && ok { // an image with its root
				to = b.ev.File("/system/" + rest)
			}
			if to != nil {
				out[to] = mode{c.UID, c.GID, c.Mode, c.Caps, lineRef(f.Ref, c.Line)}
			}
		}
	}
	return out
}

func (b *builder) rootFile(f *evidence.File, c mode, tool string) RootFile {
	r := RootFile{File: f, Setuid: c.perm&0o4000 != 0, Setgid: c.perm&0o2000 != 0, User: b.idName(c.uid), Group: b.idName(c.gid), Tool: tool, At: c.at}
	for i, name := range capabilities {
		if c.caps>>i&1 != 0 {
			r.Caps = append(r.Caps, name)
		}
	}
	slices.Sort(r.Caps)
	switch {
	case c.perm&0o001 != 0:
		r.Starters = "everybody"
	case c.perm&0o010 != 0:
		r.Starters = r.Group
	}
	debug := b.phone.Device.BuildType == "userdebug" || b.phone.Device.BuildType == "eng"
	r.AOSP = (debug || knowledge.RootTool("debug", f.Path) == "") && slices.ContainsFunc(knowledge.SetuidFiles(), func(k knowledge.SetuidFile) bool {
		prefix, ok := strings.CutSuffix(k.Path, "*")
		same := k.Path == f.Path || ok && strings.HasPrefix(f.Path, prefix)
		return same && k.Versions.Include(b.phone.Device.Android) && c.perm&0o6000&^k.Mode == 0 && (r.User == "" || c.perm&0o4000 == 0 || r.User == k.User) &&
			!slices.ContainsFunc(r.Caps, func(x string) bool { return !slices.Contains(k.Capabilities, x) })
	})
	if tool != "" && f.Size <= maxTool {
		if data, err := f.Data(); err == nil {
			r.Does = changesUser(data)
		}
	}
	return r
}

// changesUser returns the calls by which a program becomes another user and starts another program, if it is an ELF file that has both
// among the names it imports, or "".
func changesUser(elf []byte) string {
	if !bytes.HasPrefix(elf, []byte("\x7fELF")) {
		return ""
	}
	call := func(names ...string) string {
		for _, n := range names {
			if bytes.Contains(elf, []byte("\x00"+n+"\x00")) {
				return n
			}
		}
		return ""
	}
	become, start := call("setresuid", "setuid", "setreuid"), call("execve", "execvp", "execv", "execl", "execlp")
	if become == "" || start == "" {
		return ""
	}
	return become + ", " + start
}

func (b *builder) idName(id int) string {
	if id < 0 {
		return ""
	}
	name, _ := knowledge.UIDName(id, b.phone.Device.Android)
	return cmp.Or(name, fmt.Sprint(id))
}
