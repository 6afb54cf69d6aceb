package check

import (
	"fmt"
	"strings"

	"gifthorse/evidence"
	"gifthorse/phone"
	"gifthorse/program"
)

// SELinux returns SELinux as a gate before what modes of files and sockets allow. It confines services since Android 5 (API 21);
// label is that of the service, "" if it has none of its own. What the phone's policy says is not asked here, so the gate is
// unknown unless nothing is enforced at all; see [AppMay].
func SELinux(ph *phone.Phone, label string, at evidence.Ref) Gate {
	g := Gate{What: "SELinux: what its policy allows was not read", At: at}
	switch {
	case ph.API > 0 && ph.API < 21:
		g.What, g.Holds = "SELinux: it does not confine services of this release yet", program.GateDoesNotHold
	case ph.SwitchesSELinuxOff():
		g.What, g.Holds = "SELinux: init switches it off", program.GateDoesNotHold
	case label == "u:r:su:s0" && (ph.Device.BuildType == "userdebug" || ph.Device.BuildType == "eng"):
		g.What, g.Holds = "SELinux: its domain su is not confined in a build for developers", program.GateDoesNotHold
	}
	return g
}

// An Access is something done to an object of an SELinux type: Perm to a Target of a Class.
type Access struct{ Target, Class, Perm string }

// AppMay returns SELinux as a gate before an app that anybody could have written, which needs each of the accesses. It is unknown if the policy
// or one of the types is; a target "" is a type that is not known.
func AppMay(ph *phone.Phone, at evidence.Ref, needs ...Access) Gate {
	g := SELinux(ph, "", at)
	if g.Holds == program.GateDoesNotHold || ph.Policy == nil {
		return g
	}
	g.At = ph.Policy.At
	var lets []string
	by := ""
	for _, n := range needs {
		if _, ok := ph.Policy.Type(n.Target); !ok {
			g.What = "SELinux: which type its policy gives this is not known"
			return g
		}
		domain := ph.Policy.AnyAppMay(n.Target, n.Class, n.Perm)
		if domain == "" {
			g.What, g.Holds = fmt.Sprintf("SELinux: its policy lets no app of just anybody's %s a %s of type %s", n.Perm, n.Class, n.Target), program.GateHolds
			return g
		}
		lets = append(lets, fmt.Sprintf("%s a %s of type %s", n.Perm, n.Class, n.Target))
		by = domain
	}
	g.What, g.Holds = "SELinux: its policy lets apps of just anybody's ("+by+") "+strings.Join(lets, " and "), program.GateDoesNotHold
	return g
}
